"""What is no elevation in metres on Earth, whoever brings it."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from darts_utils.kernels import kernel, over_rows

LOWEST_M = -500.0
"""Below the lowest land: only a nodata value or another unit lies lower."""
HIGHEST_M = 9000.0
"""Above the highest mountain."""
_METRES = ("", "m", "metre", "metres", "meter", "meters")


def implausible_heights(values: NDArray[Any]) -> str | None:
    """Say what is wrong with heights, or None where nothing is.

    Args:
        values: ``(y, x)`` heights in metres, NaN where there are none.

    Examples:
        >>> implausible_heights(np.array([[np.nan, 120.0]]))
        >>> implausible_heights(np.array([[-9999.0, 120.0]]))
        'must hold heights of -500 to 9000 m, but they go from -9999 to 120: check its unit and its nodata value'
    """
    values = np.atleast_2d(values)
    ranges = over_rows(_range, values.shape[0], values)
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    if lowest > highest or (lowest >= LOWEST_M and highest <= HIGHEST_M):  # the first: there are no heights
        return None
    return (
        f"must hold heights of {LOWEST_M:g} to {HIGHEST_M:g} m, but they go from {lowest:g} to {highest:g}: "
        "check its unit and its nodata value"
    )


def foreign_unit(unit: object, crs: CRS | None = None) -> str | None:
    """Name the unit of heights where it is said to be another one than the metre, or return None.

    Args:
        unit: What the band says of itself; nothing is fine where the CRS counts in metres or degrees.
        crs: CRS of the raster. Its vertical part may name a unit, too; where nothing does, heights are taken to be in the unit
            of a projection, as models in feet come.

    Examples:
        >>> foreign_unit("metre"), foreign_unit("US survey foot")
        (None, 'US survey foot')
        >>> foreign_unit(None, CRS("EPSG:4326+8228"))
        'foot'
        >>> foreign_unit(None, CRS("EPSG:2263")), foreign_unit("m", CRS("EPSG:2263"))
        ('US survey foot', None)
    """
    said = "" if unit is None else str(unit).strip()
    if said.lower() not in _METRES:
        return said
    axes = _vertical_axes(crs)
    if not said and not axes and crs is not None and crs.is_projected:
        axes = crs.axis_info
    return next((str(axis.unit_name) for axis in axes if axis.unit_name.lower() not in _METRES), None)


def _vertical_axes(crs: CRS | None) -> list[Any]:
    if crs is None:
        return []
    parts = crs.sub_crs_list if crs.is_compound else [crs]
    return [axis for part in parts for axis in part.axis_info if axis.direction.lower() in ("up", "down")]


@kernel
def _range(first: int, last: int, values: NDArray[Any]) -> tuple[float, float]:
    lowest, highest = math.inf, -math.inf
    for row in range(first, last):
        for column in range(values.shape[1]):
            value = float(values[row, column])
            if value < lowest:
                lowest = value
            if value > highest:
                highest = value
    return lowest, highest
