"""Rasters from their own grid onto the grid of a tile, exactly and whatever the window.

GDAL derives two things from the window that is warped: the width of the resampling kernel and an approximate coordinate
transformer. Both shift heights by centimetres to decimetres from window to window. Here the kernel scale is fixed to
min(1, source resolution / target resolution) and the transformer is exact, so a pixel has the same value in every window
that holds it.
"""

import math
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Geod
from rasterio.enums import Resampling as RasterioResampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from darts_preprocessing.decoding import decoded, decoded_attrs
from darts_preprocessing.meridians import counted_from_inside
from darts_utils.device import array_namespace, computed
from darts_utils.grids import coords_of, geobox_of
from darts_utils.tiles import check_tile

Resampling = Literal["nearest", "bilinear", "cubic"]

_EXACT_PX = 1e-9
"""Error allowed to the coordinate transformer, in pixels: none worth the name."""
_CUBIC_RADIUS_PX = 2
"""Reach of the widest kernel, in source pixels, where the source is no finer than the target."""


def align(
    source: xr.Dataset,
    *,
    grid: GeoBox,
    resampling: Resampling = "cubic",
    missing: NDArray[np.bool_] | None = None,
) -> xr.Dataset:
    """Warp every variable of a dataset onto a grid.

    Args:
        source: Dataset on its own grid in any CRS; longitudes may go on beyond 180. Where there are no data, floats hold
            NaN, an infinity, or the value that stands in ``_FillValue``, ``missing_value`` or ``nodata`` of the variable's
            attributes or encoding, and integers that value.
        grid: North-up target grid.
        resampling: ``"cubic"`` and ``"bilinear"`` for measured values, ``"nearest"`` for classes and masks. Integer
            variables are rounded and clipped to their range.
        missing: ``(y, x)`` True where no variable of `source` holds data, where its numbers do not say it.

    Returns:
        Dataset on `grid` with the same variables, dtypes and attributes. Where the source has no data floats are NaN
        and integers 0; the share of such pixels stands in ``attrs["missing_percent"]`` of each variable.

    Raises:
        TileContractError: `source` has no CRS or a rotated grid.
    """
    from_grid = geobox_of(source)
    warped = {name: _aligned(array, from_grid, grid, resampling, missing) for name, array in source.data_vars.items()}
    aligned = xr.Dataset(coords=coords_of(grid), attrs=dict(source.attrs)).assign(warped)
    check_tile(aligned)
    return aligned


def _aligned(
    array: xr.DataArray,
    from_grid: GeoBox,
    grid: GeoBox,
    resampling: Resampling,
    missing: NDArray[np.bool_] | None,
) -> tuple[Any, ...]:
    array = array.copy(data=computed(array.data))
    values = decoded(array)
    if missing is not None:
        values[missing] = np.nan
    warped = _warp(values, from_grid, grid, resampling)
    gap = np.isnan(warped)
    attrs = {**decoded_attrs(array), "missing_percent": round(100.0 * float(gap.mean()), 4)}
    return ("y", "x"), array_namespace(array.data).asarray(_as_dtype(warped, gap, array.dtype)), attrs


def _as_dtype(warped: NDArray[np.float32], missing: NDArray[np.bool_], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return warped.astype(dtype)
    filled = np.where(missing, 0, warped)
    if dtype == np.bool_:
        return filled > 0.5
    limits = np.iinfo(dtype)
    return np.clip(np.rint(filled), limits.min, limits.max).astype(dtype)


def _warp(values: NDArray[np.float32], from_grid: GeoBox, grid: GeoBox, resampling: Resampling) -> NDArray[np.float32]:
    """``(y, x)`` warped values, NaN where the source has nothing."""
    height, width = values.shape
    scale = kernel_scale(from_grid, grid)
    from_grid = counted_from_inside(from_grid)
    with MemoryFile() as memory:
        # float32 holds every 8 and 16 bit integer exactly, and NaN marks what lies outside
        options = dict(driver="GTiff", height=height, width=width, count=1, dtype="float32", nodata=np.nan)
        with memory.open(**options, transform=from_grid.affine) as raster:
            raster.write(values, 1)
        with (
            memory.open() as raster,
            WarpedVRT(
                raster,
                src_crs=str(from_grid.crs),  # GeoTIFF cannot store every CRS
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
            warped: NDArray[np.float32] = view.read(1)
    return warped


def kernel_scale(from_grid: GeoBox, grid: GeoBox) -> float:
    """Scale of the resampling kernel: below 1 it widens to cover all source pixels of a coarser target pixel.

    Args:
        from_grid: Source grid.
        grid: Target grid.

    Returns:
        min(1, source resolution / target resolution). It depends on the two grids' pixel sizes alone and is one number for
        both axes: the steps along y, degrees counted along a meridian, which is the same for every window.

    Notes:
        A source in degrees has pixels that are narrower along a parallel, by cos(latitude). Its kernel is as many of them
        wide as high, so a coarser target averages over a smaller width than height: at 70° over a third of it. A scale that
        follows the latitude would differ between windows, and neighbouring tiles would have a seam.
    """
    return min(1.0, _step_m(from_grid) / _step_m(grid))


def kernel_reach_px(from_grid: GeoBox, grid: GeoBox) -> int:
    """How many source pixels around a point the widest kernel reads, on each side.

    Args:
        from_grid: Source grid.
        grid: Target grid.
    """
    return math.ceil(_CUBIC_RADIUS_PX / kernel_scale(from_grid, grid)) + 1


def _step_m(grid: GeoBox) -> float:
    step = abs(float(grid.affine.e))
    if grid.crs is None:
        return step
    unit = float(grid.crs.proj.axis_info[0].unit_conversion_factor)  # metres, or radians
    return step * unit * (float(Geod(ellps="WGS84").a) if grid.crs.geographic else 1.0)
