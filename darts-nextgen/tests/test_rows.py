"""Tiles as rows of Arrow tables."""

import numpy as np
import pyarrow as pa
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from darts_nextgen.pipeline.rows import TILE_COLUMN, from_row, to_row
from darts_utils.errors import TileContractError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.testing import example_tile
from darts_utils.testing.strategies import tiles

VARIABLES = ("red", "ndvi", "tc_brightness", "valid_data_mask")
numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.booleans(), st.none(), st.text())
scalars = st.one_of(
    st.integers(-100, 100).map(np.int16),
    st.floats(width=32, allow_nan=False).map(np.float32),
    st.booleans().map(np.bool_),
    st.lists(st.integers(0, 200), max_size=4).map(lambda values: np.array(values, dtype="uint8")),
)
attributes = st.dictionaries(st.text(min_size=1), st.recursive(
    st.one_of(numbers, scalars),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple)), max_leaves=6,
), max_size=4)  # fmt: skip


def same(value, other):
    if isinstance(value, list | tuple):
        return type(value) is type(other) and len(value) == len(other) and all(map(same, value, other))
    if isinstance(value, np.generic | np.ndarray):
        return type(value) is type(other) and value.dtype == other.dtype and np.array_equal(value, other)
    return type(value) is type(other) and value == other


def assert_same_tile(tile, expected):
    xr.testing.assert_identical(tile.drop_attrs(), expected.drop_attrs())
    assert list(tile.variables) == list(expected.variables) or set(tile.coords) == set(expected.coords)
    assert list(tile.data_vars) == list(expected.data_vars)
    for ours, theirs in ((tile, expected), *((tile[name], expected[name]) for name in expected.variables)):
        assert list(ours.attrs) == list(theirs.attrs)
        assert all(same(ours.attrs[name], value) for name, value in theirs.attrs.items())
    for name, variable in expected.variables.items():
        assert tile[name].dtype == variable.dtype
        assert tile[name].values.tobytes() == variable.values.tobytes()


@settings(deadline=None, max_examples=60)
@given(tile=tiles(VARIABLES), of_tile=attributes, of_variable=attributes)
def test_a_tile_comes_back_as_it_was(tile, of_tile, of_variable):
    tile = tile.assign_attrs(of_tile)
    tile["red"].attrs.update(of_variable)
    assert_same_tile(from_row(to_row(tile)), tile)


@pytest.mark.parametrize("crs", ["EPSG:32608", "EPSG:3413", "EPSG:4326"])
def test_a_grid_comes_back_bit_for_bit_also_after_slicing(crs):
    tile = example_tile(VARIABLES, shape=(30, 41), resolution_m=3.125, crs=crs)
    for part in (tile, tile.isel(y=slice(7, 19), x=slice(3, 4))):
        assert_same_tile(from_row(to_row(part)), part)


def test_coordinates_of_a_proper_grid_cost_no_space():
    small, large = (to_row(example_tile(["red"], shape=shape)) for shape in ((2, 2), (400, 500)))
    assert abs(len(small[TILE_COLUMN][0].as_py()) - len(large[TILE_COLUMN][0].as_py())) < 10


def test_what_coordinates_say_besides_their_grid_is_kept():
    tile = example_tile(["red"])
    tile["x"].attrs["note"] = np.float32(0.1)
    tile["spatial_ref"].attrs["grid_mapping_name"] = "transverse_mercator"
    assert_same_tile(from_row(to_row(tile)), tile)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
)  # fmt: skip
def test_every_dtype_is_kept(dtype):
    tile = example_tile(["red"])
    tile = tile.assign(other=(("y", "x"), (tile["red"].values % 2).astype(dtype)))
    assert_same_tile(from_row(to_row(tile)), tile)


def test_the_bits_of_nan_are_kept():
    tile = example_tile(["ndvi"])
    values = tile["ndvi"].values.copy()
    values[:2] = np.uint32(0x7FC12345).view("float32")
    tile["ndvi"].values = values
    assert_same_tile(from_row(to_row(tile)), tile)


def address(array):
    return array.__array_interface__["data"][0]


def test_pixels_are_shared_and_read_only():
    tile = example_tile(VARIABLES, shape=(300, 200))
    back = from_row(to_row(tile))
    for name in VARIABLES:
        assert address(back[name].values) == address(tile[name].values)
        assert not back[name].values.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            back[name].values[0, 0] = 1


def test_arrays_that_are_not_contiguous_are_copied_rightly():
    tile = example_tile(VARIABLES, shape=(30, 20))
    turned = tile.assign({name: tile[name].copy(data=np.asfortranarray(tile[name].values)) for name in VARIABLES})
    assert_same_tile(from_row(to_row(turned)), tile)


def test_rows_of_tiles_with_other_shapes_and_variables_stand_in_one_table():
    several = [
        example_tile(["red", "ndvi"], shape=(4, 5), seed=1),
        example_tile(["red", "valid_data_mask"], shape=(7, 3), seed=2, crs="EPSG:3413"),
        example_tile(["red"], shape=(1, 1), seed=3),
    ]
    table = pa.concat_tables(map(to_row, several), promote_options="default")
    for index, tile in enumerate(several):
        assert_same_tile(from_row(table, index=index), tile)
    assert_same_tile(from_row(table.slice(1)), several[1])


def test_the_size_of_a_row_is_that_of_its_pixels():
    tile = example_tile(VARIABLES, shape=(500, 400))
    assert tile.nbytes <= to_row(tile).nbytes + 8 * 900 <= tile.nbytes + 20_000


def test_dask_arrays_are_computed():
    pytest.importorskip("dask")
    tile = example_tile(["red"])
    assert_same_tile(from_row(to_row(tile.chunk({"y": 5}))), tile)


def test_what_a_row_cannot_hold_is_refused():
    tile = example_tile(["red"])
    with pytest.raises(TileContractError, match="a row holds numbers and truth values on .*'when'.*datetime64"):
        to_row(tile.assign(when=(("y", "x"), np.zeros(tile["red"].shape, dtype="datetime64[ns]"))))
    with pytest.raises(TileContractError, match=r"'line' .* is float64 on \('y',\): drop or convert it"):
        to_row(tile.assign(line=("y", np.zeros(tile.sizes["y"]))))
    with pytest.raises(TileContractError, match="expected text other than 'darts_tile' as name of a variable"):
        to_row(tile.rename(red=TILE_COLUMN))
    with pytest.raises(TileContractError, match="also has band: drop them"):
        to_row(tile.assign_coords(band=1))
    with pytest.raises(TileContractError, match="attribute 'thing' of the tile must be text"):
        to_row(tile.assign_attrs(thing=object()))


def test_a_table_without_a_tile_is_refused():
    with pytest.raises(TileContractError, match="expected a tile in row 0, in column 'darts_tile'"):
        from_row(pa.table({"a": [1]}))
    with pytest.raises(TileContractError, match="but there is none: make it with to_row"):
        from_row(pa.table({TILE_COLUMN: pa.array([None], pa.large_string())}))


def test_a_variable_of_more_than_two_gigabytes_fits_into_a_row():
    edge = 47_000
    small = example_tile(["tc_brightness"], shape=(1, 1))
    values = np.zeros((edge, edge), dtype="uint8")  # the system gives pages when they are touched, so few are needed
    values[-1, -1] = 7
    coords = coords_of(GeoBox(values.shape, geobox_of(small).affine, "EPSG:32608"))
    tile = xr.Dataset({"tc_brightness": (("y", "x"), values)}, coords=coords)
    table = to_row(tile)
    assert table.nbytes > 2**31
    back = from_row(table)["tc_brightness"].values
    assert (back.shape, back[-1, -1], address(back)) == (values.shape, 7, address(values))
