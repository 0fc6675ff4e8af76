"""QGIS styles (QML): what rasters and polygons have in common.

QGIS applies ``<name>.qml`` by itself to a layer that it opens from ``<name>.tif``, ``.gpkg`` or ``.parquet`` in the same folder.
"""

from xml.etree import ElementTree as ET

QML_MEDIA_TYPE = "application/x-qgis-qml"
"""There is no registered one."""

PROBABILITY_COLOURS = ((0.0, "#fff6c9"), (0.25, "#fdd16c"), (0.5, "#f58b3c"), (0.75, "#cf3759"), (1.0, "#62146e"))
"""Probabilities and their colours; between them the colour is mixed."""

SLUMP_COLOUR = "#cf3759"
"""A thaw slump, where its probability does not matter."""

_VERSION = "3.22"
"""Version of QGIS whose format this is; newer ones read it."""


def qml(*, category: str) -> ET.Element:
    """Return the root of a style.

    Args:
        category: The parts of a layer's properties that the style sets, as QGIS calls them.
    """
    return ET.Element("qgis", version=_VERSION, styleCategories=category)


def document(root: ET.Element) -> bytes:
    """Return the content of a style's file."""
    ET.indent(root)
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + ET.tostring(root) + b"\n"


def rgba(colour: str, *, alpha: int = 255) -> str:
    """Write a colour as QGIS does in symbols.

    Examples:
        >>> rgba("#cf3759")
        '207,55,89,255'
    """
    return f"{int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:7], 16)},{alpha}"
