"""Scenes as files, rasters written anew, and a terrain whose height is known everywhere."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from darts_utils.synthetic import synthetic_scene, write_scene


@pytest.fixture(scope="session")
def planet_scene():
    return synthetic_scene(31, shape=(48, 60))


@pytest.fixture(scope="session")
def sentinel_scene():
    return synthetic_scene(32, shape=(41, 50), resolution_m=10.0, sensor="sentinel2")


@pytest.fixture
def planet(planet_scene, tmp_path):
    return write_scene(planet_scene, tmp_path / "planet")


@pytest.fixture
def sentinel(sentinel_scene, tmp_path):
    return write_scene(sentinel_scene, tmp_path / "sentinel")


@pytest.fixture
def rewrite():
    """Write a raster again with other pixels, another profile, or what `tag` does to the open file."""

    def rewritten(path, change=None, *, tag=None, **profile):
        with rasterio.open(path) as raster:
            values, old = raster.read(), raster.profile
        values = values if change is None else change(values)
        count, height, width = values.shape
        new = {**old, "count": count, "height": height, "width": width, "dtype": values.dtype}
        path.unlink()
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            with rasterio.open(path, "w", **{**new, **profile}) as raster:
                raster.write(values)
            if tag is not None:
                with rasterio.open(path, "r+") as raster:
                    tag(raster)
        return path

    return rewritten


@pytest.fixture
def write():
    """Write ``(y, x)`` or ``(bands, y, x)`` values on a grid."""

    def written(path, grid, values, **profile):
        values = values if values.ndim == 3 else values[None]
        count, height, width = values.shape
        options = dict(driver="GTiff", count=count, height=height, width=width, dtype=values.dtype)
        with rasterio.open(path, "w", **options, crs=grid.crs.to_wkt(), transform=grid.affine, **profile) as raster:
            raster.write(values)
        return path

    return written


@pytest.fixture(scope="session")
def hills():
    """Heights at the pixel centres of a grid, the same on Earth whatever the grid."""

    def heights(grid):
        height, width = grid.shape
        x = grid.affine.c + grid.affine.a * (np.arange(width) + 0.5)
        y = grid.affine.f + grid.affine.e * (np.arange(height) + 0.5)
        to_polar = Transformer.from_crs(str(grid.crs), "EPSG:3413", always_xy=True)
        x, y = to_polar.transform(*np.meshgrid(x, y))
        return (300 + 40 * np.sin(x / 170) + 30 * np.cos(y / 130) + 20 * np.sin((x + y) / 77)).astype("float32")

    return heights


@pytest.fixture(scope="session")
def grid_at():
    """A grid around a place on Earth."""

    def grid(lon, lat, *, crs, step, shape):
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
        left, top = round(x / step) * step - shape[1] // 2 * step, round(y / step) * step + shape[0] // 2 * step
        return GeoBox(shape, Affine(step, 0, left, 0, -step, top), crs)

    return grid
