"""Terrain features of 3 × 3 neighbourhoods."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.grids import resolution_m
from darts_utils.tiles import require_variables, variable


def calculate_slope(tile: xr.Dataset) -> xr.Dataset:
    """Add the slope of the terrain.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.

    Returns:
        The tile plus ``slope``  (y, x) float32 in degrees, 0 … 90; NaN where any of the 3 × 3 cells is NaN (the formula
        does not read the centre, but a missing centre has no slope), and in the outermost row and column.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: The tile's CRS is not projected in metres, or its pixels are not square.

    Notes:
        With the cells a b c / d e f / g h i: dz/dx = ((c + 2f + i) − (a + 2d + g)) / 8·res, dz/dy likewise,
        slope = atan(hypot(dz/dx, dz/dy)).

    References:
        Horn 1981, Hill shading and the reflectance map, doi:10.1109/PROC.1981.11918.
    """
    require_variables(tile, ["dem"], consumer="calculate_slope", hint="align an elevation model first")
    values = horn_slope_deg(computed(tile["dem"].data), resolution_m=resolution_m(tile))
    return tile.assign(slope=variable("slope", values, source="dem"))


calculate_slope_batched = batched(calculate_slope)


def horn_slope_deg(dem: NDArray[np.float32], *, resolution_m: float) -> NDArray[np.float32]:
    """``(y, x)`` slope in degrees, float32, NaN along the border."""
    xp = array_namespace(dem)
    slope = xp.full(dem.shape, xp.float32("nan"), dtype="float32")
    if min(dem.shape) < 3:
        return slope  # type: ignore[no-any-return]
    z = xp.where(xp.isfinite(dem), dem, xp.float32("nan")).astype("float64")
    a, b, c = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    d, e, f = z[1:-1, :-2], z[1:-1, 1:-1], z[1:-1, 2:]
    g, h, i = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    east = (c + 2 * f + i) - (a + 2 * d + g)
    south = (g + 2 * h + i) - (a + 2 * b + c)
    inner = xp.degrees(xp.arctan(xp.hypot(east, south) / (8 * resolution_m)))
    slope[1:-1, 1:-1] = xp.where(xp.isnan(e), xp.nan, inner)
    return slope  # type: ignore[no-any-return]
