"""``darts demo`` and what it is made of."""

import json
import re
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from shapely.geometry import box

from darts_nextgen.demo.overlap import measure_overlap
from darts_nextgen.demo.sample import MODELS
from darts_segmentation import Segmenter

MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What the real command prints, and its folder."""
    out = tmp_path_factory.mktemp("demo")
    command = [Path(sys.executable).with_name("darts"), "demo", "--out", out]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, out


def test_the_demo_says_what_it_found(demo):
    text, _ = demo
    found, hectares = re.search(r"^(\d+) thaw slumps found, ([\d.]+) ha, in [\d.]+ s$", text, re.MULTILINE).groups()
    assert int(found) > 0
    assert float(hectares) > 0
    known, hit, iou = re.search(r"of (\d+) known slumps (\d+) were found, IoU of the outlines ([\d.]+)", text).groups()
    assert int(hit) >= 0.7 * int(known) > 0
    assert float(iou) >= 0.7


def test_the_demo_says_where_to_look(demo):
    text, out = demo
    folder = Path(re.search(r"^Look at these files in (.*):$", text, re.MULTILINE).group(1))
    assert folder.is_relative_to(out)
    listed = re.findall(r"^  (\S+)$", text, re.MULTILINE)
    assert {"prediction_segments.gpkg", "probabilities.tif", "thumbnail.jpg"} <= set(listed)
    assert {path.name for path in folder.iterdir()} == {*listed, "manifest.json"}
    assert str(out / "sample" / "slumps.gpkg") in text
    assert str(out / "results" / "results.parquet") in text


def test_the_sample_has_the_files_of_a_user(demo):
    _, out = demo
    (scene,) = (path for path in (out / "sample").iterdir() if path.is_dir())
    assert {re.sub(r"^.*?_(SR|udm2|metadata)", r"\1", path.name) for path in scene.iterdir()} == {
        "SR.tif",
        "udm2.tif",
        "metadata.json",
    }


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, darts):
    (tmp_path / "file").touch()
    code, _, err = darts("demo", "--out", tmp_path / "file" / "demo")
    assert code == 2
    assert err.startswith("darts: error: ")
    assert len(err.splitlines()) == 1


def test_the_models_are_small_and_their_training_is_recorded():
    assert sum(path.stat().st_size for path in MODELS.iterdir()) <= MOST_BYTES
    assert {path.name for path in MODELS.glob("*.pt")} == {"full.pt", "optical.pt"}
    for path in MODELS.glob("*.pt"):
        record = json.loads((MODELS / f"{path.stem}.training.json").read_text())
        assert record["command"] == "make demo-models"
        assert {"seed", "training_seconds", "train_scenes", "validation_pixel_iou"} <= set(record)
        assert Segmenter.load(path).config["training"] == record


def test_the_scores_of_the_ensemble_are_recorded():
    record = json.loads((MODELS / "scores.json").read_text())
    assert record["scores"]["ensemble"]["pixel_iou_all"] >= 0.70
    assert {"full", "optical"} < set(record["scores"])
    assert record["test_scenes"] >= 24


def test_the_optical_model_needs_the_optical_bands_alone():
    optical, full = (set(Segmenter.load(MODELS / name).required_variables) for name in ("optical.pt", "full.pt"))
    assert optical == {"blue", "green", "red", "nir", "ndvi", "valid_data_mask"}
    assert full - optical == {"relative_elevation", "slope", "tc_brightness", "tc_greenness", "tc_wetness"}


def frame(*shapes, crs="EPSG:32608"):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=crs)


def test_overlap_of_nothing_is_nan():
    overlap = measure_overlap(frame(), frame(), extent=frame(box(0, 0, 1, 1)))
    assert np.isnan(overlap.iou)
    assert (overlap.known, overlap.known_hit, overlap.known_cut) == (0, 0, 0)


def test_overlap_counts_what_is_found_beside_the_known():
    known = frame(box(0, 0, 100, 100), box(500, 500, 600, 600))
    found = frame(box(0, 0, 100, 100), box(200, 0, 300, 100))
    overlap = measure_overlap(found, known.to_crs("EPSG:4326"), extent=frame(box(-10, -10, 700, 700)))
    assert overlap.iou == pytest.approx(1 / 3, abs=1e-3)
    assert (overlap.known, overlap.known_hit) == (2, 1)
