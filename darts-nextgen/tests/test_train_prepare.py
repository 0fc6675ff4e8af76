"""Scenes and labels to patches, by the command."""

import os
import shutil
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from darts_nextgen.pipeline import inputs
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.plan import plan_run
from darts_nextgen.pipeline.training_scenes import TrainingScenesConfig, parse_training_scenes, prepare_scenes
from darts_preprocessing import PreprocessingConfig
from darts_segmentation.training import train
from darts_segmentation.training.preparation_config import PreparationConfig
from darts_segmentation.training.testing import small_training
from darts_train_utils.config import SplitConfig
from darts_train_utils.patch_store import PatchStore, has_scene
from darts_utils.errors import ConfigError, TrainingDataError
from darts_utils.tile_io import read_tile

SIZE = ("--patch-px", "64", "--overlap-px", "16")
CONFIG = small_training(epochs=1, split=SplitConfig("random", 0.0, 0.0), device="cpu")


@pytest.fixture(scope="module")
def labels(planet, tmp_path_factory):
    """The slumps of the scene, in another CRS than its own."""
    path = tmp_path_factory.mktemp("labels") / "slumps.gpkg"
    table = gpd.read_file(planet.truth).to_crs("EPSG:4326")
    table.assign(area="north").to_file(path)
    return path


def test_scenes_become_patches_and_go_on_where_they_were(planet, planet_scene, labels, tmp_path, darts):
    arguments = ("train", "prepare", "--scene", planet.scene, "--labels", labels, "--out", tmp_path / "patches", *SIZE)
    more = ("--dem", planet.dem, "--tcvis", planet.tcvis, "--region-column", "area")
    code, out, err = darts(*arguments, *more)
    assert code == 0, err
    assert out.startswith("1 of 1 scenes in ")
    store = PatchStore(tmp_path / "patches")
    assert set(store.variables) == {
        *("blue", "green", "red", "nir", "ndvi", "relative_elevation", "slope"),
        *("tc_brightness", "tc_greenness", "tc_wetness"),
    }
    assert {*store.table["region"].to_pylist()} == {"north"}
    tile = read_tile(tmp_path / "patches" / "tiles" / f"{planet.scene.name}.nc")
    quality, truth = tile.quality_data_mask.values, planet_scene.truth.slump_mask.values
    for row, facts in enumerate(store.table.to_pylist()):
        window = np.s_[facts["row_px"] : facts["row_px"] + 64, facts["column_px"] : facts["column_px"] + 64]
        values, burned = store.read(row)
        np.testing.assert_array_equal(values["red"], tile.red.values[window])
        np.testing.assert_array_equal(burned == 2, ~quality[window])
        differ = (burned == 1) != truth[window]
        assert differ[quality[window]].mean() < 0.03  # outlines that went through another CRS
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert darts(*arguments, *more)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == files
    darts(*arguments, *more, "--tpi-outer-radius-m", "60")
    assert PatchStore(tmp_path / "patches").traits["relative_elevation_radius_m"] == 60


def test_a_scene_that_fails_is_told_and_the_others_go_on(planet, labels, tmp_path, darts):
    broken = tmp_path / "20200101_000000_00_9999"
    shutil.copytree(planet.scene, broken)
    next(broken.glob("*_SR*.tif")).write_bytes(b"nothing")
    (tmp_path / "prepare.toml").write_text(
        f'labels = "{labels}"\nscene = ["{broken.name}", "{planet.scene}"]\nout = "patches"\n[patches]\npatch_px = 64\n'
    )
    code, out, err = darts("train", "prepare", "--config", tmp_path / "prepare.toml", "--overlap-px", "16")
    assert code == 1
    assert f"failed: {broken.name}: " in err
    assert out.startswith("1 of 2 scenes in ")
    assert {*PatchStore(tmp_path / "patches").table["scene"].to_pylist()} == {planet.scene.name}


def test_a_copy_of_a_scene_is_the_same_scene(planet, labels, tmp_path, monkeypatch):
    patches = PreparationConfig(patch_px=64, overlap_px=16)
    scene, dem = tmp_path / "one" / planet.scene.name, tmp_path / "one" / "dem.tif"
    shutil.copytree(planet.scene, scene)
    shutil.copy(planet.dem, dem)
    config = TrainingScenesConfig(labels=labels, out=tmp_path / "out", scene=(scene,), dem=dem, patches=patches)

    def made_again(config):
        tile = config.out / "tiles" / f"{planet.scene.name}.nc"
        before = tile.stat().st_mtime_ns if tile.exists() else None
        assert prepare_scenes(config).exit_code == 0
        return tile.stat().st_mtime_ns != before

    assert made_again(config)
    os.utime(next(scene.glob("*_SR*.tif")), ns=(1, 1))
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copyfile)  # times are not kept
    copied = replace(config, scene=(tmp_path / "two" / planet.scene.name,), dem=tmp_path / "two" / "dem.tif")
    assert [made_again(each) for each in (config, copied)] == [False, False]
    (copied.scene[0] / "note.txt").touch()
    assert made_again(copied)
    monkeypatch.setattr(inputs, "LARGEST_HASHED_AUXILIARY", 1)
    assert [made_again(copied), made_again(copied)] == [True, False]  # size and time say more than nothing
    copied.dem.chmod(0o600)
    assert not made_again(copied)
    os.utime(copied.dem, ns=(1, 1))
    assert made_again(copied)


@pytest.fixture
def with_a_broken_one(planet, labels, tmp_path):
    """Two scenes, of which the second is broken, and labels of which some are outside, and some drawn on the broken one."""
    broken = tmp_path / "20200101_000000_00_9999"
    broken.mkdir()
    (broken / "a_SR.tif").touch()
    table = gpd.read_file(labels).assign(scene=planet.scene.name)
    table.loc[0, "scene"] = broken.name
    away = table.iloc[[1]].assign(geometry=table.geometry.iloc[[1]].translate(yoff=-10), scene=broken.name)
    path = tmp_path / "labels.gpkg"
    gpd.GeoDataFrame(pd.concat([table, away]), crs=table.crs).to_file(path)
    return TrainingScenesConfig(
        labels=path,
        out=tmp_path / "out",
        scene=(planet.scene, broken),
        patches=PreparationConfig(patch_px=64, overlap_px=16, scene_column="scene"),
    )


def test_polygons_of_a_scene_that_fails_are_not_refused(planet, with_a_broken_one, caplog):
    report = prepare_scenes(with_a_broken_one)
    assert (report.exit_code, [*report.failed]) == (1, [with_a_broken_one.scene[1].name])
    assert (report.patches.outside, report.patches.mismatched) == (1, 1)
    assert "1 polygons are outside the other scenes, 1 are of other images" in caplog.text
    assert {*PatchStore(with_a_broken_one.out).table["scene"].to_pylist()} == {planet.scene.name}
    alone = replace(with_a_broken_one, scene=(planet.scene,))
    lenient = replace(alone.patches, outside="ignore", mismatched="ignore")
    again = prepare_scenes(replace(alone, patches=lenient)).patches
    assert [row.status for row in again.scenes] == ["current"]  # leniency does not decide which patches there are
    with pytest.raises(TrainingDataError, match="1 of .* polygons are outside all of them"):
        prepare_scenes(alone)


@pytest.mark.parametrize("unlabelled", ["skip", "background"])
def test_a_scene_that_fails_with_all_polygons_is_told(planet, with_a_broken_one, unlabelled):
    table = gpd.read_file(with_a_broken_one.labels)
    table.assign(geometry=table.geometry.translate(yoff=-10)).to_file(with_a_broken_one.labels)
    patches = replace(with_a_broken_one.patches, unlabelled=unlabelled)
    report = prepare_scenes(replace(with_a_broken_one, patches=patches))
    assert (report.exit_code, [*report.failed]) == (1, [with_a_broken_one.scene[1].name])
    assert report.patches.outside == report.patches.labels == len(table)
    status = {"skip": "skipped", "background": "done"}[unlabelled]
    assert [(row.scene, row.status) for row in report.patches.scenes] == [(planet.scene.name, status)]


def test_nothing_left_is_no_success(planet, labels, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a_SR.tif").touch()
    report = prepare_scenes(TrainingScenesConfig(labels=labels, out=tmp_path / "out", scene=(broken,)))
    assert (report.patches, report.exit_code, list(report.failed)) == (None, 1, ["broken"])


def test_a_scene_that_fails_is_forgotten(planet, labels, tmp_path, darts):
    scene, out = tmp_path / planet.scene.name, tmp_path / "patches"
    shutil.copytree(planet.scene, scene)
    prepare = ("train", "prepare", "--labels", labels, "--out", out, *SIZE)
    assert darts(*prepare, "--scene", scene)[0] == 0
    assert has_scene(out, scene.name)
    next(scene.glob("*_SR*.tif")).write_bytes(b"nothing")
    code, _, err = darts(*prepare, "--scene", scene)
    assert code == 1, err
    assert not has_scene(out, scene.name)


@pytest.mark.filterwarnings("always::darts_utils.errors.DartsWarning")
def test_scenes_from_before_that_are_not_named_are_warned_of(planet, labels, tmp_path, darts):
    out, other = tmp_path / "patches", tmp_path / "20200101_000000_00_9999"
    prepare = ("train", "prepare", "--labels", labels, "--out", out, *SIZE)
    assert "not named" not in darts(*prepare, "--scene", planet.scene)[2]
    shutil.copytree(planet.scene, other)
    warning = f"also holds scenes that were not named this time ({planet.scene.name}; 1 in all)"
    code, _, err = darts(*prepare, "--scene", other)
    assert (code, warning in err) == (0, True)
    next(other.glob("*_SR*.tif")).write_bytes(b"nothing")
    code, _, err = darts(*prepare, "--scene", other)  # none is left to cut
    assert (code, warning in err) == (1, True)


@pytest.fixture(scope="module")
def trends(planet, tmp_path_factory):
    """The trends of the scene, in two releases."""
    folder = tmp_path_factory.mktemp("trends")
    for year in (2019, 2022):
        shutil.copy(planet.tcvis, folder / f"tcvis_{year}.tif")
    return folder


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--tcvis", "RASTER"), None),
        (("--tcvis", "RASTER", "--tcvis-rule", "upstream"), "upstream"),
        (("--tcvis", "FOLDER"), "past_only"),
        (("--tcvis", "FOLDER", "--tcvis-release", "2022"), None),
        (("--tcvis", "FOLDER", "--features", "ndvi"), None),
    ],
)
def test_the_rule_of_the_trends_is_a_trait_where_it_chose(planet, labels, trends, tmp_path, darts, options, expected):
    named = {"RASTER": planet.tcvis, "FOLDER": trends}
    arguments = ("--scene", planet.scene, "--labels", labels, "--out", tmp_path, *SIZE)
    code, _, err = darts("train", "prepare", *arguments, *(named.get(each, each) for each in options))
    assert code == 0, err
    assert PatchStore(tmp_path).traits.get("tcvis_rule") == expected


def test_a_run_makes_elevation_and_trends_as_the_training_had_them(planet, labels, trends, tmp_path, darts):
    inputs = {"dem": planet.dem, "tcvis": trends}
    options = (word for name, path in inputs.items() for word in (f"--{name}", path))
    code, _, err = darts(
        *("train", "prepare", "--scene", planet.scene, "--labels", labels, "--out", tmp_path / "patches", *SIZE),
        *(*options, "--tpi-outer-radius-m", 60, "--tcvis-rule", "upstream"),
    )
    assert code == 0, err
    start = train(tmp_path / "patches", tmp_path / "one", config=CONFIG).model
    train(tmp_path / "patches", tmp_path / "two", config=replace(CONFIG, name="fine"), start=start)
    run = RunConfig(models=tmp_path / "two", scene=(planet.scene,), out=tmp_path / "out", **inputs)
    with pytest.raises(
        ConfigError, match="'fine' was trained with an elevation relative to the mean within 60 m, but the"
    ):
        plan_run(run)
    plan = plan_run(replace(run, preprocessing=PreprocessingConfig(tpi_outer_radius_m=60)))
    assert list(plan.ensemble.members) == ["fine"]  # and not the model that it began with
    assert plan.config.tcvis_rule == "upstream"


def test_regions_come_from_a_file(planet, labels, tmp_path):
    regions = tmp_path / "regions.toml"
    regions.write_text(f'"{planet.scene.name}" = "Banks Island"\n')
    patches = PreparationConfig(patch_px=64, overlap_px=16)
    options = dict(labels=labels, out=tmp_path / "out", scene=(planet.scene,), patches=patches)
    report = prepare_scenes(TrainingScenesConfig(**options, regions=regions))
    assert [row.region for row in report.patches.scenes] == ["Banks Island"]
    regions.write_text("Banks Island")
    with pytest.raises(ConfigError, match=r"cannot read regions .*regions.toml"):
        prepare_scenes(TrainingScenesConfig(**options, regions=regions))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"scene": "s", "labels": "l"}, "must have out"),
        ({"labels": "l", "out": "o"}, "expected scenes"),
        ({"scene": "s", "labels": "l", "out": "o", "models": "m"}, "unknown key 'models'"),
        ({"scene": "s", "labels": "l", "out": "o", "patches": {"outside": "burn"}}, "patches.outside must be one of"),
        ({"scene": "s", "labels": "l", "out": "o", "patches": {"patch_px": 0}}, "patch_px to be at least 1"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_training_scenes(table)


def test_labels_that_are_not_there_are_wrong_usage(planet, tmp_path, darts):
    code, _, err = darts(
        "train", "prepare", "--scene", planet.scene, "--labels", tmp_path / "gone", "--out", tmp_path / "o"
    )
    assert code == 2
    assert "expected a file or folder at" in err
    assert not (tmp_path / "o").exists()
    assert "--bands: expected bands like" in darts("train", "prepare", "--bands", "blue:1")[2]


def test_streams_of_scenes_are_refused(planet, labels, tmp_path, darts):
    os.mkfifo(tmp_path / "pipe")
    for stream in ("-", tmp_path / "pipe"):
        arguments = ("--scene", planet.scene, "--scenes", stream, "--labels", labels, "--out", tmp_path / "out")
        code, _, err = darts("train", "prepare", *arguments)
        assert (code, f"but got the stream '{stream}': write its paths into a .txt file" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_every_option_of_the_command_is_a_key(darts):
    import dataclasses
    import inspect

    from darts_nextgen.commands.train_prepare import train_prepare
    from darts_preprocessing import PreprocessingConfig

    keys = {
        field.name
        for kind in (TrainingScenesConfig, PreprocessingConfig, PreparationConfig)
        for field in dataclasses.fields(kind)
    }
    assert set(inspect.signature(train_prepare).parameters) - {"context", "config"} <= keys - {
        "preprocessing",
        "patches",
    }
    assert {field.name for field in dataclasses.fields(PreparationConfig)} <= set(
        inspect.signature(train_prepare).parameters
    )
