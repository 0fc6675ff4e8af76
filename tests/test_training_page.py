"""What docs/training.md shows fits together: its configuration is one, and its commands name the model that it makes."""

import re
import tomllib
from pathlib import Path

import pytest

from darts_segmentation.training import TrainingConfig
from darts_segmentation.training.config import parse_training_config

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "training.md").read_text()


@pytest.fixture(scope="module")
def config() -> TrainingConfig:
    """The configuration that the page shows."""
    shown = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (text,) = [each for each in shown if each.startswith("name =")]
    return parse_training_config(tomllib.loads(text))


def test_the_commands_name_the_model_that_the_configuration_makes(config):
    named = re.findall(r"^darts train \w+ (runs/peel/\S+\.pt)", PAGE, re.MULTILINE)
    assert named
    assert {*named} == {f"runs/peel/{config.name}.pt"}
