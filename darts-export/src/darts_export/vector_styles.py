"""QGIS styles of tables of polygons."""

from itertools import pairwise
from xml.etree import ElementTree as ET

from darts_export.styles import PROBABILITY_COLOURS, document, qml, rgba

_CLASS_LIMITS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_EXTENT_COLOUR = "#3b6fb6"


def segments_style() -> bytes:
    """Make the style of a table of segments: outlines whose colour says the mean probability."""
    root = qml(category="Symbology")
    renderer = ET.SubElement(
        root,
        "renderer-v2",
        type="graduatedSymbol",
        attr="probability_mean",
        graduatedMethod="GraduatedColor",
        symbollevels="0",
        forceraster="0",
        enableorderby="0",
    )
    ranges, symbols = (ET.SubElement(renderer, name) for name in ("ranges", "symbols"))
    for index, (lower, upper) in enumerate(pairwise(_CLASS_LIMITS)):
        ET.SubElement(
            ranges,
            "range",
            symbol=str(index),
            lower=f"{lower:g}",
            upper=f"{upper:g}",
            label=f"probability {lower:.0%} to {upper:.0%}",
            render="true",
        )
        symbols.append(_outline(str(index), _mixed((lower + upper) / 2), width_mm=0.5))
    return document(root)


def extent_style() -> bytes:
    """Make the style of the table with the trusted area: a thin outline."""
    root = qml(category="Symbology")
    renderer = ET.SubElement(
        root, "renderer-v2", type="singleSymbol", symbollevels="0", forceraster="0", enableorderby="0"
    )
    ET.SubElement(renderer, "symbols").append(_outline("0", _EXTENT_COLOUR, width_mm=0.3))
    return document(root)


def _outline(name: str, colour: str, *, width_mm: float) -> ET.Element:
    symbol = ET.Element("symbol", type="fill", name=name, alpha="1", clip_to_extent="1", force_rhr="0")
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleLine", "pass": "0", "enabled": "1", "locked": "0"})
    options = ET.SubElement(layer, "Option", type="Map")
    for key, value in {
        "line_color": rgba(colour),
        "line_style": "solid",
        "line_width": f"{width_mm:g}",
        "line_width_unit": "MM",
        "joinstyle": "round",
    }.items():
        ET.SubElement(options, "Option", type="QString", name=key, value=value)
    return symbol


def _mixed(probability: float) -> str:
    for (low, dark), (high, bright) in pairwise(PROBABILITY_COLOURS):
        if probability <= high:
            share = (probability - low) / (high - low)
            parts = ((int(dark[at : at + 2], 16), int(bright[at : at + 2], 16)) for at in (1, 3, 5))
            return "#" + "".join(f"{round(one + share * (other - one)):02x}" for one, other in parts)
    return PROBABILITY_COLOURS[-1][1]
