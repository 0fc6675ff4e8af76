"""Spectra and relief in the range of real data, and elevation and trends where they belong."""

import dataclasses

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import rasterio.warp
import scipy.ndimage
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from darts_utils.grids import geobox_of
from darts_utils.synthetic import LOOKALIKE_CLASSES, WORLD, scene_specs, synthetic_scene
from darts_utils.synthetic.auxiliary import make_dem, make_tcvis
from darts_utils.synthetic.terrain import make_terrain
from darts_utils.testing import data_dir

BANDS = ("blue", "green", "red", "nir")
PERCENTILES = (5, 25, 50, 75, 95)
LAND_NIR_DN = 1200
"""Water is darker than this in the near infrared, land is not."""
BRIGHT_DN = 3000
"""Clouds are brighter than this in blue."""


@pytest.fixture(scope="module")
def scenes():
    return [spec.make() for spec in scene_specs("validation", 6)]


def percentiles_of(bands):
    """Percentile × band of land pixels."""
    land = (bands[3] > LAND_NIR_DN) & (bands[0] > 0) & (bands[0] < BRIGHT_DN)
    return np.percentile(bands[:, land], PERCENTILES, axis=1)


def test_land_reflects_as_on_the_peel_plateau(scenes):
    with rasterio.open(data_dir() / "peel" / "S2_20210821T210019_20210821T210020_T08WMA.tif") as raster:
        real = percentiles_of(raster.read([1, 2, 3, 7]).astype(float))
    made = percentiles_of(
        np.concatenate([np.stack([scene.tile[name].values for name in BANDS]).reshape(4, -1) for scene in scenes], 1)
    )
    middle = PERCENTILES.index(50)
    ratio = made / real
    # The chip is top-of-atmosphere: the sky adds light, a third of a thousand counts and more in blue, little in red.
    assert 0.35 < ratio[middle, 0] < 0.9
    np.testing.assert_allclose(ratio[middle, 1:], 1, atol=0.25)
    assert (ratio[:, 1:] > 0.6).all()
    assert (ratio[:, 1:] < 1.7).all()
    index = [(bands[middle, 3] - bands[middle, 2]) / (bands[middle, 3] + bands[middle, 2]) for bands in (made, real)]
    assert index[0] == pytest.approx(index[1], abs=0.08)


def slope_deg(heights, step_m):
    """Slope by central differences, degrees."""
    down, across = np.gradient(heights, step_m)
    return np.degrees(np.arctan(np.hypot(down, across)))


@pytest.fixture(scope="module")
def real_slopes():
    """Slopes in degrees at 30 m around Fairbanks: a river plain with hills at its rim."""
    with rasterio.open(data_dir() / "dem" / "fairbanks_dem_ellipsoid.tif") as raster:
        step_m, shape = 30.0, (300, 140)
        centre = ((raster.bounds.left + raster.bounds.right) / 2, (raster.bounds.bottom + raster.bounds.top) / 2)
        x, y = Transformer.from_crs("EPSG:4326", "EPSG:32606", always_xy=True).transform(*centre)
        real = np.full(shape, np.nan)
        transform = Affine(step_m, 0, x - shape[1] * step_m / 2, 0, -step_m, y + shape[0] * step_m / 2)
        rasterio.warp.reproject(
            raster.read(1), real, src_transform=raster.transform, src_crs=raster.crs, src_nodata=raster.nodata,
            dst_transform=transform, dst_crs="EPSG:32606", dst_nodata=np.nan, resampling=rasterio.warp.Resampling.cubic,
        )  # fmt: skip
    assert np.isfinite(real).all()
    return slope_deg(real, step_m)


def is_as_steep(heights, step_m, real_slopes):
    """Median and 95th percentile of the slopes at 30 m are within a factor of three of the real ones."""
    every = round(30 / step_m)
    made = slope_deg(heights[::every, ::every].astype(float), every * step_m)
    ratio = np.percentile(made[np.isfinite(made)], (50, 95)) / np.percentile(real_slopes, (50, 95))
    return bool(((ratio > 1 / 3) & (ratio < 3)).all())


@pytest.mark.parametrize("sensor", ["planetscope", "sentinel2"])
def test_relief_is_that_of_a_real_elevation_model(scenes, real_slopes, sensor):
    for scene in scenes:
        if scene.tile.attrs["sensor"] == sensor:
            step_m = abs(geobox_of(scene.dem).affine.e)
            assert is_as_steep(scene.dem.dem.values, step_m, real_slopes)


@pytest.mark.parametrize(("factor", "passes"), [(1.0, True), (2.5, False), (0.15, False)])
def test_relief_of_another_height_would_be_noticed(real_slopes, factor, passes):
    config = dataclasses.replace(
        WORLD.terrain,
        relief_m=factor * WORLD.terrain.relief_m,
        valley_depth_m=factor * WORLD.terrain.valley_depth_m,
    )
    for shape, resolution_m in (((464, 464), 10.0), ((780, 780), 3.0)):
        terrain = make_terrain(np.random.default_rng(4), shape, resolution_m=resolution_m, config=config)
        assert is_as_steep(terrain.elevation_m, resolution_m, real_slopes) == passes


def test_lakes_are_flat():
    terrain = make_terrain(np.random.default_rng(4), (400, 400), resolution_m=10.0, config=WORLD.terrain)
    labels, count = scipy.ndimage.label(terrain.lake)
    assert count > 5
    for number in range(1, count + 1):
        assert np.ptp(terrain.elevation_m[labels == number]) < 1e-9


def test_slumps_reflect_as_on_the_peel_plateau(scenes):
    """Pixels that the majority of twelve experts outlined, and those of the synthetic truth: as dark, as bare."""
    with rasterio.open(data_dir() / "peel" / "S2_20210821T210019_20210821T210020_T08WMA.tif") as raster:
        bands, transform, crs = raster.read([1, 2, 3, 7]).astype(float), raster.transform, raster.crs
    outlines = gpd.read_file(data_dir() / "peel" / "expert_outlines.gpkg").to_crs(crs)
    drawn = [
        rasterio.features.rasterize(group.geometry, out_shape=bands.shape[1:], transform=transform)
        for _, group in outlines.groupby("expert")
    ]
    real = bands[:, np.sum(drawn, axis=0) >= 6]
    for sensor in ("planetscope", "sentinel2"):
        found = []
        for scene in scenes:
            made = np.stack([scene.tile[name].values for name in BANDS]).astype(float)
            clear = scene.truth.slump_mask.values & (made[0] > 0) & (made[0] < BRIGHT_DN)
            if scene.tile.attrs["sensor"] == sensor:
                found.append(made[:, clear])
        made = np.concatenate(found, 1)
        assert np.median(made[3]) == pytest.approx(np.median(real[3]), rel=0.25)
        (low, middle, high), (real_low, real_middle, real_high) = (
            np.percentile((x[3] - x[2]) / (x[3] + x[2]), (5, 50, 95)) for x in (made, real)
        )
        assert low == pytest.approx(real_low, abs=0.10)
        assert middle == pytest.approx(real_middle, abs=0.08)
        assert high == pytest.approx(real_high, abs=0.15)


@pytest.mark.parametrize(("crs", "centre"), [("EPSG:32608", (-135.67, 68.05)), ("EPSG:32606", (-147.7, 64.8))])
@pytest.mark.parametrize(("resolution_m", "step_m"), [(3.0, 2.0), (10.0, 10.0)])
def test_elevation_lies_where_it_belongs(crs, centre, resolution_m, step_m):
    """A known surface, sampled as elevation and warped back by GDAL, fits best where it is, to a tenth of a pixel."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*centre)
    grid = GeoBox((90, 100), Affine(resolution_m, 0, round(x), 0, -resolution_m, round(y)), crs)
    world = grid.pad(int(400 / resolution_m))

    def surface(box, shift_px=(0.0, 0.0)):
        rows, columns = (np.arange(size) + 0.5 + shift for size, shift in zip(box.shape, shift_px, strict=True))
        east = box.affine.c + box.affine.a * columns - grid.affine.c
        south = grid.affine.f - (box.affine.f + box.affine.e * rows)
        wave = 2 * np.pi / (25 * resolution_m)
        return 100 + 5 * np.sin(wave * east)[None] * np.cos(0.8 * wave * south)[:, None]

    dem = make_dem(np.random.default_rng(0), surface(world), world, grid, step_m=step_m, margin_m=300.0, noise_m=0.0)
    source = geobox_of(dem)
    back = np.full(grid.shape, np.nan)
    rasterio.warp.reproject(
        dem.dem.values.astype(float), back, src_transform=source.affine, src_crs=str(source.crs), src_nodata=np.nan,
        dst_transform=grid.affine, dst_crs=crs, dst_nodata=np.nan, resampling=rasterio.warp.Resampling.cubic, tolerance=0,
    )  # fmt: skip
    error = back - surface(grid)
    assert np.abs(error).max() < 0.35
    for axis in (0, 1):
        shift = [0.0, 0.0]
        shift[axis] = 1e-3
        gradient = (surface(grid, shift) - surface(grid)) / 1e-3
        offset_px = (error * gradient).sum() / (gradient**2).sum()
        assert abs(offset_px) < 0.1


def test_trends_lie_where_they_belong():
    grid = geobox_of(synthetic_scene(1, shape=(60, 60), resolution_m=10.0, sensor="sentinel2").tile)
    world = grid.pad(40)
    ramp = np.linspace(20, 230, world.shape[1])[None].repeat(world.shape[0], 0)
    tcvis = make_tcvis(np.stack([ramp, ramp, ramp]), world, grid, margin_m=300.0)
    source = geobox_of(tcvis)
    back = np.zeros(grid.shape)
    rasterio.warp.reproject(
        tcvis.tc_wetness.values.astype(float), back, src_transform=source.affine, src_crs=str(source.crs),
        dst_transform=grid.affine, dst_crs=str(grid.crs), resampling=rasterio.warp.Resampling.bilinear, tolerance=0,
    )  # fmt: skip
    step = ramp[0, 1] - ramp[0, 0]
    np.testing.assert_allclose(back, ramp[40:-40, 40:-40], atol=1 + 0.1 * step)


def test_auxiliary_rasters_cover_the_scene_and_a_margin(scenes):
    for scene in scenes[:2]:
        grid = geobox_of(scene.tile)
        for part in (scene.dem, scene.tcvis):
            other = geobox_of(part)
            wide = grid.pad(int(250 / grid.affine.a)).boundingbox
            warp = Transformer.from_crs(str(grid.crs), str(other.crs), always_xy=True)
            left, bottom, right, top = warp.transform_bounds(wide.left, wide.bottom, wide.right, wide.top)
            box = other.boundingbox
            assert box.left <= left < right <= box.right
            assert box.bottom <= bottom < top <= box.top


def test_bare_lookalikes_are_as_bare_as_slumps(scenes):
    """What makes the world hard: by their colour alone, look-alikes and slumps are hard to tell apart."""
    index = {code: [] for code in (0, *LOOKALIKE_CLASSES)}
    slumps = []
    for scene in scenes:
        red, nir = scene.tile.red.values.astype(float), scene.tile.nir.values.astype(float)
        ndvi = (nir - red) / np.maximum(nir + red, 1)
        clear = (red > 0) & (scene.tile.blue.values < BRIGHT_DN)
        slumps.append(ndvi[scene.truth.slump_mask.values & clear])
        for code, found in index.items():
            found.append(ndvi[(scene.truth.lookalike_class.values == code) & ~scene.truth.slump_mask.values & clear])
    low, high = np.percentile(np.concatenate(slumps), (5, 95))
    bare = [
        code for code, name in LOOKALIKE_CLASSES.items() if name in ("cut_bank", "bare_ridge", "lake_shore", "gravel")
    ]
    for code in bare:
        values = np.concatenate(index[code])
        assert ((values > low) & (values < high)).mean() > 0.4, LOOKALIKE_CLASSES[code]
