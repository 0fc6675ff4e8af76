"""Longitudes go around the globe: what a full turn is, and which turn is meant."""

import math

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox


def full_turn(grid: GeoBox) -> float:
    """A turn around the globe in units of a grid's CRS, for example 360 (degrees); infinite where the CRS is projected.

    Examples:
        >>> from affine import Affine
        >>> full_turn(GeoBox((9, 9), Affine(0.1, 0, 0, 0, -0.1, 70), "EPSG:4326"))
        360.0
    """
    if grid.crs is None or not grid.crs.geographic:
        return math.inf
    return round(2 * math.pi / float(grid.crs.proj.axis_info[0].unit_conversion_factor), 9)


def in_turn_of(longitudes: NDArray[np.float64], grid: GeoBox) -> NDArray[np.float64]:
    """Count longitudes as a grid does, which may go on beyond ±180°.

    Args:
        longitudes: x coordinates in the grid's CRS, as a transformation gives them.
        grid: Any grid; where it is projected nothing changes.

    Returns:
        The longitudes, moved by whole turns to within half a turn of the grid's middle.

    Examples:
        >>> from affine import Affine
        >>> in_turn_of(np.array([-179.9, 179.9]), GeoBox((9, 20), Affine(0.1, 0, 179.0, 0, -0.1, 70), "EPSG:4326"))
        array([180.1, 179.9])
    """
    turn = full_turn(grid)
    if math.isinf(turn):
        return longitudes
    middle = grid.affine.c + grid.affine.a * grid.shape[1] / 2
    with np.errstate(invalid="ignore"):  # what has no longitude is infinite
        moved: NDArray[np.float64] = longitudes + turn * np.rint((middle - longitudes) / turn)
    return moved
