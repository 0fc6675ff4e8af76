"""Attributes as GDAL keeps them: one line of text each."""

import re
from collections.abc import Mapping
from typing import Any

from darts_export.text import storable_text

_TAKEN = re.compile(r"ns|bidx|AREA_OR_POINT|TIFFTAG_.*")
"""Names that rasterio or GDAL would take for an instruction."""

_PREFIX = "attr_"


def tags_of(attrs: Mapping[Any, Any], *, owner: str) -> dict[str, str]:
    """Turn attributes into tags.

    Args:
        attrs: Names and values.
        owner: Whose attributes they are, for the message.

    Returns:
        Names and values as text. A name that rasterio or GDAL would take for an instruction (``ns``, ``bidx``,
        ``AREA_OR_POINT``, ``TIFFTAG_…``) gets the prefix ``attr_``; ``=`` and ``:``, at which GDAL cuts names, become ``_``.

    Raises:
        TileContractError: A name or a value is no text that files can hold.

    Examples:
        >>> tags_of({"sensor": "planetscope", "ns": 1, "eo:row": 7}, owner="the tile")
        {'sensor': 'planetscope', 'attr_ns': '1', 'eo_row': '7'}
    """
    return {
        _tag_name(storable_text(name, what=f"an attribute's name of {owner}")): storable_text(
            value, what=f"attribute {name!r} of {owner}"
        )
        for name, value in attrs.items()
    }


def _tag_name(name: str) -> str:
    plain = name.replace("=", "_").replace(":", "_")
    return f"{_PREFIX}{plain}" if _TAKEN.fullmatch(plain) else plain
