"""QGIS styles of rasters."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_export.arrays import numpy_values
from darts_export.bands import Band
from darts_export.config import ExportConfig
from darts_export.stretching import limits_of
from darts_export.styles import PROBABILITY_COLOURS, SLUMP_COLOUR, document, qml
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

_PERCENT = "probabilities_percent"
_SEGMENTATIONS = ("binarized_segmentation", "binarized_above")
_TRUE_COLOURS = ("red", "green", "blue")


def raster_style(tile: xr.Dataset, bands: Sequence[Band], *, valid: NDArray[np.bool_] | None) -> bytes:
    """Make the style of a raster.

    Args:
        tile: The tile.
        bands: Bands of the raster, in order.
        valid: ``(y, x)`` bool: the pixels that decide how bright bands are drawn; None: all.

    Returns:
        Content of a QML file: percentages from pale to dark, without a colour below 1 %; thaw slumps in one colour; reflectance and
        trends as colours, other variables in grey, between the percentiles that the thumbnail uses.
    """
    names = [band.name for band in bands]
    base = names[0].partition("-")[0]
    if base == _PERCENT:
        renderer = _probability()
    elif base in _SEGMENTATIONS:
        renderer = _palette({0: ("#ffffff", 0, "no thaw slump"), 1: (SLUMP_COLOUR, 255, "thaw slump")})
    elif tile[names[0]].dtype == np.bool_:
        renderer = _palette({0: ("#404040", 255, "no"), 1: ("#e8e8e8", 255, "yes")})
    elif set(names) >= set(_TRUE_COLOURS) and set(names) <= set(OPTICAL_BANDS):
        renderer = _colours(tile, bands, _TRUE_COLOURS, valid)
    elif names == list(TCVIS_BANDS):
        renderer = _colours(tile, bands, TCVIS_BANDS, None)
    else:
        renderer = _grey(tile, bands[0], valid)
    root = qml(category="Symbology")
    ET.SubElement(root, "pipe").append(renderer)
    return document(root)


def _renderer(kind: str, **attributes: object) -> ET.Element:
    texts = {name: str(value) for name, value in attributes.items()}
    renderer = ET.Element("rasterrenderer", type=kind, opacity="1", alphaBand="-1", nodataColor="", attrib=texts)
    ET.SubElement(renderer, "rasterTransparency")
    return renderer


def _probability() -> ET.Element:
    low, high = (100 * PROBABILITY_COLOURS[index][0] for index in (0, -1))
    renderer = _renderer("singlebandpseudocolor", band=1, classificationMin=f"{low:g}", classificationMax=f"{high:g}")
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue=f"{low:g}",
        maximumValue=f"{high:g}",
    )
    for probability, colour in PROBABILITY_COLOURS:
        ET.SubElement(
            shader,
            "item",
            value=f"{100 * probability:g}",
            label=f"{100 * probability:g} %",
            color=colour,
            alpha="255" if probability > 0 else "0",
        )
    return renderer


def _palette(entries: dict[int, tuple[str, int, str]]) -> ET.Element:
    renderer = _renderer("paletted", band=1)
    palette = ET.SubElement(renderer, "colorPalette")
    for value, (colour, alpha, label) in entries.items():
        ET.SubElement(palette, "paletteEntry", value=str(value), color=colour, alpha=str(alpha), label=label)
    return renderer


def _colours(
    tile: xr.Dataset, bands: Sequence[Band], drawn: Sequence[str], valid: NDArray[np.bool_] | None
) -> ET.Element:
    numbers = {band.name: index for index, band in enumerate(bands, start=1)}
    channels = dict(zip(("red", "green", "blue"), drawn, strict=True))
    renderer = _renderer("multibandcolor", **{f"{channel}Band": numbers[name] for channel, name in channels.items()})
    for channel, name in channels.items():
        _add_contrast(renderer, f"{channel}ContrastEnhancement", tile, bands[numbers[name] - 1], valid)
    return renderer


def _grey(tile: xr.Dataset, band: Band, valid: NDArray[np.bool_] | None) -> ET.Element:
    renderer = _renderer("singlebandgray", grayBand=1, gradient="BlackToWhite")
    _add_contrast(renderer, "contrastEnhancement", tile, band, valid)
    return renderer


def _add_contrast(
    renderer: ET.Element, name: str, tile: xr.Dataset, band: Band, valid: NDArray[np.bool_] | None
) -> None:
    limits = limits_of(numpy_values(tile, band.name), usual=valid, percent=ExportConfig.stretch_percent)
    contrast = ET.SubElement(renderer, name)
    for side, value in zip(("minValue", "maxValue"), limits or (0.0, 1.0), strict=True):
        ET.SubElement(contrast, side).text = f"{value * band.scale + band.offset:.9g}"  # QGIS scales values, too
    ET.SubElement(contrast, "algorithm").text = "StretchToMinimumMaximum"
