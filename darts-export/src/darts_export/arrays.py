"""Pixels of a tile in host memory."""

from typing import Any

import xarray as xr
from numpy.typing import NDArray

from darts_utils.device import computed, to_numpy


def numpy_values(tile: xr.Dataset, name: str) -> NDArray[Any]:
    """Return the values of a variable in host memory, wherever they live."""
    return to_numpy(computed(tile[name].data))
