"""Where a gate is open."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from darts_ensemble import Gate
from darts_ensemble.gate import surroundings
from darts_utils.errors import ConfigError
from darts_utils.testing import example_tile

NAMES = ("red", "valid_data_mask", "probabilities")


def tile_of(seed=0, shape=(40, 50)):
    tile = example_tile(NAMES, shape=shape, seed=seed)
    return tile.assign(probabilities=tile.probabilities.where(tile.valid_data_mask))


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 150), st.integers(1, 20)),
    reach_px=st.integers(0, 200),
    share=st.sampled_from([0.0, 0.003, 0.1, 1.0]),
    seed=st.integers(0, 99),
)
def test_surroundings_are_those_of_scipy(shape, reach_px, share, seed):
    found = np.random.default_rng(seed).random(shape) < share
    expected = ndimage.maximum_filter(found, size=2 * reach_px + 1, mode="constant", cval=False)
    np.testing.assert_array_equal(surroundings(found, reach_px=reach_px), expected)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_surroundings_do_not_depend_on_the_threads(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    found = np.random.default_rng(1).random((300, 70)) < 0.001
    expected = ndimage.maximum_filter(found, size=43, mode="constant", cval=False)
    np.testing.assert_array_equal(surroundings(found, reach_px=21), expected)


def test_what_is_closed_is_invalid_and_everything_else_as_it_was(backend):
    tile = tile_of()
    narrowed = Gate(threshold=0.99, reach_px=2).narrow(backend.tile(tile))
    found = np.nan_to_num(tile.probabilities.values) > 0.99
    valid = tile.valid_data_mask.values & ndimage.maximum_filter(found, size=5, mode="constant", cval=False)
    assert 0 < valid.sum() < tile.valid_data_mask.values.sum()
    np.testing.assert_array_equal(backend.values(narrowed.valid_data_mask), valid)
    expected = np.where(valid, tile.probabilities.values, np.nan)
    np.testing.assert_array_equal(backend.values(narrowed.probabilities), expected)
    assert narrowed.probabilities.dtype == np.float32
    np.testing.assert_array_equal(backend.values(narrowed.red), tile.red.values)
    xr.testing.assert_identical(narrowed.drop_vars(NAMES), tile.drop_vars(NAMES))


def test_the_threshold_itself_is_not_found():
    tile = tile_of().assign(probabilities=lambda tile: xr.full_like(tile.probabilities, 0.5))
    assert not Gate(threshold=0.5).narrow(tile).valid_data_mask.any()
    assert Gate(threshold=0.49).narrow(tile).valid_data_mask.equals(tile.valid_data_mask)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "expected the threshold of a gate to be 0 … 1, but got 1.5"),
        ({"threshold": float("nan")}, "but got nan"),
        ({"threshold": "0.5"}, "but got '0.5'"),
        ({"reach_px": -1}, "expected reach_px of a gate to be a whole number of at least 0, but got -1"),
        ({"reach_px": 1.5}, "but got 1.5"),
        ({"reach_px": True}, "but got True"),
    ],
)
def test_gates_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Gate(**options)
