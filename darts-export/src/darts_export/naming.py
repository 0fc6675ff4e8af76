"""Names from data that become names of files."""

import unicodedata

import xarray as xr

from darts_utils.errors import TileContractError

RUN_FOLDERS = ("results.parquet", "errors")
"""Folders that a run leaves beside those of its tiles: its table, and the tracebacks of what has failed."""

_LONGEST_BYTES = 160
"""Leaves room for suffixes and for the prefix of unfinished files within the 255 bytes of a file name."""


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


def safe_name(name: str, *, what: str) -> str:
    """Return `name`, after checking that it can be the name of one file or folder.

    Args:
        name: The name.
        what: What it is, for the message.

    Raises:
        TileContractError: It cannot.

    Examples:
        >>> safe_name("4372514_2021-08-21", what="tile_id")
        '4372514_2021-08-21'
    """
    if (
        not name.strip()
        or name.startswith(".")
        or any(letter in "/\\" or unicodedata.category(letter) in {"Cc", "Cs"} for letter in name)
        or len(name.encode(errors="replace")) > _LONGEST_BYTES
    ):
        raise TileContractError(
            f"{what} must be usable as the name of a folder (not empty, no '/' or '\\', no control characters, no leading "
            f"dot, at most {_LONGEST_BYTES} bytes), but got {name!r}: rename it"
        )
    return name
