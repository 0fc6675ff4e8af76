"""Features of square windows of heights, NaN where a height in the window is not finite or beyond the array."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.kernels import kernel

Array = NDArray[Any]

_UNIT = 2.0**30
"""Normals are whole numbers of 2⁻³⁰: their sums are exact, so they can slide without drift."""


@kernel
def ruggedness_rows(first: int, last: int, dem: Array, step: float, radius: int, margin: int, out: Array) -> None:
    """One minus the length of the mean of the unit normals in a window."""
    width, side = dem.shape[1], 2 * radius + 1
    normals = np.zeros((side, 4, width), np.int32)
    columns = np.zeros((4, width), np.int64)
    start = first + margin - radius
    for source in range(start, last + margin + radius):
        slot = (source - start) % side
        for part in range(4):
            columns[part] -= normals[slot, part]
        _normals(dem, source, step, normals[slot])
        for part in range(4):
            columns[part] += normals[slot, part]
        row = source - radius - margin
        if row >= first:
            _ruggedness(columns, radius, margin, out[row])


@kernel
def _normals(dem: Array, y: int, step: float, normals: Array) -> None:
    """East, north and up of the normals in a row, and 1 where there is none."""
    height, width = dem.shape
    normals[:3] = 0
    normals[3] = 1
    if y < 1 or y >= height - 1:
        return
    up, here, down = dem[y - 1], dem[y], dem[y + 1]
    for x in range(1, width - 1):
        a, c, g, i = up[x - 1], up[x + 1], down[x - 1], down[x + 1]
        east = ((c - a) + (i - g) + 2.0 * (here[x + 1] - here[x - 1])) / (8 * step)
        south = ((g - a) + (i - c) + 2.0 * (down[x] - up[x])) / (8 * step)
        length = math.sqrt(1 + east * east + south * south)
        if np.isfinite(length + here[x]):
            normals[0, x] = np.int32(np.rint(-east / length * _UNIT))
            normals[1, x] = np.int32(np.rint(south / length * _UNIT))
            normals[2, x] = np.int32(np.rint(_UNIT / length))
            normals[3, x] = 0


@kernel
def _ruggedness(columns: Array, radius: int, margin: int, out: Array) -> None:
    width, side = columns.shape[1], 2 * radius + 1
    east, north, up, unknown = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    begin = margin - radius
    for x in range(begin, out.size + margin + radius):
        if x >= 0 and x < width:
            east += columns[0, x]
            north += columns[1, x]
            up += columns[2, x]
            unknown += columns[3, x]
        gone = x - side
        if gone >= max(begin, 0):
            east -= columns[0, gone]
            north -= columns[1, gone]
            up -= columns[2, gone]
            unknown -= columns[3, gone]
        column = x - radius - margin
        if column >= 0:
            if unknown > 0 or x - side + 1 < 0 or x >= width:
                out[column] = np.nan
            else:
                total = math.sqrt(float(east) ** 2 + float(north) ** 2 + float(up) ** 2)
                out[column] = max(0.0, 1 - total / (side * side * _UNIT))


@kernel
def dissection_rows(first: int, last: int, dem: Array, radius: int, margin: int, out: Array) -> None:
    """Height above the lowest of a window, as a share of the window's relief; NaN where that is 0."""
    height, width = dem.shape
    side, columns = 2 * radius + 1, out.shape[1]
    lowest = np.empty((side, columns), np.float32)
    highest = np.empty((side, columns), np.float32)
    # Unknown heights are lower and higher than all others: then the share is infinity by infinity, which is NaN.
    low = np.full(width + 2 * radius, -np.inf, np.float32)
    high = np.full(width + 2 * radius, np.inf, np.float32)
    least = np.empty(columns, np.float32)
    most = np.empty(columns, np.float32)
    start = first + margin - radius
    for source in range(start, last + margin + radius):
        slot = (source - start) % side
        inside = source >= 0 and source < height
        for x in range(width):
            z = dem[source, x] if inside else np.float32(np.nan)
            known = np.isfinite(z)
            low[radius + x] = z if known else -np.inf
            high[radius + x] = z if known else np.inf
        lowest[slot] = low[margin : margin + columns]
        highest[slot] = high[margin : margin + columns]
        for shift in range(1, side):
            _widen(lowest[slot], highest[slot], low[margin + shift :], high[margin + shift :])
        row = source - radius - margin
        if row >= first:
            least[:] = lowest[0]
            most[:] = highest[0]
            for other in range(1, side):
                _widen(least, most, lowest[other], highest[other])
            here = dem[row + margin, margin : margin + columns]
            for x in range(columns):
                out[row, x] = (here[x] - least[x]) / (most[x] - least[x])


@kernel
def _widen(lowest: Array, highest: Array, low: Array, high: Array) -> None:
    for x in range(lowest.size):
        lowest[x] = low[x] if low[x] < lowest[x] else lowest[x]
        highest[x] = high[x] if high[x] > highest[x] else highest[x]
