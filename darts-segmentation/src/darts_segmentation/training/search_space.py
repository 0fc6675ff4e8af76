"""What a search tunes, and between which limits: keys of a training's configuration, checked before the first trial."""

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darts_segmentation.training.config import TrainingConfig, parse_training_config, read_toml
from darts_segmentation.training.monitoring import is_loss
from darts_utils.config_tables import parse_table, plain_table
from darts_utils.errors import ConfigError

_FIXED = {"name", "split", "monitor", "device", "devices"}
"""Keys that would make the scores of trials incomparable, or change nothing about them."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high; whole ones where both limits are.

    Raises:
        ConfigError: The limits make no sense.
    """

    low: int | float
    """Smallest."""
    high: int | float
    """Largest."""
    log: bool = False
    """Whether orders of magnitude are drawn alike."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(
                f"expected low below high, both finite, but got {self.low!r} and {self.high!r}: correct it"
            )
        if self.log and self.low <= 0:
            raise ConfigError(f"expected low above 0 with log = true, but got {self.low!r}: correct it")

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that must be possible."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Choices:
    """One of a list of simple values.

    Raises:
        ConfigError: There are less than two, or one is no simple value.
    """

    choices: tuple[Any, ...]
    """What there is to choose from."""

    def __post_init__(self) -> None:
        if len(self.choices) < 2 or not all(isinstance(each, str | int | float | bool) for each in self.choices):
            raise ConfigError(
                f"expected choices to list at least two numbers, texts, true or false, but got {list(self.choices)!r}: correct it"
            )

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that must be possible."""
        return self.choices


SearchSpace = Mapping[str, Range | Choices]
"""Key of the configuration, with a dot into its tables (``"loss.dice"``) → what is drawn."""


def parse_search_space(table: Mapping[str, Any], *, config: TrainingConfig) -> SearchSpace:
    """Make a search space from a table.

    Args:
        table: ``{"learning_rate": {"low": 1e-4, "high": 1e-2, "log": true}, "loss.dice": {"choices": [0.0, 1.0]}}``; tables in
            tables are the same as keys with a dot.
        config: What stays as it is.

    Returns:
        The space.

    Raises:
        ConfigError: A key is unknown or cannot be tuned, or not with the score that is watched; or a limit or choice makes no
            valid configuration.

    Examples:
        >>> space = parse_search_space({"loss": {"dice": {"low": 0.0, "high": 2.0}}}, config=TrainingConfig())
        >>> space
        {'loss.dice': Range(low=0.0, high=2.0, log=False)}
    """
    space = dict(_entries(table, ""))
    if not space:
        raise ConfigError(
            "expected keys to tune, but the search space has none: add learning_rate = {low = …, high = …}"
        )
    for key, entry in space.items():
        if key.partition(".")[0] in _FIXED:
            raise ConfigError(
                f"expected a key that may differ between trials, but {key!r} must be the same in all: remove it"
            )
        if key.partition(".")[0] == "loss" and is_loss(config.monitor.monitor):
            raise ConfigError(
                f"expected scores that can be compared between trials, but {key!r} changes what {config.monitor.monitor!r} means: "
                "remove it, or watch another score in [monitor], val/iou say"
            )
        for value in entry.examples:
            try:
                changed_config(config, {key: value})
            except ConfigError as error:
                raise ConfigError(f"{key} = {value!r} in the search space cannot be used: {error}") from error
    return space


def read_search_space(path: str | os.PathLike[str], *, config: TrainingConfig) -> SearchSpace:
    """Read a search space from a TOML file.

    Args:
        path: The file.
        config: What stays as it is.

    Raises:
        ConfigError: There is no such file, it is no TOML, or `parse_search_space` refuses it; names the file.
    """
    table = read_toml(path)
    try:
        return parse_search_space(table, config=config)
    except ConfigError as error:
        raise ConfigError(f"'{path}': {error}") from error


def changed_config(config: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """Return a config with some values in place of others.

    Args:
        config: Untouched.
        values: By key, with a dot into tables.

    Raises:
        ConfigError: A key is unknown or a value makes no sense.

    Examples:
        >>> changed_config(TrainingConfig(), {"loss.dice": 0.5}).loss.dice
        0.5
    """
    table = plain_table(config)
    for key, value in values.items():
        *places, name = key.split(".")
        inner = table
        for place in places:
            inner = inner.setdefault(place, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"expected {key!r} to lead into a table, but {place!r} is none: correct it")
        inner[name] = value
    return parse_training_config(table)


def space_table(space: SearchSpace) -> dict[str, Any]:
    """Return plain data that `parse_search_space` takes.

    Args:
        space: The space.
    """
    return {key: plain_table(entry) for key, entry in space.items()}


def _entries(table: Mapping[str, Any], prefix: str) -> list[tuple[str, Range | Choices]]:
    found: list[tuple[str, Range | Choices]] = []
    keys = {each.name for kind in (Range, Choices) for each in dataclasses.fields(kind)}
    for key, entry in table.items():
        name = f"{prefix}{key}"
        if not isinstance(entry, Mapping):
            raise ConfigError(f"expected {name!r} to have low and high, or choices, but got {entry!r}: correct it")
        if entry and not any(isinstance(each, Mapping) for each in entry.values()):
            found.append((name, _parse(entry, name)))
        elif keys & set(entry):
            raise ConfigError(f"expected {name!r} to be a table of keys, or what is drawn, but it is both: correct it")
        else:
            found += _entries(entry, f"{name}.")
    return found


def _parse(entry: Mapping[str, Any], name: str) -> Range | Choices:
    if "choices" not in entry:
        return parse_table(Range, entry, name=name)
    strangers = [key for key in entry if key != "choices"]
    if strangers or not isinstance(entry["choices"], list | tuple):
        raise ConfigError(
            f"expected [{name}] to have a list of choices and nothing else, but got {dict(entry)!r}: correct it"
        )
    return Choices(tuple(entry["choices"]))
