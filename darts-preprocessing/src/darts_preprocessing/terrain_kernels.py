"""Features of 3 × 3 heights, one loop each.

The cells are named a b c / d e f / g h i, north up. Neighbours are subtracted before anything is added, because the difference
of two float32 heights that are close is exact. A feature is NaN where any of the nine heights is not finite: arithmetic
carries NaN through, ``v − v`` turns infinity into it, and ``e − e`` brings in a centre that a formula does not use.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.kernels import kernel

Array = NDArray[Any]

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_FULL_TURN, _HALF_TURN, _QUARTER, _EIGHTH = (np.float32(angle) for angle in (360, 180, 90, 45))
_DEGREES = np.float32(180 / math.pi)
_NARROW, _WIDE = np.float32(math.tan(math.pi / 8)), np.float32(1 / math.tan(math.pi / 8))
# Least largest relative error of atan(x) = x + x³·p(x²) for |x| ≤ tan(π/8): 2e-8, below that of float32.
_P0, _P1, _P2, _P3 = (np.float32(c) for c in (-0.33332955, 0.199779142, -0.138797096, 0.0805982018))


@kernel
def count_outside(first: int, last: int, values: Array, lowest: float, highest: float) -> int:
    """Count finite values below `lowest` or above `highest`."""
    low, high, infinite = np.float32(lowest), np.float32(highest), np.float32(np.inf)
    outside = 0
    for row in range(first, last):
        for column in range(values.shape[1]):
            value = values[row, column]
            outside += (value < low and value > -infinite) or (value > high and value < infinite)
    return outside


@kernel
def slope_rows(first: int, last: int, dem: Array, step: float, margin: int, out: Array) -> None:
    """Slope in degrees."""
    run = np.float32(8 * step)
    for row in range(first, last):
        left, columns = _inside(dem, row, margin, out)
        up, here, down, target = _lines(dem, row, left, columns, margin, out)
        for x in range(columns):
            east, south = _rise(up, here, down, x)
            rise = math.sqrt(east * east + south * south)
            steep, gentle = rise > run * _WIDE, rise <= run * _NARROW
            above = rise if gentle else (-run if steep else rise - run)
            below = run if gentle else (rise if steep else rise + run)
            base = _ZERO if gentle else (_QUARTER if steep else _EIGHTH)
            e = here[x + 1]
            target[x] = base + _DEGREES * _small_atan(above / below) + ((rise - rise) + (e - e))


@kernel
def aspect_rows(
    first: int,
    last: int,
    dem: Array,
    cosines: Array,
    sines: Array,
    rows: Array,
    starts: Array,
    parts: Array,
    margin: int,
    out: Array,
) -> None:
    """Downslope direction in degrees, clockwise from true north, in [0, 360); NaN where flat."""
    turn = np.empty((2, out.shape[1]), np.float32)
    for row in range(first, last):
        left, count = _inside(dem, row, margin, out)
        up, here, down, target = _lines(dem, row, left, count, margin, out)
        _interpolate(cosines, rows[row], starts, parts, turn[0])
        _interpolate(sines, rows[row], starts, parts, turn[1])
        cosine, sine = turn[0, left - margin :], turn[1, left - margin :]
        for x in range(count):
            rise_east, rise_south = _rise(up, here, down, x)
            east = rise_south * sine[x] - rise_east * cosine[x]
            north = rise_south * cosine[x] + rise_east * sine[x]
            away, ahead = abs(east), abs(north)
            short, long = (away, ahead) if away < ahead else (ahead, away)
            small = short <= long * _NARROW
            ratio = (short if small else short - long) / (long if small else short + long)
            angle = (_ZERO if small else _EIGHTH) + _DEGREES * _small_atan(ratio)
            angle = _QUARTER - angle if away > ahead else angle
            angle = _HALF_TURN - angle if north < _ZERO else angle
            angle = _FULL_TURN - angle if east < _ZERO else angle
            e = here[x + 1]
            angle = _ZERO if angle >= _FULL_TURN else angle
            target[x] = angle + ((long - long) + (e - e))


@kernel
def hillshade_rows(
    first: int,
    last: int,
    dem: Array,
    step: float,
    light: Array,
    cosines: Array,
    sines: Array,
    rows: Array,
    starts: Array,
    parts: Array,
    margin: int,
    out: Array,
) -> None:
    """Cosine of the angle between the sun (east, north, up from true north) and the ground's normal; 0 in its own shade."""
    run = np.float32(8 * step)
    turn = np.empty((2, out.shape[1]), np.float32)
    sun_east, sun_north, sun_up = light
    for row in range(first, last):
        left, count = _inside(dem, row, margin, out)
        up, here, down, target = _lines(dem, row, left, count, margin, out)
        _interpolate(cosines, rows[row], starts, parts, turn[0])
        _interpolate(sines, rows[row], starts, parts, turn[1])
        cosine, sine = turn[0, left - margin :], turn[1, left - margin :]
        for x in range(count):
            rise_east, rise_south = _rise(up, here, down, x)
            to_east = sun_east * cosine[x] - sun_north * sine[x]
            to_north = sun_north * cosine[x] + sun_east * sine[x]
            along = sun_up * run - rise_east * to_east + rise_south * to_north
            length = math.sqrt(run * run + rise_east * rise_east + rise_south * rise_south)
            shade = along / length
            shade = shade if shade > _ZERO else _ZERO
            shade = shade if shade < _ONE else _ONE
            e = here[x + 1]
            target[x] = shade + ((along - along) + (length - length) + (e - e))


@kernel
def curvature_rows(first: int, last: int, dem: Array, step: float, margin: int, out: Array) -> None:
    """Four times the centre minus its four neighbours, over the area of a cell: 1/m, positive where convex."""
    area = np.float32(step * step)
    for row in range(first, last):
        left, columns = _inside(dem, row, margin, out)
        up, here, down, target = _lines(dem, row, left, columns, margin, out)
        for x in range(columns):
            e = here[x + 1]
            bend = ((e - up[x + 1]) + (e - down[x + 1])) + ((e - here[x]) + (e - here[x + 2]))
            corners = (up[x] - up[x + 2]) + (down[x] - down[x + 2])
            target[x] = bend / area + ((bend - bend) + (corners - corners))


@kernel
def roughness_rows(first: int, last: int, dem: Array, margin: int, out: Array) -> None:
    """Root of the sum of the squared differences between the centre and its eight neighbours."""
    for row in range(first, last):
        left, columns = _inside(dem, row, margin, out)
        up, here, down, target = _lines(dem, row, left, columns, margin, out)
        for x in range(columns):
            e = here[x + 1]
            a, b, c, d = up[x] - e, up[x + 1] - e, up[x + 2] - e, here[x] - e
            f, g, h, i = here[x + 2] - e, down[x] - e, down[x + 1] - e, down[x + 2] - e
            total = ((a * a + b * b) + (c * c + d * d)) + ((f * f + g * g) + (h * h + i * i))
            target[x] = math.sqrt(total) + (total - total)


@kernel
def _inside(dem: Array, row: int, margin: int, out: Array) -> tuple[int, int]:
    """First column of `dem` with a neighbour on each side in its row of the result, and how many follow; NaN elsewhere."""
    height, width = dem.shape
    left, right = max(margin, 1), min(width - margin, width - 1)
    if row + margin < 1 or row + margin >= height - 1 or right <= left:
        out[row] = np.nan
        return max(margin, 1), 0
    out[row, : left - margin] = np.nan
    out[row, right - margin :] = np.nan
    return left, right - left


@kernel
def _lines(dem: Array, row: int, left: int, columns: int, margin: int, out: Array) -> tuple[Array, Array, Array, Array]:
    """The three rows of heights, from one column before the first result on, and the row of results."""
    y = max(row + margin, 1)
    stop = left + columns + 1
    above, below = dem[y - 1, left - 1 : stop], dem[min(y + 1, dem.shape[0] - 1), left - 1 : stop]
    return above, dem[min(y, dem.shape[0] - 1), left - 1 : stop], below, out[row, left - margin :][:columns]


@kernel
def _rise(up: Array, here: Array, down: Array, x: int) -> tuple[Any, Any]:
    """Horn's rise over eight cells to the east and to the south."""
    a, c, g, i = up[x], up[x + 2], down[x], down[x + 2]
    east = (c - a) + (i - g) + _TWO * (here[x + 2] - here[x])
    south = (g - a) + (i - c) + _TWO * (down[x + 1] - up[x + 1])
    return east, south


@kernel
def _small_atan(x: Any) -> Any:
    square = x * x
    return x + x * square * (_P0 + square * (_P1 + square * (_P2 + square * _P3)))


@kernel
def _interpolate(nodes: Array, row: float, starts: Array, parts: Array, out: Array) -> None:
    """Values of a row between the nodes of a coarse grid.

    `row` counts nodes from the northern ones on; from column ``starts[i]`` on the pixels lie east of node i, by `parts` of the
    way to the next.
    """
    north = min(int(row), nodes.shape[0] - 2)
    share = np.float32(row - north)
    for west in range(starts.size - 1):
        left = nodes[north, west] + share * (nodes[north + 1, west] - nodes[north, west])
        right = nodes[north, west + 1] + share * (nodes[north + 1, west + 1] - nodes[north, west + 1])
        for x in range(starts[west], starts[west + 1]):
            out[x] = left + parts[x] * (right - left)
