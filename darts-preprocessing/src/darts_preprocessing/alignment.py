"""Rasters from their own grid onto the grid of a tile, exactly and whatever the window.

GDAL derives two things from the window that is warped: the width of the resampling kernel and an approximate coordinate
transformer. Both shift heights by centimetres to decimetres from window to window. Here the kernel scale is fixed to
min(1, source resolution / target resolution) and the transformer is exact, so a pixel has the same value in every window
that holds it.
"""

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Geod
from rasterio.enums import Resampling as RasterioResampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from darts_utils.device import array_namespace, computed, to_numpy
from darts_utils.grids import coords_of, geobox_of
from darts_utils.tiles import check_tile

Resampling = Literal["nearest", "bilinear", "cubic"]

_EXACT_PX = 1e-9
"""Error allowed to the coordinate transformer, in pixels: none worth the name."""


def align(source: xr.Dataset, *, grid: GeoBox, resampling: Resampling = "cubic") -> xr.Dataset:
    """Warp every variable of a dataset onto a grid.

    Args:
        source: Dataset on its own grid in any CRS; floats hold NaN where there are no data.
        grid: North-up target grid.
        resampling: ``"cubic"`` and ``"bilinear"`` for measured values, ``"nearest"`` for classes and masks. Integer
            variables are rounded and clipped to their range.

    Returns:
        Dataset on `grid` with the same variables, dtypes and attributes. Where the source has no data floats are NaN
        and integers 0; the share of such pixels stands in ``attrs["missing_percent"]`` of each variable.

    Raises:
        TileContractError: `source` has no CRS or a rotated grid.
    """
    from_grid = geobox_of(source)
    warped = {name: _aligned(array, from_grid, grid, resampling) for name, array in source.data_vars.items()}
    aligned = xr.Dataset(coords=coords_of(grid), attrs=dict(source.attrs)).assign(warped)
    check_tile(aligned)
    return aligned


def _aligned(array: xr.DataArray, from_grid: GeoBox, grid: GeoBox, resampling: Resampling) -> tuple[Any, ...]:
    values = computed(array.data)
    warped, missing = _warp(to_numpy(values), from_grid, grid, resampling)
    attrs = {**array.attrs, "missing_percent": round(100.0 * float(missing.mean()), 4)}
    return ("y", "x"), array_namespace(values).asarray(warped), attrs


def _warp(
    values: NDArray[Any], from_grid: GeoBox, grid: GeoBox, resampling: Resampling
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """``(y, x)`` warped values of the same dtype, and True where the source had nothing."""
    height, width = values.shape
    crs = str(from_grid.crs)
    scale = kernel_scale(from_grid, grid)
    with MemoryFile() as memory:
        # float32 holds every 8 and 16 bit integer exactly, and NaN marks what lies outside
        options = dict(driver="GTiff", height=height, width=width, count=1, dtype="float32", nodata=np.nan)
        with memory.open(**options, crs=crs, transform=from_grid.affine) as raster:
            raster.write(values.astype("float32"), 1)
        with (
            memory.open() as raster,
            WarpedVRT(
                raster,
                crs=str(grid.crs),
                transform=grid.affine,
                width=grid.shape[1],
                height=grid.shape[0],
                resampling=RasterioResampling[resampling],
                nodata=np.nan,
                tolerance=_EXACT_PX,
                XSCALE=scale,
                YSCALE=scale,
            ) as view,
        ):
            warped = view.read(1)
    missing = np.isnan(warped)
    if np.issubdtype(values.dtype, np.floating):
        return warped.astype(values.dtype), missing
    if values.dtype == np.bool_:
        return np.where(missing, 0, warped) > 0.5, missing
    limits = np.iinfo(values.dtype)
    return np.clip(np.rint(np.where(missing, 0, warped)), limits.min, limits.max).astype(values.dtype), missing


def kernel_scale(from_grid: GeoBox, grid: GeoBox) -> float:
    """Scale of the resampling kernel: below 1 it widens to cover all source pixels of a coarser target pixel.

    Args:
        from_grid: Source grid.
        grid: Target grid.

    Returns:
        min(1, source resolution / target resolution). It depends on the two grids' pixel sizes alone; degrees are
        counted along a meridian, which is the same for every window.
    """
    return min(1.0, _step_m(from_grid) / _step_m(grid))


def _step_m(grid: GeoBox) -> float:
    step = abs(float(grid.affine.e))
    if grid.crs is not None and grid.crs.geographic:
        return step * float(Geod(ellps="WGS84").a) * float(np.pi) / 180.0
    return step
