"""How elevation and trends were made: from the patches into the model, and compared where a model meets other patches."""

import dataclasses

import numpy as np
import pytest

from darts_segmentation.training import evaluate, resume, train
from darts_segmentation.training.plan import make_plan
from darts_segmentation.training.testing import small_model, small_training
from darts_segmentation.training.traits import check_traits, known_traits, tile_traits
from darts_train_utils.patch_store import PatchStore, write_scene
from darts_utils.errors import CheckpointError, DartsWarning, TrainingDataError
from darts_utils.inference import read_checkpoint, write_checkpoint
from darts_utils.inference.agreement import Surroundings, trained_surroundings
from darts_utils.testing import example_tile

CONFIG = small_training(epochs=1)
INPUTS = ("relative_elevation", "tc_wetness")
WIDE = {"relative_elevation_radius_m": 300.0, "relative_elevation_inner_radius_m": 20.0, "tcvis_rule": "upstream"}
USUAL = {"relative_elevation_radius_m": 100.0, "relative_elevation_inner_radius_m": 0.0, "tcvis_rule": "past_only"}
SCALINGS = {name: {"offset": 0.0, "scale": 0.01, "clip": True} for name in INPUTS}


@pytest.fixture(scope="module")
def store(data, tmp_path_factory):
    """Makes stores of the same patches with an elevation and a trend, which say how these were made."""

    def made(traits):
        source, folder = PatchStore(data), tmp_path_factory.mktemp("store")
        for number, (scene, region) in enumerate((("a", "east"), ("b", "north"), ("c", "west"))):
            rows = range(4 * number, 4 * number + 4)
            values, labels = zip(*(source.read(row) for row in rows), strict=True)
            write_scene(
                folder,
                scene=scene,
                region=region,
                crs="EPSG:3413",
                bounds=source.patches.bounds[list(rows)],
                variables={
                    "relative_elevation": np.stack([each["slope"] for each in values]),
                    "tc_wetness": (np.stack([each["red"] for each in values]) // 30).astype("uint8"),
                },
                labels=np.stack(labels),
                traits=traits,
            )
        return folder

    return made


@pytest.fixture(scope="module")
def wide(store):
    return store(WIDE)


def a_model(said):
    return small_model(INPUTS, network={"classes": 1}, normalization=SCALINGS, **said)


def plan_from(folder, said):
    return make_plan(PatchStore(folder), config=dataclasses.replace(CONFIG, network={}), start=a_model(said))


def test_a_model_says_how_its_elevation_and_trends_were_made(wide, tmp_path):
    done = train(wide, tmp_path / "run", config=CONFIG)
    config = read_checkpoint(done.model).config
    assert {key: config[key] for key in WIDE} == WIDE
    assert trained_surroundings(config) == Surroundings(300.0, 20.0)
    card = done.card.read_text()
    assert "`relative_elevation` is relative to the mean within 300 m and beyond 20 m." in card
    assert "The releases of the trends were chosen by the rule `upstream`." in card
    done.model.unlink()
    again = read_checkpoint(resume(tmp_path / "run").model).config
    assert {key: again[key] for key in WIDE} == WIDE


@pytest.mark.parametrize(
    ("inputs", "keys"),
    [(("relative_elevation",), {*WIDE} - {"tcvis_rule"}), (("tc_wetness",), {"tcvis_rule"}), ((), {*WIDE})],
)
def test_it_says_nothing_about_what_it_does_not_use(wide, inputs, keys):
    plan = make_plan(PatchStore(wide), config=dataclasses.replace(CONFIG, inputs=inputs))
    assert {*plan.traits} == keys


def test_fine_tuning_keeps_what_only_the_start_says(store):
    silent = store({})
    with pytest.warns(DartsWarning) as caught:
        plan = plan_from(silent, WIDE)
    assert plan.traits == WIDE
    elevation, trends = (str(warning.message) for warning in caught)
    assert elevation.startswith(
        "relative_elevation of the start checkpoint is relative to the mean within 300 m and beyond 20 m, and what that of "
        "the data is relative to is not said"
    )
    assert trends.startswith(
        "trends of the start checkpoint were chosen by the rule upstream, and how those of the data were chosen is not said"
    )
    assert plan_from(silent, USUAL).traits == USUAL
    assert plan_from(silent, {}).traits == {}


def test_fine_tuning_takes_what_the_data_say(store, wide):
    with pytest.warns(DartsWarning, match="of the data .* the start checkpoint .* is not said"):
        assert plan_from(wide, {}).traits == WIDE
    assert plan_from(wide, WIDE).traits == WIDE
    with pytest.warns(
        DartsWarning, match="by the rule upstream, those that the start checkpoint was trained with by past_only"
    ):
        assert plan_from(wide, {**WIDE, "tcvis_rule": "past_only"}).traits == WIDE
    with pytest.raises(
        TrainingDataError,
        match="elevation relative to the mean within 100 m, as the start checkpoint was trained with, but that of the data is "
        "relative to the mean within 300 m and beyond 20 m: prepare them with --tpi-outer-radius-m 100 --tpi-inner-radius-m 0",
    ):
        plan_from(wide, USUAL)


def test_a_model_is_not_scored_on_another_elevation(wide, tmp_path):
    model = write_checkpoint(tmp_path / "usual.pt", a_model(USUAL))
    with pytest.raises(TrainingDataError, match="as the model was trained with, but that of the data is relative to"):
        evaluate(model, wide, part="all", device="cpu")
    model = write_checkpoint(tmp_path / "wide.pt", a_model(WIDE))
    assert evaluate(model, wide, part="all", device="cpu").overall.patches == 12
    model = write_checkpoint(tmp_path / "odd.pt", a_model({"relative_elevation_radius_m": -1}))
    with pytest.raises(
        CheckpointError, match=r"odd.pt' cannot be used: expected relative_elevation_radius_m to be metres"
    ):
        evaluate(model, wide, part="all", device="cpu")


def test_tiles_say_what_concerns_the_variables_that_are_kept():
    tile = example_tile([*INPUTS, "red"], shape=(2, 2)).assign_attrs(tcvis_rule="upstream")
    tile.relative_elevation.attrs.update(outer_radius_m=300, inner_radius_m=20)
    assert tile_traits(tile, INPUTS) == WIDE
    assert tile_traits(tile, ["red"]) == {}
    del tile.attrs["tcvis_rule"], tile.relative_elevation.attrs["outer_radius_m"]
    assert "tcvis_rule" not in tile_traits(tile, INPUTS)


def test_models_without_these_inputs_are_not_compared():
    check_traits(WIDE, config={**USUAL, "input_combination": ["red"]}, consumer="the model")
    assert known_traits({"tcvis_rule": None}, inputs=INPUTS) == {}
