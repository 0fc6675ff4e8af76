"""What is installed, for `darts info` and for bug reports."""

import importlib.metadata
import platform

import rasterio

from darts_utils.device import cuda_device_count
from darts_utils.errors import DeviceError
from darts_utils.inference.devices import resolve_device
from darts_utils.models import model_frameworks
from darts_utils.plugins import command_entry_points

_LIBRARIES = ("torch", "numpy", "xarray", "rasterio", "ray", "cupy-cuda13x")


def describe_environment() -> dict[str, dict[str, str]]:
    """Collect versions, devices, model frameworks and commands.

    Returns:
        Title → name → value, for people.
    """
    return {
        "packages": _darts_packages(),
        "libraries": {
            "Python": platform.python_version(),
            "GDAL": rasterio.__gdal_version__,
            **{name: _version(name) for name in _LIBRARIES},
        },
        "devices": {
            "auto": str(resolve_device("auto")),
            "torch": ", ".join(_torch_devices()),
            "CuPy": f"{cuda_device_count()} CUDA devices",
        },
        "model frameworks": {name: entry.value for name, entry in sorted(model_frameworks().items())},
        "commands": {f"darts {name}": entry.value for name, entry in sorted(command_entry_points().items())},
    }


def _darts_packages() -> dict[str, str]:
    names = {_name_of(each) for each in importlib.metadata.distributions()}
    return {name: _version(name) for name in sorted(names) if name.startswith("darts-")}


def _name_of(distribution: importlib.metadata.Distribution) -> str:
    """Name of an installed distribution; empty where its metadata are damaged, which is not our business."""
    try:
        return str(distribution.metadata["Name"])
    except (OSError, KeyError, ValueError, TypeError, importlib.metadata.PackageNotFoundError):
        return ""


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _torch_devices() -> list[str]:
    names = ["cpu"]
    try:
        while True:
            names.append(str(resolve_device(f"cuda:{len(names) - 1}")))
    except DeviceError:
        return names
