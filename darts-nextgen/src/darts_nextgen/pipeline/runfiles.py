"""``run.toml``: configurations as files."""

import datetime as dt
import glob
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from darts_nextgen.pipeline.config import RunConfig, config_table, parse_config
from darts_nextgen.pipeline.streams import STANDARD_INPUT
from darts_preprocessing.loading.finding import LIST_SUFFIXES
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import atomic_path, exists

RUN_FILE = "run.toml"
"""Name of the effective configuration beside the results."""

_PATHS = ("scene", "models", "out", "dem", "tcvis", "scenes")
"""Keys that hold paths."""

_FIRST_LINE = "# The effective configuration of a run of DARTS, every option spelt out."
"""By this line a file is known as one of ours, which a later run may replace."""


def read_table(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file; relative paths in it start at the file's folder.

    Args:
        path: The file.

    Returns:
        Its table, with absolute paths; keys are not checked yet.

    Raises:
        ConfigError: There is no such file, or it is no TOML.
    """
    file = Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"expected a configuration at '{file}', but it cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected TOML in '{file}', but {error}") from error
    if isinstance(table.get("date"), dt.date):  # TOML has dates, the configuration has text
        table["date"] = table["date"].isoformat()
    return absolute_paths(table, folder=file.absolute().parent)


def read_config(path: str | os.PathLike[str]) -> RunConfig:
    """Read a configuration.

    Args:
        path: A TOML file whose keys are the fields of `RunConfig`. Relative paths start at the file's folder.

    Raises:
        ConfigError: The file cannot be read, a key is unknown (the nearest valid one is named), or a value is wrong.
    """
    return parse_config(read_table(path))


def write_config(config: RunConfig, path: str | os.PathLike[str]) -> Path:
    """Write a configuration with every option spelt out and every path absolute; `read_config` gives it back.

    Raises:
        OutputError: The file cannot be written, or a file that is none of ours has its name.
    """
    text = f"{_FIRST_LINE}\n{config_toml(config)}"
    if not _may_replace(Path(path)):
        raise OutputError(
            f"expected to write the effective configuration to '{path}', but a file of another origin is there: rename it, "
            "or choose another folder"
        )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def _may_replace(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip() == _FIRST_LINE
    except OSError:
        return True  # there is none; or writing will say what is wrong


def config_toml(config: RunConfig) -> str:
    """The text of `write_config`."""
    return tomli_w.dumps(absolute_paths(config_table(config), folder=Path.cwd()))


def absolute_config(config: RunConfig) -> RunConfig:
    """The same with every path absolute, so that it means the same in a process that works in another folder."""
    return parse_config(absolute_paths(config_table(config), folder=Path.cwd()))


def absolute_paths(table: Mapping[str, Any], *, folder: Path) -> dict[str, Any]:
    """Return a table in which relative paths start at a folder.

    Examples:
        >>> absolute_paths({"out": "results", "device": "cpu"}, folder=Path("/maps"))
        {'out': '/maps/results', 'device': 'cpu'}
        >>> absolute_paths({"scenes": "chips/*.tif"}, folder=Path("/maps [2021]"))
        {'scenes': '/maps [[]2021]/chips/*.tif'}
    """
    return {
        key: _absolute(value, folder, is_pattern=key == "scenes") if key in _PATHS else value
        for key, value in table.items()
    }


def _absolute(value: Any, folder: Path, *, is_pattern: bool) -> Any:
    if isinstance(value, list | tuple):
        return [_absolute(entry, folder, is_pattern=is_pattern) for entry in value]
    if not isinstance(value, str) or value == "" or (is_pattern and value == STANDARD_INPUT):
        return value
    is_path = not is_pattern or value.endswith(LIST_SUFFIXES) or exists(folder / value)
    return str(folder / value) if is_path else os.path.join(glob.escape(str(folder)), value)  # noqa: PTH118 - a pattern is no path
