import functools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
import xrspatial
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

import darts_preprocessing as dp
from darts_preprocessing.true_north import convergence_deg, north_lattice
from darts_utils.errors import DartsWarning, TileContractError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.testing import assert_verb_contract, data_dir, example_tile

GOLDEN = Path(__file__).parent / "golden"
TILE = example_tile(["dem"], shape=(24, 30), resolution_m=10.0)
VERBS = {
    "slope": dp.calculate_slope,
    "aspect": dp.calculate_aspect,
    "hillshade": dp.calculate_hillshade,
    "curvature": dp.calculate_curvature,
    "terrain_ruggedness": dp.calculate_terrain_ruggedness,
    "vector_ruggedness": functools.partial(dp.calculate_vector_ruggedness, radius_m=30.0),
    "dissection": functools.partial(dp.calculate_dissection, radius_m=40.0),
}
REACH_PX = {"vector_ruggedness": 4, "dissection": 4}


def synthetic_relief(shape, *, step_m=10.0, gaps=True):
    """Hills of several sizes with a steep edge, smooth enough for float32, and a hole."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] * (step_m / 10)
    heights = 300 + 40 * np.sin(columns / 17) + 30 * np.cos(rows / 13) + 12 * np.sin((rows + 2 * columns) / 5)
    heights += 25 / (1 + np.exp(-(columns - rows - 9)))
    heights = np.round(heights * 64) / 64  # sums of nine heights are exact in float32, in gdaldem too
    if gaps:
        heights[8:11, 20:23] = np.nan
    return heights.astype("float32")


def tile_of(heights, *, crs="EPSG:32608", step_m=10.0, left=500_000.0, top=7_550_000.0, **attrs):
    grid = GeoBox(heights.shape, Affine(step_m, 0, left, 0, -step_m, top), crs)
    sun = {"sun_azimuth_deg": 225.0, "sun_elevation_deg": 25.0}
    tile = xr.Dataset(coords=coords_of(grid), attrs={"tile_id": "relief", **sun, **attrs})
    return tile.assign(dem=(("y", "x"), heights, {"units": "m"}))


def feature(name, tile):
    return VERBS[name](tile)[name].values


@pytest.mark.parametrize("name", VERBS)
def test_contract(name):
    reach = REACH_PX.get(name, 1)
    assert_verb_contract(VERBS[name], TILE, adds={name}, needs=["dem"], nan_reach_px=reach)


GDALDEM = {
    "slope": ("slope", "-alg", "Horn"),
    "aspect": ("aspect",),
    "hillshade": ("hillshade", "-az", "225", "-alt", "25"),
    "terrain_ruggedness": ("TRI", "-alg", "Riley"),
}


def assert_equals_gdaldem(name, tile, expected):
    got = feature(name, tile)
    steep = feature("slope", tile) > 1
    if name == "aspect":  # gdaldem knows grid north alone; off the central meridian they differ by the convergence
        grid = geobox_of(tile)
        middle = grid.boundingbox
        x, y = np.array([(middle.left + middle.right) / 2]), np.array([(middle.top + middle.bottom) / 2])
        turned = (got - expected - convergence_deg(grid, x, y)[0] + 180) % 360 - 180
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        assert np.abs(turned[steep]).max() < 0.02
    elif name == "hillshade":  # in gdaldem whole numbers, 1 + 254 times the light
        known = np.isfinite(got)
        np.testing.assert_array_equal(known, expected > 0)
        np.testing.assert_allclose(1 + 254 * got[known], expected[known], atol=0.6)
    else:
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", GDALDEM)
def test_it_equals_the_golden_raster_of_gdaldem(name):
    with rasterio.open(GOLDEN / "relief.tif") as raster:
        tile = tile_of(raster.read(1, masked=True).filled(np.nan))
    with rasterio.open(GOLDEN / f"{name}.tif") as raster:
        expected = raster.read(1, masked=True).filled(0 if name == "hillshade" else np.nan)
    assert_equals_gdaldem(name, tile, expected)


def run_gdaldem(folder, tile, mode, *options):
    grid, heights = geobox_of(tile), tile.dem.values
    profile = dict(driver="GTiff", height=grid.shape[0], width=grid.shape[1], count=1, dtype="float32", nodata=-9999)
    with rasterio.open(folder / "dem.tif", "w", **profile, crs=str(grid.crs), transform=grid.affine) as raster:
        raster.write(np.nan_to_num(heights, nan=-9999), 1)
    subprocess.run(["gdaldem", mode, "-q", folder / "dem.tif", folder / "out.tif", *options], check=True)
    with rasterio.open(folder / "out.tif") as raster:
        return raster.read(1, masked=True).filled(0 if mode == "hillshade" else np.nan)


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed (Debian: gdal-bin)")
@pytest.mark.parametrize("name", GDALDEM)
@pytest.mark.parametrize("step_m", [3.0, 10.0])
def test_it_equals_gdaldem(tmp_path, name, step_m):
    tile = tile_of(synthetic_relief((90, 110), step_m=step_m), step_m=step_m)
    assert_equals_gdaldem(name, tile, run_gdaldem(tmp_path, tile, *GDALDEM[name]))


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed (Debian: gdal-bin)")
def test_relative_elevation_of_a_ring_of_eight_equals_gdaldem_tpi(tmp_path):
    tile = tile_of(synthetic_relief((60, 70), gaps=False))
    heights = tile.dem.values
    expected = run_gdaldem(tmp_path, tile, "TPI")[1:-1, 1:-1]
    eight = (
        sum(np.roll(heights.astype("float64"), (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) - heights
    )
    np.testing.assert_allclose((heights - eight / 8)[1:-1, 1:-1], expected, atol=1e-4)
    # A disc of two pixels minus one of none, weighed anew: ring 1 … √2 is not a disc of whole radius, so its parts are.
    cross = 5 * (heights - dp.calculate_relative_elevation(tile, outer_radius_m=10.0).relative_elevation.values)
    corners = sum(np.roll(heights, shift, (0, 1)) for shift in ((-1, -1), (-1, 1), (1, -1), (1, 1)))
    np.testing.assert_allclose((heights - (cross - heights + corners) / 8)[1:-1, 1:-1], expected, atol=1e-3)


def fairbanks():
    folder = data_dir()
    with rasterio.open(folder / "dem" / "fairbanks_dem_ellipsoid.tif") as raster:
        window = rasterio.windows.Window(200, 200, 300, 260)
        return raster.read(1, window=window, masked=True).filled(np.nan).astype("float32")


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed (Debian: gdal-bin)")
def test_real_heights_equal_gdaldem(tmp_path):
    """The heights of Fairbanks, taken as if their pixels were 20 m wide."""
    tile = tile_of(fairbanks(), step_m=20.0)
    for name in ("slope", "terrain_ruggedness"):
        expected = run_gdaldem(tmp_path, tile, *GDALDEM[name])
        got = feature(name, tile)
        # gdaldem adds up eight heights in float32
        np.testing.assert_allclose(got[1:-1, 1:-1], expected[1:-1, 1:-1], atol=2e-3)


def test_xarray_spatial_agrees():
    heights = synthetic_relief((70, 80), gaps=False)
    tile = tile_of(heights)
    plain = xr.DataArray(heights.astype("float64"), dims=("y", "x"), coords={"y": tile.y.values, "x": tile.x.values})
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(feature("slope", tile)[inner], xrspatial.slope(plain).values[inner], atol=1e-4)
    curvature = xrspatial.curvature(plain).values[inner] / 100
    np.testing.assert_allclose(np.abs(feature("curvature", tile)[inner]), np.abs(curvature), atol=1e-6)


def test_curvature_is_positive_on_a_ridge():
    columns = np.arange(-10, 11, dtype="float32") * 10
    ridge = np.broadcast_to(200 - 0.01 * columns**2, (12, 21)).astype("float32")
    np.testing.assert_allclose(feature("curvature", tile_of(ridge))[1:-1, 1:-1], 0.02, rtol=1e-4)
    np.testing.assert_allclose(feature("curvature", tile_of(400 - ridge))[1:-1, 1:-1], -0.02, rtol=1e-4)


def test_a_tilted_plane():
    rows, columns = np.mgrid[:40, :40]
    plane = (300 + 10 * columns * np.tan(np.radians(12.0)) + 0 * rows).astype("float32")
    tile = tile_of(plane)
    inner = (slice(6, -6), slice(6, -6))
    np.testing.assert_allclose(feature("slope", tile)[inner], 12.0, atol=1e-3)
    np.testing.assert_allclose(feature("aspect", tile)[inner], 270.0, atol=0.01)  # rises to the east
    np.testing.assert_allclose(feature("vector_ruggedness", tile)[inner], 0.0, atol=1e-8)
    np.testing.assert_allclose(feature("dissection", tile)[inner], 0.5, atol=1e-4)
    relative = dp.calculate_relative_elevation(tile, outer_radius_m=50.0).relative_elevation.values
    np.testing.assert_allclose(relative[inner], 0.0, atol=1e-4)


@pytest.mark.parametrize("bearing", range(0, 360, 15))
def test_aspect_and_hillshade_of_a_plane_that_falls_somewhere(bearing):
    rows, columns = np.mgrid[:8, :9]
    along = np.sin(np.radians(bearing)) * columns - np.cos(np.radians(bearing)) * rows
    tile = tile_of((500 - 4.0 * along).astype("float32"), left=499_950.0)
    away = (feature("aspect", tile)[1:-1, 1:-1] - bearing + 180) % 360 - 180
    assert np.abs(away).max() < 2e-3
    slope = np.arctan(0.4)
    light = np.sin(np.radians(25)) * np.cos(slope) + np.cos(np.radians(25)) * np.sin(slope) * np.cos(
        np.radians(225 - bearing)
    )
    np.testing.assert_allclose(feature("hillshade", tile)[1:-1, 1:-1], max(light, 0), atol=1e-4)


PLACES = [
    ("EPSG:32608", -132.0, 69.0),
    ("EPSG:32608", -135.0, 69.0),
    ("EPSG:3413", -133.0, 68.0),
    ("EPSG:3413", 134.99, 72.0),  # where the convergence of the projection jumps from -180 to 180
    ("EPSG:3413", 179.99, 70.0),
    ("EPSG:3338", -150.0, 65.0),
]


@pytest.mark.parametrize(("crs", "longitude", "latitude"), PLACES)
def test_true_north_is_where_a_geodesic_goes(crs, longitude, latitude):
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(longitude, latitude)
    rows, _ = np.mgrid[:5, :600]
    heights = (500 + 3.0 * rows).astype("float32")  # rises to the grid's south: falls to its north
    tile = tile_of(heights, crs=crs, left=x - 3000, top=y + 20)
    got = feature("aspect", tile)[2, 1:-1]
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    at_x, at_y = tile.x.values[1:-1], np.full(598, tile.y.values[2])
    starts, ends = back.transform(at_x, at_y - 5), back.transform(at_x, at_y + 5)
    bearings, _, _ = Geod(ellps="WGS84").inv(*starts, *ends)
    assert np.abs((got - bearings + 180) % 360 - 180).max() < 1e-3


def test_a_lattice_is_the_same_for_every_window():
    grid = GeoBox((4000, 5000), Affine(3, 0, 512_345, 0, -3, 7_654_321), "EPSG:3413")
    whole, part = north_lattice(grid), north_lattice(grid[1234:1334, 2222:2300])
    assert whole.starts[0] == 0
    assert whole.starts[-1] == 5000
    assert ((whole.parts >= 0) & (whole.parts <= 1)).all()
    np.testing.assert_array_equal(whole.parts[2222:2300], part.parts)
    np.testing.assert_allclose(whole.rows[1234:1334] % 1, part.rows % 1, atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(top=st.integers(0, 60), left=st.integers(0, 700), height=st.integers(12, 60), width=st.integers(12, 80))
def test_a_window_with_its_margin_has_the_same_values(top, left, height, width):
    whole = tile_of(synthetic_relief((130, 800)), crs="EPSG:3413", left=-2_000_000.0, top=-500_000.0)
    part = whole.isel(y=slice(top, top + height), x=slice(left, left + width))
    steep = feature("slope", part) > 1
    for name in VERBS:
        reach = REACH_PX.get(name, 1)
        core = (slice(reach, -reach), slice(reach, -reach))
        got, expected = feature(name, part)[core], WHOLE(name)[top : top + height, left : left + width][core]
        if name == "aspect":
            got, expected = (np.where(steep[core], values, 0.0) for values in (got, expected))
            assert np.nanmax(np.abs((got - expected + 180) % 360 - 180), initial=0) < 1e-4
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-9, err_msg=name)


@functools.cache
def WHOLE(name):  # noqa: N802
    return feature(name, tile_of(synthetic_relief((130, 800)), crs="EPSG:3413", left=-2_000_000.0, top=-500_000.0))


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_missing_centre_or_neighbour_has_no_value(name, hole):
    heights = synthetic_relief((30, 30), gaps=False)
    heights[14, 15] = hole
    reach = REACH_PX.get(name, 1)
    expected = np.ones(heights.shape, bool)
    expected[reach:-reach, reach:-reach] = False
    expected[14 - reach : 15 + reach, 15 - reach : 16 + reach] = True
    np.testing.assert_array_equal(np.isnan(feature(name, tile_of(heights))), expected)


def test_level_ground_faces_nowhere_and_has_no_dissection():
    tile = tile_of(np.full((12, 12), 200, "float32"))
    assert np.isnan(feature("aspect", tile)).all()
    assert np.isnan(feature("dissection", tile)).all()
    for name in ("slope", "curvature", "terrain_ruggedness", "vector_ruggedness"):
        assert np.nanmax(np.abs(feature(name, tile))) == 0
    np.testing.assert_allclose(feature("hillshade", tile)[1:-1, 1:-1], np.sin(np.radians(25)), rtol=1e-6)


def test_vector_ruggedness_and_dissection_equal_their_definitions():
    heights = synthetic_relief((26, 31))
    tile = tile_of(heights)
    z = heights.astype("float64")
    south, east = (np.full(z.shape, np.nan) for _ in range(2))
    a, b, c = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    d, f = z[1:-1, :-2], z[1:-1, 2:]
    g, h, i = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    east[1:-1, 1:-1] = (c + 2 * f + i - a - 2 * d - g) / 80
    south[1:-1, 1:-1] = (g + 2 * h + i - a - 2 * b - c) / 80
    normals = np.stack([-east, south, np.ones_like(z)]) / np.sqrt(1 + east**2 + south**2) + 0 * z
    for row in range(4, 22):
        for column in range(4, 27):
            around = normals[:, row - 3 : row + 4, column - 3 : column + 4].reshape(3, -1)
            expected = 1 - np.linalg.norm(around.sum(1)) / 49
            np.testing.assert_allclose(feature("vector_ruggedness", tile)[row, column], expected, rtol=1e-5, atol=1e-8)
            window = z[row - 4 : row + 5, column - 4 : column + 5]
            share = (z[row, column] - window.min()) / (window.max() - window.min())
            np.testing.assert_allclose(feature("dissection", tile)[row, column], share, rtol=1e-6)


def test_a_missing_sun_gives_a_warning_and_an_impossible_one_an_error():
    tile = tile_of(synthetic_relief((12, 12)))
    dark = tile.drop_attrs(deep=False)
    with pytest.warns(DartsWarning, match="does not say where the sun was.*takes azimuth 225° and elevation 25°"):
        values = dp.calculate_hillshade(dark).hillshade.values
    np.testing.assert_array_equal(values, feature("hillshade", tile))
    for wrong in ({"sun_elevation_deg": -3.0}, {"sun_elevation_deg": 91.0}, {"sun_azimuth_deg": float("nan")}):
        with pytest.raises(TileContractError, match="sun at an elevation of 0 to 90 degrees, but got"):
            dp.calculate_hillshade(tile.assign_attrs(wrong))


@pytest.mark.parametrize("verb", [dp.calculate_vector_ruggedness, dp.calculate_dissection])
def test_a_radius_that_is_none_is_refused(verb):
    with pytest.raises(ValueError, match="radius of at least 0 m, but got -1"):
        verb(TILE, radius_m=-1.0)


ALL_VERBS = {**VERBS, "relative_elevation": dp.calculate_relative_elevation}


@pytest.mark.parametrize("verb", ALL_VERBS.values(), ids=ALL_VERBS)
def test_other_elevations_are_refused(verb):
    with pytest.raises(TileContractError, match="projected CRS in metres, but got EPSG:4326"):
        verb(example_tile(["dem"], crs="EPSG:4326", resolution_m=0.001))
    with pytest.raises(TileContractError, match="projected CRS in metres, but got EPSG:2263.*US survey foot|EPSG:2263"):
        verb(example_tile(["dem"], crs="EPSG:2263"))
    with pytest.raises(TileContractError, match="'dem'.*must be float32, but got int16"):
        verb(TILE.assign(dem=TILE.dem.astype("int16")))
    with pytest.raises(TileContractError, match="must be north-up"):
        verb(TILE.isel(y=slice(None, None, -1)).drop_vars("spatial_ref").assign_coords(spatial_ref=flipped(TILE)))
    with pytest.raises(TileContractError, match="needs at least one pixel"):
        verb(TILE.isel(x=slice(0, 0)))
    with pytest.raises(TileContractError, match="must have square pixels, but got 10"):
        verb(stretched(TILE))
    feet = TILE.assign(dem=(TILE.dem + np.float32(3000)) * np.float32(3.28))
    with pytest.raises(TileContractError, match="heights of -500 to 9000 m, but they go from .*check its unit"):
        verb(feet)


def flipped(tile):
    grid = geobox_of(tile)
    reference = tile.spatial_ref.copy()
    bottom = grid.boundingbox.bottom
    reference.attrs["GeoTransform"] = f"{grid.affine.c} {grid.affine.a} 0 {bottom} 0 {-grid.affine.e}"
    return reference


def stretched(tile):
    grid = GeoBox(tile.dem.shape, Affine(10, 0, 500_000, 0, -12, 7_550_000), "EPSG:32608")
    return tile.drop_vars(["y", "x", "spatial_ref"]).assign_coords(coords_of(grid))


@pytest.mark.parametrize("name", VERBS)
def test_backends_agree(backend, name):
    tile = tile_of(synthetic_relief((40, 50)))
    got = backend.values(VERBS[name](backend.tile(tile))[name])
    if name == "aspect":
        assert np.nanmax(np.abs((got - feature(name, tile) + 180) % 360 - 180)) < 1e-3
    else:
        np.testing.assert_allclose(got, feature(name, tile), rtol=1e-5, atol=1e-6)
