import numpy as np
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darts_export.statistics import statistics_of
from darts_utils.runs import find_runs, runs_of_labels
from darts_utils.testing import strategies


@given(mask=strategies.masks(max_px=20), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=60)
def test_equals_scipy(mask: NDArray[np.bool_], seed: int) -> None:
    values = np.random.default_rng(seed).random(mask.shape, dtype="float32")
    runs = find_runs(mask)
    labels, count = runs.labels(), runs.count
    ours, index, wide = statistics_of(runs, values), np.arange(1, count + 1), values.astype("float64")
    for name, oracle in {
        "min": scipy.ndimage.minimum,
        "max": scipy.ndimage.maximum,
        "mean": scipy.ndimage.mean,
        "median": scipy.ndimage.median,
        "std": scipy.ndimage.standard_deviation,
    }.items():
        with np.errstate(invalid="ignore"):  # scipy divides by the empty background of a mask that is all true
            expected = np.asarray(oracle(wide, labels, index) if count else [], dtype="float64")
        assert ours[name].dtype == np.float64
        np.testing.assert_allclose(ours[name], expected, rtol=1e-12, atol=1e-15, err_msg=name)


def test_equal_values_have_no_spread() -> None:
    result = statistics_of(find_runs(np.ones((100, 100), dtype=bool)), np.full((100, 100), 0.7, dtype="float32"))
    assert result["std"][0] < 1e-15
    assert result["median"][0] == np.float32(0.7)


def test_a_nan_is_not_hidden() -> None:
    labels = np.array([[1, 1, 0, 2]], dtype="int32")
    result = statistics_of(runs_of_labels(labels, count=2), np.array([[0.5, np.nan, 0, 0.75]], dtype="float32"))
    for name, values in result.items():
        assert np.isnan(values[0]), name
        assert not np.isnan(values[1]), name
