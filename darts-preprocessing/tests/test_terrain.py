import functools
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_preprocessing import calculate_relative_elevation, calculate_slope
from darts_preprocessing.relative_elevation import looks_at_gaps, neighbourhood, radius_px
from darts_utils.errors import TileContractError
from darts_utils.grids import geobox_of, resolution_m
from darts_utils.synthetic import synthetic_scene
from darts_utils.testing import assert_verb_contract, example_tile

TILE = example_tile(["dem"], shape=(24, 30), resolution_m=10.0)


def brute_force(dem, footprint):
    """The definition, pixel by pixel, in float64."""
    radius = footprint.shape[0] // 2
    dem = dem.astype("float64")
    result = np.full(dem.shape, np.nan)
    for row, column in np.argwhere(np.isfinite(dem)):
        around = []
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                y, x = row + dy, column + dx
                inside = 0 <= y < dem.shape[0] and 0 <= x < dem.shape[1]
                if footprint[dy + radius, dx + radius] and inside and np.isfinite(dem[y, x]):
                    around.append(dem[y, x])
        if around:
            result[row, column] = dem[row, column] - np.mean(around)
    return result


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    outer=st.integers(1, 6),
    inner=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_relative_elevation_equals_the_definition(shape, outer, inner, seed):
    inner = min(inner, outer - 1)
    tile = example_tile(["dem"], shape=shape, seed=seed)
    heights = tile.dem.values * 20 + 700
    heights[np.random.default_rng(seed).random(shape) < 0.2] = np.nan
    tile = tile.assign(dem=tile.dem.copy(data=heights))
    got = calculate_relative_elevation(
        tile, outer_radius_m=outer * 10.0, inner_radius_m=inner * 10.0
    ).relative_elevation
    expected = brute_force(heights, neighbourhood(outer_px=outer, inner_px=inner))
    relief = max(np.ptp(heights[np.isfinite(heights)]), 1.0) if np.isfinite(heights).any() else 1.0
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, atol=1e-5 * relief)


def test_relative_elevation_keeps_its_accuracy_on_high_ground():
    rng = np.random.default_rng(0)
    heights = (5000 + rng.random((60, 60))).astype("float32")
    tile = example_tile(["dem"], shape=(60, 60)).assign(dem=lambda t: t.dem.copy(data=heights))
    got = calculate_relative_elevation(tile, outer_radius_m=100.0).relative_elevation.values
    expected = brute_force(heights, neighbourhood(outer_px=10))
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.ptp(heights))


def test_contracts():
    relative = functools.partial(calculate_relative_elevation, outer_radius_m=30.0)
    assert_verb_contract(relative, TILE, adds={"relative_elevation"}, needs=["dem"])
    assert_verb_contract(calculate_slope, TILE, adds={"slope"}, needs=["dem"], nan_reach_px=1)


def test_radius_is_rounded_up():
    assert radius_px(100, resolution_m=3.0) == 34
    assert radius_px(100, resolution_m=10.0) == 10
    assert neighbourhood(outer_px=34).shape == (69, 69)
    assert neighbourhood(outer_px=10).sum() == 317
    assert neighbourhood(outer_px=2, inner_px=1)[2, 2] == 0


@pytest.mark.parametrize(
    "resolution", [10.0, np.nextafter(10, 0), np.nextafter(10, 20), (510_000.1 - 500_000.1) / 1000]
)
def test_the_last_digit_of_the_pixel_size_does_not_change_the_radius(resolution):
    assert radius_px(100.0, resolution_m=float(resolution)) == 10
    assert radius_px(100.1, resolution_m=float(resolution)) == 11


@pytest.mark.parametrize(("outer", "inner"), [(30.0, 30.0), (30.0, 60.0)])
def test_radii_that_leave_nothing_are_refused(outer, inner):
    with pytest.raises(ValueError, match="inner radius below the outer one, but got"):
        calculate_relative_elevation(TILE, outer_radius_m=outer, inner_radius_m=inner)


@pytest.mark.parametrize("radius", [-1.0, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(ValueError, match="radius of at least 0 m, but got"):
        calculate_relative_elevation(TILE, outer_radius_m=radius)


def test_pixels_that_look_at_gaps_are_those_whose_footprint_meets_one():
    known = np.random.default_rng(0).random((25, 30)) > 0.01
    for footprint in (neighbourhood(outer_px=4), neighbourhood(outer_px=5, inner_px=2)):
        radius = footprint.shape[0] // 2
        expected = np.zeros(known.shape, bool)
        for row, column in np.argwhere(~known):
            for dy, dx in np.argwhere(footprint) - radius:
                if 0 <= row + dy < known.shape[0] and 0 <= column + dx < known.shape[1]:
                    expected[row + dy, column + dx] = True
        np.testing.assert_array_equal(looks_at_gaps(known, footprint), expected)
        assert not looks_at_gaps(known | True, footprint).any()


def test_a_tilted_plane_has_its_slope_and_no_relative_elevation():
    rows, columns = np.mgrid[:40, :40]
    plane = (300 + 10 * columns * np.tan(np.radians(12.0)) + 0 * rows).astype("float32")
    tile = example_tile(["dem"], shape=(40, 40)).assign(dem=lambda t: t.dem.copy(data=plane))
    tile = calculate_relative_elevation(calculate_slope(tile), outer_radius_m=50.0)
    np.testing.assert_allclose(tile.slope.values[1:-1, 1:-1], 12.0, atol=1e-3)
    np.testing.assert_allclose(tile.relative_elevation.values[5:-5, 5:-5], 0.0, atol=1e-4)


def test_a_missing_centre_or_neighbour_has_no_slope():
    heights = TILE.dem.values.copy()
    heights[10, 10] = np.nan
    slope = calculate_slope(TILE.assign(dem=TILE.dem.copy(data=heights))).slope.values
    assert np.isnan(slope[9:12, 9:12]).all()
    assert np.isfinite(slope[8, 8:13]).all()


@pytest.mark.parametrize("verb", [calculate_slope, calculate_relative_elevation])
def test_grids_in_degrees_are_refused(verb):
    tile = example_tile(["dem"], crs="EPSG:4326", resolution_m=0.001).assign_coords()
    with pytest.raises(TileContractError, match="projected CRS in metres"):
        verb(tile)


def test_backends_agree(backend):
    for verb, name in ((calculate_slope, "slope"), (calculate_relative_elevation, "relative_elevation")):
        got = backend.values(verb(backend.tile(TILE))[name])
        np.testing.assert_allclose(got, verb(TILE)[name].values, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed (Debian: gdal-bin)")
@pytest.mark.parametrize(("sensor", "resolution"), [("planetscope", 3.0), ("sentinel2", 10.0)])
def test_slope_equals_gdaldem(tmp_path, sensor, resolution):
    scene = synthetic_scene(11, shape=(90, 110), resolution_m=resolution, sensor=sensor)
    heights = scene.dem.dem.values[20:110, 20:130].copy()
    heights[30:34, 40:45] = np.nan
    tile = example_tile(["dem"], shape=heights.shape, resolution_m=resolution).assign(
        dem=lambda t: t.dem.copy(data=heights)
    )
    grid = geobox_of(tile)
    with rasterio.open(
        tmp_path / "dem.tif",
        "w",
        driver="GTiff",
        height=grid.shape[0],
        width=grid.shape[1],
        count=1,
        dtype="float32",
        crs=str(grid.crs),
        transform=grid.affine,
        nodata=-9999,
    ) as raster:
        raster.write(np.nan_to_num(heights, nan=-9999), 1)
    subprocess.run(["gdaldem", "slope", "-q", "-alg", "Horn", tmp_path / "dem.tif", tmp_path / "slope.tif"], check=True)
    with rasterio.open(tmp_path / "slope.tif") as raster:
        expected = raster.read(1, masked=True).filled(np.nan)
    got = calculate_slope(tile).slope.values
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    # gdaldem adds up eight heights in float32: at 200 m and 3 m pixels that alone is 5e-4 degrees
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert resolution_m(tile) == resolution
