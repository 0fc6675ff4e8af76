import shutil
import subprocess

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from darts_preprocessing import align
from darts_preprocessing.alignment import kernel_scale
from darts_preprocessing.loading import load_arcticdem
from darts_utils.errors import TileContractError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.synthetic import synthetic_scene
from darts_utils.testing import data_dir, example_tile
from darts_utils.tiles import DIMS

SCENE = synthetic_scene(3, shape=(120, 140))
GRID = geobox_of(SCENE.tile)
DEM = SCENE.dem.load()
WHOLE = align(DEM, grid=GRID)


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_a_window_has_the_values_of_the_whole(data):
    top = data.draw(st.integers(0, 119))
    left = data.draw(st.integers(0, 139))
    height, width = data.draw(st.integers(1, 120 - top)), data.draw(st.integers(1, 140 - left))
    rows, columns = slice(top, top + height), slice(left, left + width)
    part = align(DEM, grid=GRID[rows, columns])
    np.testing.assert_array_max_ulp(part.dem.values, WHOLE.dem.values[rows, columns], maxulp=2)


def test_tiles_that_touch_have_no_seam():
    halves = [align(DEM, grid=GRID[:, :70]), align(DEM, grid=GRID[:, 70:])]
    joined = np.concatenate([half.dem.values for half in halves], axis=1)
    np.testing.assert_array_max_ulp(joined, WHOLE.dem.values, maxulp=2)


def test_more_of_the_source_changes_nothing():
    source = geobox_of(DEM)
    rows, columns = slice(60, source.shape[0] - 60), slice(60, source.shape[1] - 60)
    part = align(DEM.isel(y=rows, x=columns), grid=GRID)
    np.testing.assert_array_max_ulp(part.dem.values, WHOLE.dem.values, maxulp=2)


def test_heights_stay_where_they_are():
    """No offset: shifted by a tenth of a pixel, the warped terrain fits the true one worse."""
    truth = synthetic_scene(3, shape=(120, 140), resolution_m=3.0)
    again = align(truth.dem, grid=GRID.translate_pix(0.1, 0)).dem.values
    other = align(truth.dem, grid=GRID.translate_pix(-0.1, 0)).dem.values
    # second-order accuracy: the mean of two opposite shifts is the value in the middle
    np.testing.assert_allclose((again + other) / 2, WHOLE.dem.values, atol=0.02)
    assert np.abs(again - WHOLE.dem.values).mean() > 0.005


def gdalwarp(source, target_grid, folder, *, scale):
    bounds = target_grid.boundingbox
    out = folder / "warped.tif"
    command = ["gdalwarp", "-q", "-overwrite", "-et", "0", "-r", "cubic", "-ot", "Float32"]
    command += ["-wo", f"XSCALE={scale}", "-wo", f"YSCALE={scale}", "-t_srs", str(target_grid.crs)]
    command += ["-te", *(repr(v) for v in (bounds.left, bounds.bottom, bounds.right, bounds.top))]
    command += ["-ts", str(target_grid.shape[1]), str(target_grid.shape[0]), "-dstnodata", "nan"]
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


def test_a_source_without_grid_is_refused():
    with pytest.raises(TileContractError, match="spatial_ref missing"):
        align(DEM.drop_vars("spatial_ref"), grid=GRID)


def test_backends_agree(backend):
    source = example_tile(["dem"], shape=(30, 30), resolution_m=10.0)
    grid = geobox_of(source)[5:20, 5:25].translate_pix(0.3, 0.4)
    got = align(backend.tile(source), grid=grid)
    np.testing.assert_array_equal(backend.values(got.dem), align(source, grid=grid).dem.values)
