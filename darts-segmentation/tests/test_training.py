"""A training from patches to a model, and what it starts from."""

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
from darts_segmentation.training.monitoring import check_monitor, logged_scores
from darts_segmentation.training.plan import decode_split, make_plan
from darts_segmentation.training.run_folder import read_run
from darts_segmentation.training.testing import SMALL_NETWORK, small_training
from darts_train_utils.config import DataConfig, MonitorConfig, SplitConfig
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.splits import Split
from darts_train_utils.testing import write_example_store
from darts_utils.errors import ConfigError, DartsWarning, OutputError, TrainingDataError, TrainingError
from darts_utils.inference import Checkpoint, Scaling, read_checkpoint, write_checkpoint
from darts_utils.inference.torch_files import read_torch
from darts_utils.testing import example_tile

CONFIG = small_training(epochs=4, deterministic=True)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    return train(data, out, config=CONFIG)


def weights_of(path):
    return dict(read_checkpoint(path).statedict)


def assert_same_weights(one, other):
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


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
    head, *epochs = (folder / "epochs.csv").read_text().splitlines()
    assert len(epochs) == 4
    assert sorted(head.split(",")) == sorted(["epoch", *logged_scores(CONFIG)])


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
    known = decode_split(read_checkpoint(undisturbed.model).config["training"]["split"])
    taught = np.concatenate([known.training, known.validation])
    split = Split(taught, taught[:0], known.test, taught[:0])
    tuned = train(data, tmp_path / "tuned", config=config, start=undisturbed.model, split=split)
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
    folder = tuned.model.parent
    assert [path.name for path in folder.iterdir() if path.suffix in {".pt", ".safetensors"}] == ["model.pt"]
    tuned.model.unlink()
    assert_same_weights(weights_of(resume(folder).model), dict(end.statedict))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ("slope", "red")}, "inputs of the start checkpoint, red, slope, in this order, but"),
        (
            {"normalization": {"red": Scaling(0.0, 1.0)}},
            "normalization of the start checkpoint, but .* another one of red",
        ),
        ({"network": {**SMALL_NETWORK, "arch": "FPN"}}, "cannot be used"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(undisturbed, data, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_plan(
            PatchStore(data), config=dataclasses.replace(CONFIG, **changes), start=read_checkpoint(undisturbed.model)
        )


def test_a_start_of_another_framework_is_refused(undisturbed, data, tmp_path):
    known = read_checkpoint(undisturbed.model)
    other = Checkpoint({**known.config, "model_framework": "yolo"}, known.statedict)
    with pytest.raises(ConfigError, match="start checkpoint of the framework 'smp', but got 'yolo'"):
        make_plan(PatchStore(data), config=CONFIG, start=other)


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
    with pytest.raises(
        ConfigError, match="monitor to be one of train/bce, .*, val/iou, .*, but got 'val/dice': correct"
    ):
        train(data, tmp_path / "run", config=config)
    assert not (tmp_path / "run" / "run.json").exists()
    unwatched = dataclasses.replace(config, split=SplitConfig("region", 0.0, 0.3))
    assert not make_plan(PatchStore(data), config=unwatched).has_validation


@pytest.mark.parametrize("monitor", ["val/loss", "train/bce"])
def test_the_highest_loss_is_never_the_best(monitor):
    check_monitor(dataclasses.replace(CONFIG, monitor=MonitorConfig(monitor, mode="min")))
    with pytest.raises(
        ConfigError, match=f"mode to be min where monitor is '{monitor}', since the lowest loss is the best"
    ):
        check_monitor(dataclasses.replace(CONFIG, monitor=MonitorConfig(monitor)))


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
    for change, message in (
        ({"format": 9}, "format 2, but got 9"),
        ({"starts_from_model": True}, "checkpoints/start.pt' is gone"),
    ):
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
            "model": {**known.config["model"], "encoder_weights": "imagenet"},
            "input_combination": ["red", "slope"],
            "patch_size": 32,
            "norm_factors": {"red": 1 / 3000, "slope": 1 / 90},
        },
        "statedict": dict(known.statedict),
    }
    torch.save(older, tmp_path / "older.pt")
    plan = make_plan(
        PatchStore(data), config=dataclasses.replace(CONFIG, network={}), start=read_checkpoint(tmp_path / "older.pt")
    )
    assert plan.normalization.scalings["slope"].scale == pytest.approx(1 / 90)
    assert plan.network["arch"] == "Unet"
    assert "encoder_weights" not in plan.network  # of the training before
    assert build_network(plan.network) is not None
    assert write_checkpoint(tmp_path / "again.pt", read_checkpoint(tmp_path / "older.pt")).is_file()
