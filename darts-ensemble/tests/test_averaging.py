import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_ensemble.averaging import RunningAverage
from darts_utils.testing import example_tile


def averaged(arrays, weights, *, with_std=True):
    average = RunningAverage(with_std=with_std)
    for array, weight in zip(arrays, weights, strict=True):
        average.add(array, weight=weight)
    return average


@settings(deadline=None)
@given(count=st.integers(1, 7), seed=st.integers(0, 2**16), spread=st.sampled_from([1.0, 1e-3, 0.0]))
def test_mean_and_spread_are_those_of_numpy(count, seed, spread):
    rng = np.random.default_rng(seed)
    arrays = (0.5 + spread * (rng.random((count, 4, 5)) - 0.5)).astype("float32")
    weights = rng.uniform(0.1, 9, count)
    average = averaged(arrays, weights)
    mean = np.average(arrays.astype("float64"), axis=0, weights=weights)
    std = np.sqrt(np.average((arrays - mean) ** 2, axis=0, weights=weights))
    assert average.mean().dtype == average.std().dtype == np.float32
    np.testing.assert_allclose(average.mean(), mean, atol=6e-8)
    np.testing.assert_allclose(average.std(), std, atol=1e-7)
    assert average.mean().min() >= 0
    assert average.mean().max() <= 1


def test_one_array_is_its_own_mean_to_the_last_bit():
    values = np.random.default_rng(0).random((5, 5), dtype="float32")
    average = averaged([values], [0.3])
    np.testing.assert_array_equal(average.mean(), values)
    assert not average.std().any()


def test_nan_stays_nan_and_the_arrays_stay_as_they_are():
    values = np.array([0.25, np.nan], "float32")
    values.flags.writeable = False
    average = averaged([values, values], [1, 2])
    np.testing.assert_array_equal(average.mean(), values)
    np.testing.assert_array_equal(average.std(), np.array([0, np.nan], "float32"))


@pytest.mark.parametrize("weights", [[1, 1], [2, 6]])
def test_by_hand(weights):
    average = averaged([np.array([0.2]), np.array([0.6])], weights)
    low, high = (weight / sum(weights) for weight in weights)
    assert average.mean()[0] == pytest.approx(0.2 * low + 0.6 * high)
    assert average.std()[0] == pytest.approx(0.4 * np.sqrt(low * high))


def test_questions_that_have_no_answer_are_refused():
    average = RunningAverage()
    with pytest.raises(ValueError, match="expected at least one array to average, but got none"):
        average.mean()
    average.add(np.ones(1), weight=1)
    with pytest.raises(
        ValueError, match=r"expected RunningAverage\(with_std=True\) .* but got with_std=False and an array"
    ):
        average.std()
    with pytest.raises(ValueError, match="but got with_std=True and no array"):
        RunningAverage(with_std=True).std()


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), 1.7e308])
def test_weights_that_have_no_sum_are_refused(weight):
    average = averaged([np.ones(1)], [1e308])
    with pytest.raises(ValueError, match="expected a weight above 0 and weights whose sum is finite, but got"):
        average.add(np.ones(1), weight=weight)


def test_backends_give_the_same(backend):
    tiles = [example_tile(["probabilities"], shape=(6, 7), seed=seed) for seed in range(3)]
    expected = averaged([tile.probabilities.values for tile in tiles], [1, 2, 3])
    found = averaged([backend.tile(tile).probabilities.data for tile in tiles], [1, 2, 3])
    np.testing.assert_array_equal(backend.values(found.mean()), expected.mean())
    np.testing.assert_allclose(backend.values(found.std()), expected.std(), atol=1e-7)
