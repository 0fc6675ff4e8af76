"""One tile laid over another, also where their grids differ; imports no torch."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_utils.device import array_namespace, computed
from darts_utils.errors import GridMismatchError
from darts_utils.grids import check_same_grid, crs_name, geobox_of

_TIE_PX = 1e-6
"""A pixel whose centre is on the edge of two others takes the one to the south and east, whatever rounding says."""


def overlay(top: xr.Dataset, base: xr.Dataset) -> xr.Dataset:
    """Lay a tile over another: what the upper one knows counts, elsewhere the lower one is seen.

    Args:
        top: Tile with ``valid_data_mask``, which says where it counts.
        base: Tile on the same or another grid of the same CRS.

    Returns:
        A tile on the grid of `top` with its variables and attributes. Where its mask is False, a variable that `base` has too
        takes the value of that pixel of `base` in which its centre lies; beyond `base` it stays as it is. So
        ``valid_data_mask`` is True where either tile is valid.

    Raises:
        GridMismatchError: The tiles are in different CRS.
        TileContractError: A tile's grid cannot be read.
    """
    grid, lower = geobox_of(top), geobox_of(base)
    rows, columns = nearest_pixels(grid, lower)
    inside = (rows >= 0)[:, None] & (columns >= 0)
    known = computed(top["valid_data_mask"].data)
    xp = array_namespace(known)
    is_seen = ~known & xp.asarray(inside)
    same = _is_same(grid, lower)

    def merged(name: str) -> Any:
        above, below = top[name].data, base[name].data
        if same and above is below:
            return above
        if not same:
            below = xp.asarray(computed(below))[xp.asarray(rows)[:, None], xp.asarray(columns)]
        return xp.where(is_seen, computed(below), computed(above)).astype(top[name].dtype, copy=False)

    shared = [str(name) for name in top.data_vars if name in base.data_vars]
    return top.assign({name: (("y", "x"), merged(name), top[name].attrs) for name in shared})


def nearest_pixels(grid: GeoBox, other: GeoBox) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find for the rows and columns of a grid those of another in which their centres lie.

    Args:
        grid: North-up grid.
        other: North-up grid of the same CRS.

    Returns:
        ``(rows,)`` and ``(columns,)`` of `grid`: index in `other`, −1 beyond it.

    Raises:
        GridMismatchError: The grids are in different CRS.

    Examples:
        >>> from affine import Affine
        >>> coarse = GeoBox((2, 2), Affine(10, 0, 0, 0, -10, 20), "EPSG:32608")
        >>> rows, columns = nearest_pixels(coarse.zoom_out(0.5), coarse)
        >>> columns
        array([0, 0, 1, 1])
    """
    if grid.crs != other.crs:
        raise GridMismatchError(
            f"expected tiles in one CRS, but got {crs_name(grid.crs)} and {crs_name(other.crs)}: a stage may change the "
            "resolution and the extent, not the CRS"
        )
    to_other = ~other.affine * grid.affine
    rows = _indices(grid.shape[0], to_other.e, to_other.f, length=other.shape[0])
    return rows, _indices(grid.shape[1], to_other.a, to_other.c, length=other.shape[1])


def _indices(count: int, step: float, start: float, *, length: int) -> NDArray[np.intp]:
    found = np.floor(start + step * (np.arange(count) + 0.5) + _TIE_PX).astype(np.intp)
    return np.where((found >= 0) & (found < length), found, -1)


def _is_same(first: GeoBox, second: GeoBox) -> bool:
    try:
        check_same_grid(first, second, first_name="one tile", second_name="the other")
    except GridMismatchError:
        return False
    return True
