"""Trainings and studies on the command line."""

import dataclasses

import tomli_w

from darts_segmentation.training.testing import small_training
from darts_train_utils.config import SplitConfig
from darts_utils.config_tables import plain_table

CONFIG = small_training(epochs=2)
SPACE = {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "loss": {"dice": {"choices": [0.5, 1.0]}}}


def test_the_commands(data, tmp_path, darts):
    config = tmp_path / "config.toml"
    config.write_text(tomli_w.dumps(plain_table(dataclasses.replace(CONFIG, epochs=1, name="small"))))
    code, out, err = darts("train", "fit", data, "--out", tmp_path / "run", "--config", config)
    assert code == 0, err
    model = tmp_path / "run" / "small.pt"
    assert f"{model}: best of epoch 1" in out
    assert "test: 4 patches, iou 0." in out
    assert darts("train", "resume", tmp_path / "run")[1] == out
    code, out, err = darts(
        "train", "evaluate", model, data, "--device", "cpu", "--out", tmp_path / "scores", "--threshold", 0.4
    )
    assert code == 0, err
    assert "all: 4 patches" in out
    card = darts("train", "card", model)[1]
    assert card.startswith("# Model small")
    assert darts("train", "card", model, "--out", tmp_path / "card.md")[0] == 0
    assert (tmp_path / "card.md").read_text() == card
    code, out, err = darts("model", "inspect", model)
    assert code == 0, err
    assert "Unet, encoder tu-test_resnet" in out
    config.write_text("epoch = 3")
    code, _, err = darts("train", "fit", data, "--out", tmp_path / "no", "--config", config)
    assert code == 2
    assert "config.toml': unknown key 'epoch' in the configuration: did you mean 'epochs'?" in err
    err = darts("train", "fit", data, "--out", tmp_path / "run")[2]
    assert "resume it, or choose another folder" in err


def test_studies_on_the_command_line(data, tmp_path, darts):
    config, space = tmp_path / "config.toml", tmp_path / "space.toml"
    table = plain_table(dataclasses.replace(CONFIG, epochs=1, split=SplitConfig("random", 0.25, 0.25)))
    config.write_text(tomli_w.dumps(table))
    space.write_text(tomli_w.dumps(SPACE))
    code, out, err = darts("train", "cross-validate", data, "--out", tmp_path / "cv", "--folds", 2, "--config", config)
    assert code == 0, err
    assert "fold 1: 6 patches" in out
    assert "mean: iou" in out
    code, out, err = darts(
        "train", "tune", data, "--out", tmp_path / "s", "--space", space, "--trials", 1, "--config", config
    )
    assert code == 0, err
    assert "best of 1 trials" in out
