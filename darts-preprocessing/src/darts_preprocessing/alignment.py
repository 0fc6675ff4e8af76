"""Rasters from their own grid onto the grid of a tile, exactly and whatever the window.

GDAL derives two things from the window that is warped: the width of the resampling kernel and an approximate coordinate
transformer. Both shift heights by centimetres to decimetres from window to window; its exact transformer takes a
microsecond for each pixel. Here the kernel scale is fixed to min(1, source resolution / target resolution), and coordinates
come from `darts_preprocessing.pixel_maps`: a pixel has the same value in every window that holds it.
"""

import math
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Geod

from darts_preprocessing import resampling as sampling
from darts_preprocessing.decoding import decoded, decoded_attrs
from darts_preprocessing.pixel_maps import BlockRow, PixelMap
from darts_utils.device import array_namespace, computed
from darts_utils.grids import coords_of, geobox_of
from darts_utils.kernels import over_rows
from darts_utils.tiles import check_tile

Resampling = Literal["nearest", "bilinear", "cubic"]

_METHODS = {"nearest": sampling.NEAREST, "bilinear": sampling.BILINEAR, "cubic": sampling.CUBIC}
_ROWS_AT_ONCE = 64
"""Rows whose coordinates are in memory at once, in each thread."""
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
    coords = coords_of(grid)
    places = PixelMap(from_grid, grid)
    scale = kernel_scale(from_grid, grid)
    warped = {
        name: _aligned(array, places, method=_METHODS[resampling], scale=scale, missing=missing)
        for name, array in source.data_vars.items()
    }
    aligned = xr.Dataset(coords=coords, attrs=dict(source.attrs)).assign(warped)
    check_tile(aligned)
    return aligned


def _aligned(
    array: xr.DataArray, places: PixelMap, *, method: int, scale: float, missing: NDArray[np.bool_] | None
) -> tuple[Any, ...]:
    array = array.copy(data=computed(array.data))
    values = decoded(array)
    if missing is not None:
        values = np.where(missing, np.float32(np.nan), values)
    warped = np.empty(places.shape, array.dtype)
    block_rows = range(places.first_block_row, places.last_block_row + 1)

    def warp_block_rows(first: int, last: int) -> int:
        return sum(
            _warp_rows(places.block_row(number), values, warped, method=method, scale=scale)
            for number in block_rows[first:last]
        )

    gaps = sum(over_rows(warp_block_rows, len(block_rows), least_rows=1))
    attrs = {**decoded_attrs(array), "missing_percent": round(100.0 * gaps / warped.size, 4)}
    return ("y", "x"), array_namespace(array.data).asarray(warped), attrs


def _warp_rows(
    blocks: BlockRow, values: NDArray[np.float32], warped: NDArray[Any], *, method: int, scale: float
) -> int:
    """Fill the target's rows in a row of blocks; returns how many pixels know nothing."""
    gaps = 0
    for first in range(blocks.first, blocks.last, _ROWS_AT_ONCE):
        last = min(blocks.last, first + _ROWS_AT_ONCE)
        target = warped[first:last]
        sampled = target if target.dtype == np.float32 else np.empty(target.shape, np.float32)
        sampling.sample_rows(0, last - first, *blocks.coordinates(first, last), values, method, scale, sampled)
        gap = np.isnan(sampled)
        gaps += int(np.count_nonzero(gap))
        if sampled is not target:
            target[...] = _as_dtype(sampled, gap, target.dtype)
    return gaps


def _as_dtype(warped: NDArray[np.float32], missing: NDArray[np.bool_], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return warped.astype(dtype)
    filled = np.where(missing, 0, warped)
    if dtype == np.bool_:
        return filled > 0.5
    limits = np.iinfo(dtype)
    return np.clip(np.rint(filled), limits.min, limits.max).astype(dtype)


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
