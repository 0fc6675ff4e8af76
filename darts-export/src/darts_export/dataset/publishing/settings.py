"""Options of a build from a TOML file; unknown keys are refused with the nearest valid one."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.publishing.config import Publication
from darts_utils.config_tables import parse_table
from darts_utils.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class _Settings(DatasetConfig):
    """What a file may say."""

    publication: Publication = dataclasses.field(default_factory=Publication)


def read_settings(
    path: Path, *, instead: Mapping[str, Any] = MappingProxyType({})
) -> tuple[dict[str, Any], Publication]:
    """Read a configuration.

    Args:
        path: TOML file: the fields of `DatasetConfig`, and a table ``[publication]`` with those of `Publication`, in which
            ``[[publication.authors]]`` are tables with the fields of `darts_export.dataset.publishing.config.Author`. A
            relative ``licence_file`` starts at the file's folder.
        instead: Options that count more than those of the file, which need not make sense without them.

    Returns:
        The options that are given, and the publication.

    Raises:
        ConfigError: The file cannot be read, a key is unknown, or a value has the wrong type or makes no sense.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"expected a configuration in TOML at '{path}', but it cannot be read ({error})") from error
    try:
        settings = parse_table(_Settings, {**content, **instead})
    except ConfigError as error:
        raise ConfigError(f"'{path}': {error}") from error
    about = settings.publication
    if about.licence_file is not None:
        about = dataclasses.replace(about, licence_file=path.parent / about.licence_file)
    return {name: getattr(settings, name) for name in {**content, **instead} if name != "publication"}, about
