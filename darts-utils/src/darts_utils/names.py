"""Names from data that become names of files and folders."""

import unicodedata

from darts_utils.errors import TileContractError

_LONGEST_BYTES = 160
"""Leaves room for suffixes and for the prefix of unfinished files within the 255 bytes of a file name."""


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
