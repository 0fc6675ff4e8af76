"""What is no elevation in metres on Earth, whoever brings it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST_M = -500.0
"""Below the lowest land: only a nodata value or another unit lies lower."""
HIGHEST_M = 9000.0
"""Above the highest mountain."""


def implausible_heights(values: NDArray[Any]) -> str | None:
    """Say what is wrong with heights, or None where nothing is.

    Args:
        values: Heights in metres, NaN where there are none.

    Examples:
        >>> implausible_heights(np.array([np.nan, 120.0]))
        >>> implausible_heights(np.array([-9999.0, 120.0]))
        'must hold heights of -500 to 9000 m, but they go from -9999 to 120: check its unit and its nodata value'
    """
    lowest, highest = (
        np.fmin.reduce(values, axis=None),
        np.fmax.reduce(values, axis=None),
    )  # without NaN, without a copy
    if np.isnan(lowest) or (lowest >= LOWEST_M and highest <= HIGHEST_M):
        return None
    return (
        f"must hold heights of {LOWEST_M:g} to {HIGHEST_M:g} m, but they go from {lowest:g} to {highest:g}: "
        "check its unit and its nodata value"
    )
