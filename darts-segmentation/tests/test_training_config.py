import dataclasses
import importlib
import sys
import tomllib

import pytest
import tomli_w

import darts_segmentation
import darts_segmentation.training as training
from darts_segmentation.training import TrainingConfig, read_training_config
from darts_segmentation.training.config import parse_training_config
from darts_segmentation.training.module import learning_rate_share
from darts_train_utils.config import DataConfig
from darts_utils.config_tables import plain_table
from darts_utils.errors import ConfigError
from darts_utils.inference import Scaling


def test_a_config_goes_to_toml_and_back(tmp_path):
    config = TrainingConfig(
        network={"arch": "FPN", "encoder_name": "resnet18", "decoder_channels": [8, 4]},
        inputs=("red", "slope"),
        normalization={"slope": Scaling(0.0, 1 / 90)},
        gradient_clip=2.0,
        data=DataConfig(positive_share=0.5),
    )
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(plain_table(config)))
    assert read_training_config(path) == config
    assert parse_training_config(tomllib.loads(tomli_w.dumps(plain_table(TrainingConfig())))) == TrainingConfig()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"epoch": 1}, "unknown key 'epoch' in the configuration: did you mean 'epochs'"),
        ({"loss": {"dise": 1.0}}, r"unknown key 'dise' in \[loss\]: did you mean 'dice'"),
        ({"normalization": {"red": {"offset": 0.0}}}, r"\[normalization.red\] must have scale"),
        ({"normalization": {"red": 3}}, "normalization.red must be a table, but got 3"),
        ({"normalization": 3}, "normalization must be a table"),
        ({"inputs": 3}, "inputs must be text, but got 3"),
        ({"inputs": [1]}, r"inputs\[0\] must be text, but got 1"),
        ({"deterministic": 1}, "deterministic must be true or false, but got 1"),
        ({"schedule": "linear"}, "schedule must be one of 'one-cycle', 'cosine', 'constant', but got 'linear'"),
        ({"inputs": ["red", "red"]}, "expected inputs to name each variable once"),
        (
            {"inputs": ["red"], "normalization": {"nir": {"offset": 0, "scale": 1}}},
            "normalization of inputs only, .* nir",
        ),
        ({"name": "a/b"}, "expected name to be a file name without a folder"),
        ({"epochs": 0}, "expected epochs to be at least 1, but got 0"),
        ({"learning_rate": 0.0}, "expected learning_rate to be above 0"),
        ({"patch_px": 0}, "expected patch_px to be above 0"),
        ({"weight_decay": -1.0}, "expected weight_decay to be at least 0"),
        ({"warmup_share": 1.0}, "expected warmup_share to be at least 0, below 1"),
    ],
)
def test_what_makes_no_sense_is_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_training_config(table)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ConfigError, match="expected a TOML file at '.*no.toml', but it cannot be read"):
        read_training_config(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("epochs = ")
    with pytest.raises(ConfigError, match="expected '.*bad.toml' to be TOML"):
        read_training_config(tmp_path / "bad.toml")


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_the_learning_rate_rises_to_its_peak_and_falls(schedule):
    config = TrainingConfig(schedule=schedule, warmup_share=0.25)
    rates = [learning_rate_share(step, steps=100, config=config) for step in range(101)]
    assert max(rates) == rates[25] == 1.0
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert rates[0] < 1e-3 > rates[-1] > 0
    assert learning_rate_share(7, steps=9, config=dataclasses.replace(config, schedule="constant")) == 1.0


def test_every_public_name_is_there():
    for name in training.__all__:
        assert getattr(training, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'teach'"):
        training.teach  # noqa: B018


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(
        darts_segmentation, "training", training
    )  # an import puts the module there; it is taken back after the test
    for name in [each for each in sys.modules if each.startswith("darts_segmentation.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "darts_train_utils", None)
    monkeypatch.setitem(sys.modules, "darts_train_utils.config", None)
    fresh = importlib.import_module("darts_segmentation.training")
    with pytest.raises(ModuleNotFoundError, match=r'not installed: run `pip install "darts-segmentation\[train\]"`'):
        fresh.TrainingConfig  # noqa: B018
