"""Means over discs and rings of pixels, exact: a kernel for the CPU and its twin for CUDA.

Heights become whole numbers (of 2⁻²⁰ m), so their sums have no rounding errors, do not depend on the order of the additions,
and are the same in every window that holds the same pixels. Each row of heights is summed up from the left; a row of a disc
is then a difference of two of these sums: two additions for each row of the disc, whatever its width.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.device import array_namespace, is_cupy, launch_over_pixels
from darts_utils.kernels import kernel, over_rows

Array = NDArray[Any]

_FRACTION_BITS = 20
"""Heights are counted in 2⁻²⁰ m, about a micrometre: float32 is coarser from 8 m on."""
_HEIGHT_BITS = 15
"""Heights within ±16 384 m: a sign and 14 bits."""
_SUM_BITS = 63
_ROWS = 32
"""Rows of results that share one pass over the rows of sums, while these are in a cache."""
_COLUMNS = 2048
"""Columns of results in such a pass, for the same reason."""
_TOGETHER = 4
"""Rows of sums that are added to a result at once."""


def half_widths(*, outer_px: int, inner_px: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Half widths of the rows of the disc or ring ``inner² ≤ dx² + dy² ≤ outer²``.

    Args:
        outer_px: Outer radius.
        inner_px: Inner radius; 0 is a disc, centre included.

    Returns:
        For ``dy`` from ``-outer_px`` to ``outer_px``: that of the disc, and that of the hole, −1 where there is none.

    Examples:
        >>> [widths.tolist() for widths in half_widths(outer_px=2, inner_px=1)]
        [[0, 1, 2, 1, 0], [-1, -1, 0, -1, -1]]
    """
    offsets = range(-outer_px, outer_px + 1)
    outer = [math.isqrt(outer_px**2 - dy**2) for dy in offsets]
    inner = [math.isqrt(inner_px**2 - 1 - dy**2) if abs(dy) < inner_px else -1 for dy in offsets]
    return np.array(outer, "int32"), np.array(inner, "int32")


def minus_mean_around(
    dem: NDArray[np.float32], *, outer_px: int, inner_px: int = 0, margin_px: int = 0
) -> tuple[NDArray[np.float32], int]:
    """Heights minus the mean of the known heights in the disc or ring around each.

    Args:
        dem: ``(y, x)`` metres, within ±16 384; not finite where unknown. NumPy or CuPy.
        outer_px: Outer radius.
        inner_px: Inner radius; 0 is a disc, centre included.
        margin_px: Rows and columns along each side that are looked at but get no result.

    Returns:
        ``(y − 2·margin, x − 2·margin)`` float32, NaN where the centre or all around it is unknown; and how many of the
        others know only a part of the disc or ring: it holds unknown pixels, or reaches beyond the array.
    """
    height, width = dem.shape
    covers_all_px = height + width  # a larger radius adds no pixel
    outer, inner = half_widths(outer_px=min(outer_px, covers_all_px), inner_px=min(inner_px, covers_all_px))
    whole = int((2 * outer + 1).sum(dtype="int64") - (2 * inner + 1)[inner >= 0].sum(dtype="int64"))
    outer, inner = np.minimum(outer, width), np.minimum(inner, width)  # rows of results do not look further
    scale = 2.0 ** min(_FRACTION_BITS, _SUM_BITS - _HEIGHT_BITS - min(whole, dem.size).bit_length())
    shape = height - 2 * margin_px, width - 2 * margin_px
    if is_cupy(dem):
        return _minus_mean_on_gpu(dem, outer, inner, whole, scale, margin_px, shape)
    result = np.empty(shape, "float32")
    partial = over_rows(_minus_mean, shape[0], dem, outer, inner, whole, scale, margin_px, result)
    return result, int(sum(partial))


@kernel
def _minus_mean(
    first: int, last: int, dem: Array, outer: Array, inner: Array, whole: int, scale: float, margin: int, result: Array
) -> int:
    height, width = dem.shape
    reach = outer.size // 2
    pad = min(reach, width) + 1
    slots = min(2 * reach + _ROWS, height)  # rows of sums that are in use at a time, each in the place of an older one
    sums = np.zeros((slots, width + 2 * pad), np.int64)
    counts = np.zeros((slots, width + 2 * pad), np.int32)
    total = np.empty((_ROWS, _COLUMNS), np.int64)
    known = np.empty((_ROWS, _COLUMNS), np.int32)
    partial = 0
    next_row = max(0, first + margin - reach)
    for top in range(first, last, _ROWS):
        rows = min(_ROWS, last - top)
        y = top + margin
        low, high = max(0, y - reach), min(height, y + rows + reach)
        while next_row < high:
            _sum_up(dem[next_row], scale, pad, sums[next_row % slots], counts[next_row % slots])
            next_row += 1
        for left in range(0, result.shape[1], _COLUMNS):
            columns = min(_COLUMNS, result.shape[1] - left)
            x = left + margin
            complete = high - low == rows + 2 * reach and x >= reach and x + columns + reach <= width
            if complete:
                for row in range(low, high):
                    count = counts[row % slots]
                    complete &= count[pad + x + columns + reach] - count[pad + x - reach] == columns + 2 * reach
            total[:] = 0
            known[:] = whole if complete else 0
            for row in range(low, high, _TOGETHER):
                end = min(row + _TOGETHER, high)
                for line in range(rows):
                    _add_rows(row, end, y + line, sums, outer, inner, pad + x, total[line, :columns])
                    if not complete:
                        _add_rows(row, end, y + line, counts, outer, inner, pad + x, known[line, :columns])
            for line in range(rows):
                for column in range(columns):
                    z, count = dem[y + line, x + column], known[line, column]
                    if np.isfinite(z) and count > 0:
                        relative = np.rint(z * scale) - total[line, column] / count
                        result[top + line, left + column] = relative / scale
                        partial += count < whole
                    else:
                        result[top + line, left + column] = np.nan
    return partial


@kernel
def _sum_up(heights: Array, scale: float, pad: int, sums: Array, counts: Array) -> None:
    """Running sums of a row: nothing before its first pixel, all of it after its last."""
    total, count = np.int64(0), np.int32(0)
    for column in range(heights.size):
        z = heights[column]
        if np.isfinite(z):
            total += np.int64(np.rint(z * scale))
            count += np.int32(1)
        sums[pad + column + 1] = total
        counts[pad + column + 1] = count
    sums[pad + heights.size :] = total
    counts[pad + heights.size :] = count


@kernel
def _add_rows(low: int, high: int, y: int, sums: Array, outer: Array, inner: Array, start: int, total: Array) -> None:
    """Add those rows from `low` to `high` that a disc around row `y` holds, for a few neighbouring discs."""
    reach, slots = outer.size // 2, sums.shape[0]
    if high - low == _TOGETHER and low >= y - reach and high <= y + reach + 1:
        _add_four(
            total,
            start,
            sums[low % slots],
            sums[(low + 1) % slots],
            sums[(low + 2) % slots],
            sums[(low + 3) % slots],
            outer[low - y + reach : high - y + reach],
        )
    else:
        for row in range(max(low, y - reach), min(high, y + reach + 1)):
            half = outer[row - y + reach]
            _add(total, sums[row % slots], start - half, start + half + 1)
    if inner[reach] >= 0:
        for row in range(max(low, y - reach), min(high, y + reach + 1)):
            half = inner[row - y + reach]
            if half >= 0:
                _add(total, sums[row % slots], start + half + 1, start - half)  # ends exchanged: taken away


@kernel
def _add_four(total: Array, start: int, first: Array, second: Array, third: Array, fourth: Array, half: Array) -> None:
    """`_add` for four rows: the totals are read and written once."""
    size = total.size
    a, b = first[start - half[0] :][:size], first[start + half[0] + 1 :][:size]
    c, d = second[start - half[1] :][:size], second[start + half[1] + 1 :][:size]
    e, f = third[start - half[2] :][:size], third[start + half[2] + 1 :][:size]
    g, h = fourth[start - half[3] :][:size], fourth[start + half[3] + 1 :][:size]
    for column in range(size):
        total[column] += (
            (b[column] - a[column]) + (d[column] - c[column]) + (f[column] - e[column]) + (h[column] - g[column])
        )


@kernel
def _add(total: Array, sums: Array, start: int, stop: int) -> None:
    """Add the pixels between two places in a row of running sums, for a few neighbouring places."""
    before, after = sums[start:][: total.size], sums[stop:][: total.size]
    for column in range(total.size):
        total[column] += after[column] - before[column]


_CUDA = r"""
extern "C" __global__ void minus_mean(
    const int height, const int width, const float* dem, const long long* sums, const int* counts, const int* outer,
    const int* inner, const int reach, const int dem_height, const int dem_width, const long long whole, const double scale,
    const int margin, float* result, unsigned long long* partial)
{
    const int row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= height || column >= width) return;
    const int y = row + margin, x = column + margin;
    const float z = dem[(long long)y * dem_width + x];
    long long total = 0, known = 0;
    for (int dy = max(-reach, -y); dy <= min(reach, dem_height - 1 - y); ++dy) {
        const long long line = (long long)(y + dy) * (dem_width + 1);
        for (int hole = 0; hole < 2; ++hole) {
            const int half = hole ? inner[dy + reach] : outer[dy + reach];
            if (half < 0) continue;
            const long long start = line + max(x - half, 0), stop = line + min(x + half + 1, dem_width);
            const int sign = hole ? -1 : 1;
            total += sign * (sums[stop] - sums[start]);
            known += sign * (counts[stop] - counts[start]);
        }
    }
    const bool defined = isfinite(z) && known > 0;
    const double relative = rint((double)z * scale) - (double)total / (double)known;
    result[(long long)row * width + column] = defined ? (float)(relative / scale) : nanf("");
    if (defined && known < whole) atomicAdd(partial, 1ULL);
}
"""


def _minus_mean_on_gpu(
    dem: Any,
    outer: NDArray[np.int32],
    inner: NDArray[np.int32],
    whole: int,
    scale: float,
    margin_px: int,
    shape: tuple[int, int],
) -> tuple[Any, int]:
    xp = array_namespace(dem)
    finite = xp.isfinite(dem)
    sums = xp.zeros((dem.shape[0], dem.shape[1] + 1), "int64")
    heights = xp.rint(xp.where(finite, dem, 0).astype("float64") * scale)
    sums[:, 1:] = xp.cumsum(heights.astype("int64"), axis=1)
    counts = xp.zeros(sums.shape, "int32")
    counts[:, 1:] = xp.cumsum(finite, axis=1, dtype="int32")
    result, partial = xp.empty(shape, "float32"), xp.zeros(1, "uint64")
    launch_over_pixels(
        shape,
        *(xp.ascontiguousarray(dem), sums, counts, xp.asarray(outer), xp.asarray(inner)),
        *(
            np.int32(outer.size // 2),
            np.int32(dem.shape[0]),
            np.int32(dem.shape[1]),
            np.int64(whole),
            np.float64(scale),
        ),
        *(np.int32(margin_px), result, partial),
        source=_CUDA,
        name="minus_mean",
    )
    return result, int(partial[0])
