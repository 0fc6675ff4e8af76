"""How tile variables are stored on disk: lossless, compressed, in chunks that suit windows."""

from typing import Any

import numpy as np
import xarray as xr

_CHUNK_PX = 512
_DEFLATE_LEVEL = 1  # higher levels gain a few percent of size for several times the time


def netcdf_encoding(tile: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Build the ``encoding=`` argument of ``Dataset.to_netcdf`` for a tile.

    Args:
        tile: The tile to write.

    Returns:
        For each variable its dtype as in memory, deflate with shuffle, 512 px chunks, the name of the grid
        mapping for GDAL, and a ``_FillValue`` only where the values are floats (NaN): integers and masks come back exactly
        as they were.
    """
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in tile.data_vars.items():
        entry: dict[str, Any] = {
            "zlib": True,
            "complevel": _DEFLATE_LEVEL,
            "shuffle": True,
            "grid_mapping": "spatial_ref",
            "chunksizes": tuple(min(_CHUNK_PX, size) for size in variable.shape),
            "_FillValue": np.nan if np.issubdtype(variable.dtype, np.floating) else None,
        }
        if variable.dtype != np.bool_:  # xarray stores bool as int8 and remembers it by itself
            entry["dtype"] = variable.dtype
        encoding[str(name)] = entry
    for name in tile.coords:
        encoding[str(name)] = {"_FillValue": None}
    return encoding
