"""QGIS styles: what they say as XML, and that QGIS itself takes them."""

import json
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import xarray as xr

from darts_export import ExportConfig, export_tile
from darts_export.styles import PROBABILITY_COLOURS, SLUMP_COLOUR, rgba

STYLED = (
    *("probabilities", "binarized", "prediction_segments", "prediction_extent", "optical", "dem", "tcvis"),
    *(
        "ndvi",
        "extent",
        "red",
        "probabilities-full",
        "binarized-full",
        "prediction_segments-full",
        "binarized_above-30",
    ),
)

PERCENT_COLOURS = [(100 * share, colour, 0 if share == 0 else 255) for share, colour in PROBABILITY_COLOURS]

SLUMPS = [(0, "#ffffff", 0), (1, SLUMP_COLOUR, 255)]

SHADES = [(0, "#404040", 255), (1, "#e8e8e8", 255)]

LIMITS = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


@pytest.fixture
def written(tile: xr.Dataset, tmp_path: Path) -> dict[str, Path]:
    results = ("probabilities", "probabilities_percent", "binarized_segmentation")
    members = tile.assign({f"{name}-full": tile[name] for name in results})
    members["binarized_above-30"] = tile.binarized_segmentation
    return export_tile(members, tmp_path, products=STYLED)


def _root(written: dict[str, Path], product: str) -> ET.Element:
    root = ET.parse(written[f"{product}_qml"]).getroot()  # noqa: S314 (we wrote it)
    assert (root.tag, root.get("styleCategories")) == ("qgis", "Symbology")
    return root


def _only(root: ET.Element, path: str) -> ET.Element:
    (found,) = root.findall(path)
    return found


def _entries(root: ET.Element, path: str) -> list[tuple[float, str | None, int]]:
    return [(float(each.attrib["value"]), each.get("color"), int(each.attrib["alpha"])) for each in root.findall(path)]


def test_each_style_has_the_name_of_its_layer(written: dict[str, Path]) -> None:
    for product in STYLED:
        assert written[f"{product}_qml"] == written[product].with_suffix(".qml")
        _root(written, product)


@pytest.mark.parametrize("product", ["probabilities", "probabilities-full"])
def test_percentages_go_from_pale_to_dark(product: str, written: dict[str, Path]) -> None:
    renderer = _only(_root(written, product), "pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("singlebandpseudocolor", "1")
    assert (renderer.get("classificationMin"), renderer.get("classificationMax")) == ("0", "100")
    assert _only(renderer, "rastershader/colorrampshader").get("colorRampType") == "INTERPOLATED"
    assert _entries(renderer, "rastershader/colorrampshader/item") == PERCENT_COLOURS
    brightness = [sum(int(colour[at : at + 2], 16) for at in (1, 3, 5)) for _, colour, _ in PERCENT_COLOURS]
    assert brightness == sorted(brightness, reverse=True)


@pytest.mark.parametrize(
    ("product", "classes"),
    [
        ("binarized", SLUMPS),
        ("binarized-full", SLUMPS),
        ("binarized_above-30", SLUMPS),
        ("extent", SHADES),
    ],
)
def test_classes_have_colours(product: str, classes: list[tuple[float, str, int]], written: dict[str, Path]) -> None:
    renderer = _only(_root(written, product), "pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")
    assert _entries(renderer, "colorPalette/paletteEntry") == classes
    assert all(entry.get("label") for entry in renderer.findall("colorPalette/paletteEntry"))


@pytest.mark.parametrize(("product", "numbers"), [("optical", ("3", "2", "1")), ("tcvis", ("1", "2", "3"))])
def test_colours_are_those_of_three_bands(product: str, numbers: tuple[str, ...], written: dict[str, Path]) -> None:
    renderer = _only(_root(written, product), "pipe/rasterrenderer")
    assert renderer.get("type") == "multibandcolor"
    assert tuple(renderer.get(f"{channel}Band") for channel in ("red", "green", "blue")) == numbers


def test_reflectance_is_stretched_as_qgis_reads_it(tile: xr.Dataset, written: dict[str, Path]) -> None:
    contrast = _only(_root(written, "optical"), "pipe/rasterrenderer/redContrastEnhancement")
    percent = ExportConfig.stretch_percent
    expected = np.percentile(tile.red.values[tile.valid_data_mask.values], percent) * 1e-4
    found = [float(_only(contrast, side).text or "") for side in ("minValue", "maxValue")]
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert _only(contrast, "algorithm").text == "StretchToMinimumMaximum"


@pytest.mark.parametrize("product", ["ndvi", "dem", "red"])
def test_amounts_are_grey(product: str, written: dict[str, Path]) -> None:
    renderer = _only(_root(written, product), "pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("grayBand")) == ("singlebandgray", "1")
    low, high = (float(_only(renderer, f"contrastEnhancement/{side}").text or "") for side in ("minValue", "maxValue"))
    assert low < high


@pytest.mark.parametrize("product", ["prediction_segments", "prediction_segments-full"])
def test_segments_are_classed_by_their_mean_probability(product: str, written: dict[str, Path]) -> None:
    renderer = _only(_root(written, product), "renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("graduatedSymbol", "probability_mean")
    ranges, symbols = renderer.findall("ranges/range"), renderer.findall("symbols/symbol")
    limits = [(float(each.attrib["lower"]), float(each.attrib["upper"])) for each in ranges]
    assert limits == list(pairwise(LIMITS))
    assert [each.get("symbol") for each in ranges] == [each.get("name") for each in symbols]
    assert len({_line_colour(symbol) for symbol in symbols}) == len(ranges)


def test_the_extent_is_one_outline(written: dict[str, Path]) -> None:
    renderer = _only(_root(written, "prediction_extent"), "renderer-v2")
    assert renderer.get("type") == "singleSymbol"
    assert _line_colour(_only(renderer, "symbols/symbol")) == rgba("#3b6fb6")


def _line_colour(symbol: ET.Element) -> str | None:
    assert symbol.get("type") == "fill"
    assert _only(symbol, "layer").get("class") == "SimpleLine"  # what is below stays visible
    return _only(symbol, "layer/Option/Option[@name='line_color']").get("value")


def test_a_raster_without_a_good_pixel_has_a_style(tile: xr.Dataset, tmp_path: Path) -> None:
    tile.ndvi[:] = np.nan
    written = export_tile(tile, tmp_path, products=["ndvi"])
    contrast = _only(_root(written, "ndvi"), "pipe/rasterrenderer/contrastEnhancement")
    assert [_only(contrast, side).text for side in ("minValue", "maxValue")] == ["0", "1"]


_LOAD_IN_QGIS = """
import json, sys
from qgis.core import QgsApplication, QgsRasterLayer, QgsVectorLayer
application = QgsApplication([], False)
application.initQgis()
answers = {}
for path in sys.argv[1:]:
    layer = QgsRasterLayer(path, path) if path.endswith(".tif") else QgsVectorLayer(path, path, "ogr")
    message, loaded = layer.loadNamedStyle(path.rpartition(".")[0] + ".qml")
    renderer = layer.renderer()
    kind, entries = renderer.type(), []
    if kind == "singlebandpseudocolor":
        items = renderer.shader().rasterShaderFunction().colorRampItemList()
        entries = [[item.value, item.color.name(), item.color.alpha()] for item in items]
    elif kind == "paletted":
        entries = [[each.value, each.color.name(), each.color.alpha()] for each in renderer.classes()]
    elif kind == "graduatedSymbol":
        entries = [[each.lowerValue(), each.upperValue()] for each in renderer.ranges()]
    answers[path] = [layer.isValid(), loaded, message, kind, entries]
print("answers:", json.dumps(answers))
application.exit()
"""


def _qgis_answers(paths: list[Path], folder: Path) -> dict[str, Any]:
    """Let QGIS load layers and their styles, or skip the test where there is no QGIS.

    QGIS is a module of the system's Python; the variable DARTS_QGIS_PYTHON names another one that has it.
    """
    python = os.environ.get("DARTS_QGIS_PYTHON") or shutil.which("python3", path="/usr/bin") or "python3"
    quiet = os.environ | {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    known = subprocess.run([python, "-c", "import qgis.core"], capture_output=True, check=False, env=quiet)
    if known.returncode:
        pytest.skip("QGIS is not installed: install python3-qgis, or name a Python that has it by DARTS_QGIS_PYTHON")
    answer = subprocess.run(
        [python, "-c", _LOAD_IN_QGIS, *map(str, paths)], capture_output=True, text=True, check=False, env=quiet
    )
    found = [line for line in answer.stdout.splitlines() if line.startswith("answers: ")]
    assert found, answer.stderr
    answers: dict[str, Any] = json.loads(found[0].removeprefix("answers: "))
    return answers


def test_qgis_takes_every_style(written: dict[str, Path], tmp_path: Path) -> None:
    answers = _qgis_answers([written[name] for name in STYLED], tmp_path)
    for path, (is_valid, loaded, message, _, _) in answers.items():
        assert (is_valid, loaded, message) == (True, True, ""), path
    found = {name: tuple(answers[str(written[name])][3:]) for name in STYLED}
    assert found["probabilities"] == ("singlebandpseudocolor", [list(entry) for entry in PERCENT_COLOURS])
    assert found["binarized"] == found["binarized_above-30"] == ("paletted", [list(entry) for entry in SLUMPS])
    assert found["extent"] == ("paletted", [list(entry) for entry in SHADES])
    assert found["optical"][0] == found["tcvis"][0] == "multibandcolor"
    assert found["ndvi"][0] == "singlebandgray"
    assert found["prediction_segments"] == ("graduatedSymbol", [list(each) for each in pairwise(LIMITS)])
    assert found["prediction_extent"][0] == "singleSymbol"
