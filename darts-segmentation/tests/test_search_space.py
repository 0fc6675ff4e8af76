"""What a search tunes, and what it may not."""

import pytest
import tomli_w

from darts_segmentation.training import parse_search_space, read_search_space
from darts_segmentation.training.search_space import Choices, changed_config
from darts_segmentation.training.testing import small_training
from darts_train_utils.config import LossConfig, MonitorConfig
from darts_utils.errors import ConfigError

CONFIG = small_training(epochs=2)
SPACE = {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "loss": {"dice": {"choices": [0.5, 1.0]}}}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "expected keys to tune"),
        ({"learning_rat": {"low": 1.0, "high": 2.0}}, "unknown key 'learning_rat' in the configuration: did you mean"),
        ({"loss": {"dize": {"low": 1.0, "high": 2.0}}}, r"unknown key 'dize' in \[loss\]"),
        ({"learning_rate": {"low": 1.0, "height": 2.0}}, r"unknown key 'height' in \[learning_rate\]"),
        ({"learning_rate": {"low": 1.0}}, r"\[learning_rate\] must have high"),
        ({"learning_rate": {"low": 2.0, "high": 1.0}}, "expected low below high"),
        ({"learning_rate": {"low": 0.0, "high": 1.0, "log": True}}, "expected low above 0 with log"),
        ({"learning_rate": {"low": -1.0, "high": 1.0}}, "learning_rate = -1.0 in the search space cannot be used"),
        ({"learning_rate": 3}, "to have low and high, or choices, but got 3"),
        ({"loss.dice": {"choices": [1.0]}}, "at least two"),
        ({"loss.dice": {"choices": 1.0}}, "a list of choices and nothing else"),
        ({"loss.dice": {"choices": [1.0, 2.0], "log": True}}, "a list of choices and nothing else"),
        ({"split.seed": {"low": 1, "high": 2}}, "'split.seed' must be the same in all"),
        ({"epochs.x": {"low": 1, "high": 2}}, "expected 'epochs.x' to lead into a table"),
        ({"loss": {"low": 1.0, "dice": {"low": 1.0, "high": 2.0}}}, "but it is both"),
    ],
)
def test_search_spaces_that_make_no_sense_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_search_space(table, config=CONFIG)


@pytest.mark.parametrize("key", ["loss.dice", "loss.positive_weight"])
@pytest.mark.parametrize("monitor", ["val/loss", "train/dice"])
def test_a_loss_is_no_score_of_trials_with_different_losses(key, monitor):
    space = {key: {"low": 1.0, "high": 2.0}}
    config = small_training(monitor=MonitorConfig(monitor, mode="min"))
    with pytest.raises(ConfigError, match=f"'{key}' changes what '{monitor}' means: remove it, or watch another"):
        parse_search_space(space, config=config)
    assert set(parse_search_space({"weight_decay": {"low": 0.0, "high": 0.1}}, config=config)) == {"weight_decay"}
    assert set(parse_search_space(space, config=CONFIG)) == {key}


def test_a_search_space_is_read(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(tomli_w.dumps({**SPACE, "data": {"batch_size": {"low": 2, "high": 8}}}))
    space = read_search_space(path, config=CONFIG)
    assert space["data.batch_size"].is_whole
    assert space["loss.dice"] == Choices((0.5, 1.0))
    assert not space["learning_rate"].is_whole
    path.write_text("[x]\ny = {low = 1, high = 2}")
    with pytest.raises(ConfigError, match=r"space.toml': x.y = 1 in the search space cannot be used: unknown key 'x'"):
        read_search_space(path, config=CONFIG)
    assert changed_config(CONFIG, {"loss.focal": 1.0}).loss == LossConfig(focal=1.0)
