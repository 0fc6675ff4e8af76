"""Kernels that sample a source at given places, as GDAL's warper does.

Pixels are counted from the outer corner of the source's first one: its centre is at 0.5. NaN marks missing data. What these
kernels do near missing data and at the source's edges follows GDAL, so that its results are these:

- Outside of the source, and in its missing pixels, the result is NaN.
- Cubic needs all 16 neighbours; where one is missing, the result is bilinear from those of the nearest four that are known.
- A kernel that is widened (`scale` < `_AS_ONE`) takes the known ones of all pixels that it covers.

Where grids share their pixels' centres or edges, GDAL leaves two decisions to rounding: which 16 pixels surround a place that
lies on a centre, and whether a place on the source's outer edge is inside. Here a place on the centre of column n is just
behind it, so that columns n − 1 … n + 2 are its neighbours, and a place on the edge is inside.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.kernels import kernel

NEAREST, BILINEAR, CUBIC = 0, 1, 2
"""Reach of the kernels in pixels, which is also their name here."""

_AS_ONE = 0.95
"""Scales from here on do not widen the kernel."""
_TIE_PX = 1e-6
"""A place this close to the edge or the centre of a pixel lies on it: the difference is rounding."""
_LEAST_WEIGHT = 1e-5
_LEAST_WIDE_WEIGHT = 1e-6
"""Where known pixels weigh less than this, nothing is known."""


@kernel
def sample_rows(
    first: int,
    last: int,
    columns: NDArray[np.float64],
    rows: NDArray[np.float64],
    source: NDArray[np.float32],
    method: int,
    scale: float,
    out: NDArray[np.float32],
) -> None:
    """Sample a source for rows `first` to `last` of the target.

    Args:
        first: First row of `columns`, `rows` and `out`.
        last: Row after the last one.
        columns: ``(y, x)`` column in the source of each target pixel's centre; what is not finite lies outside.
        rows: ``(y, x)`` row in the source, the same.
        source: ``(y, x)`` values, NaN where there are none.
        method: `NEAREST`, `BILINEAR` or `CUBIC`.
        scale: Scale of the kernel, at most 1: below, the kernel is wider by its inverse.
        out: ``(y, x)`` receives the values.
    """
    height, width = source.shape
    reach = math.ceil(method / scale) if scale < _AS_ONE else method
    sums, weights = np.empty(2 * reach + 1), np.empty(2 * reach + 1)
    for row in range(first, last):
        for column in range(out.shape[1]):
            x, y = columns[row, column] - 0.5, rows[row, column] - 0.5
            has_neighbours = 1.0 <= x + _TIE_PX < width - 2 and 1.0 <= y + _TIE_PX < height - 2
            if method == CUBIC and scale >= _AS_ONE and has_neighbours:
                value = _cubic(source, x, y)
                if not math.isnan(value):
                    out[row, column] = value
                    continue
            x_inside = x + _TIE_PX >= -0.5 and x - _TIE_PX <= width - 0.5
            if not (x_inside and y + _TIE_PX >= -0.5 and y - _TIE_PX <= height - 0.5):
                out[row, column] = np.nan
                continue
            here = source[min(int(y + 0.5 + _TIE_PX), height - 1), min(int(x + 0.5 + _TIE_PX), width - 1)]
            if method == NEAREST or math.isnan(here):
                out[row, column] = here
            elif scale < _AS_ONE:
                out[row, column] = _wide(source, x, y, method, scale, reach, sums, weights)
            else:
                out[row, column] = _bilinear(source, x, y)


@kernel
def _cubic(source: NDArray[np.float32], x: float, y: float) -> float:
    """Cubic convolution of the 16 neighbours, all of which exist; NaN where one is missing."""
    column, row = int(x + _TIE_PX), int(y + _TIE_PX)
    x = max(x - column, 0.0)
    y = max(y - row, 0.0)
    top, bottom = -0.5 * y * (1.0 - y) ** 2, 0.5 * y * y * (y - 1.0)
    upper = 1.0 + y * y * (1.5 * y - 2.5)
    lower = 1.0 - top - upper - bottom
    left, right = -0.5 * x * (1.0 - x) ** 2, 0.5 * x * x * (x - 1.0)
    middle = 1.0 + x * x * (1.5 * x - 2.5)
    other = 1.0 - left - middle - right
    a, b, c, d = source[row - 1], source[row], source[row + 1], source[row + 2]
    return float(
        top * (left * a[column - 1] + middle * a[column] + other * a[column + 1] + right * a[column + 2])
        + upper * (left * b[column - 1] + middle * b[column] + other * b[column + 1] + right * b[column + 2])
        + lower * (left * c[column - 1] + middle * c[column] + other * c[column + 1] + right * c[column + 2])
        + bottom * (left * d[column - 1] + middle * d[column] + other * d[column + 1] + right * d[column + 2])
    )


@kernel
def _bilinear(source: NDArray[np.float32], x: float, y: float) -> float:
    height, width = source.shape
    column, row = math.floor(x), math.floor(y)
    total = weights = 0.0
    for j in range(row, row + 2):
        for i in range(column, column + 2):
            if 0 <= j < height and 0 <= i < width and not math.isnan(source[j, i]):
                weight = (1.0 - abs(x - i)) * (1.0 - abs(y - j))
                total += weight * source[j, i]
                weights += weight
    return total / weights if weights >= _LEAST_WEIGHT else np.nan


@kernel
def _wide(
    source: NDArray[np.float32],
    x: float,
    y: float,
    method: int,
    scale: float,
    reach: int,
    sums: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> float:
    height, width = source.shape
    column, row = math.floor(x), math.floor(y)
    first, last = max(column - reach + 1, 0), min(column + reach, width - 1)
    top, bottom = max(row - reach + 1, 0), min(row + reach, height - 1)
    count = last - first + 1
    for i in range(count):
        weights[i] = _weight((first + i - x) * scale, method)
        sums[i] = 0.0
    total_y = 0.0
    for j in range(top, bottom + 1):
        weight = _weight((j - y) * scale, method)
        total_y += weight
        line = source[j, first : last + 1]
        for i in range(count):  # independent sums, so that they are made several at once
            sums[i] += weight * line[i]
    total = total_x = 0.0
    for i in range(count):
        total += weights[i] * sums[i]
        total_x += weights[i]
    if not math.isnan(total):
        return total / (total_x * total_y) if total_x * total_y >= _LEAST_WIDE_WEIGHT else np.nan
    total = known = 0.0
    for j in range(top, bottom + 1):
        weight = _weight((j - y) * scale, method)
        for i in range(count):
            if not math.isnan(source[j, first + i]):
                total += weight * weights[i] * source[j, first + i]
                known += weight * weights[i]
    return total / known if known >= _LEAST_WIDE_WEIGHT else np.nan


@kernel
def store_rows(
    first: int, last: int, sampled: NDArray[np.float32], lowest: float, highest: float, stored: NDArray[Any]
) -> int:
    """Round numbers into an array of integers: clipped to `lowest` … `highest`, 0 where there are none.

    Returns:
        How many there are not.
    """
    gaps = 0
    for row in range(first, last):
        for column in range(stored.shape[1]):
            value = sampled[row, column]
            if math.isnan(value):
                gaps += 1
                value = np.float32(0)
            stored[row, column] = min(max(np.rint(value), lowest), highest)
    return gaps


@kernel
def count_missing(first: int, last: int, sampled: NDArray[np.floating[Any]]) -> int:
    """How many numbers are NaN."""
    gaps = 0
    for row in range(first, last):
        for column in range(sampled.shape[1]):
            gaps += math.isnan(sampled[row, column])
    return gaps


@kernel
def _weight(distance: float, method: int) -> float:
    """Weight of a pixel at a distance from the place, in pixels: a hat, or the cubic convolution with a = −0.5."""
    distance = abs(distance)
    if method == BILINEAR:
        return max(0.0, 1.0 - distance)
    if distance <= 1.0:
        return distance * distance * (1.5 * distance - 2.5) + 1.0
    if distance <= 2.0:
        return distance * distance * (2.5 - 0.5 * distance) - 4.0 * distance + 2.0
    return 0.0
