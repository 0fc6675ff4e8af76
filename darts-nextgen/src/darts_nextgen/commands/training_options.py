"""Options of ``darts train prepare`` to a configuration."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darts_nextgen.commands.options import plain_options
from darts_nextgen.pipeline.runfiles import absolute_paths, read_table
from darts_nextgen.pipeline.training_scenes import TrainingScenesConfig, parse_training_scenes
from darts_preprocessing import PreprocessingConfig
from darts_segmentation.training import PreparationConfig

_SECTIONS = {"preprocessing": PreprocessingConfig, "patches": PreparationConfig}
_LISTS = ("features", "variables", "uncertain_values")
_MORE_PATHS = ("labels", "regions")


def training_scenes_of(options: Mapping[str, Any], *, file: Path | None) -> TrainingScenesConfig:
    """Merge a configuration file and the options of the command line, which count more.

    Args:
        options: Name of each option → value; not given are None, and empty lists of options that may be repeated.
        file: TOML file, if there is one.

    Raises:
        ConfigError: The file cannot be read, or something in it or on the command line is wrong.
    """
    given = plain_options({name: value for name, value in options.items() if value not in (None, [], ())})
    for name in _LISTS:
        if name in given:
            given[name] = [word.strip() for word in given[name].split(",")]
    table = {} if file is None else _absolute(read_table(file), file.absolute().parent)
    if {"scene", "scenes"} & given.keys():  # other scenes than those of the file, not more
        table = {name: value for name, value in table.items() if name not in ("scene", "scenes")}
    merged = {**table}
    own = _absolute(given, Path.cwd())
    for section, kind in _SECTIONS.items():
        names = [row.name for row in dataclasses.fields(kind) if row.name in own]
        values = {name: own.pop(name) for name in names}
        if values:
            before = table.get(section, {})
            merged[section] = {**(before if isinstance(before, Mapping) else {}), **values}
    return parse_training_scenes({**merged, **own})


def _absolute(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    absolute = absolute_paths(table, folder=folder)
    return {
        name: str(folder / value) if name in _MORE_PATHS and isinstance(value, str) else value
        for name, value in absolute.items()
    }
