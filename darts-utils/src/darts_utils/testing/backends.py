"""The array backends that every verb must run on."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.device import computed, move_tile, to_numpy


@dataclass(frozen=True)
class Backend:
    """One kind of array."""

    name: str
    """``numpy``, ``numpy-readonly``, ``dask`` or ``cupy``."""
    convert: Callable[[xr.Dataset], xr.Dataset]
    """Turns a NumPy tile into one of this backend."""

    def tile(self, tile: xr.Dataset) -> xr.Dataset:
        """Return the tile with arrays of this backend."""
        return self.convert(tile)

    def values(self, array: Any) -> NDArray[Any]:
        """Bring a result back to NumPy."""
        return to_numpy(computed(getattr(array, "data", array)))


def read_only(tile: xr.Dataset) -> xr.Dataset:
    """Copy a tile into arrays that refuse to be written: the cheapest test of purity there is."""

    def frozen(array: xr.DataArray) -> xr.DataArray:
        values = np.array(array.values)
        values.flags.writeable = False
        return array.copy(data=values)

    return tile.map(frozen, keep_attrs=True).assign_attrs(copy.deepcopy(tile.attrs))


BACKENDS = (
    Backend("numpy", lambda tile: tile.copy(deep=True)),
    Backend("numpy-readonly", read_only),
    Backend("dask", lambda tile: tile.chunk({"y": 16, "x": 16})),
    Backend("cupy", lambda tile: move_tile(tile, device="cuda")),
)
"""All backends; the last one needs a CUDA device and carries the ``gpu`` mark in the ``backend`` fixture."""
