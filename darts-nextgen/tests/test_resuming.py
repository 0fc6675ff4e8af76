"""What is to be done for a tile, and from which files it is made."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as copy_raster

from darts_export.fingerprints import changes_of
from darts_nextgen import RunConfig
from darts_nextgen.pipeline import inputs as inputs_module
from darts_nextgen.pipeline.inputs import input_fingerprints, input_paths, model_hashes
from darts_nextgen.pipeline.preparation import preprocess_tile
from darts_nextgen.pipeline.resuming import deciding_options, judge_task, recorded_options
from darts_nextgen.pipeline.stages import load_task
from darts_nextgen.pipeline.tasks import SceneTask
from darts_utils.errors import CheckpointError, SceneError
from darts_utils.files import TEMPORARY_PREFIX


@pytest.fixture
def raster(tmp_path):
    """Write a raster."""

    def write(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 4, "height": 4, "crs": "EPSG:32601"}
        with rasterio.open(path, "w", transform=rasterio.Affine(10, 0, 0, 0, -10, 0), **profile) as opened:
            opened.write(np.ones((1, 4, 4), "uint8"))
        return path

    return write


def config_of(tmp_path, **options):
    return RunConfig(**{"scene": tmp_path / "scene", "models": "m.pt", "out": tmp_path / "out", **options})


def test_a_scene_folder_has_all_its_files_but_no_results(tmp_path, raster):
    image = raster("scene/inner/a_SR.tif")
    (tmp_path / "scene" / "a_metadata.json").write_text("{}")
    (tmp_path / "scene" / f"{TEMPORARY_PREFIX}0-1-b.tif").touch()
    raster("scene/results/x/probabilities.tif")
    config = config_of(tmp_path, out=tmp_path / "scene" / "results")
    found = input_paths(SceneTask(tmp_path / "scene", "scene"), config=config, features=())
    assert found == {
        "scene": {"a_metadata.json": tmp_path / "scene" / "a_metadata.json", "inner/a_SR.tif": image},
    }


def test_folders_that_are_links_are_looked_into(tmp_path, raster):
    """A scene is often put together of links; one that leads back must not lead on for ever."""
    band = raster("store/IMG_DATA/B02.tif")
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene" / "GRANULE").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "back").symlink_to(tmp_path / "scene")
    (tmp_path / "store" / "again").symlink_to(tmp_path / "store")
    raster("elsewhere/x/probabilities.tif")
    (tmp_path / "scene" / "results").symlink_to(tmp_path / "elsewhere")
    config = config_of(tmp_path, out=tmp_path / "elsewhere")
    found = input_paths(SceneTask(tmp_path / "scene", "scene"), config=config, features=())
    assert found == {"scene": {"GRANULE/IMG_DATA/B02.tif": tmp_path / "scene" / "GRANULE" / "IMG_DATA" / "B02.tif"}}
    before = input_fingerprints(found)["scene"]
    band.write_bytes(band.read_bytes()[:-1])
    assert changes_of(before, found["scene"]) != []


def test_rasters_have_what_gdal_reads_with_them(tmp_path, raster):
    image, dem = raster("scene.tif"), raster("mosaic/dem.tif")
    (tmp_path / "scene.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    copy_raster(dem, tmp_path / "mosaic" / "dem.vrt", driver="VRT")
    config = config_of(tmp_path, dem=tmp_path / "mosaic" / "dem.vrt", tcvis=raster("tcvis.tif"))
    found = input_paths(SceneTask(image, "scene"), config=config, features=("slope",))
    assert set(found) == {"scene", "dem"}  # no feature needs the trends
    assert set(found["scene"]) == {"scene.tif", "scene.tif.aux.xml"}
    assert set(found["dem"]) == {"dem.vrt", "dem.tif"}
    found = input_paths(SceneTask(image, "scene"), config=config, features=("tc_wetness",))
    assert set(found) == {"scene", "tcvis"}


def test_what_is_no_raster_is_itself_and_what_is_nothing_is_nothing(tmp_path):
    (tmp_path / "broken.tif").write_text("no raster")
    config = config_of(tmp_path)
    found = input_paths(SceneTask(tmp_path / "broken.tif", "broken"), config=config, features=())
    assert found == {"scene": {"broken.tif": tmp_path / "broken.tif"}}
    assert input_paths(SceneTask(tmp_path / "gone", "gone"), config=config, features=()) == {"scene": {}}


def test_large_auxiliary_files_are_not_read(tmp_path, raster, monkeypatch):
    monkeypatch.setattr(inputs_module, "LARGEST_HASHED_AUXILIARY", 10)
    found = input_fingerprints({"scene": {"a": raster("a.tif")}, "dem": {"b": raster("b.tif")}})
    assert found["scene"][0].sha256 is not None
    assert found["dem"][0].sha256 is None


def test_the_tiles_of_a_mosaic_are_not_read(tmp_path, raster):
    for number in range(17):
        raster(f"mosaic/{number // 5}/{number}_dem.tif")
    config = config_of(tmp_path, dem=tmp_path / "mosaic")
    found = input_paths(SceneTask(tmp_path / "scene", "scene"), config=config, features=("slope",))
    assert len(found["dem"]) == 17
    assert found["dem"]["0/3_dem.tif"] == tmp_path / "mosaic" / "0" / "3_dem.tif"
    assert {file.sha256 for file in input_fingerprints(found)["dem"]} == {None}
    (tmp_path / "mosaic" / "0" / "3_dem.tif").unlink()
    found = input_paths(SceneTask(tmp_path / "scene", "scene"), config=config, features=("slope",))
    assert None not in {file.sha256 for file in input_fingerprints(found)["dem"]}


def test_a_file_that_cannot_be_read_fails_the_tile(planet, tmp_path):
    scene = Path(shutil.copytree(planet.scene, tmp_path / planet.scene.name))
    (scene / "notes.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(
        SceneError, match="cannot read '.*notes.txt' .*, which belongs to what the tile is made from: check"
    ):
        load_task(SceneTask(scene, "a"), config=config_of(tmp_path), features=())


def test_models_are_known_by_all_their_files(tmp_path):
    names = ("a.pt", "b.safetensors", "run/config.yml", "run/checkpoints/01.pt", "run/checkpoints/02.pt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "b.json").write_text("{}")
    config = config_of(tmp_path, models=(tmp_path / "b.safetensors", tmp_path / "a.pt", tmp_path / "run"))
    before = model_hashes(config)
    assert list(before) == ["b", "a", "run"]
    for changed, model in (("b.json", "b"), ("a.pt", "a"), ("run/config.yml", "run"), ("run/checkpoints/02.pt", "run")):
        (tmp_path / changed).write_text("something else")
        after = model_hashes(config)
        assert {name for name in before if before[name] != after[name]} == {model}
        before = after
    (tmp_path / "a.pt").unlink()
    with pytest.raises(CheckpointError):
        model_hashes(config)


def test_a_model_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a.pt").touch()
    monkeypatch.setattr(inputs_module, "fingerprint", refuse)
    with pytest.raises(CheckpointError, match="expected model 'a' at '.*a.pt', but it cannot be read .*: check path"):
        model_hashes(config_of(tmp_path, models=tmp_path / "a.pt"))


def test_what_decides_the_content(tmp_path):
    config = config_of(tmp_path, sensor="planetscope", dem=tmp_path / "dem.tif", device="cpu")
    deciding, recorded = deciding_options(config), recorded_options(config)
    assert deciding["sensor"] == "planetscope"
    assert "sensor" not in recorded
    for options in (deciding, recorded):
        assert not {"scene", "scenes", "models", "out", "dem", "tcvis", "device"} & set(options)
        assert "batch_size" not in options["inference"]
        assert "products" not in options.get("export", {})
        assert options["postprocessing"]["threshold"] == 0.5
        json.dumps(options)


@pytest.mark.parametrize(("rule", "release"), [(None, "2020"), ("upstream", "2022")])
def test_the_rule_chooses_among_the_releases_of_a_folder(planet, tmp_path, rule, release):
    """The scene is of 2021."""
    for year in (2019, 2020, 2022):
        (tmp_path / "trends").mkdir(exist_ok=True)
        shutil.copy(planet.tcvis, tmp_path / "trends" / f"tcvis_{year}.tif")
    config = config_of(tmp_path, tcvis=tmp_path / "trends", tcvis_rule=rule)
    tile = load_task(SceneTask(planet.scene, "a"), config=config, features=("tc_wetness",))
    assert preprocess_tile(tile, config=config, features=("tc_wetness",)).attrs["tcvis_release"] == release
    assert deciding_options(config).get("tcvis_rule") == rule


def test_the_decision_writes_nothing(tmp_path, raster):
    task = SceneTask(raster("scene.tif"), "scene")
    config = config_of(tmp_path)
    verdict = judge_task(task, config=config, features=(), models={"m": "0"})
    assert verdict.reasons == ("new",)
    assert judge_task(task, config=config, features=(), models={"m": "0"}, force=True).reasons == ("forced", "new")
    assert not config.out.exists()
    assert dataclasses.replace(config) == config
