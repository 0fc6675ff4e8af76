import numpy as np
import pytest
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from darts_train_utils.calibration import calibrated, fit_temperature, reliability_curve
from darts_utils.errors import TrainingDataError


def a_case(temperature=2.5, size=20_000):
    rng = np.random.default_rng(3)
    logits = rng.normal(-1, 4, size)
    labels = (rng.random(size) < expit(logits / temperature)).astype("uint8")
    return logits, labels


def test_the_temperature_equals_logistic_regression_without_intercept():
    logits, labels = a_case()
    ours = fit_temperature(logits, labels)
    peer = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(logits[:, None], labels)
    assert ours == pytest.approx(1 / peer.coef_[0, 0], rel=1e-4)
    assert ours == pytest.approx(2.5, rel=0.05)


def test_ignored_pixels_do_not_count():
    logits, labels = a_case()
    more = np.concatenate([logits, [np.nan, 1e9]]), np.concatenate([labels, [2, 2]])
    assert fit_temperature(*more) == fit_temperature(logits, labels)


def test_the_curve_equals_scikit_learn_and_calibration_straightens_it():
    logits, labels = a_case()
    before = reliability_curve(expit(logits), labels, bins=10)
    observed, predicted = calibration_curve(labels, expit(logits), n_bins=10)
    np.testing.assert_allclose(before.observed, observed)
    np.testing.assert_allclose(before.predicted, predicted)
    after = reliability_curve(calibrated(logits, temperature=fit_temperature(logits, labels)), labels)
    assert before.expected_error > 0.05
    assert after.expected_error < 0.02
    assert after.counts.sum() == labels.size


def test_nonsense_is_refused():
    with pytest.raises(TrainingDataError, match="one shape"):
        fit_temperature(np.zeros(3), np.zeros(2, "uint8"))
    with pytest.raises(TrainingDataError, match="labels 0, 1, 2"):
        fit_temperature(np.zeros(2), np.array([0, 9]))
    with pytest.raises(TrainingDataError, match="every label is ignored"):
        fit_temperature(np.zeros(2), np.array([2, 2]))
    with pytest.raises(TrainingDataError, match="both classes"):
        fit_temperature(np.zeros(2), np.array([1, 1]))
    with pytest.raises(TrainingDataError, match="finite logits"):
        fit_temperature(np.array([np.nan, 1.0]), np.array([0, 1]))
    with pytest.raises(TrainingDataError, match="no temperature is best"):
        fit_temperature(np.array([-1.0, 1.0]), np.array([0, 1]))
    with pytest.raises(TrainingDataError, match="within 0 … 1"):
        reliability_curve(np.array([2.0]), np.array([1]))
    with pytest.raises(TrainingDataError, match="at least 1 bin"):
        reliability_curve(np.array([0.5]), np.array([1]), bins=0)
