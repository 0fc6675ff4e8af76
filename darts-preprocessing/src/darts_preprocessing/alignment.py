"""Rasters from their own grid onto the grid of a tile, exactly and whatever the window.

GDAL derives two things from the window that is warped: the width of the resampling kernel and an approximate coordinate
transformer. Both shift heights by centimetres to decimetres from window to window; its exact transformer takes a
microsecond for each pixel. Here the kernel scale is fixed to min(1, source resolution / target resolution), and coordinates
come from `darts_preprocessing.pixel_maps`: a pixel has the same value in every window that holds it.
"""

import math
from collections.abc import Sequence
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
from darts_utils.errors import TileContractError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.kernels import over_rows
from darts_utils.tiles import check_tile

Resampling = Literal["nearest", "bilinear", "cubic"]

_METHODS = {"nearest": sampling.NEAREST, "bilinear": sampling.BILINEAR, "cubic": sampling.CUBIC}
_ROWS_AT_ONCE = 64
"""Rows whose coordinates are in memory at once, in each thread."""
_INTEGERS_BELOW = 2**24
"""Every smaller integer is a float32."""
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
        resampling: ``"cubic"`` and ``"bilinear"`` for measured values, ``"nearest"`` for classes and masks. Values are
            sampled as float32; integers are rounded and clipped to their range.
        missing: ``(y, x)`` True where no variable of `source` holds data, where its numbers do not say it.

    Returns:
        Dataset on `grid` with the same variables, dtypes and attributes. Where the source has no data floats are NaN
        and integers 0; the share of such pixels stands in ``attrs["missing_percent"]`` of each variable.

    Raises:
        TileContractError: `source` has no CRS or a rotated grid, or holds integers that float32 cannot tell apart.
    """
    from_grid = geobox_of(source)
    coords = coords_of(grid)
    places = PixelMap(from_grid, grid)
    scale = kernel_scale(from_grid, grid)
    arrays = {name: array.copy(data=computed(array.data)) for name, array in source.data_vars.items()}
    values = [_known(array, missing) for array in arrays.values()]
    warped = [np.empty(places.shape, array.dtype) for array in arrays.values()]
    block_rows = range(places.first_block_row, places.last_block_row + 1)

    def warp_block_rows(first: int, last: int) -> NDArray[np.int64]:
        """Warp some rows of blocks; returns how many pixels of each variable know nothing."""
        gaps = np.zeros(len(values), "int64")
        for number in block_rows[first:last]:
            gaps += _warp_blocks(places.block_row(number), values, warped, method=_METHODS[resampling], scale=scale)
        return gaps

    gaps = np.sum(over_rows(warp_block_rows, len(block_rows), least_rows=1), axis=0)
    variables = {
        name: _variable(array, made, gap) for (name, array), made, gap in zip(arrays.items(), warped, gaps, strict=True)
    }
    aligned = xr.Dataset(coords=coords, attrs=dict(source.attrs)).assign(variables)
    check_tile(aligned)
    return aligned


def _known(array: xr.DataArray, missing: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    values = decoded(array)
    if missing is not None:
        values = np.where(missing, np.float32(np.nan), values)
    if array.dtype.kind in "iu" and array.dtype.itemsize > 2:
        largest = max(np.fmax.reduce(values, axis=None), -np.fmin.reduce(values, axis=None))
        if largest >= _INTEGERS_BELOW:
            raise TileContractError(
                f"{array.name!r} must hold integers between -{_INTEGERS_BELOW} and {_INTEGERS_BELOW} to be warped, but goes to "
                f"{largest:.0f} (±): name its fill value, or number what it holds anew"
            )
    return values


def _variable(array: xr.DataArray, warped: NDArray[Any], gaps: int) -> tuple[Any, ...]:
    attrs = {**decoded_attrs(array), "missing_percent": round(100.0 * int(gaps) / warped.size, 4)}
    return ("y", "x"), array_namespace(array.data).asarray(warped), attrs


def _warp_blocks(
    blocks: BlockRow,
    values: Sequence[NDArray[np.float32]],
    warped: Sequence[NDArray[Any]],
    *,
    method: int,
    scale: float,
) -> list[int]:
    """Fill the target's rows in a row of blocks; returns how many pixels of each variable know nothing."""
    gaps = [0] * len(values)
    for first in range(blocks.first, blocks.last, _ROWS_AT_ONCE):
        last = min(blocks.last, first + _ROWS_AT_ONCE)
        columns, rows = blocks.coordinates(first, last)
        for number, (source, whole) in enumerate(zip(values, warped, strict=True)):
            target = whole[first:last]
            sampled = target if target.dtype == np.float32 else np.empty(target.shape, np.float32)
            sampling.sample_rows(0, last - first, columns, rows, source, method, scale, sampled)
            gaps[number] += _store(sampled, target)
    return gaps


def _store(sampled: NDArray[np.float32], target: NDArray[Any]) -> int:
    """Bring what was sampled into an array of any dtype; returns how much of it is missing."""
    if target.dtype.kind in "iu":
        limits = np.iinfo(target.dtype)
        return int(sampling.store_rows(0, len(target), sampled, float(limits.min), float(limits.max), target))
    if target.dtype == np.bool_:
        target[...] = sampled > 0.5  # NaN is not
    elif target.dtype != np.float32:
        target[...] = sampled
    return int(sampling.count_missing(0, len(target), sampled))


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
