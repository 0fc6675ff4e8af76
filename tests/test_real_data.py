"""The pipeline on real data: a Sentinel-2 chip of the Peel Plateau, and an elevation model of Fairbanks."""

import dataclasses
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pystac
import pytest
import rasterio
from rio_cogeo import cog_validate

from darts_nextgen import RunConfig, run_local
from darts_nextgen.demo.sample import MODELS
from darts_preprocessing import align, load_and_preprocess, load_auxiliary
from darts_preprocessing.alignment import kernel_scale
from darts_utils.errors import TrainingDataError
from darts_utils.grids import geobox_of
from darts_utils.synthetic import synthetic_scene, write_scene
from darts_utils.testing import data_dir

ROOT = Path(__file__).resolve().parents[1]
PEEL = "S2_20210821T210019_20210821T210020_T08WMA"
BANDS = "blue=1,green=2,red=3,nir=7"

needs_gdalwarp = pytest.mark.skipif(
    shutil.which("gdalwarp") is None, reason="gdalwarp is not installed (Debian: gdal-bin)"
)


@pytest.fixture(scope="module")
def peel():
    return data_dir() / "peel" / f"{PEEL}.tif"


def darts_run(*options):
    command = [Path(sys.executable).with_name("darts"), "run", *options]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def test_the_peel_chip_gives_a_valid_result(peel, tmp_path):
    done = darts_run(
        "--scene", peel, "--bands", BANDS, "--sensor", "sentinel2", "--date", "2021-08-21",
        "--models", MODELS / "optical.pt", "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = pq.read_table(tmp_path / "results.parquet").to_pylist()
    assert row["status"] == "done"
    assert any("clouds are not known" in line for line in row["warnings"])
    folder = tmp_path / PEEL
    with rasterio.open(peel) as scene, rasterio.open(folder / "probabilities.tif") as result:
        assert (result.transform, result.crs, result.shape) == (scene.transform, scene.crs, scene.shape)
        percent = result.read(1)
        covered = (scene.read([1, 2, 3, 7]) != 0).all(axis=0)
    assert set(np.unique(percent)) <= {*range(101), 255}
    inner = np.zeros_like(covered)
    inner[20:-20, 20:-20] = True
    assert (percent[inner & covered] <= 100).mean() > 0.99
    assert cog_validate(folder / "probabilities.tif", strict=True)[0]
    item = pystac.Item.from_file(folder / f"{PEEL}.json")
    assert item.datetime.date().isoformat() == "2021-08-21"
    assert item.bbox[0] < -135.67 < item.bbox[2]
    assert len(gpd.read_parquet(folder / "prediction_segments.parquet")) == row["objects"]


def test_the_peel_chip_is_refused_for_the_model_that_needs_trends(peel, tmp_path):
    done = darts_run("--scene", peel, "--bands", BANDS, "--models", MODELS / "full.pt", "--out", tmp_path / "out")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "darts: error: model 'full' needs tc_brightness, tc_greenness, tc_wetness (add --tcvis PATH)"
    )
    assert not (tmp_path / "out").exists()


def test_the_evaluation_prints_what_others_measured(peel, tmp_path):
    """The figures beside ours are known: NDVI < 0.2 reaches 0.43, the experts 0.56 to 0.87."""
    script = ROOT / "scripts" / "real_scene" / "evaluate.py"
    command = [sys.executable, script, "--data", peel.parents[1], "--out", tmp_path]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "IoU with the majority of 12 experts (3633 px): 0." in done.stdout
    assert "NDVI < 0.2: 0.43" in done.stdout
    assert "the single experts: 0.557 to 0.869" in done.stdout


@pytest.fixture
def cross_validation(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "real_scene"))
    return importlib.import_module("cross_validate")


def test_each_half_is_tested_once_and_never_learnt_from(peel, cross_validation):
    majority = cross_validation.read_chip(peel.parents[1]).majority
    tested = np.zeros(majority.shape, int)
    for fold in cross_validation.folds(majority):
        uses = np.zeros(majority.shape, int)
        for window in (fold.test, fold.training, fold.validation):
            uses[window] += 1
            assert majority[window].any()
        assert uses.max() == 1
        tested[fold.test] += 1
    assert (tested == 2).all()


def test_a_fold_that_would_learn_from_its_test_is_refused(peel, cross_validation, tmp_path):
    chip = cross_validation.read_chip(peel.parents[1])
    fold = cross_validation.folds(chip.majority)[0]
    cross_validation.prepare(chip, fold, tmp_path / "apart")
    rows, columns = fold.test
    nearer = dataclasses.replace(fold, test=(rows, slice(columns.start, columns.stop + 1)))
    with pytest.raises(TrainingDataError, match="no overlap between the sides"):
        cross_validation.prepare(chip, nearer, tmp_path / "together")


@pytest.fixture(scope="module")
def fairbanks():
    return data_dir() / "dem" / "fairbanks_dem_ellipsoid.tif"


@pytest.fixture(scope="module")
def scene_at_fairbanks(fairbanks):
    """A synthetic PlanetScope scene in the middle of a real elevation model in another CRS."""
    with rasterio.open(fairbanks) as raster:
        left, bottom, right, top = raster.bounds
    centre = ((left + right) / 2, (bottom + top) / 2)
    return synthetic_scene(7, shape=(220, 240), crs="EPSG:32606", center_lonlat_deg=centre)


@needs_gdalwarp
def test_a_real_dem_is_aligned_as_gdalwarp_does(fairbanks, scene_at_fairbanks, tmp_path):
    paths = write_scene(scene_at_fairbanks, tmp_path / "scene")
    config = RunConfig(scene=(paths.scene,), models=(MODELS,), dem=fairbanks, tcvis=paths.tcvis, out=tmp_path / "out")
    report = run_local(config)
    assert report.exit_code == 0, report.rows
    features = ("dem", "relative_elevation", "slope")
    tile = load_and_preprocess(paths.scene, dem=fairbanks, features=features)
    grid = geobox_of(tile)
    scale = kernel_scale(geobox_of(load_auxiliary(grid, dem=fairbanks).dem), grid)
    box = grid.boundingbox
    command = ["gdalwarp", "-q", "-et", "0", "-r", "cubic", "-wo", f"XSCALE={scale}", "-wo", f"YSCALE={scale}"]
    command += ["-t_srs", str(grid.crs), "-te", *(repr(value) for value in (box.left, box.bottom, box.right, box.top))]
    command += ["-ts", str(grid.shape[1]), str(grid.shape[0]), fairbanks, tmp_path / "warped.tif"]
    subprocess.run([str(part) for part in command], check=True)
    with rasterio.open(tmp_path / "warped.tif") as warped:
        np.testing.assert_allclose(tile.dem.values, warped.read(1), atol=1e-3)
    for name in features:
        assert np.isfinite(tile[name].values).all()


def test_neighbours_on_a_real_dem_share_no_seam(fairbanks, scene_at_fairbanks):
    grid = geobox_of(scene_at_fairbanks.tile)
    whole = align(load_auxiliary(grid, dem=fairbanks).dem, grid=grid).dem.values
    halves = [grid[:, :100], grid[:, 100:]]
    parts = [align(load_auxiliary(half, dem=fairbanks).dem, grid=half).dem.values for half in halves]
    np.testing.assert_array_max_ulp(np.concatenate(parts, axis=1), whole, maxulp=2)
