import h5py
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers .rio
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.errors import OutputError, SceneError, SceneNotFoundError, TileContractError
from darts_utils.grids import geobox_of
from darts_utils.testing import example_tile
from darts_utils.testing.strategies import tiles
from darts_utils.tile_io import read_header, read_tile, tile_checksum, write_tile
from darts_utils.variables import VARIABLES


@settings(deadline=None, max_examples=10)
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


def test_a_unit_of_time_makes_no_dates_of_numbers(tmp_path):
    tile = example_tile(["red"], shape=(4, 5))
    for units in ("days since 2000-01-01", "days"):
        values = ("y", "x"), np.arange(20, dtype="float32").reshape(4, 5), {"units": units}
        read = read_tile(write_tile(tile.assign(snow=values), tmp_path / "tile.nc"))
        assert read.identical(tile.assign(snow=values))
        assert read.snow.dtype == "float32"


def test_gdal_sees_the_grid_of_a_sliced_tile_too(tmp_path):
    tile = example_tile(["red", "ndvi"], shape=(6, 7)).isel(y=slice(2, 5), x=slice(1, 7))
    path = write_tile(tile, tmp_path / "tile.nc")
    with rasterio.open(f"NETCDF:{path}:red") as raster:
        assert raster.crs.to_epsg() == 32608
        assert raster.transform.almost_equals(geobox_of(tile).affine)
        np.testing.assert_array_equal(raster.read(1), tile.red.values)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # h5netcdf closes what it never opened
@pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # xarray says that it does not understand an attribute, before ours is raised
@settings(deadline=None, max_examples=60, derandomize=True)  # some damage sends HDF5 itself astray
@given(data=st.data())
def test_a_damaged_file_is_an_error_of_ours_or_the_tile_as_it_was(data, tmp_path_factory):
    """Nothing is ever silently another: there is a checksum over all values and attributes."""
    tile = example_tile(["red", "ndvi", "extent"], shape=(20, 30))
    path = write_tile(tile, tmp_path_factory.mktemp("damaged") / "tile.nc")
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        read = read_tile(path)
    except (SceneError, TileContractError):
        return
    assert read.identical(tile)


@pytest.mark.parametrize("change", ["value", "attribute", "coordinate"])
def test_a_file_that_was_changed_is_not_trusted(change, tmp_path):
    path = write_tile(example_tile(["red"], shape=(4, 5)), tmp_path / "tile.nc")
    with h5py.File(path, "r+") as file:
        if change == "value":
            file["red"][2, 3] += 1
        elif change == "attribute":
            file["red"].attrs["reflectance_scale"] = 2e-4
        else:
            file["x"][0] += 1e-6
    with pytest.raises(SceneError, match="the checksum that write_tile notes, but it has another"):
        read_tile(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["darts_checksum"]
    with pytest.raises(SceneError, match="but it has none: the file is damaged, or something else wrote it"):
        read_tile(path)


def test_what_a_file_cannot_hold_is_refused(tmp_path):
    tile = example_tile(["red"], shape=(4, 5))
    for name, values in {
        "time": np.datetime64("2021-08-21", "ns"),
        "label": "a",
        "half": ("y", np.zeros(4, "float16")),
    }.items():
        with pytest.raises(TileContractError, match=f"'{name}' holds .*: drop or convert it"):
            write_tile(tile.assign_coords({name: values}), tmp_path / "tile.nc")
    with pytest.raises(TileContractError, match="'darts_checksum' of a tile is kept for its file"):
        write_tile(tile.assign_attrs(darts_checksum="x"), tmp_path / "tile.nc")
    assert list(tmp_path.iterdir()) == []


def test_names_that_a_file_cannot_hold_are_refused(tmp_path):
    tile = example_tile(["red"], shape=(4, 5))
    with pytest.raises(TileContractError, match="names without '/', but got 'a/b'"):
        write_tile(tile.assign({"a/b": tile.red}), tmp_path / "tile.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_tile_without_variables_keeps_its_grid(tmp_path):
    tile = example_tile([], shape=(4, 5))
    assert read_tile(write_tile(tile, tmp_path / "tile.nc")).identical(tile)


def test_the_header_says_what_the_tile_is(tmp_path):
    tile = example_tile(["red"], shape=(4, 5)).assign_attrs(names=("a", "b"))
    header = read_header(write_tile(tile, tmp_path / "tile.nc"))
    assert (header.grid, header.attrs, header.checksum) == (geobox_of(tile), tile.attrs, tile_checksum(tile))


def test_the_header_of_what_is_no_tile_file_is_refused(tmp_path):
    with pytest.raises(SceneNotFoundError, match="there is none"):
        read_header(tmp_path / "gone.nc")
    (tmp_path / "no.nc").write_bytes(b"nothing")
    with pytest.raises(SceneError, match="damaged or no NetCDF-4 tile"):
        read_header(tmp_path / "no.nc")
    example_tile(["red"], shape=(4, 5)).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(SceneError, match="darts_checksum"):
        read_header(tmp_path / "other.nc")
