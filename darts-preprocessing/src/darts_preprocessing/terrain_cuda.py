"""CUDA twins of the kernels in `terrain_kernels` and `window_kernels`, and the choice between them by the kind of array."""

from collections.abc import Callable
from typing import Any

import numpy as np

from darts_preprocessing.true_north import NorthLattice
from darts_utils.device import array_namespace, is_cupy, launch_over_pixels
from darts_utils.kernels import over_rows

_START = r"""
#define START \
    const int row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x; \
    if (row >= height || column >= width) return; \
    const int y = row + margin, x = column + margin; \
    float* target = out + (long long)row * width + column; \
    *target = nanf(""); \
    if (y < 1 || y >= dem_height - 1 || x < 1 || x >= dem_width - 1) return; \
    const float* up = dem + (long long)(y - 1) * dem_width + x - 1; \
    const float *here = up + dem_width, *down = here + dem_width; \
    const float a = up[0], b = up[1], c = up[2], d = here[0], e = here[1], f = here[2]; \
    const float g = down[0], h = down[1], i = down[2]; \
    if (!isfinite(a + b + c + d + e + f + g + h + i)) return;

#define RISE \
    const float east = (c - a) + (i - g) + 2.0f * (f - d), south = (g - a) + (i - c) + 2.0f * (h - b);

__device__ float between(const float* nodes, const int count, const double row, const int west, const float part)
{
    const int north = (int)row;
    const float share = (float)(row - north);
    const float *upper = nodes + north * count + west, *lower = upper + count;
    const float left = upper[0] + share * (lower[0] - upper[0]), right = upper[1] + share * (lower[1] - upper[1]);
    return left + part * (right - left);
}

__device__ int node_before(const long long* starts, const int count, const int column)
{
    int west = 0;
    while (west + 2 < count && starts[west + 1] <= column) ++west;
    return west;
}

#define TURN \
    const int west = node_before(starts, count, column); \
    const float cosine = between(cosines, count, rows[row], west, parts[column]); \
    const float sine = between(sines, count, rows[row], west, parts[column]);
"""

_HEAD = "const int height, const int width, const float* dem, const int dem_height, const int dem_width"
_NORTH = (
    "const float* cosines, const float* sines, const double* rows, const long long* starts, const float* parts, "
    "const int count"
)
_TAIL = "const int margin, float* out"

_BODIES = {
    "slope_rows": (
        "const double step",
        "RISE *target = atanf(sqrtf(east * east + south * south) / (float)(8 * step)) * 57.29577951f;",
    ),
    "aspect_rows": (
        _NORTH,
        r"""RISE TURN
        if (east == 0 && south == 0) return;
        float angle = atan2f(south * sine - east * cosine, south * cosine + east * sine) * 57.29577951f;
        if (angle < 0) angle += 360.0f;
        *target = angle >= 360.0f ? 0.0f : angle;""",
    ),
    "hillshade_rows": (
        f"const double step, const float* light, {_NORTH}",
        r"""RISE TURN
        const float run = (float)(8 * step);
        const float to_east = light[0] * cosine - light[1] * sine, to_north = light[1] * cosine + light[0] * sine;
        const float along = light[2] * run - east * to_east + south * to_north;
        *target = fminf(1.0f, fmaxf(0.0f, along / sqrtf(run * run + east * east + south * south)));""",
    ),
    "curvature_rows": (
        "const double step",
        "*target = (((e - b) + (e - h)) + ((e - d) + (e - f))) / (float)(step * step);",
    ),
    "roughness_rows": (
        "",
        r"""const float values[8] = {a - e, b - e, c - e, d - e, f - e, g - e, h - e, i - e};
        float total = 0;
        for (int k = 0; k < 8; ++k) total += values[k] * values[k];
        *target = sqrtf(total);""",
    ),
    "ruggedness_rows": (
        "const double step, const double reach",
        r"""const int radius = (int)reach, side = 2 * radius + 1;
        if (y <= radius || y >= dem_height - 1 - radius || x <= radius || x >= dem_width - 1 - radius) return;
        long long east = 0, north = 0, upward = 0;
        for (int j = y - radius; j <= y + radius; ++j) {
            for (int k = x - radius; k <= x + radius; ++k) {
                const float *n = dem + (long long)(j - 1) * dem_width + k, *m = n + dem_width, *s = m + dem_width;
                const double p = ((n[1] - n[-1]) + (s[1] - s[-1]) + 2.0 * (m[1] - m[-1])) / (8 * step);
                const double q = ((s[-1] - n[-1]) + (s[1] - n[1]) + 2.0 * (s[0] - n[0])) / (8 * step);
                const double length = sqrt(1 + p * p + q * q);
                if (!isfinite(length + m[0])) return;
                east += llrint(-p / length * 1073741824.0);
                north += llrint(q / length * 1073741824.0);
                upward += llrint(1073741824.0 / length);
            }
        }
        const double total = sqrt((double)east * east + (double)north * north + (double)upward * upward);
        *target = (float)fmax(0.0, 1 - total / (side * side * 1073741824.0));""",
    ),
    "dissection_rows": (
        "const double reach",
        r"""const int radius = (int)reach;
        if (y < radius || y >= dem_height - radius || x < radius || x >= dem_width - radius) return;
        float least = e, most = e;
        for (int j = y - radius; j <= y + radius; ++j) {
            for (int k = x - radius; k <= x + radius; ++k) {
                const float z = dem[(long long)j * dem_width + k];
                if (!isfinite(z)) return;
                least = fminf(least, z);
                most = fmaxf(most, z);
            }
        }
        *target = (e - least) / (most - least);""",
    ),
}


def terrain_feature(
    kernel: Callable[..., Any], dem: Any, *options: Any, north: NorthLattice | None = None, margin_px: int = 0
) -> Any:
    """Run a kernel of `darts_preprocessing.terrain_kernels`, or its twin where the heights are on a GPU.

    Args:
        kernel: One of the kernels that end in ``_rows``, of `terrain_kernels` or `window_kernels`.
        dem: ``(y, x)`` float32 metres; not finite where unknown. NumPy or CuPy.
        *options: What the kernel takes between `dem` and the lattice: numbers, NumPy arrays.
        north: Lattice for the grid of the result, where the kernel takes one.
        margin_px: Rows and columns along each side that are looked at but get no result.

    Returns:
        ``(y − 2·margin, x − 2·margin)`` float32, NaN where a height that it depends on is unknown or beyond the array.
    """
    shape = dem.shape[0] - 2 * margin_px, dem.shape[1] - 2 * margin_px
    out = array_namespace(dem).empty(shape, "float32")
    lattice = () if north is None else tuple(north)
    if not is_cupy(dem):
        over_rows(kernel, shape[0], dem, *options, *lattice, margin_px, out)
        return out
    xp = array_namespace(dem)
    moved = (
        xp.asarray(value) if isinstance(value, np.ndarray) else np.float64(value) for value in (*options, *lattice)
    )
    count = () if north is None else (np.int32(north.cosines.shape[1]),)
    sizes = np.int32(dem.shape[0]), np.int32(dem.shape[1])
    name = kernel.__name__
    launch_over_pixels(
        shape,
        *(xp.ascontiguousarray(dem), *sizes, *moved, *count, np.int32(margin_px), out),
        source=_source_of(name),
        name=name,
    )
    return out


def _source_of(name: str) -> str:
    options, body = _BODIES[name]
    parameters = ", ".join(part for part in (_HEAD, options, _TAIL) if part)
    return f'{_START}\nextern "C" __global__ void {name}({parameters})\n{{\nSTART\n{body}\n}}\n'
