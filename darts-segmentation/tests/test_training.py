"""A training from patches to a model, and what is refused before it starts."""

import dataclasses
import json
import os
import signal
import time

import numpy as np
import pytest
import torch

from darts_segmentation import Segmenter, build_network
from darts_segmentation.training import TrainingConfig, resume, train
from darts_segmentation.training.plan import make_plan
from darts_segmentation.training.run_folder import read_run
from darts_train_utils.config import AugmentationConfig, DataConfig, MonitorConfig, SplitConfig
from darts_train_utils.patch_store import PatchStore, write_scene
from darts_train_utils.splits import Split
from darts_train_utils.testing import write_example_store
from darts_utils.errors import ConfigError, DartsWarning, OutputError, TrainingDataError, TrainingError
from darts_utils.inference import Checkpoint, Scaling, read_checkpoint, write_checkpoint
from darts_utils.inference.torch_files import read_torch
from darts_utils.testing import example_tile

NETWORK = {"arch": "Unet", "encoder_name": "tu-test_resnet", "decoder_channels": [8, 8, 8, 8, 8]}
CONFIG = TrainingConfig(
    network=NETWORK,
    epochs=4,
    learning_rate=5e-3,
    deterministic=True,
    data=DataConfig(batch_size=4),
    monitor=MonitorConfig(picture_every_epochs=0),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_example_store(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    return train(data, out, config=CONFIG)


def weights_of(path):
    return dict(read_checkpoint(path).statedict)


def assert_same_weights(one, other):
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def plan_for(data, **changes):
    split = changes.pop("split", None)
    start = changes.pop("start", None)
    return make_plan(PatchStore(data), config=dataclasses.replace(CONFIG, **changes), start=start, split=split)


def test_a_training_leaves_a_model_that_infers(undisturbed):
    model = Segmenter.load(undisturbed.model, device="cpu")
    assert model.required_variables == ("red", "slope", "valid_data_mask")
    config = model.config
    assert config["class_names"] == ["background", "thaw slump"]
    assert config["patch_size"] == 32
    assert set(config["input_quantiles"]["values"]) == {"red", "slope"}
    assert len(config["training"]["data"]["fingerprint"]) == 64
    assert config["training"]["packages"]["torch"] == torch.__version__.partition("+")[0] or torch.__version__
    assert set(undisturbed.scores) == {"validation", "test"}
    assert undisturbed.scores["test"].overall.patches == 4
    assert sorted(config["training"]["data"]["regions"]) == ["east", "north", "west"]
    folder = undisturbed.model.parent
    names = {path.name for path in folder.iterdir()}
    assert {"run.json", "config.toml", "epochs.csv", "tensorboard", "model.pt", "model.md", "scores.json"} <= names
    assert len((folder / "epochs.csv").read_text().splitlines()) == 5


def test_the_card_tells_data_scores_calibration_and_limits(undisturbed):
    card = undisturbed.card.read_text()
    for words in (
        "# Model model",
        "| `red` |",
        "12 patches of 3 scenes, split by region",
        "## Scores on test patches",
        "| **all** | 4 | 4 |",
        "## Calibration",
        "nowhere else",
        "Only 4 objects among the test patches",
    ):
        assert words in card


def test_inputs_far_from_the_training_are_warned_of(undisturbed):
    model = Segmenter.load(undisturbed.model, device="cpu")
    tile = example_tile(["red", "slope", "valid_data_mask"], shape=(40, 40))
    usual = tile.assign(red=tile.red.copy(data=np.full((40, 40), 2000, "uint16")), slope=tile.slope * 0 + 10)
    model.inference(usual)
    with pytest.warns(DartsWarning, match=r"model 'model' was trained on: red \(100% .* median 20000\); see whether"):
        model.inference(usual.assign(red=usual.red.copy(data=np.full((40, 40), 20_000, "uint16"))))


def test_a_complete_training_is_not_done_again(undisturbed, data):
    before = undisturbed.model.stat().st_mtime_ns
    again = resume(undisturbed.model.parent)
    assert again.scores == undisturbed.scores or str(again.scores) == str(undisturbed.scores)
    assert undisturbed.model.stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="holds one: resume it, or choose another folder"):
        train(data, undisturbed.model.parent, config=CONFIG)


def train_in_child(data, out):
    """Start or go on in a process of its own; it needs no new imports."""
    process = os.fork()
    if process == 0:
        try:
            if (out / "run.json").exists():
                resume(out)
            else:
                train(data, out, config=CONFIG)
        finally:
            os._exit(0)
    return process


def kill_at_random(data, out, rng, seconds):
    process = train_in_child(data, out)
    table = out / "epochs.csv"
    before = table.stat().st_mtime_ns if table.exists() else 0
    while not (table.exists() and table.stat().st_mtime_ns > before) and os.waitpid(process, os.WNOHANG)[0] == 0:
        time.sleep(0.002)
    time.sleep(rng.random() * seconds)
    try:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


@pytest.mark.parametrize(
    "times", [pytest.param(2, id="twice"), pytest.param(20, id="20-times", marks=pytest.mark.slow)]
)
def test_a_training_that_was_killed_ends_with_the_same_weights(undisturbed, data, tmp_path, times):
    rng = np.random.default_rng(times)
    for attempt in range(times if times < 3 else times // 2):
        out = tmp_path / f"run-{attempt}"
        for _ in range(1 if times < 3 else 2):
            kill_at_random(data, out, rng, seconds=1.0)
        found = resume(out)
        assert_same_weights(weights_of(found.model), weights_of(undisturbed.model))
        tables = [(folder / "epochs.csv").read_text() for folder in (out, undisturbed.model.parent)]
        assert tables[0] == tables[1]
        assert str(found.scores) == str(undisturbed.scores)
        assert not list(out.rglob(".darts-incomplete-*"))


def test_a_training_that_had_stopped_early_stops_again(data, tmp_path):
    config = dataclasses.replace(
        CONFIG,
        epochs=9,
        learning_rate=1e-9,
        schedule="constant",
        monitor=MonitorConfig("val/precision", patience_epochs=1, picture_every_epochs=1, pictures=1),
    )
    first = train(data, tmp_path / "run", config=config)
    rows = (tmp_path / "run" / "epochs.csv").read_text().splitlines()
    assert len(rows) < 10
    first.model.unlink()
    assert_same_weights(weights_of(resume(tmp_path / "run").model), weights_of(first.model))
    assert (tmp_path / "run" / "epochs.csv").read_text().splitlines() == rows
    assert (tmp_path / "run" / "pictures" / "epoch-0000.png").is_file()


def test_fine_tuning_takes_what_the_start_is(undisturbed, data, tmp_path):
    config = TrainingConfig(
        epochs=1, learning_rate=1e-9, split=SplitConfig("random", 0.0, 0.25), data=CONFIG.data, schedule="constant"
    )
    tuned = train(data, tmp_path / "tuned", config=config, start=undisturbed.model)
    start, end = read_checkpoint(undisturbed.model), read_checkpoint(tuned.model)
    for key in ("model", "input_combination", "normalization"):
        assert end.config[key] == start.config[key]
    weight = "segmentation_head.0.weight"
    assert torch.allclose(end.statedict[weight], start.statedict[weight], atol=1e-6)
    assert (set(tuned.scores), tuned.temperature) == ({"test"}, None)
    card = tuned.card.read_text()
    assert "fine-tuned from model" in card
    assert "Probabilities are not calibrated" in card
    assert "Test patches lie near training patches" in card


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ("slope", "red")}, "inputs of the start checkpoint, red, slope, in this order, but"),
        (
            {"normalization": {"red": Scaling(0.0, 1.0)}},
            "normalization of the start checkpoint, but .* another one of red",
        ),
        ({"network": {**NETWORK, "arch": "FPN"}}, "cannot be used"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(undisturbed, data, changes, message):
    with pytest.raises(ConfigError, match=message):
        plan_for(data, start=read_checkpoint(undisturbed.model), **changes)


def test_a_start_of_another_framework_is_refused(undisturbed, data, tmp_path):
    known = read_checkpoint(undisturbed.model)
    other = Checkpoint({**known.config, "model_framework": "yolo"}, known.statedict)
    with pytest.raises(ConfigError, match="start checkpoint of the framework 'smp', but got 'yolo'"):
        plan_for(data, start=other)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"inputs": ("red", "ndvi")}, TrainingDataError, "expected patches with ndvi, but the data have red, slope"),
        ({"network": {"arch": "Unet", "encoder_name": "resnet9000"}}, ConfigError, "encoder_name"),
        ({"network": {**NETWORK, "in_channels": 7}}, ConfigError, r"in_channels to be 2, .* has 7"),
        ({"patch_px": 50}, ConfigError, "edge of patch_px to be divisible by 32 px"),
        ({"augmentation": AugmentationConfig(crop_px=20)}, ConfigError, "edge of crop_px to be divisible"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(data, changes, error, message):
    with pytest.raises(error, match=message):
        plan_for(data, **changes)


def write_labels(folder, labels, **variables):
    shape = labels.shape
    left = 1000.0 * np.arange(len(labels))
    bounds = np.stack([left, left * 0, left + 900, left * 0 + 900], axis=1)
    values = {"red": np.random.default_rng(0).integers(0, 9, shape, "uint16"), **variables}
    write_scene(folder, scene="s", region="r", crs="EPSG:3413", bounds=bounds, variables=values, labels=labels)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "all known pixels are background"),
        (1, "all known pixels are of the class"),
        (2, r"no pixel has a label other than 2 \(ignored\)"),
    ],
)
def test_labels_that_teach_nothing_are_refused(tmp_path, value, message):
    write_labels(tmp_path, np.full((6, 32, 32), value, "uint8"))
    with pytest.raises(TrainingDataError, match=f"both classes among the .* training patches, but {message}"):
        plan_for(tmp_path, split=Split(*(np.array(rows) for rows in ([0, 1, 2], [3, 4], [5], []))))


def test_inputs_that_say_nothing_are_refused(tmp_path, data):
    labels = np.indices((4, 32, 32)).sum(axis=0).astype("uint8") % 2
    nothing = np.full(labels.shape, np.nan, "float32")
    write_labels(tmp_path, labels, slope=nothing, dem=np.zeros(labels.shape, "float32"))
    split = SplitConfig("random", 0.25, 0.25)
    with pytest.raises(TrainingDataError, match="expected values of slope where labels are known"):
        make_plan(PatchStore(tmp_path), config=dataclasses.replace(CONFIG, inputs=("red", "slope"), split=split))
    with pytest.raises(TrainingDataError, match="expected values of 'dem' to differ, but they are 0 nearly everywhere"):
        make_plan(PatchStore(tmp_path), config=dataclasses.replace(CONFIG, inputs=("dem",), split=split))


def test_patches_that_are_not_square_or_a_split_without_training_are_refused(tmp_path, data):
    write_labels(tmp_path, np.zeros((4, 32, 64), "uint8"))
    with pytest.raises(TrainingDataError, match="expected square patches, but got 32 × 64 px"):
        plan_for(tmp_path)
    empty = np.array([], "int64")
    with pytest.raises(TrainingDataError, match="expected training patches, but the split has none"):
        plan_for(data, split=Split(empty, np.array([0]), np.array([1]), empty))


@pytest.mark.parametrize(
    ("batch_size", "message"),
    [
        (2, r"expected a finite loss, but got .* in batch 1 of epoch 0 \(scene-\d#\d, scene-\d#\d\)"),
        (4, r"expected numbers from the network, but it says NaN of validation batch 0 in epoch 0 \(scene-\d#0, .*\)"),
    ],
)
def test_a_nan_stops_and_names_the_patches(data, tmp_path, batch_size, message):
    config = dataclasses.replace(
        CONFIG, learning_rate=1e30, gradient_clip=None, schedule="constant", data=DataConfig(batch_size=batch_size)
    )
    with pytest.raises(TrainingError, match=message):
        train(data, tmp_path / "run", config=config)
    assert not (tmp_path / "run" / "model.pt").exists()


def test_a_score_that_nobody_logs_cannot_be_watched(data, tmp_path):
    config = dataclasses.replace(CONFIG, monitor=MonitorConfig("val/dice"))
    with pytest.raises((ConfigError, RuntimeError), match="val/dice"):
        train(data, tmp_path / "run", config=config)


def test_resume_of_something_else_is_refused(undisturbed, data, tmp_path):
    with pytest.raises(TrainingError, match=r"expected a training in '.*', but there is no run.json"):
        resume(tmp_path)
    other = tmp_path / "other"
    write_example_store(other, seed=1)
    with pytest.raises(
        TrainingDataError, match="data that the training in '.*' began with, but those in '.*other' are"
    ):
        resume(undisturbed.model.parent, data=other)
    record = json.loads((undisturbed.model.parent / "run.json").read_text())
    for change, message in (({"format": 9}, "format 1, but got 9"), ({"starts_from_model": True}, "start.pt' is gone")):
        (tmp_path / "run.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(TrainingError, match=message):
            read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TrainingError, match="record of a training, but it is damaged"):
        read_run(tmp_path)


def test_states_hold_nothing_that_could_run(undisturbed):
    state = read_torch(undisturbed.model.parent / "checkpoints" / "last.ckpt")  # refuses anything but plain data
    assert state["epoch"] == 3 or state["epoch"] == 4
    assert state["optimizer_states"][0]["state"]


def test_half_precision_and_summed_gradients_train(data, tmp_path):
    config = dataclasses.replace(CONFIG, precision="bf16-mixed", accumulate_batches=2, epochs=1)
    assert train(data, tmp_path / "run", config=config).model.is_file()
    with pytest.raises(ConfigError, match="expected a CUDA device for precision 16-mixed"):
        train(data, tmp_path / "other", config=dataclasses.replace(config, precision="16-mixed", device="cpu"))


@pytest.mark.slow
def test_two_processes_train_together(data, tmp_path):
    config = dataclasses.replace(CONFIG, devices=2, device="cpu", epochs=2)
    result = train(data, tmp_path / "run", config=config)
    assert Segmenter.load(result.model, device="cpu").required_variables
    assert len((tmp_path / "run" / "epochs.csv").read_text().splitlines()) == 3


def test_a_start_in_another_shape_is_converted(data, tmp_path, undisturbed):
    known = read_checkpoint(undisturbed.model)
    older = {
        "config": {
            "model": known.config["model"],
            "input_combination": ["red", "slope"],
            "patch_size": 32,
            "norm_factors": {"red": 1 / 3000, "slope": 1 / 90},
        },
        "statedict": dict(known.statedict),
    }
    torch.save(older, tmp_path / "older.pt")
    plan = plan_for(data, start=read_checkpoint(tmp_path / "older.pt"), network={})
    assert plan.normalization.scalings["slope"].scale == pytest.approx(1 / 90)
    assert plan.network["arch"] == "Unet"
    assert build_network(plan.network) is not None
    assert write_checkpoint(tmp_path / "again.pt", read_checkpoint(tmp_path / "older.pt")).is_file()
