"""Kernels over the bands and the sensors' masks, one pass each, and their CUDA twins."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.device import array_namespace, is_cupy, launch_over_pixels
from darts_utils.kernels import kernel, over_rows
from darts_utils.variables import REFLECTANCE_UNIT

Array = NDArray[Any]

_REFLECTANCE_OF_ONE = np.uint16(REFLECTANCE_UNIT)
_NAN = np.float32(np.nan)
_BLACKFILL, _SUSPECT = np.uint8(0b0000001), np.uint8(0b1111110)
_BAD = np.uint8(0b111110)
_LARGEST_CLASS = np.uint8(11)
_GOOD_CLASSES = 0xF4  # bits 2, 4, 5, 6, 7


@kernel
def ndvi_rows(first: int, last: int, red: Array, nir: Array, valid: Array, out: Array) -> None:
    """(nir − red) / (nir + red) of reflectances up to 1, in tile units; 0/0 is NaN."""
    for row in range(first, last):
        for column in range(red.shape[1]):
            r = np.float32(min(red[row, column], _REFLECTANCE_OF_ONE))
            n = np.float32(min(nir[row, column], _REFLECTANCE_OF_ONE))
            out[row, column] = (n - r) / (n + r) if valid[row, column] else _NAN


@kernel
def scale_rows(first: int, last: int, counts: Array, valid: Array, scale: float, offset: float, out: Array) -> None:
    """Valid counts · scale + offset, to the nearest (even) whole number and clipped to uint16; others 0."""
    for row in range(first, last):
        for column in range(counts.shape[1]):
            value = np.rint(counts[row, column] * scale + offset)
            value = 0.0 if value < 0.0 else (65535.0 if value > 65535.0 else value)
            out[row, column] = np.uint16(value) if valid[row, column] else np.uint16(0)


@kernel
def data_rows(first: int, last: int, blue: Array, green: Array, red: Array, nir: Array, out: Array) -> None:
    """True where all bands hold a count."""
    for row in range(first, last):
        for column in range(blue.shape[1]):
            here = (blue[row, column] != 0) & (green[row, column] != 0)
            out[row, column] = here & (red[row, column] != 0) & (nir[row, column] != 0)


@kernel
def udm_rows(first: int, last: int, udm2: Array, udm1: Array, valid: Array, quality: Array) -> None:
    """Take away what Planet's masks mark: blackfill from `valid`, all else from `quality`."""
    for row in range(first, last):
        for column in range(valid.shape[1]):
            old = udm1[row, column]
            here = valid[row, column] & ((old & _BLACKFILL) == 0)
            valid[row, column] = here
            quality[row, column] = here & ((old & _SUSPECT) == 0) & ((udm2[row, column] & _BAD) == 0)


@kernel
def scl_rows(first: int, last: int, scl: Array, valid: Array, quality: Array) -> None:
    """Take away what the scene classification marks: no class from `valid`, bad classes from `quality`."""
    for row in range(first, last):
        for column in range(valid.shape[1]):
            code = scl[row, column]
            here = valid[row, column] & (code > 0) & (code <= _LARGEST_CLASS)
            valid[row, column] = here
            quality[row, column] = here & (((_GOOD_CLASSES >> min(code, _LARGEST_CLASS)) & 1) == 1)


_CUDA: dict[Callable[..., Any], tuple[str, str]] = {
    ndvi_rows: (
        "const unsigned short* red, const unsigned short* nir, const bool* valid, float* out",
        rf"""
const float r = min((int)red[i], {REFLECTANCE_UNIT}), n = min((int)nir[i], {REFLECTANCE_UNIT});
out[i] = valid[i] && n + r > 0 ? (n - r) / (n + r) : nanf("");""",
    ),
    scale_rows: (
        "const unsigned short* counts, const bool* valid, const double scale, const double offset, unsigned short* out",
        r"""
const double value = rint(__dadd_rn(__dmul_rn((double)counts[i], scale), offset));
out[i] = valid[i] ? (unsigned short)fmin(fmax(value, 0.0), 65535.0) : 0;""",
    ),
    data_rows: (
        "const unsigned short* blue, const unsigned short* green, const unsigned short* red, const unsigned short* nir, bool* out",
        "out[i] = blue[i] && green[i] && red[i] && nir[i];",
    ),
    udm_rows: (
        "const unsigned char* udm2, const unsigned char* udm1, bool* valid, bool* quality",
        r"""
valid[i] = valid[i] && !(udm1[i] & 1);
quality[i] = valid[i] && !(udm1[i] & 126) && !(udm2[i] & 62);""",
    ),
    scl_rows: (
        "const unsigned char* scl, bool* valid, bool* quality",
        r"""
valid[i] = valid[i] && scl[i] > 0 && scl[i] <= 11;
quality[i] = valid[i] && ((0xF4 >> scl[i]) & 1);""",
    ),
}
"""Kernel → parameters and body of its twin for pixel i."""


def over_pixels(function: Callable[..., Any], shape: tuple[int, int], *arguments: Any) -> None:
    """Run a kernel of this module, or its twin where the arrays are on a GPU.

    Args:
        function: The kernel.
        shape: ``(y, x)`` of the arrays.
        *arguments: What the kernel takes after its rows: arrays of one kind, and numbers.
    """
    if not any(is_cupy(argument) for argument in arguments):
        over_rows(function, shape[0], *arguments)
        return
    xp = array_namespace(*arguments)
    parameters, body = _CUDA[function]
    name = function.__name__
    source = (
        f'extern "C" __global__ void {name}(const int height, const int width, {parameters})\n{{\n'
        "const int y = blockIdx.y * blockDim.y + threadIdx.y, x = blockIdx.x * blockDim.x + threadIdx.x;\n"
        f"if (y >= height || x >= width) return;\nconst long long i = (long long)y * width + x;\n{body}\n}}\n"
    )
    moved = (xp.ascontiguousarray(each) if is_cupy(each) else np.float64(each) for each in arguments)
    launch_over_pixels(shape, *moved, source=source, name=name)
