"""Text from data that becomes text in files."""

import xarray as xr

from darts_utils.errors import TileContractError
from darts_utils.grids import tile_id


def is_storable(text: str) -> bool:
    r"""Tell whether every format can hold a text: UTF-8 has no lone surrogates, and C ends text at NUL.

    Examples:
        >>> is_storable("Größe"), is_storable("half a letter: \ud800"), is_storable("a\0b")
        (True, False, False)
    """
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


def storable_text(value: object, *, what: str) -> str:
    """Return a value as text, after checking that files can hold it.

    Args:
        value: Anything.
        what: What it is, for the message.

    Raises:
        TileContractError: They cannot.
    """
    text = str(value)
    if not is_storable(text):
        raise TileContractError(
            f"{what} must be text that files can hold (no NUL, no lone surrogates), but got {text!r}: correct it, or leave it out"
        )
    return text


def stated(tile: xr.Dataset, name: str) -> str:
    """Return an attribute of a tile as text, ``"unknown"`` where the tile does not state it.

    Raises:
        TileContractError: Files cannot hold it.
    """
    return storable_text(tile.attrs.get(name, "unknown"), what=f"attrs[{name!r}] of tile {tile_id(tile)!r}")
