import numpy as np
import odc.geo.xr  # noqa: F401  registers .odc
import pytest
import rioxarray  # noqa: F401  registers .rio
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import CRS

from darts_utils.errors import GridMismatchError, MissingVariableError, TileContractError
from darts_utils.grids import check_same_grid, coords_of, geobox_of, resolution_m
from darts_utils.testing import example_tile
from darts_utils.tiles import check_tile, require_reflectance, require_variables, variable

GRID = GeoBox((4, 6), Affine(10, 0, 500_000, 0, -10, 7_550_000), "EPSG:32608")


def test_grid_survives_the_round_trip_through_coordinates():
    assert geobox_of(xr.Dataset(coords=coords_of(GRID))) == GRID


def test_rioxarray_and_odc_read_the_same_grid():
    tile = example_tile(["red"], shape=(5, 7))
    assert tile.red.rio.crs.to_epsg() == 32608
    assert tile.red.rio.transform() == geobox_of(tile).affine
    assert tile.odc.geobox == geobox_of(tile)


@pytest.mark.parametrize("window", [(slice(1, 3), slice(2, 5)), (slice(2, 3), slice(0, 6)), (slice(3, 4), slice(5, 6))])
def test_a_crop_keeps_its_place(window):
    tile = example_tile(["red"], shape=(4, 6))
    crop = tile.isel(y=window[0], x=window[1])
    assert geobox_of(crop) == geobox_of(tile)[window]


@settings(deadline=None)
@given(
    step=st.sampled_from([3.0, 3.125, 10.0, 1 / 3, 0.00026949458523585647]),
    origin=st.floats(-5e6, 5e6),
    corner=st.tuples(st.integers(0, 19), st.integers(0, 19)),
)
def test_any_crop_has_the_grid_that_is_cut_from_the_grid(step, origin, corner):
    grid = GeoBox((20, 20), Affine(step, 0, origin, 0, -step, -origin), "EPSG:3413")
    tile = xr.Dataset(coords=coords_of(grid))
    crop = tile.isel(y=slice(corner[0], None), x=slice(corner[1], None))
    assert geobox_of(crop) == grid[corner[0] :, corner[1] :]


def test_coordinates_say_the_unit_of_their_crs():
    units = {"EPSG:32608": "m", "EPSG:3413": "m", "EPSG:4326": "degree", "EPSG:2263": "US survey foot"}
    for crs, unit in units.items():
        assert coords_of(GeoBox((2, 2), Affine(1, 0, 0, 0, -1, 9), crs))["x"].attrs["units"] == unit


def test_a_transform_of_numpy_numbers_is_stored_as_numbers():
    transform = Affine(*(np.float64(number) for number in tuple(GRID.affine)[:6]))
    assert geobox_of(xr.Dataset(coords=coords_of(GeoBox(GRID.shape, transform, GRID.crs)))) == GRID


def test_a_tile_without_stored_transform_is_read_from_its_coordinates():
    tile = example_tile(["red"], shape=(4, 6))
    del tile.spatial_ref.attrs["GeoTransform"]
    assert geobox_of(tile).affine.almost_equals(GRID.affine, precision=1e-6)
    with pytest.raises(TileContractError, match="one row or column needs"):
        geobox_of(tile.isel(y=[0]))


def _with_attribute(tile, name, value):
    tile.spatial_ref.attrs[name] = value
    return tile


def _with_transform(tile, transform):
    tile.spatial_ref.attrs["GeoTransform"] = " ".join(map(str, transform.to_gdal()))
    return tile


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda tile: tile.drop_vars("spatial_ref"), "spatial_ref missing"),
        (lambda tile: tile.assign_coords(spatial_ref=0), "needs a CRS"),
        (lambda tile: tile.isel(y=slice(0, 0)), "at least one pixel"),
        (lambda tile: tile.isel(x=slice(None, None, 2)), "evenly spaced"),
        (lambda tile: tile.assign_coords(x=tile.x + np.array([0, 0, 3.0, 0, 0, 0])), "evenly spaced"),
        (lambda tile: tile.assign_coords(x=tile.x * np.nan), "evenly spaced"),
        (lambda tile: tile.assign_coords(x=tile.x - 5, y=tile.y + 5), "off by -0.5 px: are these pixel corners"),
        (lambda tile: tile.assign_coords(y=tile.y + 3), "off by -0.3 px"),
        (lambda tile: tile.isel(x=0), r"numbers on dim \('x',\).*keep the dim"),
        (lambda tile: tile.assign_coords(x=list("abcdef")), "must be numbers"),
        (lambda tile: _with_attribute(tile, "GeoTransform", "1 2 3 4 5"), "six numbers"),
        (lambda tile: _with_attribute(tile, "GeoTransform", [1, 2]), "six numbers"),
        (lambda tile: _with_attribute(tile, "crs_wkt", "nonsense"), "needs a CRS as WKT, but got 'nonsense'"),
        (lambda tile: _with_transform(tile, Affine(10, 1, 500_000, 0, -10, 7_550_000)), "rotated"),
        (lambda tile: _with_transform(tile.isel(y=slice(None, None, -1)), Affine(10, 0, 0, 0, 10, 0)), "flip it"),
    ],
)
def test_a_broken_grid_is_refused(broken, message):
    with pytest.raises(TileContractError, match=message):
        check_tile(broken(example_tile(["red"], shape=(4, 6))))


def test_grids_that_cannot_be_tiles_are_refused():
    with pytest.raises(TileContractError, match="needs a CRS"):
        coords_of(GeoBox((2, 2), GRID.affine, None))
    with pytest.raises(TileContractError, match="rotated"):
        coords_of(GeoBox((2, 2), Affine.rotation(3) * GRID.affine, "EPSG:32608"))


def test_check_tile_names_what_is_wrong():
    tile = example_tile(["red", "ndvi"], shape=(4, 6))
    assert check_tile(tile, requires=["red"]) == GRID
    with pytest.raises(MissingVariableError, match="'nir'.*has ndvi, red: run the step"):
        check_tile(tile, requires=["red", "nir"])
    with pytest.raises(TileContractError, match="must be an xarray.Dataset, but got DataArray"):
        check_tile(tile.red)
    with pytest.raises(TileContractError, match=r"dims \('y', 'x'\)"):
        check_tile(tile.assign(red=tile.red.transpose("x", "y")))
    with pytest.raises(TileContractError, match="must be uint16, but got float64"):
        check_tile(tile.assign(red=tile.red.astype("float64")))
    with pytest.raises(TileContractError, match=r"must have names \(text\), but got 7"):
        check_tile(tile.assign({7: tile.red}))
    assert check_tile(tile.assign(something_else=tile.ndvi.astype("float64"))) == GRID


def test_resolution_is_in_metres_or_refused():
    assert resolution_m(example_tile(["red"], resolution_m=3.125)) == 3.125
    degrees = GeoBox((4, 6), Affine(0.1, 0, 20, 0, -0.1, 70), "EPSG:4326")
    with pytest.raises(TileContractError, match="projected CRS in metres"):
        resolution_m(xr.Dataset(coords=coords_of(degrees)))
    feet = GeoBox((4, 6), Affine(10, 0, 0, 0, -10, 0), "EPSG:2263")
    with pytest.raises(TileContractError, match="projected CRS in metres"):
        resolution_m(xr.Dataset(coords=coords_of(feet)))
    oblong = GeoBox((4, 6), Affine(10, 0, 0, 0, -12, 0), "EPSG:32608")
    with pytest.raises(TileContractError, match="square pixels"):
        resolution_m(xr.Dataset(coords=coords_of(oblong)))


def test_same_grid_means_crs_shape_and_position():
    names = {"first_name": "image", "second_name": "mask"}
    check_same_grid(GRID, GRID, **names)
    check_same_grid(GRID, GRID.translate_pix(0.001, 0), **names)
    with pytest.raises(GridMismatchError, match="image and mask.*an offset of 0.5 px"):
        check_same_grid(GRID, GRID.translate_pix(0.5, 0), **names)
    flat = GeoBox((4, 6), Affine(1e-3, 0, 20, 0, -1e-5, 70), "EPSG:4326")
    with pytest.raises(GridMismatchError, match="an offset of 0.5 px"):
        check_same_grid(flat, flat.translate_pix(0, 0.5), **names)
    with pytest.raises(GridMismatchError, match="shape"):
        check_same_grid(GRID, GRID[:2], **names)
    with pytest.raises(GridMismatchError, match="CRS"):
        check_same_grid(GRID, GeoBox(GRID.shape, GRID.affine, "EPSG:32609"), **names)


def test_variable_refuses_the_wrong_dtype_and_shape():
    with pytest.raises(TileContractError, match="array of float32"):
        variable("ndvi", np.zeros((2, 2)), source="test")
    with pytest.raises(TileContractError, match="the name of a tile variable, but got 'foo'"):
        variable("foo", np.zeros((2, 2)), source="test")
    with pytest.raises(TileContractError, match=r"shape \(3,\)"):
        variable("ndvi", np.zeros(3, "float32"), source="test")
    assert (
        variable("red", np.zeros((2, 2), "uint16"), source="test", reflectance_scale=1e-4)[2]["reflectance_scale"]
        == 1e-4
    )


def test_require_variables_lists_all_that_is_missing():
    tile = example_tile(["red"])
    with pytest.raises(MissingVariableError, match="model 'full' needs 'slope', 'ndvi'") as caught:
        require_variables(tile, ["red", "slope", "ndvi"], consumer="model 'full'", hint="preprocess with dem=")
    assert caught.value.missing == ("slope", "ndvi")


def test_require_variables_refuses_another_form_than_the_contract_says():
    tile = example_tile(["red", "extent"], shape=(6, 6))
    asked = {"consumer": "the verb", "hint": "run the step before"}
    with pytest.raises(TileContractError, match=r"'red'.*dims \('y', 'x'\), but got \('x', 'y'\)"):
        require_variables(tile.assign(red=tile.red.transpose("x", "y")), ["red"], **asked)
    with pytest.raises(TileContractError, match="'extent'.*must be bool, but got uint8"):
        require_variables(tile.assign(extent=tile.extent.astype("uint8")), ["extent"], **asked)


def test_a_polar_stereographic_tile_has_a_pixel_size():
    """Both axes of EPSG:3413 point south; its unit is the metre all the same."""
    polar = GeoBox((4, 6), Affine(10, 0, -500_000, 0, -10, -1_500_000), "EPSG:3413")
    assert resolution_m(xr.Dataset(coords=coords_of(polar))) == 10.0


@pytest.mark.parametrize(
    ("crs", "x", "y"),
    [
        ("EPSG:3413", -1_800_000, -2_800_000),  # 60° N, where its metres are 4 % off
        ("EPSG:5940", 2_000_000, -1_400_000),  # the same, and 6.5 % off
        ("EPSG:3573", 0, -3_300_000),
        (CRS("EPSG:32608+3855").to_wkt(), 500_000, 7_550_000),
        ('LOCAL_CS["site",UNIT["metre",1]]', 0, 0),
    ],
)
def test_projections_for_the_arctic_and_local_ones_are_in_metres(crs, x, y):
    grid = GeoBox((5, 5), Affine(10, 0, x, 0, -10, y), crs)
    assert resolution_m(xr.Dataset(coords=coords_of(grid))) == 10.0


@pytest.mark.parametrize(("epsg", "name"), [(3857, "Pseudo-Mercator"), (3395, "World Mercator")])
def test_metres_of_mercator_are_none_in_the_north(epsg, name):
    """At 69° N a metre is 1 / cos(69°) = 2.79 of them."""
    grid = GeoBox((400, 400), Affine(10, 0, -15_028_000, 0, -10, 10_753_000), f"EPSG:{epsg}")
    message = rf"metres are metres on the ground, but got EPSG:{epsg} \(WGS 84 / {name}\), which draws 1 m as 2\.[78]\d* m there: warp"
    with pytest.raises(TileContractError, match=message):
        resolution_m(xr.Dataset(coords=coords_of(grid)))
    at_the_equator = GeoBox((400, 400), Affine(10, 0, 0, 0, -10, 100_000), f"EPSG:{epsg}")
    assert resolution_m(xr.Dataset(coords=coords_of(at_the_equator))) == 10.0


@pytest.mark.parametrize(("epsg", "name"), [(4326, "WGS 84"), (2263, "New York Long Island")])
def test_a_tile_that_is_not_in_metres_is_refused_by_the_name_of_its_crs(epsg, name):
    tile = xr.Dataset(coords=coords_of(GeoBox((4, 6), Affine(1, 0, 0, 0, -1, 9), f"EPSG:{epsg}")))
    with pytest.raises(TileContractError, match=rf"projected CRS in metres, but got EPSG:{epsg} \(.*{name}.*\): warp"):
        resolution_m(tile)


@pytest.mark.parametrize(
    "attrs",
    [
        {"reflectance_scale": 1e-4, "reflectance_offset": -0.1},  # Sentinel-2 as it is stored since 2022
        {"reflectance_scale": 1e-3, "reflectance_offset": 0.0},
        {"reflectance_scale": "0.0001"},
        {"reflectance_scale": True},
        {"reflectance_offset": None},
        {"reflectance_offset": 10**400},
    ],
)
def test_bands_that_say_something_else_are_no_reflectance(attrs):
    tile = example_tile(["red", "nir"])
    tile.nir.attrs.update(attrs)
    require_reflectance(tile, ["red"], consumer="a verb")
    with pytest.raises(
        TileContractError,
        match=r"a verb needs reflectance × 10 000 in 'nir'; tile 'example-0' says .*: run preprocessing first",
    ):
        require_reflectance(tile, ["red", "nir"], consumer="a verb")


@pytest.mark.parametrize(
    "attrs", [{}, {"reflectance_scale": 0.0001}, {"reflectance_scale": np.float32(1e-4), "reflectance_offset": 0}]
)
def test_bands_that_say_so_or_nothing_are_reflectance(attrs):
    tile = example_tile(["red"])
    require_reflectance(tile.assign(red=tile.red.drop_attrs().assign_attrs(attrs)), ["red"], consumer="a verb")
