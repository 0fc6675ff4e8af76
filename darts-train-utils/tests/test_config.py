import dataclasses

import pytest

from darts_train_utils.config import (
    AugmentationConfig,
    DataConfig,
    LossConfig,
    MonitorConfig,
    SplitConfig,
    TrainUtilsConfig,
)
from darts_utils.config_tables import parse_table
from darts_utils.errors import ConfigError


def test_a_table_becomes_a_config_and_back():
    config = TrainUtilsConfig(seed=3, loss=LossConfig(dice=0.5), data=DataConfig(positive_share=0.5))
    assert parse_table(TrainUtilsConfig, dataclasses.asdict(config)) == config
    assert parse_table(TrainUtilsConfig, {}) == TrainUtilsConfig()
    assert parse_table(LossConfig, {"dice": 2}).dice == 2.0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sead": 1}, "unknown key 'sead' in the configuration: did you mean 'seed'"),
        ({"loss": {"xyz": 1}}, r"unknown key 'xyz' in \[loss\]: expected one of bce"),
        ({"seed": "1"}, "seed must be a whole number, but got '1'"),
        ({"seed": True}, "seed must be a whole number, but got true"),
        ({"loss": 1}, "loss must be a table, but got 1"),
        ({"split": {"method": "luck"}}, "split.method must be one of 'random', .* but got 'luck'"),
        ({"data": {"workers": 1.5}}, "data.workers must be a whole number, but got 1.5"),
    ],
)
def test_unknown_keys_and_wrong_types_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_table(TrainUtilsConfig, table)


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (LossConfig, {"dice": -1.0}, "dice to be at least 0"),
        (LossConfig, {"dice": float("nan")}, "dice to be at least 0, but got nan"),
        (LossConfig, {"bce": 0.0, "dice": 0.0}, "at least one loss"),
        (LossConfig, {"positive_weight": 0.0}, "above 0"),
        (LossConfig, {"focal_alpha": 2.0}, "at least 0, at most 1"),
        (SplitConfig, {"validation_share": 0.5, "test_share": 0.5}, "leave something for training"),
        (SplitConfig, {"block_m": 0.0}, "above 0"),
        (AugmentationConfig, {"max_zoom": 0.5}, "at least 1"),
        (AugmentationConfig, {"noise_probability": 1.5}, "at most 1"),
        (DataConfig, {"batch_size": 0}, "at least 1"),
        (DataConfig, {"samples_per_epoch": 0}, "at least 1"),
        (DataConfig, {"positive_share": 2.0}, "at most 1"),
        (MonitorConfig, {"patience_epochs": 0}, "at least 1"),
        (TrainUtilsConfig, {"seed": -1}, "at least 0"),
    ],
)
def test_values_that_make_no_sense_are_refused(cls, values, message):
    with pytest.raises(ConfigError, match=message):
        cls(**values)
