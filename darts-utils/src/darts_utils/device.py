"""The only home of CuPy: which array library a verb computes with, chosen by the array that came in."""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from darts_utils.errors import DeviceError

_BLOCK = (32, 8)
"""Threads of a CUDA block along x and y."""


def is_cupy(array: object) -> bool:
    """Tell whether an array lives on a GPU, without importing CuPy."""
    return type(array).__module__.split(".")[0] == "cupy"


def array_namespace(*arrays: object) -> Any:
    """Return the module to compute with: ``cupy`` where an array is CuPy's, else ``numpy``.

    Args:
        *arrays: NumPy or CuPy arrays; mixing them is an error that the library itself reports.
    """
    return importlib.import_module("cupy") if any(is_cupy(array) for array in arrays) else np


def scipy_namespace(submodule: str, *arrays: object) -> Any:
    """Return ``scipy.<submodule>`` or ``cupyx.scipy.<submodule>``, as the arrays demand.

    Args:
        submodule: For example ``"ndimage"`` or ``"signal"``.
        *arrays: NumPy or CuPy arrays.
    """
    prefix = "cupyx.scipy" if any(is_cupy(array) for array in arrays) else "scipy"
    return importlib.import_module(f"{prefix}.{submodule}")


def cuda_device_count() -> int:
    """Number of CUDA devices that CuPy can use; 0 without CuPy or without a device."""
    if importlib.util.find_spec("cupy") is None:
        return 0
    cupy = importlib.import_module("cupy")
    try:
        return int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return 0


def to_numpy(array: Any) -> np.ndarray[Any, Any]:
    """Bring an array into host memory (NumPy stays as it is, dask is computed)."""
    if is_cupy(array):
        return np.asarray(array.get())
    return np.asarray(array)


def beside(array: Any, *, like: Any) -> Any:
    """Bring an array to where another one is: into host memory, or onto its GPU.

    Args:
        array: NumPy or CuPy.
        like: NumPy or CuPy.

    Returns:
        The array itself where it is there already, else a copy.
    """
    if not is_cupy(like):
        return to_numpy(array) if is_cupy(array) else array
    with like.device:
        return array_namespace(like).asarray(array)


def computed(array: Any) -> Any:
    """Return the array itself, or what a dask array computes to: NumPy or CuPy, as its chunks are."""
    return array.compute() if hasattr(array, "compute") and hasattr(array, "dask") else array


def move_tile(tile: xr.Dataset, *, device: str) -> xr.Dataset:
    """Bring the variables of a tile to a device.

    Args:
        tile: Any tile.
        device: ``"cpu"`` or ``"cuda"`` (``"cuda:1"`` for the second).

    Returns:
        A new tile whose variables are NumPy (cpu) or CuPy (cuda) arrays; coordinates stay in host memory. Arrays that are
        there already are shared, not copied.

    Raises:
        DeviceError: `device` is not there, or its name is unknown.
    """
    if device == "cpu":
        return _mapped(tile, lambda values: to_numpy(computed(values)))
    kind, separator, index = device.partition(":")
    number = int(index) if index.isdecimal() else 0
    if kind != "cuda" or (separator and not index.isdecimal()):
        raise DeviceError(f"expected the device 'cpu', 'cuda' or 'cuda:N', but got {device!r}")
    if cuda_device_count() <= number:
        raise DeviceError(
            f"device {device!r} was asked for, but CuPy sees {cuda_device_count()} CUDA devices: "
            "install darts-utils[gpu] on a machine with a GPU, or use device='cpu'"
        )
    cupy = importlib.import_module("cupy")
    with cupy.cuda.Device(number):
        return _mapped(tile, lambda values: cupy.asarray(computed(values)))


def _mapped(tile: xr.Dataset, bring: Callable[[Any], Any]) -> xr.Dataset:
    return tile.assign({name: variable.copy(data=bring(variable.data)) for name, variable in tile.data_vars.items()})


def launch_over_pixels(shape: tuple[int, int], *arguments: object, source: str, name: str) -> None:
    """Run a CUDA kernel once for each pixel.

    Args:
        shape: ``(height, width)`` of the grid of pixels.
        *arguments: What the kernel takes after height and width: C-contiguous CuPy arrays, and NumPy scalars of exactly
            the types that it declares.
        source: CUDA C++ with ``extern "C" __global__ void name(int height, int width, …)``; it finds its pixel as
            ``y = blockIdx.y · blockDim.y + threadIdx.y`` and ``x`` alike, and leaves if that is beyond the grid.
        name: Name of the kernel.
    """
    height, width = shape
    if height > 0 and width > 0:
        blocks = -(-width // _BLOCK[0]), -(-height // _BLOCK[1])
        _compiled(source, name)(blocks, _BLOCK, (np.int32(height), np.int32(width), *arguments))


@functools.cache
def _compiled(source: str, name: str) -> Any:
    return importlib.import_module("cupy").RawKernel(source, name)
