from functools import partial

import numpy as np
import pytest
import xarray as xr

from darts_postprocessing import erode_extent
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import Backend, assert_verb_contract, example_tile


def _tile(shape: tuple[int, int] = (30, 40)) -> xr.Dataset:
    tile = example_tile(["quality_data_mask", "valid_data_mask", "red"], shape=shape)
    tile.quality_data_mask[:] = True
    tile.valid_data_mask[:] = True
    return tile


@pytest.mark.parametrize("mask", ["quality", "valid"])
def test_contract(mask: str) -> None:
    tile = example_tile(["quality_data_mask", "valid_data_mask", "red"])
    assert_verb_contract(
        partial(erode_extent, mask=mask, radius_px=2, edge_px=1),
        tile,
        adds={"extent"},
        needs=[f"{mask}_data_mask"],
        nan_reach_px=2,
    )


def test_contract_of_the_whole_tile() -> None:
    assert_verb_contract(partial(erode_extent, mask="none", edge_px=3), example_tile(["red"]), adds={"extent"})


@pytest.mark.parametrize("edge_px", [0, 1, 5, 14, 15, 16, 1000])
def test_border(edge_px: int) -> None:
    extent = erode_extent(_tile(), radius_px=0, edge_px=edge_px).extent.values
    expected = np.zeros((30, 40), dtype=bool)
    expected[edge_px : max(30 - edge_px, 0), edge_px : max(40 - edge_px, 0)] = True
    np.testing.assert_array_equal(extent, expected)


def test_zero_and_zero_keep_the_mask() -> None:
    tile = example_tile(["quality_data_mask"])
    np.testing.assert_array_equal(
        erode_extent(tile, radius_px=0, edge_px=0).extent.values, tile.quality_data_mask.values
    )


def test_each_mask_is_the_one_that_is_read() -> None:
    tile = _tile()
    tile.quality_data_mask[15, 20] = False
    assert erode_extent(tile, mask="valid", radius_px=3, edge_px=0).extent.all()
    assert erode_extent(tile, mask="none", radius_px=3, edge_px=0).extent.all()
    assert int((~erode_extent(tile, mask="quality", radius_px=3, edge_px=0).extent).sum()) == 29  # disc of radius 3


def test_attributes_record_the_options() -> None:
    attrs = erode_extent(_tile(), radius_px=4, edge_px=2).extent.attrs
    assert (attrs["source"], attrs["mask"]) == ("quality_data_mask", "quality")
    assert (attrs["radius_px"], attrs["edge_px"]) == (4, 2)
    attrs = erode_extent(_tile(), mask="none").extent.attrs
    assert (attrs["source"], attrs["mask"]) == ("the whole tile", "none")


def test_backends(backend: Backend) -> None:
    tile = example_tile(["quality_data_mask"])
    expected = erode_extent(tile, radius_px=3, edge_px=2).extent.values
    result = erode_extent(backend.tile(tile), radius_px=3, edge_px=2)
    np.testing.assert_array_equal(backend.values(result.extent), expected)


def test_missing_mask_names_the_way_out() -> None:
    with pytest.raises(
        MissingVariableError, match=r"erode_extent needs 'quality_data_mask'; tile 'example-0' has red: run preprocess"
    ):
        erode_extent(example_tile(["red"]))


@pytest.mark.parametrize("mask", ["quality", "valid"])
def test_masks_in_another_form(mask: str) -> None:
    tile, name = _tile((20, 20)), f"{mask}_data_mask"
    for distorted in (tile[name].transpose("x", "y"), tile[name].astype("uint8")):
        with pytest.raises(TileContractError, match=f"variable '{name}' of tile 'example-0' must (have dims|be bool)"):
            erode_extent(tile.assign({name: distorted}), mask=mask)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius_px": -1}, r"radius_px must be a whole number of pixels, 0 or more, but got -1"),
        ({"edge_px": -1}, r"edge_px must be a whole number of pixels, 0 or more, but got -1"),
        ({"edge_px": True}, r"edge_px must be a whole number of pixels, 0 or more, but got True"),
        ({"edge_px": np.bool_(1)}, r"edge_px must be a whole number of pixels, 0 or more, but got (np.)?True"),
        ({"edge_px": 2.5}, r"edge_px must be a whole number of pixels, 0 or more, but got 2\.5"),
        ({"mask": "clouds"}, r"mask must be one of 'quality', 'valid', 'none', but got 'clouds'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        erode_extent(_tile(), **options)
