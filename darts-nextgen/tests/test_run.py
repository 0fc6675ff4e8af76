"""``darts run`` and `run_local` from files to files."""

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from rio_cogeo import cog_validate

from darts_ensemble import Ensemble
from darts_export import ExportConfig
from darts_nextgen import RunConfig, read_config, read_report, run_local
from darts_nextgen.demo.overlap import measure_overlap
from darts_nextgen.pipeline import local
from darts_postprocessing import PostprocessingConfig, postprocess
from darts_preprocessing import load_and_preprocess
from darts_utils.grids import geobox_of

FILES = {
    "probabilities.tif",
    "binarized.tif",
    "prediction_segments.gpkg",
    "prediction_segments.parquet",
    "prediction_extent.gpkg",
    "prediction_extent.parquet",
    "thumbnail.jpg",
    *(f"{name}.qml" for name in ("probabilities", "binarized", "prediction_segments", "prediction_extent")),
}


@pytest.fixture(scope="module")
def results(planet, models, tmp_path_factory):
    """What the real ``darts run`` makes of the PlanetScope scene, in a process of its own."""
    out = tmp_path_factory.mktemp("results")
    command = [Path(sys.executable).with_name("darts"), "run", "--scene", planet.scene, "--models", models]
    command += ["--dem", planet.dem, "--tcvis", planet.tcvis, "--out", out]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"1 of 1 scenes mapped, thaw slumps: {read_report(out / 'results.parquet').objects}" in done.stdout
    assert "1/1" in done.stderr
    return out


@pytest.fixture(scope="module")
def folder(results, planet):
    return results / planet.scene.name


def test_a_run_leaves_its_products_and_nothing_else(results, folder, planet):
    assert {path.name for path in folder.iterdir()} == {*FILES, f"{planet.scene.name}.json", "manifest.json"}
    assert {path.name for path in results.iterdir()} == {folder.name, "results.parquet", "run.toml"}


def test_the_segments_overlap_the_known_slumps(folder, planet):
    overlap = measure_overlap(
        gpd.read_file(folder / "prediction_segments.gpkg"),
        gpd.read_file(planet.truth),
        extent=gpd.read_file(folder / "prediction_extent.gpkg"),
    )
    assert overlap.known > 0
    assert overlap.iou > 0.7


def test_the_results_are_those_of_the_single_steps(folder, planet, models):
    ensemble = Ensemble.load(models)
    tile = load_and_preprocess(planet.scene, dem=planet.dem, tcvis=planet.tcvis)
    tile = postprocess(ensemble.inference(tile))
    for product, variable in (("probabilities", "probabilities_percent"), ("binarized", "binarized_segmentation")):
        with rasterio.open(folder / f"{product}.tif") as raster:
            np.testing.assert_array_equal(raster.read(1), tile[variable].values)
            assert raster.transform.almost_equals(geobox_of(tile).affine)


def test_the_rasters_are_cloud_optimised(folder):
    for name in ("probabilities.tif", "binarized.tif"):
        valid, errors, _ = cog_validate(folder / name, strict=True)
        assert valid, errors


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed (Debian: gdal-bin)")
def test_gdal_opens_the_rasters(folder):
    for name, nodata in (("probabilities.tif", 255), ("binarized.tif", None)):
        text = subprocess.run(["gdalinfo", "-json", folder / name], capture_output=True, text=True, check=True).stdout
        (band,) = json.loads(text)["bands"]
        assert json.loads(text)["size"] == [220, 200]
        assert band["type"] == "Byte"
        assert nodata is None or band["noDataValue"] == nodata


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="ogrinfo is not installed (Debian: gdal-bin)")
def test_gdal_opens_the_polygons(folder, results):
    path = folder / "prediction_segments.gpkg"
    text = subprocess.run(["ogrinfo", "-so", "-al", path], capture_output=True, text=True, check=True).stdout
    assert f"Feature Count: {read_report(results / 'results.parquet').objects}" in text
    for column in ("segment_id", "tile_id", "date", "sensor", "area_m2", "perimeter_m", "npixel", "probability_mean"):
        assert f"\n{column}: " in text
    extent = subprocess.run(
        ["ogrinfo", "-so", "-al", folder / "prediction_extent.gpkg"], capture_output=True, text=True, check=True
    ).stdout
    assert "Feature Count: 1\n" in extent


def test_the_results_table_names_everything(results, folder, planet):
    (row,) = pq.read_table(results / "results.parquet").to_pylist()
    assert row["tile_id"] == planet.scene.name
    assert row["scene"] == str(planet.scene)
    assert (row["status"], row["error"], row["failed_stage"]) == ("done", None, None)
    assert row["objects"] == len(gpd.read_parquet(folder / "prediction_segments.parquet")) > 0
    seconds = {name: value for name, value in row.items() if name.endswith("_seconds")}
    assert set(seconds) == {f"{name}_seconds" for name in ("load", "preprocess", "inference", "postprocess", "export")}
    assert all(value > 0 for value in seconds.values())
    assert all(Path(path).is_file() for _, path in row["products"])


def test_the_effective_configuration_runs_again_to_the_same_result(results, folder, planet, tmp_path, darts):
    assert read_config(results / "run.toml").scene == (planet.scene,)
    code, out, _ = darts("run", "--config", results / "run.toml", "--out", tmp_path)
    assert code == 0
    assert "1 of 1 scenes mapped" in out
    for name in ("probabilities.tif", "binarized.tif"):
        with rasterio.open(folder / name) as first, rasterio.open(tmp_path / folder.name / name) as second:
            np.testing.assert_array_equal(first.read(), second.read())


def test_a_run_replaces_the_results_of_an_earlier_one(planet, models, tmp_path):
    config = RunConfig(scene=planet.scene, models=models / "optical.pt", out=tmp_path)
    first = run_local(config)
    before = {name: Path(path).read_bytes() for name, path in first.rows[0].products.items()}
    stricter = dataclasses.replace(config, postprocessing=PostprocessingConfig(min_object_px=3000))
    again = run_local(stricter)
    assert again.rows[0].objects < first.rows[0].objects
    after = {name: Path(path).read_bytes() for name, path in again.rows[0].products.items()}
    assert all(after[name] != before[name] for name in ("binarized", "prediction_segments", "thumbnail", "stac"))
    assert read_config(tmp_path / "run.toml") == stricter
    assert not list(tmp_path.rglob(".darts-incomplete*"))


def test_the_files_record_the_options_that_decide_their_content(planet, models, tmp_path):
    (image,) = planet.scene.glob("*_SR.tif")
    config = RunConfig(
        scene=image, bands={"blue": 1, "green": 2, "red": 3, "nir": 4}, models=models / "optical.pt", out=tmp_path,
        export=ExportConfig(products=("probabilities",)),
    )  # fmt: skip
    recorded = []
    for changes in ({}, {"bands": {"blue": 2, "green": 1, "red": 3, "nir": 4}}, {"reflectance_scale": 2e-4}):
        report = run_local(dataclasses.replace(config, **changes))
        with rasterio.open(report.rows[0].products["probabilities"]) as raster:
            recorded.append(json.loads(raster.tags()["config"]))
    assert recorded[0] != recorded[1] != recorded[2]
    assert recorded[1]["bands"]["blue"] == 2
    assert recorded[2]["reflectance_scale"] == 2e-4
    assert not {"out", "scene", "device"} & set(recorded[0])


def test_a_sentinel2_scene_is_mapped_with_its_offset(sentinel, models, tmp_path, darts):
    options = ["--scene", sentinel.scene, "--models", models, "--dem", sentinel.dem, "--tcvis", sentinel.tcvis]
    code, _, err = darts("run", *options, "--out", tmp_path)
    assert code == 1
    assert "does not say which count is reflectance 0" in err
    code, out, _ = darts("run", *options, "--out", tmp_path, "--sentinel2-offset-dn", 0)
    assert code == 0
    assert "1 of 1 scenes mapped" in out
    overlap = measure_overlap(
        gpd.read_file(tmp_path / sentinel.scene.name / "prediction_segments.gpkg"),
        gpd.read_file(sentinel.truth),
        extent=gpd.read_file(tmp_path / sentinel.scene.name / "prediction_extent.gpkg"),
    )
    assert overlap.iou > 0.7


def test_members_and_their_disagreement_are_written_on_request(planet, models, tmp_path, darts):
    code, _, err = darts(
        "run", "--scene", planet.scene, "--models", models, "--dem", planet.dem, "--tcvis", planet.tcvis,
        "--out", tmp_path, "--keep-members", "--products", "probabilities,prediction_segments,probabilities_std,stac",
    )  # fmt: skip
    assert code == 0, err
    names = {path.name for path in (tmp_path / planet.scene.name).iterdir()}
    for model in ("full", "optical"):
        assert {f"probabilities-{model}.tif", f"prediction_segments-{model}.gpkg"} <= names
    assert "probabilities_std.tif" in names


def test_one_broken_scene_does_not_stop_the_others(planet, sentinel, models, tmp_path, darts):
    broken = tmp_path / "20210821_000000_00_dead"
    shutil.copytree(planet.scene, broken)
    (image,) = broken.glob("*_SR.tif")
    image.write_bytes(image.read_bytes()[:5000])
    scenes = tmp_path / "scenes.txt"
    scenes.write_text(f"# a broken one first\n{broken}\n{planet.scene}\n{tmp_path / 'gone'}\n")
    out = tmp_path / "out"
    code, text, err = darts("run", "--scenes", scenes, "--models", models / "optical.pt", "--out", out)
    assert code == 1
    assert "1 of 3 scenes mapped" in text
    assert f"failed: {broken} (load): SceneError: cannot read '{image}'" in err
    rows = {row.tile_id: row for row in read_report(out / "results.parquet").rows}
    assert rows[planet.scene.name].status == "done"
    assert rows[broken.name].failed_stage == "load"
    assert image.name in rows[broken.name].error
    assert "there is nothing" in rows["gone"].error
    assert {path.name for path in out.iterdir()} == {planet.scene.name, "results.parquet", "run.toml", "errors"}


def test_an_interrupted_run_leaves_a_valid_table(planet, models, tmp_path, monkeypatch):
    others = [tmp_path / "20210821_000000_00_0001", tmp_path / "20210821_000000_00_0002"]
    for other in others:
        shutil.copytree(planet.scene, other)
    taken = []

    def interrupted(task, steps, *, handling):
        if taken:
            raise KeyboardInterrupt
        taken.append(task)
        return local_run_task(task, steps, handling=handling)

    local_run_task = local.run_task
    monkeypatch.setattr(local, "run_task", interrupted)
    config = RunConfig(scene=(planet.scene, *others), models=(models / "optical.pt",), out=tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        run_local(config)
    report = read_report(tmp_path / "out" / "results.parquet")
    assert [row.status for row in report.rows] == ["done", "pending", "pending"]
    assert report.exit_code == 1


def test_where_there_are_no_locks_a_run_warns(models, tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr("fcntl.flock", no_locks)
    (tmp_path / "scenes.txt").write_text("gone\n")
    options = {"scenes": str(tmp_path / "scenes.txt"), "models": models / "optical.pt", "out": tmp_path / "out"}
    assert run_local(RunConfig(**options)).exit_code == 1
    assert f"the file system of '{tmp_path / 'out'}' knows no locks on folders" in caplog.text


def test_a_dry_run_checks_and_prints_and_writes_nothing(planet, models, tmp_path, darts):
    options = ["--scene", planet.scene, "--models", models / "optical.pt", "--out", tmp_path / "out"]
    code, out, _ = darts("run", *options, "--dry-run", "--threshold", 0.4)
    assert code == 0
    assert "threshold = 0.4" in out
    assert not (tmp_path / "out").exists()
