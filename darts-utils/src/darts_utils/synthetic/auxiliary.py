"""Elevation and trends as users have them: on their own grids, in their own projections."""

import numpy as np
import scipy.ndimage
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from darts_utils.grids import coords_of
from darts_utils.synthetic.noise import Field
from darts_utils.tiles import variable
from darts_utils.variables import TCVIS_BANDS

ARCTICDEM_CRS = "EPSG:3413"
TCVIS_CRS = "EPSG:4326"
TCVIS_STEP_DEG = 0.00026949458523585647
"""Pixel size of the TCVIS rasters, about 30 m along a meridian."""


def covering_grid(grid: GeoBox, *, crs: str, step: float, margin_m: float) -> GeoBox:
    """A grid in another CRS that covers `grid` and a margin around; its pixels lie on multiples of `step`.

    Longitudes go on beyond ±180 where the scene crosses the antimeridian; the raster lies on the side of its middle.

    Args:
        grid: Scene grid in metres.
        crs: CRS of the result.
        step: Pixel size in units of `crs`.
        margin_m: Margin around the scene.
    """
    height, width = grid.shape
    pixels = margin_m / grid.affine.a
    edge = np.linspace(0, 1, 21)
    columns = np.concatenate([edge, edge, np.zeros(21), np.ones(21)]) * (width + 2 * pixels) - pixels
    rows = np.concatenate([np.zeros(21), np.ones(21), edge, edge]) * (height + 2 * pixels) - pixels
    transformer = Transformer.from_crs(str(grid.crs), crs, always_xy=True)
    x, y = transformer.transform(grid.affine.a * columns + grid.affine.c, grid.affine.e * rows + grid.affine.f)
    if CRS.from_user_input(crs).is_geographic:
        middle = (grid.affine.c + grid.affine.a * width / 2, grid.affine.f + grid.affine.e * height / 2)
        longitude = transformer.transform(*middle)[0]
        x = longitude + (np.asarray(x) - longitude + 180.0) % 360.0 - 180.0
    left, top = np.floor(np.min(x) / step) * step, np.ceil(np.max(y) / step) * step
    shape = (int(np.ceil((top - np.min(y)) / step)), int(np.ceil((np.max(x) - left) / step)))
    return GeoBox(shape, Affine(step, 0, left, 0, -step, top), crs)


def sample(values: Field, source: GeoBox, target: GeoBox) -> NDArray[np.float64]:
    """Sample a field bilinearly at the pixel centres of another grid; NaN where the field ends."""
    height, width = target.shape
    x = target.affine.c + target.affine.a * (np.arange(width) + 0.5)
    y = target.affine.f + target.affine.e * (np.arange(height) + 0.5)
    transformer = Transformer.from_crs(str(target.crs), str(source.crs), always_xy=True)
    x_there, y_there = transformer.transform(*np.meshgrid(x, y))
    columns = (x_there - source.affine.c) / source.affine.a - 0.5
    rows = (y_there - source.affine.f) / source.affine.e - 0.5
    sampled: NDArray[np.float64] = scipy.ndimage.map_coordinates(
        values, [rows, columns], order=1, mode="constant", cval=np.nan
    )
    return sampled


def make_dem(
    rng: np.random.Generator,
    elevation_m: Field,
    world: GeoBox,
    scene: GeoBox,
    *,
    step_m: float,
    margin_m: float,
    noise_m: float,
) -> xr.Dataset:
    """An ArcticDEM mosaic tile: EPSG:3413, metres above the ellipsoid, NaN where there are no data.

    Args:
        rng: Source of the elevation errors.
        elevation_m: ``(y, x)`` true elevation on `world`.
        world: The working grid.
        scene: The scene's grid.
        step_m: Pixel size of the elevation model.
        margin_m: Margin around the scene that is covered.
        noise_m: Standard deviation of the errors, which are about 10 m wide.

    Returns:
        Dataset with ``dem`` float32 in metres.
    """
    grid = covering_grid(scene, crs=ARCTICDEM_CRS, step=step_m, margin_m=margin_m)
    heights = sample(elevation_m, world, grid)
    errors = scipy.ndimage.gaussian_filter(rng.standard_normal(heights.shape), 5.0 / step_m)
    heights += noise_m * errors / max(float(errors.std()), 1e-9)
    return xr.Dataset(coords=coords_of(grid), attrs={"tile_id": f"synthetic_{step_m:g}m_v4.1"}).assign(
        dem=variable("dem", heights.astype("float32"), source=f"synthetic ArcticDEM {step_m:g} m")
    )


def make_tcvis(trends: Field, world: GeoBox, scene: GeoBox, *, margin_m: float) -> xr.Dataset:
    """A TCVIS raster: EPSG:4326, about 30 m, three uint8 trends.

    Args:
        trends: ``(3, y, x)`` trends in 8-bit counts on `world`.
        world: The working grid.
        scene: The scene's grid.
        margin_m: Margin around the scene that is covered.

    Returns:
        Dataset with ``tc_brightness``, ``tc_greenness``, ``tc_wetness`` uint8.
    """
    grid = covering_grid(scene, crs=TCVIS_CRS, step=TCVIS_STEP_DEG, margin_m=margin_m)
    tcvis = xr.Dataset(coords=coords_of(grid), attrs={"release": "2020"})
    footprint_px = 11.0 / world.affine.a  # a Landsat pixel averages over its 30 m
    for name, trend in zip(TCVIS_BANDS, trends, strict=True):
        seen = sample(scipy.ndimage.gaussian_filter(trend, footprint_px, mode="nearest"), world, grid)
        counts = np.clip(np.nan_to_num(np.rint(seen), nan=0), 0, 255).astype("uint8")
        tcvis = tcvis.assign({name: variable(name, counts, source="synthetic Landsat trend")})
    return tcvis
