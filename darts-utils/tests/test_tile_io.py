import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings

from darts_utils.errors import OutputError, SceneError, SceneNotFoundError, TileContractError
from darts_utils.testing import example_tile
from darts_utils.testing.strategies import tiles
from darts_utils.tile_io import read_tile, write_tile
from darts_utils.variables import VARIABLES


@settings(deadline=None, max_examples=15)
@given(tile=tiles(list(VARIABLES)))
def test_every_variable_survives_bit_for_bit(tile, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiles") / "tile.nc"
    read = read_tile(write_tile(tile, path))
    assert read.identical(tile)
    for name in tile.data_vars:
        assert read[name].dtype == tile[name].dtype


def test_nan_inf_and_extreme_integers_survive(tmp_path):
    tile = example_tile(["ndvi", "red", "probabilities_percent", "extent"], shape=(4, 5))
    ndvi = tile.ndvi.values.copy()
    ndvi[0, :3] = [np.nan, np.inf, -0.0]
    tile = tile.assign(ndvi=tile.ndvi.copy(data=ndvi), red=tile.red * np.uint16(0) + np.uint16(65535))
    read = read_tile(write_tile(tile, tmp_path / "tile.nc"))
    assert read.ndvi.values.tobytes() == ndvi.tobytes()
    assert read.red.values.min() == 65535


def test_attributes_without_a_netcdf_type_survive(tmp_path):
    tile = example_tile(["red"], shape=(4, 5)).assign_attrs(
        checked=True,
        nothing=None,
        models=["full", "optical"],
        empty="",
        nested={"a": [1, 2.5]},
        count=3,
        text="ρ × 10⁴",
    )
    tile["red"].attrs["saturated"] = False
    read = read_tile(write_tile(tile, tmp_path / "tile.nc"))
    assert read.attrs == tile.attrs
    assert read.red.attrs == tile.red.attrs
    assert isinstance(read.attrs["count"], int)


def test_rewriting_a_tile_that_was_read_changes_nothing(tmp_path):
    first = write_tile(example_tile(["red", "ndvi"]), tmp_path / "first.nc")
    second = write_tile(read_tile(first), tmp_path / "second.nc")
    assert read_tile(second).identical(read_tile(first))


def test_writing_leaves_the_tile_as_it_was(tmp_path):
    tile = example_tile(["red"]).assign_attrs(flag=True)
    before = tile.copy(deep=True)
    write_tile(tile, tmp_path / "tile.nc")
    assert tile.identical(before)


def test_other_programs_see_the_grid(tmp_path):
    tile = example_tile(["red", "valid_data_mask"], shape=(4, 5))
    write_tile(tile, tmp_path / "tile.nc")
    with xr.open_dataset(tmp_path / "tile.nc", engine="h5netcdf", decode_coords="all") as opened:
        assert opened.red.rio.crs.to_epsg() == 32608
        assert opened.red.rio.transform() == tile.red.rio.transform()


def test_bad_files_are_named(tmp_path):
    with pytest.raises(SceneNotFoundError, match="expected a tile file at"):
        read_tile(tmp_path / "none.nc")
    path = write_tile(example_tile(["red"]), tmp_path / "tile.nc")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SceneError, match="the file is damaged"):
        read_tile(path)
    xr.Dataset({"a": ("t", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(TileContractError, match="y, x, spatial_ref missing"):
        read_tile(tmp_path / "other.nc")


def test_what_is_no_tile_is_not_written(tmp_path):
    with pytest.raises(TileContractError, match="needs the coordinates"):
        write_tile(xr.Dataset({"a": ("t", [1.0])}), tmp_path / "tile.nc")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="a part of the path is a file"):
        (tmp_path / "file").touch()
        write_tile(example_tile(["red"]), tmp_path / "file" / "tile.nc")
