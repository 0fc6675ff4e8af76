import math
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from darts_preprocessing import align
from darts_preprocessing.alignment import kernel_reach_px, kernel_scale
from darts_preprocessing.loading import load_arcticdem
from darts_utils.errors import NoOverlapError, TileContractError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.synthetic import synthetic_scene
from darts_utils.testing import data_dir, example_tile
from darts_utils.tiles import DIMS, variable

SCENE = synthetic_scene(3, shape=(120, 140))
GRID = geobox_of(SCENE.tile)
DEM = SCENE.dem.load()
WHOLE = align(DEM, grid=GRID)
HOLE = tuple(slice(size // 2 - 4, size // 2 + 4) for size in DEM.dem.shape)
"""Some pixels in the middle of the elevation model."""


def test_tiles_that_touch_have_no_seam():
    halves = [align(DEM, grid=GRID[:, :70]), align(DEM, grid=GRID[:, 70:])]
    joined = np.concatenate([half.dem.values for half in halves], axis=1)
    np.testing.assert_array_equal(joined, WHOLE.dem.values)


def test_more_of_the_source_changes_nothing():
    source = geobox_of(DEM)
    rows, columns = slice(60, source.shape[0] - 60), slice(60, source.shape[1] - 60)
    part = align(DEM.isel(y=rows, x=columns), grid=GRID)
    np.testing.assert_array_equal(part.dem.values, WHOLE.dem.values)


@pytest.mark.parametrize(
    ("source_crs", "source_step", "crs", "step"),
    [
        ("EPSG:3413", 2.0, "EPSG:32608", 3.0),
        ("EPSG:3413", 10.0, "EPSG:32608", 10.0),
        ("EPSG:4326", 1e-4, "EPSG:32608", 10.0),
        ("EPSG:32608", 10.0, "EPSG:3413", 3.0),
    ],
)
def test_heights_stay_where_they_are(hills, grid_at, source_crs, source_step, crs, step):
    """The true surface, moved by hundredths of a pixel, fits no better: least squares over its two slopes."""
    grid = grid_at(-135.67, 68.05, crs=crs, step=step, shape=(80, 90))
    metres = source_step * (111_320 if source_crs == "EPSG:4326" else 1)
    cells = int(2.5 * 90 * step / metres)
    source = grid_at(-135.67, 68.05, crs=source_crs, step=source_step, shape=(cells, 3 * cells))
    dem = xr.Dataset(coords=coords_of(source)).assign(dem=variable("dem", hills(source), source="hills"))
    truth = hills(grid)
    error = align(dem, grid=grid).dem.values - truth
    south, east = np.gradient(truth.astype("float64"))
    slopes = np.stack([south.ravel(), east.ravel(), np.ones(truth.size)], axis=1)
    (rows, columns, metres_up), *_ = np.linalg.lstsq(slopes, error.ravel(), rcond=None)
    assert max(abs(rows), abs(columns)) < 0.02
    assert abs(metres_up) < 0.02


def gdalwarp(source, target_grid, folder, *, scale, resampling="cubic", dtype="Float32", nodata="nan"):
    bounds = target_grid.boundingbox
    out = folder / "warped.tif"
    command = ["gdalwarp", "-q", "-overwrite", "-et", "0", "-r", resampling, "-ot", dtype]
    command += ["-wo", f"XSCALE={scale}", "-wo", f"YSCALE={scale}", "-t_srs", str(target_grid.crs)]
    command += ["-te", *(repr(v) for v in (bounds.left, bounds.bottom, bounds.right, bounds.top))]
    command += ["-ts", str(target_grid.shape[1]), str(target_grid.shape[0]), "-dstnodata", nodata]
    subprocess.run([*command, str(source), str(out)], check=True)
    with rasterio.open(out) as raster:
        return raster.read(1)


needs_gdalwarp = pytest.mark.skipif(
    shutil.which("gdalwarp") is None, reason="gdalwarp is not installed (Debian: gdal-bin)"
)


@needs_gdalwarp
@pytest.mark.parametrize(("epsg", "resolution"), [(32606, 10.0), (32606, 3.0), (3413, 32.0), (32605, 100.0)])
def test_a_real_dem_equals_gdalwarp(tmp_path, epsg, resolution):
    path = data_dir() / "dem" / "fairbanks_dem_ellipsoid.tif"
    with rasterio.open(path) as raster:
        lon, lat = (raster.bounds.left + raster.bounds.right) / 2, (raster.bounds.bottom + raster.bounds.top) / 2
    scene = synthetic_scene(
        1,
        shape=(150, 170),
        resolution_m=resolution,
        crs=f"EPSG:{epsg}",
        sensor="sentinel2",
        center_lonlat_deg=(lon, lat),
    )
    grid = geobox_of(scene.tile)
    source = load_arcticdem(path, grid=grid, margin_m=20 * resolution)
    expected = gdalwarp(path, grid, tmp_path, scale=kernel_scale(geobox_of(source), grid))
    got = align(source, grid=grid).dem.values
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    assert np.isfinite(got).mean() > 0.15
    np.testing.assert_allclose(got, expected, atol=1e-3)


PEEL = (-135.67, 68.05)
PAIRS = [
    ("EPSG:3413", 2.0, "EPSG:32608", 3.0),
    ("EPSG:3413", 2.0, "EPSG:32608", 10.0),
    ("EPSG:3413", 10.0, "EPSG:32608", 10.0),
    ("EPSG:3413", 32.0, "EPSG:32608", 3.0),
    ("EPSG:4326", 1 / 3600, "EPSG:32608", 10.0),
    ("EPSG:4326", 1 / 3600, "EPSG:3413", 100.0),
    ("EPSG:32609", 10.0, "EPSG:32608", 10.4),
    ("EPSG:32608", 4.7, "EPSG:32608", 3.0),
]
"""CRS and pixel size of a source and of a target, among them kernels that widen and that just do not."""


@pytest.fixture(params=PAIRS, ids=lambda pair: " ".join(map(str, pair)))
def holed(request, grid_at, hills, write, tmp_path):
    """A source with holes of many sizes, larger than the target at one side and smaller at the other, and the target."""
    source_crs, source_step, crs, step = request.param
    grid = grid_at(*PEEL, crs=crs, step=step, shape=(300, 270))
    cell = source_step * (111_320 if source_crs == "EPSG:4326" else 1)
    size = math.ceil(350 * step / cell)
    wide = 2.7 if source_crs == "EPSG:4326" else 1.0
    source = grid_at(*PEEL, crs=source_crs, step=source_step, shape=(size, math.ceil(wide * size)))[: -size // 5]
    rng = np.random.default_rng(5)
    heights = hills(source)
    heights[rng.random(heights.shape) < 0.002] = -9999
    for row, column in rng.integers(0, [[source.shape[0]], [source.shape[1]]], (2, 6)).T:
        heights[row : row + size // 9, column : column + size // 12] = -9999
    return write(tmp_path / "dem.tif", source, heights, nodata=-9999), source, grid


def read_whole(path, grid, name="dem", missing=-9999):
    with rasterio.open(path) as raster:
        values = raster.read(1)
    return xr.Dataset({name: (DIMS, values, {"_FillValue": missing})}, coords=coords_of(grid))


@needs_gdalwarp
@pytest.mark.parametrize("resampling", ["cubic", "bilinear"])
def test_holes_and_edges_equal_gdalwarp(holed, tmp_path, resampling):
    path, source, grid = holed
    expected = gdalwarp(path, grid, tmp_path, scale=kernel_scale(source, grid), resampling=resampling)
    got = align(read_whole(path, source), grid=grid, resampling=resampling).dem
    np.testing.assert_array_equal(np.isnan(got.values), np.isnan(expected))
    assert 1 < got.attrs["missing_percent"] < 60
    np.testing.assert_allclose(got.values, expected, rtol=0, atol=1e-3)


@needs_gdalwarp
def test_nearest_equals_gdalwarp(holed, tmp_path):
    path, source, grid = holed
    expected = gdalwarp(path, grid, tmp_path, scale=1.0, resampling="near")
    got = align(read_whole(path, source), grid=grid, resampling="nearest").dem.values
    differs = ~((got == expected) | (np.isnan(got) & np.isnan(expected)))
    assert differs.mean() < 1e-4  # centres on the edge between two pixels


def test_nearest_equals_reproject_match(holed):
    path, source, grid = holed
    target = xr.DataArray(np.zeros(grid.shape, "uint8"), dims=DIMS, coords=coords_of(grid))
    with rioxarray.open_rasterio(path, masked=True) as opened:
        expected = opened.squeeze("band").rio.reproject_match(target, resampling=Resampling.nearest).values
    got = align(read_whole(path, source), grid=grid, resampling="nearest").dem.values
    differs = ~((got == expected) | (np.isnan(got) & np.isnan(expected)))
    assert differs.mean() < 0.06  # its coordinates are off by up to an eighth of a pixel


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), resampling=st.sampled_from(["cubic", "bilinear", "nearest"]))
def test_a_pixel_is_the_same_in_every_window(holed, data, resampling):
    """To the last bit, whichever windows of source and target hold it."""
    path, source, grid = holed
    dem = read_whole(path, source)
    whole = align(dem, grid=grid, resampling=resampling).dem.values
    top, left = data.draw(st.integers(0, grid.shape[0] - 2)), data.draw(st.integers(0, grid.shape[1] - 2))
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    part = grid[top : min(top + height, grid.shape[0]), left : min(left + width, grid.shape[1])]
    expected = whole[top : top + height, left : left + width]
    np.testing.assert_array_equal(align(dem, grid=part, resampling=resampling).dem.values, expected)
    try:
        around = load_arcticdem(path, grid=part)
    except NoOverlapError:
        assert np.isnan(expected).all()
    else:
        np.testing.assert_array_equal(align(around, grid=part, resampling=resampling).dem.values, expected)


def test_what_the_source_does_not_cover_is_nan_and_counted():
    beside = align(DEM, grid=GRID.translate_pix(-200, 0))
    missing = np.isnan(beside.dem.values)
    assert 0 < missing.mean() < 1
    assert beside.dem.attrs["missing_percent"] == pytest.approx(100 * missing.mean(), abs=1e-3)
    assert WHOLE.dem.attrs["missing_percent"] == 0


def test_a_hole_does_not_spread_over_the_tile():
    heights = DEM.dem.values.copy()
    middle = heights.shape[0] // 2, heights.shape[1] // 2
    heights[middle[0], middle[1]] = np.nan
    holed = align(DEM.assign(dem=DEM.dem.copy(data=heights)), grid=GRID).dem.values
    assert np.isnan(holed).sum() <= 4
    differs = np.flatnonzero(~np.isclose(holed, WHOLE.dem.values, atol=1e-6).ravel())
    assert 0 < differs.size <= 36


def test_integers_are_rounded_and_clipped_and_masks_stay_masks():
    grid = GeoBox((40, 40), Affine(30, 0, 500_000, 0, -30, 7_550_000), "EPSG:32608")
    rng = np.random.default_rng(0)
    steps = np.where(rng.random((40, 40)) < 0.5, 0, 255).astype("uint8")
    source = xr.Dataset({"tc_wetness": (DIMS, steps), "flag": (DIMS, steps > 0)}, coords=coords_of(grid))
    fine = GeoBox((90, 90), Affine(10, 0, 500_100, 0, -10, 7_549_900), "EPSG:32608")
    smooth = align(source[["tc_wetness"]], grid=fine)
    assert smooth.tc_wetness.dtype == np.uint8
    assert {0, 255} <= set(np.unique(smooth.tc_wetness.values))
    assert len(np.unique(smooth.tc_wetness.values)) > 10
    nearest = align(source[["flag"]], grid=fine, resampling="nearest")
    assert nearest.flag.dtype == bool
    rows, columns = (np.arange(90) * 10 + 105) // 30, (np.arange(90) * 10 + 105) // 30
    np.testing.assert_array_equal(nearest.flag.values, (steps > 0)[np.ix_(rows, columns)])


def test_kernel_scale_follows_the_pixel_sizes():
    fine, coarse = (GeoBox((9, 9), Affine(step, 0, 0, 0, -step, 0), "EPSG:3413") for step in (2.0, 10.0))
    assert kernel_scale(fine, coarse) == pytest.approx(0.2)
    assert kernel_scale(coarse, fine) == 1.0
    degrees = GeoBox((9, 9), Affine(0.001, 0, 0, 0, -0.001, 70), "EPSG:4326")
    assert kernel_scale(degrees, GeoBox((9, 9), Affine(1000, 0, 0, 0, -1000, 0), "EPSG:3413")) == pytest.approx(
        0.11132, rel=1e-4
    )


def test_kernel_scale_counts_in_metres_whatever_the_unit_of_the_crs():
    feet = GeoBox((9, 9), Affine(30.0, 0, 0, 0, -30.0, 0), "EPSG:2263")
    coarse = GeoBox((9, 9), Affine(30.0, 0, 0, 0, -30.0, 0), "EPSG:32618")
    assert kernel_scale(feet, coarse) == pytest.approx(0.3048, rel=1e-3)
    assert kernel_reach_px(feet, coarse) == 8
    assert kernel_reach_px(coarse, feet) == 3


@pytest.mark.parametrize("where", ["attrs", "encoding"])
@pytest.mark.parametrize("name", ["_FillValue", "missing_value", "nodata"])
def test_fill_values_are_no_heights(where, name):
    heights = DEM.dem.values.copy()
    heights[HOLE] = np.nan
    expected = align(DEM.assign(dem=DEM.dem.copy(data=heights)), grid=GRID).dem
    heights[HOLE] = -9999
    filled = DEM.dem.copy(data=heights)
    getattr(filled, where)[name] = np.float32(-9999)
    got = align(DEM.assign(dem=filled), grid=GRID).dem
    np.testing.assert_array_equal(got.values, expected.values)
    assert got.attrs == expected.attrs  # what the values say now, no attribute must say again
    assert got.attrs["missing_percent"] > 0


def test_infinities_are_no_heights():
    heights = DEM.dem.values.copy()
    heights[HOLE] = np.nan
    expected = align(DEM.assign(dem=DEM.dem.copy(data=heights)), grid=GRID).dem.values
    assert np.isnan(expected).any()
    heights[HOLE] = np.inf
    np.testing.assert_array_equal(align(DEM.assign(dem=DEM.dem.copy(data=heights)), grid=GRID).dem.values, expected)


def test_a_dem_that_rioxarray_opened_is_understood(tmp_path, write):
    heights = DEM.dem.values.copy()
    heights[HOLE] = np.nan
    expected = align(DEM.assign(dem=DEM.dem.copy(data=heights)), grid=GRID).dem.values
    path = write(
        tmp_path / "dem.tif", geobox_of(DEM), np.where(np.isnan(heights), np.float32(-9999), heights), nodata=-9999
    )
    for masked in (False, True):
        with rioxarray.open_rasterio(path, masked=masked) as opened:
            dem = opened.squeeze("band", drop=True).to_dataset(name="dem")
            np.testing.assert_array_equal(align(dem, grid=GRID).dem.values, expected)


def test_scale_and_offset_of_floats_are_applied_where_they_still_hold():
    stored = DEM.dem.copy(data=(DEM.dem.values - 100) * 10).assign_attrs(scale_factor=0.1, add_offset=100.0)
    got = align(DEM.assign(dem=stored), grid=GRID).dem
    np.testing.assert_allclose(got.values, WHOLE.dem.values, atol=1e-3)
    assert {"scale_factor", "add_offset"}.isdisjoint(got.attrs)
    decoded = DEM.dem.copy()
    decoded.encoding.update(scale_factor=0.1, add_offset=100.0)
    np.testing.assert_array_equal(align(DEM.assign(dem=decoded), grid=GRID).dem.values, WHOLE.dem.values)


def test_integers_at_their_fill_value_are_missing():
    grid = GeoBox((40, 40), Affine(30, 0, 500_000, 0, -30, 7_550_000), "EPSG:32608")
    classes = np.full((40, 40), 120, "uint8")
    classes[:, 20:] = 255
    fine = GeoBox((90, 90), Affine(10, 0, 500_100, 0, -10, 7_549_900), "EPSG:32608")
    for source in (
        xr.Dataset({"classes": (DIMS, classes, {"_FillValue": 255})}, coords=coords_of(grid)),
        xr.Dataset({"classes": (DIMS, classes)}, coords=coords_of(grid)),
    ):
        told = {} if source.classes.attrs else {"missing": classes == 255}
        got = align(source, grid=fine, **told).classes
        assert set(np.unique(got.values)) == {0, 120}
        assert got.attrs["missing_percent"] == pytest.approx(100 * (got.values == 0).mean(), abs=1e-3)


WIDE = ["int32", "uint32", "int64", "uint64"]
SAME = GeoBox((4, 4), Affine(30, 0, 500_000, 0, -30, 7_550_000), "EPSG:32608")


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("resampling", ["nearest", "cubic"])
def test_wide_integers_are_exact(dtype, resampling):
    limits = np.iinfo(dtype)
    classes = np.full((4, 4), 2**24 - 1, dtype)
    classes[1] = max(limits.min, 1 - 2**24)
    classes[2, 2] = limits.max
    source = xr.Dataset({"classes": (DIMS, classes, {"_FillValue": limits.max})}, coords=coords_of(SAME))
    got = align(source, grid=SAME, resampling=resampling).classes
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.values, np.where(classes == limits.max, 0, classes))


@pytest.mark.parametrize("dtype", WIDE)
def test_integers_that_float32_cannot_tell_apart_are_refused(dtype):
    for value in (2**24, 2**24 + 1, np.iinfo(dtype).max, np.iinfo(dtype).min):
        classes = np.ones((4, 4), dtype)
        classes[1, 1] = value
        source = xr.Dataset({"classes": (DIMS, classes)}, coords=coords_of(SAME))
        if value == 0:
            assert (align(source, grid=SAME).classes.values == classes).all()
            continue
        with pytest.raises(
            TileContractError, match="'classes' must hold integers between -16777216 and 16777216 .*name its"
        ):
            align(source, grid=SAME, resampling="nearest")


def test_integers_keep_the_scale_that_still_holds():
    attrs = {"_FillValue": -1, "scale_factor": 0.1, "add_offset": 5.0}
    stored = np.arange(16, dtype="int16").reshape(4, 4)
    source = xr.Dataset({"dem_dm": (DIMS, stored, attrs)}, coords=coords_of(SAME))
    got = align(source, grid=SAME).dem_dm
    np.testing.assert_array_equal(got.values, stored)
    assert got.attrs == {"scale_factor": 0.1, "add_offset": 5.0, "missing_percent": 0.0}


def test_a_source_without_grid_is_refused():
    with pytest.raises(TileContractError, match="spatial_ref missing"):
        align(DEM.drop_vars("spatial_ref"), grid=GRID)


def test_backends_agree(backend):
    source = example_tile(["dem"], shape=(30, 30), resolution_m=10.0)
    grid = geobox_of(source)[5:20, 5:25].translate_pix(0.3, 0.4)
    got = align(backend.tile(source), grid=grid)
    np.testing.assert_array_equal(backend.values(got.dem), align(source, grid=grid).dem.values)
