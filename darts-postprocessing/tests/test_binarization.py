from functools import partial

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_postprocessing import binarize
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import Backend, assert_verb_contract, example_tile, strategies


def test_contract() -> None:
    result = assert_verb_contract(
        binarize,
        example_tile(["probabilities"]),
        adds={"binarized_segmentation"},
        needs=["probabilities"],
        nan_reach_px=0,
    )
    assert result.binarized_segmentation.attrs["threshold"] == 0.5


def test_contract_with_valid_mask() -> None:
    assert_verb_contract(
        partial(binarize, threshold=0.3),
        example_tile(["probabilities", "valid_data_mask"]),
        adds={"binarized_segmentation"},
        needs=["probabilities"],
    )


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_at_just_below_and_just_above_the_threshold(threshold: float) -> None:
    at = np.float32(threshold)
    below, above = np.nextafter(at, np.float32(0)), min(np.nextafter(at, np.float32(2)), np.float32(1))
    tile = example_tile(["probabilities"], shape=(1, 4))
    tile.probabilities[0] = [below, at, above, np.nan]
    assert binarize(tile, threshold=threshold).binarized_segmentation.values.tolist() == [[0, 0, int(threshold < 1), 0]]


def test_invalid_pixels_are_never_marked() -> None:
    tile = example_tile(["probabilities", "valid_data_mask"], shape=(1, 3))
    tile.probabilities[0] = [0.9, 0.9, np.nan]
    tile.valid_data_mask[0] = [True, False, True]
    assert binarize(tile).binarized_segmentation.values.tolist() == [[1, 0, 0]]


@given(tile=strategies.tiles(["probabilities"]), threshold=st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_is_idempotent(tile: xr.Dataset, threshold: float) -> None:
    once = binarize(tile, threshold=threshold)
    again = binarize(
        once.assign(probabilities=once.probabilities.copy(data=once.binarized_segmentation.values.astype("float32"))),
        threshold=0.5,
    )
    np.testing.assert_array_equal(again.binarized_segmentation.values, once.binarized_segmentation.values)


def test_backends(backend: Backend) -> None:
    tile = example_tile(["probabilities", "valid_data_mask"])
    np.testing.assert_array_equal(
        backend.values(binarize(backend.tile(tile)).binarized_segmentation),
        binarize(tile).binarized_segmentation.values,
    )


@pytest.mark.parametrize("threshold", [-0.1, 1.1, 50, float("nan"), "0.5", None, False, [0.5], 0.5j])
def test_threshold_that_is_no_probability(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"threshold must be a probability between 0 and 1, but got .*divide percent"):
        binarize(example_tile(["probabilities"]), threshold=threshold)


def test_missing_probabilities() -> None:
    with pytest.raises(MissingVariableError, match=r"binarize needs 'probabilities'; tile .* run a model's inference"):
        binarize(example_tile(["red"]))


def test_variables_in_another_form() -> None:
    tile = example_tile(["probabilities", "valid_data_mask"], shape=(20, 20))
    for name, distorted, message in (
        ("probabilities", tile.probabilities.transpose("x", "y"), r"must have dims \('y', 'x'\), but got \('x', 'y'\)"),
        ("probabilities", tile.probabilities.expand_dims("model"), "must have dims"),
        ("probabilities", tile.probabilities.astype("float64"), "must be float32, but got float64"),
        ("valid_data_mask", tile.valid_data_mask.transpose("x", "y"), "must have dims"),
        ("valid_data_mask", tile.valid_data_mask.astype("uint8"), "must be bool, but got uint8"),
    ):
        with pytest.raises(TileContractError, match=f"variable '{name}' of tile 'example-0' {message}"):
            binarize(tile.assign({name: distorted}))


@pytest.mark.parametrize("wrong", [87.0, -0.5, np.inf])
def test_values_that_are_no_probabilities(wrong: float) -> None:
    tile = example_tile(["probabilities"])
    tile.probabilities[:] = 0.5
    tile.probabilities[3, 4], tile.probabilities[0, 0] = wrong, np.nan
    with pytest.raises(TileContractError, match=r"'probabilities' of tile 'example-0' must hold probabilities between"):
        binarize(tile)


def test_a_value_that_is_hardly_outside_is_told_to_the_last_digit() -> None:
    tile = example_tile(["probabilities"])
    tile.probabilities[3, 4] = np.nextafter(np.float32(1), np.float32(2))
    with pytest.raises(
        TileContractError, match=r"but got values from .* to 1\.00000012: .*clip what rounding has left"
    ):
        binarize(tile)
