"""What models and products need is compared with what the run has, before any work."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from darts_export.config import ExportConfig
from darts_nextgen import RunConfig
from darts_nextgen.pipeline.plan import plan_run
from darts_nextgen.pipeline.requirements import required_features, trends_rule
from darts_postprocessing import PostprocessingConfig
from darts_preprocessing.config import PreprocessingConfig
from darts_utils.errors import CheckpointError, ConfigError, DartsWarning, DeviceError
from darts_utils.inference import Checkpoint, read_checkpoint, write_checkpoint
from darts_utils.inference.config import InferenceConfig

OPTICAL = ("blue", "green", "red", "nir", "ndvi", "valid_data_mask")
PRODUCTS = ExportConfig().products


def features_of(models, *, products=PRODUCTS, **options):
    config = RunConfig(
        scene=(Path("a"),), models=(Path("m.pt"),), out=Path("out"), export=ExportConfig(products=products), **options
    )
    return required_features(config, models=models)


def test_only_what_is_needed_is_made():
    assert features_of({"optical": OPTICAL}) == ("ndvi",)
    assert features_of({"optical": OPTICAL}, dem=Path("d.tif"), tcvis=Path("t.tif")) == ("ndvi",)
    assert features_of({"m": ("red", "slope")}, dem=Path("d.tif")) == ("slope",)
    both = {"a": ("ndvi", "tc_wetness"), "b": ("slope",)}
    assert features_of(both, dem=Path("d.tif"), tcvis=Path("t.tif")) == ("ndvi", "slope", "tc_wetness")


def test_spectral_indices_are_made_where_a_model_or_a_product_names_them():
    assert features_of({"m": ("red", "gndvi", "ndvi"), "n": ("bai",)}) == ("ndvi", "bai", "gndvi")
    assert features_of({"m": ("red",)}, products=("evi", "stac")) == ("evi",)


def test_products_count_too():
    assert features_of({"m": ("red",)}, products=("ndvi", "stac")) == ("ndvi",)
    assert "slope" in features_of({"m": ("red",)}, products=("slope",), dem=Path("d.tif"))


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            {"m": ("slope", "red")},
            r"model 'm' needs slope \(add --dem PATH\); add it, or choose a model that needs less",
        ),
        ({"m": ("tc_wetness",)}, r"model 'm' needs tc_wetness \(add --tcvis PATH\)"),
        ({"fine": OPTICAL, "m": ("swir1",)}, r"model 'm' needs swir1 \(no step of the run makes it\)"),
    ],
)
def test_models_that_need_more_are_refused(models, message):
    with pytest.raises(ConfigError, match=message):
        features_of(models)


@pytest.mark.parametrize(
    ("products", "message"),
    [
        (("thumbnial",), "unknown product 'thumbnial' in export.products: did you mean 'thumbnail'?"),
        (("zzzzzz",), "unknown product 'zzzzzz' in export.products: expected one of probabilities"),
        (("dem",), r"product 'dem' needs .*\(add --dem PATH\); add it, or leave the product out"),
        (("tcvis",), r"\(add --tcvis PATH\)"),
        (("probabilities-optical",), r"\(add --keep-members\)"),
    ],
)
def test_products_that_cannot_be_made_are_refused(products, message):
    with pytest.raises(ConfigError, match=message):
        features_of({"optical": OPTICAL}, products=products)


def test_products_of_members_need_the_members():
    kept = PostprocessingConfig(keep_members=True)
    assert features_of({"optical": OPTICAL}, products=("probabilities-optical",), postprocessing=kept) == ("ndvi",)


def test_filters_bring_their_features():
    filters = PostprocessingConfig(drop_water=True, min_slope_deg=1.0)
    dem = Path("d.tif")
    assert features_of({"m": ("red",)}, products=("stac",), postprocessing=filters, dem=dem) == ("ndvi", "slope")
    with pytest.raises(ConfigError, match=r"a filter of \[postprocessing\] needs slope \(add --dem PATH\); .*switch"):
        features_of({"m": ("red",)}, products=("stac",), postprocessing=filters)


def test_products_of_further_thresholds_need_the_thresholds():
    further = PostprocessingConfig(further_thresholds=(0.3,))
    assert features_of({"m": ("red",)}, products=("binarized_above-30",), postprocessing=further) == ()
    with pytest.raises(ConfigError, match=r"binarized_above-40 \(no step of the run makes it\)"):
        features_of({"m": ("red",)}, products=("binarized_above-40",), postprocessing=further)


def test_a_plan_holds_everything(planet, models):
    config = RunConfig(scene=(planet.scene,), models=(models,), dem=planet.dem, tcvis=planet.tcvis, out=Path("out"))
    plan = plan_run(config)
    assert [task.tile_id for task in plan.tasks] == [planet.scene.name]
    assert set(plan.ensemble.members) == {"full", "optical"}
    assert set(plan.features) == {"ndvi", "relative_elevation", "slope", "tc_brightness", "tc_greenness", "tc_wetness"}


def test_the_rule_for_the_trends_is_that_of_the_run_or_of_its_models():
    run = RunConfig(scene="a", models="m", out="o")
    assert trends_rule(run, trained_with={}) is None
    assert trends_rule(run, trained_with={"a": "upstream", "b": "upstream"}) == "upstream"
    with pytest.raises(ConfigError, match=r"'a' with upstream, 'b' with past_only\): choose one with --tcvis-rule"):
        trends_rule(run, trained_with={"a": "upstream", "b": "past_only"})
    with pytest.raises(
        ConfigError, match="tcvis_rule of a model to be one of past_only, upstream, but .* 'a' with future"
    ):
        trends_rule(run, trained_with={"a": "future"})
    said = replace(run, tcvis_rule="past_only")
    assert trends_rule(said, trained_with={"a": "past_only"}) == "past_only"
    with pytest.warns(
        DartsWarning, match="chosen by the rule past_only, but models were trained otherwise: 'a' with up"
    ):
        assert trends_rule(said, trained_with={"a": "upstream"}) == "past_only"


def test_a_plan_takes_the_rule_from_models_with_trends_and_folders_of_rasters(planet, models, tmp_path):
    for name in ("full", "optical"):
        checkpoint = read_checkpoint(models / f"{name}.pt")
        config = {**checkpoint.config, "tcvis_rule": "upstream" if name == "full" else "past_only"}
        write_checkpoint(tmp_path / "models" / f"{name}.pt", Checkpoint(config, checkpoint.statedict))
    for role in ("dem", "tcvis"):
        (tmp_path / role).mkdir()
        shutil.copy(getattr(planet, role), tmp_path / role)
    folders = {role: tmp_path / role for role in ("models", "dem", "tcvis")}
    plan = plan_run(RunConfig(scene=planet.scene, **folders, out="out"))
    assert plan.config.tcvis_rule == "upstream"  # the other model has no trends


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"tcvis_rule": "future"},
            ConfigError,
            "expected tcvis_rule to be one of past_only, upstream, but got 'future'",
        ),
        (
            {"dem": Path("/gone.tif")},
            ConfigError,
            r"expected a raster, or a folder of them, at '/gone.tif' \(--dem\), but there is none",
        ),
        (
            {"tcvis": Path("/gone.tif")},
            ConfigError,
            r"expected a raster, or a folder of them, at '/gone.tif' \(--tcvis\)",
        ),
        ({"models": (Path("/gone.pt"),)}, CheckpointError, "/gone.pt"),
        ({"device": "cuda:77"}, DeviceError, "cuda:77"),
        ({"weights": {"other": 1.0}}, ConfigError, "other"),
        ({"inference": InferenceConfig(patch_px=128, overlap_px=128)}, ConfigError, r"\[inference\]: .*overlap"),
    ],
)
def test_plans_that_make_no_sense_are_refused(planet, models, options, error, message):
    base = {"scene": (planet.scene,), "models": (models / "optical.pt",), "out": Path("out")}
    with pytest.raises(error, match=message):
        plan_run(RunConfig(**{**base, **options}))


def test_a_geotiff_needs_its_bands_named(planet, models):
    image = next(planet.scene.glob("*_SR.tif"))
    with pytest.raises(ConfigError, match="is a file, whose bands must be named: add --bands"):
        plan_run(RunConfig(scene=(image,), models=(models / "optical.pt",), out=Path("out")))


def test_a_run_whose_elevation_is_relative_to_other_surroundings_is_refused(planet, models, tmp_path):
    checkpoint = read_checkpoint(models / "full.pt")
    config = {**checkpoint.config, "relative_elevation_radius_m": 300.0}
    path = write_checkpoint(tmp_path / "wide.pt", Checkpoint(config, checkpoint.statedict))
    run = RunConfig(scene=planet.scene, models=path, dem=planet.dem, tcvis=planet.tcvis, out="out")
    with pytest.raises(
        ConfigError,
        match=r"model 'wide' was trained with an elevation relative to the mean within 300 m, but the run makes one relative to "
        r"the mean within 100 m: set --tpi-outer-radius-m 300 --tpi-inner-radius-m 0, or choose another model",
    ):
        plan_run(run)
    assert plan_run(replace(run, preprocessing=PreprocessingConfig(tpi_outer_radius_m=300))).features
