"""Options of the command line to a configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darts_ensemble.weighting import parse_weights
from darts_nextgen.pipeline.config import RunConfig, parse_config
from darts_nextgen.pipeline.runfiles import absolute_paths, read_table
from darts_nextgen.pipeline.sections import SECTIONS, section_keys
from darts_postprocessing.checks import parse_thresholds
from darts_preprocessing.loading import parse_bands
from darts_utils.errors import ConfigError

OF_THE_COMMAND = ("config", "engine", "dry_run", "explain", "force")
"""Options of ``darts run`` that are no keys of a configuration."""


def config_of(options: Mapping[str, Any], *, file: Path | None) -> RunConfig:
    """Merge a configuration file and the options of the command line, which count more.

    Args:
        options: Name of each option → value; not given are None, and empty lists of options that may be repeated.
        file: TOML file, if there is one.

    Raises:
        ConfigError: The file cannot be read, or something in it or on the command line is wrong.
    """
    given = _parsed({name: value for name, value in options.items() if value not in (None, [], ())})
    table: dict[str, Any] = {} if file is None else read_table(file)
    if "scene" in given or "scenes" in given:  # other scenes than those of the file, not more
        for name in ("scene", "scenes"):
            table.pop(name, None)
    return parse_config(_merged(table, absolute_paths(_sectioned(given), folder=Path.cwd())))


def _parsed(given: Mapping[str, Any]) -> dict[str, Any]:
    values = plain_options(given)
    if "weights" in values:
        values["weights"] = parse_weights(values["weights"])
    if "further_thresholds" in values:
        try:
            values["further_thresholds"] = parse_thresholds(values["further_thresholds"])
        except ValueError as error:
            raise ConfigError(str(error)) from error
    if "products" in values:
        values["products"] = [name.strip() for name in values["products"].split(",")]
    return values


def plain_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a file has them: paths as text, bands as a table.

    Args:
        given: Name of each option → value.

    Raises:
        ConfigError: ``bands`` cannot be read.
    """
    values: dict[str, Any] = {name: _plain(value) for name, value in given.items()}
    if "bands" in values:
        try:
            values["bands"] = parse_bands(values["bands"])
        except ValueError as error:
            raise ConfigError(f"--bands: {error}") from error
    return values


def _plain(value: Any) -> Any:
    """Paths as text, as a file has them."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _sectioned(given: Mapping[str, Any]) -> dict[str, Any]:
    """Put the options of a section into its table; their names are unique over all sections."""
    table = dict(given)
    for section in SECTIONS:
        rows = {name: table.pop(name) for name in section_keys(section) if name in table}
        if rows:
            table[section] = rows
    return table


def _merged(table: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**table, **given}
    for section in SECTIONS:
        if isinstance(table.get(section), Mapping) and section in given:
            merged[section] = {**table[section], **given[section]}
    return merged
