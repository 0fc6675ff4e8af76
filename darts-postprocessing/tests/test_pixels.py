"""The kernels against the same written for whole arrays, which is what a GPU runs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_postprocessing import pixels
from darts_postprocessing.pixels import are_probabilities, as_percent, marked_above
from darts_utils.testing import strategies


@given(mask=strategies.masks(max_px=40), seed=st.integers(0, 99), threshold=st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_kernels_equal_whole_arrays(mask, seed, threshold):
    rng = np.random.default_rng(seed)
    values = rng.random(mask.shape, dtype="float32")
    values[rng.random(mask.shape) < 0.2] = np.nan
    limit = np.float32(threshold)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(as_percent(values, mask), pixels._as_percent(values, mask))
        for valid in (None, mask):
            ours = marked_above(values, threshold=threshold, valid=valid)
            np.testing.assert_array_equal(ours, pixels._marked_above(values, limit, valid))
            assert ours.dtype == np.uint8


@pytest.mark.parametrize("wrong", [-1e-45, np.nextafter(np.float32(1), np.float32(2)), np.inf, -np.inf, 50])
def test_one_value_beyond_the_range_is_seen(wrong):
    values = np.full((300, 40), np.nan, dtype="float32")
    values[::2], values[1::4] = 0, 1
    assert are_probabilities(values)
    assert not pixels._outside_range(values).any()
    values[271, 39] = wrong
    assert not are_probabilities(values)
    assert pixels._outside_range(values).sum() == 1


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_change_nothing(threads, monkeypatch):
    rng = np.random.default_rng(0)
    values, extent = rng.random((300, 50), dtype="float32"), rng.random((300, 50)) < 0.5
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    np.testing.assert_array_equal(as_percent(values, extent), pixels._as_percent(values, extent))
    np.testing.assert_array_equal(marked_above(values, threshold=0.5, valid=extent), (values > 0.5) & extent)
