"""Runs that do without the models that cannot run."""

import json
import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from darts_export import ExportConfig
from darts_export.manifest import read_manifest
from darts_nextgen import RunConfig, read_report, run_local
from darts_nextgen.pipeline.config import parse_config
from darts_nextgen.pipeline.plan import plan_run
from darts_nextgen.pipeline.requirements import required_features, usable_models
from darts_postprocessing import PostprocessingConfig
from darts_utils.errors import ConfigError, DartsWarning

NEEDS = {"full": ("red", "slope", "tc_wetness"), "steep": ("red", "slope"), "optical": ("red", "ndvi")}


def config_of(**options):
    return RunConfig(scene="scene", models="models", out="out", **{"missing": "skip", **options})


def usable(**options):
    return list(usable_models(config_of(**options), models=NEEDS))


def test_models_that_no_tile_has_enough_for_are_left_out_with_a_warning():
    with pytest.warns(DartsWarning) as caught:
        assert usable() == ["optical"]
    assert [str(warning.message) for warning in caught] == [
        "the run does without model 'full', which needs tc_wetness (add --tcvis PATH); slope (add --dem PATH)",
        "the run does without model 'steep', which needs slope (add --dem PATH)",
    ]
    with pytest.warns(DartsWarning, match=r"without model 'full', which needs tc_wetness \(add --tcvis PATH\)$"):
        assert usable(dem="dem.tif") == ["steep", "optical"]
    assert usable(dem="dem.tif", tcvis="tcvis.tif") == list(NEEDS)
    assert usable(missing="raise") == list(NEEDS)  # and the features are refused


def test_features_are_those_of_the_models_that_are_left():
    assert required_features(config_of(), models={"optical": NEEDS["optical"]}) == ("ndvi",)


def test_a_run_in_which_no_model_is_left_is_refused():
    with pytest.raises(
        ConfigError, match=r"no model can run, so none can be left out: model 'full' needs .*\(add --dem PATH\)"
    ):
        usable_models(config_of(), models={"full": NEEDS["full"]})


def test_other_words_are_refused():
    with pytest.raises(ConfigError, match="missing must be one of 'raise', 'skip', but got 'ignore'"):
        parse_config({"scene": "a", "models": "m", "out": "o", "missing": "ignore"})
    with pytest.raises(ConfigError, match="expected missing to be one of raise, skip, but got 'ignore'"):
        config_of(missing="ignore")


def test_a_run_without_trends_fails_unless_the_model_may_be_left_out(planet, models, tmp_path, darts):
    options = ["--scene", planet.scene, "--models", models, "--out", tmp_path / "skip", "--keep-members"]
    code, _, err = darts("run", *options)
    assert code == 2
    assert "model 'full' needs" in err
    warnings.simplefilter("default", DartsWarning)  # as outside of tests
    code, _, err = darts("run", *options, "--missing", "skip")
    assert code == 0, err
    assert "the run does without model 'full', which needs" in " ".join(err.split())
    (row,) = read_report(tmp_path / "skip" / "results.parquet").rows
    assert any("does without model 'full' (needs " in warning for warning in row.warnings)
    names = {path.name for path in (tmp_path / "skip" / planet.scene.name).iterdir()}
    assert "probabilities-optical.tif" in names
    assert not any("-full" in name for name in names)
    manifest = json.loads((tmp_path / "skip" / planet.scene.name / "manifest.json").read_text())
    assert "optical" in json.dumps(manifest)
    assert '"full"' not in json.dumps(manifest)
    alone = run_local(RunConfig(scene=planet.scene, models=models / "optical.pt", out=tmp_path / "alone"))
    assert values_of(tmp_path / "skip" / planet.scene.name) == values_of(Path(alone.rows[0].products["stac"]).parent)
    code, out, err = darts("run", *options, "--missing", "skip")  # what is current stays
    assert code == 0, err
    assert read_report(tmp_path / "skip" / "results.parquet").rows[0].status != "done", out


def values_of(folder):
    with rasterio.open(folder / "probabilities.tif") as raster:
        return raster.read().tobytes()


@pytest.fixture
def trends_elsewhere(planet, tmp_path):
    """The trends of the scene, moved to the other side of the Arctic."""
    with rasterio.open(planet.tcvis) as raster:
        profile, values, names = raster.profile, raster.read(), raster.descriptions
        tags = raster.tags()
    transform = Affine.translation(60.0, 0.0) * profile["transform"]
    with rasterio.open(tmp_path / "elsewhere.tif", "w", **{**profile, "transform": transform}) as raster:
        raster.write(values)
        raster.descriptions = names
        raster.update_tags(**tags)
    return tmp_path / "elsewhere.tif"


def test_trends_that_lie_elsewhere_are_none(planet, models, trends_elsewhere, tmp_path):
    config = {"scene": planet.scene, "models": models, "dem": planet.dem, "tcvis": trends_elsewhere}
    failed = run_local(RunConfig(**config, out=tmp_path / "raise"))
    assert failed.rows[0].failed_stage == "preprocess"
    assert "NoOverlapError" in failed.rows[0].error
    done = run_local(RunConfig(**config, out=tmp_path / "skip", missing="skip"))
    assert done.exit_code == 0, done.rows[0].error
    without, left_out = done.rows[0].warnings[0], done.rows[0].warnings[-1]
    assert "goes on without tcvis: '" in without
    assert "does without model 'full' (needs tc_" in left_out


def test_a_tile_that_does_without_a_model_is_current_with_the_products_of_the_others(
    planet, models, trends_elsewhere, tmp_path
):
    products = ("probabilities", "prediction_segments", "binarized", "binarized-full", "binarized-optical", "stac")
    config = RunConfig(
        scene=planet.scene,
        models=models,
        dem=planet.dem,
        tcvis=trends_elsewhere,
        missing="skip",
        postprocessing=PostprocessingConfig(keep_members=True),
        export=ExportConfig(products=products),
        out=tmp_path,
    )
    first = run_local(config)
    assert first.rows[0].status == "done", first.rows[0].error
    written = read_manifest(tmp_path / planet.scene.name)
    assert written.origin.left_out == ("full",)
    assert "probabilities-optical" in written.products
    assert not any(name.endswith("-full") for name in written.products)
    assert run_local(config).rows[0].status == "current"
    again = run_local(replace(config, tcvis=planet.tcvis))  # now the model can run
    assert again.rows[0].status == "done"
    assert "prediction_segments-full" in read_manifest(tmp_path / planet.scene.name).products


def test_features_that_are_nowhere_known_are_none(planet, models, tmp_path, caplog):
    """The elevation overlaps the surroundings of the tile, and not a single pixel of the tile itself."""
    with rasterio.open(planet.dem) as raster:
        profile, values = raster.profile, raster.read()
    with rasterio.open(tmp_path / "void.tif", "w", **profile) as raster:
        raster.write(np.full_like(values, profile["nodata"]))
    config = RunConfig(
        scene=planet.scene,
        models=models,
        dem=tmp_path / "void.tif",
        tcvis=planet.tcvis,
        out=tmp_path / "out",
        missing="skip",
    )
    with caplog.at_level(logging.WARNING):
        report = run_local(config)
    assert report.exit_code == 0, report.rows[0].error
    assert any("does without model 'full' (needs relative_elevation, slope" in note for note in report.rows[0].warnings)


def test_a_plan_names_the_models_that_take_part(planet, models):
    config = RunConfig(scene=planet.scene, models=models, out="out", missing="skip")
    with pytest.warns(DartsWarning, match="the run does without model 'full'"):
        plan = plan_run(config)
    assert list(plan.model_hashes) == ["optical"]
    assert plan.features == ("ndvi",)
