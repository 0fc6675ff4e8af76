"""Dropping objects, against scikit-image and a plain loop over objects."""

from functools import partial

import numpy as np
import pytest
import skimage.measure
import skimage.morphology
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darts_postprocessing import drop_edge_objects, remove_small_objects
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import Backend, assert_verb_contract, example_tile, strategies

Mask = NDArray[np.bool_]


def _tile(objects: Mask, extent: Mask | None = None) -> xr.Dataset:
    tile = example_tile(["binarized_segmentation", "extent"], shape=objects.shape)
    tile.binarized_segmentation[:] = objects
    tile.extent[:] = True if extent is None else extent
    return tile


def _without_edge_objects(objects: Mask, extent: Mask) -> Mask:
    """One object after the other, pixel by pixel."""
    labels = skimage.measure.label(objects, connectivity=2)
    outside = {(int(row), int(column)) for row, column in zip(*np.nonzero(~extent), strict=True)}
    kept = np.zeros_like(objects)
    for region in skimage.measure.regionprops(labels):
        around = {(r + dr, c + dc) for r, c in region.coords for dr in (-1, 0, 1) for dc in (-1, 0, 1)}
        if not around & outside:
            kept[tuple(region.coords.T)] = True
    return kept


def _spiral(size: int) -> Mask:
    mask = np.zeros((size, size), dtype=bool)
    row, column, step = 0, 0, (0, 1)
    for length in [size - 1, *(each for n in range(size - 1, 0, -2) for each in (n, n))]:
        for _ in range(length):
            mask[row, column] = True
            if not (0 <= row + step[0] < size and 0 <= column + step[1] < size):
                break
            row, column = row + step[0], column + step[1]
        step = step[1], -step[0]
    return mask


ADVERSARIAL = {
    "nothing": np.zeros((9, 11), dtype=bool),
    "everything": np.ones((9, 11), dtype=bool),
    "one pixel": np.pad(np.ones((1, 1), dtype=bool), 5),
    "diagonal": np.eye(17, dtype=bool),
    "anti-diagonal": np.eye(17, dtype=bool)[::-1],
    "checkerboard": np.indices((12, 13)).sum(axis=0) % 2 == 0,
    "ring in a ring": (skimage.morphology.disk(10) - np.pad(skimage.morphology.disk(8), 2)).astype(bool)
    | np.pad(skimage.morphology.disk(4), 6).astype(bool),
    "spiral": _spiral(21),
    "two that touch by a corner": np.kron(np.eye(2), np.ones((6, 6))).astype(bool),
    "comb": np.arange(20)[None, :] % 2 + (np.arange(9)[:, None] == 8) > 0,
    "one row": (np.arange(30) % 7 < 4)[None, :],
    "one column": (np.arange(30) % 7 < 4)[:, None],
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("min_object_px", [0, 1, 2, 12, 17, 18, 60, 1000])
def test_small_objects_equal_scikit_image(name: str, min_object_px: int) -> None:
    objects = ADVERSARIAL[name]
    expected = skimage.morphology.remove_small_objects(objects, max_size=max(min_object_px - 1, 0), connectivity=2)
    ours = remove_small_objects(_tile(objects), min_object_px=min_object_px).binarized_segmentation.values
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("hole", [(0, 0), (3, 3), (-1, -1), (5, 2)])
def test_edge_objects_equal_a_loop(name: str, hole: tuple[int, int]) -> None:
    objects = ADVERSARIAL[name]
    extent = np.ones_like(objects)
    extent[min(hole[0], objects.shape[0] - 1), min(hole[1], objects.shape[1] - 1)] = False
    ours = drop_edge_objects(_tile(objects, extent)).binarized_segmentation.values
    np.testing.assert_array_equal(ours, _without_edge_objects(objects, extent))


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_random_masks(data: st.DataObject) -> None:
    objects = data.draw(strategies.masks(max_px=20))
    seed, share = data.draw(st.integers(0, 99)), data.draw(st.sampled_from([0.5, 0.9, 0.99]))
    extent = np.random.default_rng(seed).random(objects.shape) < share
    tile = _tile(objects, extent)
    inside = drop_edge_objects(tile)
    np.testing.assert_array_equal(inside.binarized_segmentation.values, _without_edge_objects(objects, extent))
    np.testing.assert_array_equal(
        remove_small_objects(tile, min_object_px=4).binarized_segmentation.values,
        skimage.morphology.remove_small_objects(objects, max_size=3, connectivity=2),
    )
    xr.testing.assert_identical(drop_edge_objects(inside), inside)


def test_adjacent_by_a_corner_counts_two_away_does_not() -> None:
    objects, extent = np.zeros((7, 7), dtype=bool), np.ones((7, 7), dtype=bool)
    objects[1, 1] = objects[5, 5] = True
    extent[2, 2] = False
    kept = drop_edge_objects(_tile(objects, extent)).binarized_segmentation.values
    assert kept[1, 1] == 0  # 8-adjacent, by a corner
    assert kept[5, 5] == 1


def test_border_of_the_tile_is_no_edge_by_itself() -> None:
    objects = np.zeros((7, 7), dtype=bool)
    objects[0, :3] = True
    assert drop_edge_objects(_tile(objects)).binarized_segmentation.values.sum() == 3


def test_contracts() -> None:
    tile = example_tile(["binarized_segmentation", "extent"])
    assert_verb_contract(
        drop_edge_objects, tile, adds=(), changes={"binarized_segmentation"}, needs=["binarized_segmentation", "extent"]
    )
    assert_verb_contract(
        partial(remove_small_objects, min_object_px=5),
        tile,
        adds=(),
        changes={"binarized_segmentation"},
        needs=["binarized_segmentation"],
    )


def test_attributes_are_kept_and_extended() -> None:
    tile = _tile(ADVERSARIAL["spiral"])
    tile.binarized_segmentation.attrs["threshold"] = 0.5
    attrs = remove_small_objects(drop_edge_objects(tile), min_object_px=7).binarized_segmentation.attrs
    assert (attrs["threshold"], attrs["edge_objects"], attrs["min_object_px"]) == (0.5, "drop", 7)
    assert "radius_px" not in attrs  # nobody says how this extent was made
    tile.extent.attrs |= {"mask": "valid", "radius_px": 3, "edge_px": 0}
    attrs = drop_edge_objects(tile).binarized_segmentation.attrs
    assert (attrs["mask"], attrs["radius_px"], attrs["edge_px"]) == ("valid", 3, 0)


def test_backends(backend: Backend) -> None:
    tile = example_tile(["binarized_segmentation", "extent"])
    tile.extent[:] = True
    tile.extent[5:8, 5:8] = False
    tile.binarized_segmentation[:] = np.random.default_rng(0).random(tile.extent.shape) < 0.3
    expected = remove_small_objects(drop_edge_objects(tile), min_object_px=3).binarized_segmentation.values
    result = remove_small_objects(drop_edge_objects(backend.tile(tile)), min_object_px=3)
    np.testing.assert_array_equal(backend.values(result.binarized_segmentation), expected)


def test_messages() -> None:
    tile = example_tile(["red"])
    with pytest.raises(
        MissingVariableError, match=r"drop_edge_objects needs 'binarized_segmentation', 'extent'; .*run bin"
    ):
        drop_edge_objects(tile)
    with pytest.raises(
        MissingVariableError, match=r"remove_small_objects needs 'binarized_segmentation'; .*run binarize"
    ):
        remove_small_objects(tile)
    with pytest.raises(ValueError, match=r"min_object_px must be a whole number of pixels, 0 or more, but got -3"):
        remove_small_objects(tile, min_object_px=-3)


def test_variables_in_another_form() -> None:
    tile = _tile(np.eye(17, dtype=bool))
    objects = tile.binarized_segmentation
    for distorted in (objects.transpose("x", "y"), objects.astype("bool")):
        with pytest.raises(
            TileContractError, match=r"'binarized_segmentation' of tile 'example-0' must (have dims|be u)"
        ):
            remove_small_objects(tile.assign(binarized_segmentation=distorted))
        with pytest.raises(
            TileContractError, match=r"'binarized_segmentation' of tile 'example-0' must (have dims|be u)"
        ):
            drop_edge_objects(tile.assign(binarized_segmentation=distorted))
    for distorted in (tile.extent.transpose("x", "y"), tile.extent.astype("uint8")):
        with pytest.raises(TileContractError, match=r"variable 'extent' of tile 'example-0' must (have dims|be bool)"):
            drop_edge_objects(tile.assign(extent=distorted))
