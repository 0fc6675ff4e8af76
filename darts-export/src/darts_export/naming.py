"""Names from data that become names of files: that of a tile, and those that a run takes for itself."""

import xarray as xr

from darts_utils.errors import TileContractError
from darts_utils.names import safe_name

RUN_FOLDERS = ("results.parquet", "errors")
"""Folders that a run leaves beside those of its tiles: its table, and the tracebacks of what has failed."""


def safe_tile_id(tile: xr.Dataset) -> str:
    """Return the tile's ``tile_id``, after checking that it can be the name of a folder.

    Raises:
        TileContractError: There is none, or it could leave the output folder (separators, a leading dot), is too long
            or holds control characters.
    """
    stored = tile.attrs.get("tile_id")
    if not isinstance(stored, str):
        raise TileContractError(
            f"export needs attrs['tile_id'] (str), which names the tile's folder, but got {stored!r}: "
            "set it, e.g. tile.attrs['tile_id'] = '4372514-1234_2021-08-21'"
        )
    return safe_name(stored, what="tile_id")
