"""The ways in which people use DARTS, against the installed packages; what the documentation shows is run as it stands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio

from darts_ensemble import Ensemble
from darts_nextgen.demo.sample import MODELS
from darts_postprocessing import postprocess, postprocess_batched
from darts_preprocessing import calculate_ndvi, calculate_ndvi_batched, load_and_preprocess, preprocess
from darts_preprocessing.loading import load_scene
from darts_segmentation import Segmenter
from darts_utils.synthetic import synthetic_scene, write_scene

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def scenes():
    return [synthetic_scene(100_010 + index, shape=(120 + 16 * index, 150)) for index in range(2)]


@pytest.fixture(scope="module")
def workplace(scenes, tmp_path_factory):
    """A folder with scenes, models, an elevation model and trends, named as in the documentation."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "scenes").mkdir()
    for index, scene in enumerate(scenes):
        paths = write_scene(scene, folder / f"download-{index}")
        shutil.copytree(paths.scene, folder / "scenes" / paths.scene.name)
    first = folder / "download-0"
    shutil.copytree(next(path for path in first.iterdir() if path.is_dir()), folder / "20210821_210019_00_2421")
    for name in ("arcticdem.tif", "tcvis.tif"):
        shutil.copy(first / name, folder / name)
    for name in ("full.pt", "optical.pt"):
        shutil.copy(MODELS / name, folder / name)
    return folder


def shown_in(path, *words):
    """The Python code of the only example in a page that has all the words."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if all(word in block for word in words)]
    return block


def run_script(code, folder):
    script = folder / "example.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_single_transformation(scenes):
    tile = preprocess(scenes[0].tile, features=[])
    with_index = calculate_ndvi(tile)
    assert "ndvi" not in tile.data_vars
    valid = tile.valid_data_mask.values
    red, nir = (np.minimum(tile[name].values[valid] / 10_000, 1) for name in ("red", "nir"))
    np.testing.assert_allclose(with_index.ndvi.values[valid], (nir - red) / (nir + red), atol=1e-6)
    assert np.isnan(with_index.ndvi.values[~valid]).all()


def test_batched_transformation(scenes):
    tiles = [preprocess(scene.tile, features=[]) for scene in scenes]
    for together, alone in zip(calculate_ndvi_batched(tiles), map(calculate_ndvi, tiles), strict=True):
        assert together.identical(alone)
    model = Segmenter.load(MODELS / "optical.pt")
    inferred = model.inference_batched(calculate_ndvi_batched(tiles))
    for together, tile in zip(postprocess_batched(inferred), tiles, strict=True):
        alone = postprocess(model.inference(calculate_ndvi(tile)))
        assert together.identical(alone)


def test_load_and_preprocess(workplace, scenes):
    folder = next((workplace / "download-0").glob("*/"))
    raster_paths = {"dem": workplace / "arcticdem.tif", "tcvis": workplace / "tcvis.tif"}
    tile = load_and_preprocess(folder, **raster_paths)
    model = Segmenter.load(workplace / "full.pt")
    assert set(model.required_variables) <= set(tile.data_vars)
    expected = preprocess(load_scene(folder), dem=scenes[0].dem, tcvis=scenes[0].tcvis)
    np.testing.assert_allclose(tile.relative_elevation.values, expected.relative_elevation.values, atol=1e-4)


def test_the_notebook_of_the_readme(workplace):
    run_script(
        shown_in("README.md", "Segmenter") + "\nassert tile.binarized_segmentation.dtype == 'uint8'\n", workplace
    )
    run_script(shown_in("docs/custom-pipeline.md", "calculate_ndvi"), workplace)


@pytest.fixture(scope="module")
def expected(workplace):
    """What the single model finds in each scene."""
    model = Ensemble.load(workplace / "full.pt")
    tiles = {}
    for folder in sorted((workplace / "scenes").iterdir()):
        tile = load_and_preprocess(folder, dem=workplace / "arcticdem.tif", tcvis=workplace / "tcvis.tif")
        tiles[folder.name] = postprocess(model.inference(tile))
    return tiles


def assert_mapped(results, expected):
    for name, tile in expected.items():
        with rasterio.open(results / name / "probabilities.tif") as raster:
            np.testing.assert_array_equal(raster.read(1), tile.probabilities_percent.values)
        assert (results / name / f"{name}.json").exists()


def test_a_custom_pipeline_in_plain_python(workplace, expected):
    run_script(shown_in("docs/custom-pipeline.md", "for folder in sorted(Path("), workplace)
    assert_mapped(workplace / "results", expected)


def test_a_custom_pipeline_on_ray_data(workplace, expected):
    shutil.rmtree(workplace / "results", ignore_errors=True)
    run_script(shown_in("docs/custom-pipeline.md", "ray.data"), workplace)
    assert_mapped(workplace / "results", expected)
    rows = pq.read_table(workplace / "results" / "table").to_pylist()
    assert sorted(Path(row["scene"]).name for row in rows) == sorted(expected)
    for row in rows:
        assert row["slumps"] == len(gpd.read_file(row["segments"]))
