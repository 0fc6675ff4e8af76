import hypothesis.extra.numpy
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
    values = np.array([[0.25, np.nan]], "float32")
    values.flags.writeable = False
    average = averaged([values, values], [1, 2])
    np.testing.assert_array_equal(average.mean(), values)
    np.testing.assert_array_equal(average.std(), np.array([[0, np.nan]], "float32"))
    later = averaged([np.full((1, 2), 0.25, "float32"), values], [1, 2])
    np.testing.assert_array_equal(later.mean(), values)
    np.testing.assert_array_equal(later.std(), np.array([[0, np.nan]], "float32"))


@pytest.mark.parametrize("weights", [[1, 1], [2, 6]])
def test_by_hand(weights):
    average = averaged([np.array([[0.2]]), np.array([[0.6]])], weights)
    low, high = (weight / sum(weights) for weight in weights)
    assert average.mean()[0, 0] == pytest.approx(0.2 * low + 0.6 * high)
    assert average.std()[0, 0] == pytest.approx(0.4 * np.sqrt(low * high))


probabilities = st.floats(0, 1, width=32)
members = st.integers(1, 6).flatmap(
    lambda count: st.tuples(
        hypothesis.extra.numpy.arrays("float32", (count, 2, 3), elements=probabilities),
        st.lists(st.floats(1e-6, 1), min_size=count, max_size=count),
    )
)


@settings(deadline=None)
@given(members)
def test_the_mean_lies_within_the_members_and_the_spread_is_never_negative(drawn):
    arrays, weights = drawn
    average = averaged(arrays, weights)
    assert (arrays.min(0) <= average.mean()).all()
    assert (average.mean() <= arrays.max(0)).all()
    assert (average.std() >= 0).all()
    assert (average.std() <= 0.5 + 1e-7).all()  # of values in 0 … 1


@settings(deadline=None)
@given(members, st.randoms(use_true_random=False))
def test_the_order_of_the_members_does_not_matter(drawn, random):
    arrays, weights = drawn
    order = random.sample(range(len(weights)), len(weights))
    straight, mixed = averaged(arrays, weights), averaged(arrays[order], [weights[index] for index in order])
    np.testing.assert_allclose(mixed.mean(), straight.mean(), rtol=1.3e-7, atol=1e-12)  # the last bit of float32
    np.testing.assert_allclose(mixed.std(), straight.std(), atol=1e-7)


@settings(deadline=None)
@given(members)
def test_members_that_agree_are_their_mean_and_have_no_spread(drawn):
    arrays, weights = drawn
    average = averaged([arrays[0]] * len(weights), weights)
    np.testing.assert_array_equal(average.mean(), arrays[0])
    assert not average.std().any()


@settings(deadline=None)
@given(members, st.floats(1e-3, 1e3))
def test_only_the_ratio_of_the_weights_counts(drawn, factor):
    arrays, weights = drawn
    scaled = averaged(arrays, [weight * factor for weight in weights])
    np.testing.assert_allclose(scaled.mean(), averaged(arrays, weights).mean(), rtol=1.3e-7, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (64, 3), (257, 130)])
def test_bands_of_rows_give_what_numpy_gives(shape, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    arrays = np.random.default_rng(4).random((3, *shape), dtype="float32")
    average = averaged(arrays, [1, 2, 3])
    mean = np.average(arrays.astype("float64"), axis=0, weights=[1, 2, 3])
    np.testing.assert_array_equal(average.mean(), mean.astype("float32"))
    spread = np.sqrt(np.average((arrays - mean) ** 2, axis=0, weights=[1, 2, 3]))
    np.testing.assert_allclose(average.std(), spread, rtol=1e-6)


def test_arrays_of_another_shape_are_refused():
    average = averaged([np.ones((2, 3), "float32")], [1])
    with pytest.raises(ValueError, match=r"expected arrays of one shape, \(2, 3\), but got one of \(3, 2\)"):
        average.add(np.ones((3, 2), "float32"), weight=1)


def test_questions_that_have_no_answer_are_refused():
    average = RunningAverage()
    with pytest.raises(ValueError, match="expected at least one array to average, but got none"):
        average.mean()
    average.add(np.ones((1, 1)), weight=1)
    with pytest.raises(
        ValueError, match=r"expected RunningAverage\(with_std=True\) .* but got with_std=False and an array"
    ):
        average.std()
    with pytest.raises(ValueError, match="but got with_std=True and no array"):
        RunningAverage(with_std=True).std()


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), 1.7e308])
def test_weights_that_have_no_sum_are_refused(weight):
    average = averaged([np.ones((1, 1))], [1e308])
    with pytest.raises(ValueError, match="expected a weight above 0 and weights whose sum is finite, but got"):
        average.add(np.ones((1, 1)), weight=weight)


def test_backends_give_the_same(backend):
    tiles = [example_tile(["probabilities"], shape=(6, 7), seed=seed) for seed in range(3)]
    expected = averaged([tile.probabilities.values for tile in tiles], [1, 2, 3])
    found = averaged([backend.tile(tile).probabilities.data for tile in tiles], [1, 2, 3])
    np.testing.assert_array_equal(backend.values(found.mean()), expected.mean())
    np.testing.assert_allclose(backend.values(found.std()), expected.std(), atol=1e-7)
