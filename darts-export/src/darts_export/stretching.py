"""Which values of a band are dark, and which are bright."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLES_PER_SIDE = 1024
"""Enough for a percentile, whatever the size of the tile."""


def limits_of(
    band: NDArray[Any], *, usual: NDArray[np.bool_] | None, percent: tuple[float, float]
) -> tuple[float, float] | None:
    """Find the values between which a band is drawn.

    Args:
        band: ``(y, x)`` numbers.
        usual: ``(y, x)`` bool: the pixels that count; None: all. NaN never counts.
        percent: Percentiles that become dark and bright.

    Returns:
        Low and high, low < high; None where no pixel counts.

    Examples:
        >>> limits_of(np.arange(101.0)[None], usual=None, percent=(2, 98))
        (2.0, 98.0)
    """
    steps = tuple(slice(None, None, max(1, size // _SAMPLES_PER_SIDE)) for size in band.shape)
    sample = _finite(band[steps], None if usual is None else usual[steps])
    if not sample.size:
        sample = _finite(band, usual)
    if not sample.size:
        return None
    low, high = map(float, np.percentile(sample, percent))
    return low, max(high, low + 1e-6 * max(1.0, abs(low)))


def _finite(band: NDArray[Any], usual: NDArray[np.bool_] | None) -> NDArray[Any]:
    values = band.ravel() if usual is None else band[usual]
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values
