"""Options of a build from a TOML file; unknown keys are refused with the nearest valid one."""

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.publishing.config import Author, Publication
from darts_utils.errors import ConfigError

_PUBLICATION = "publication"


def read_settings(path: Path) -> tuple[dict[str, Any], Publication]:
    """Read a configuration.

    Args:
        path: TOML file: the fields of `DatasetConfig`, and a table ``[publication]`` with those of `Publication`, in which
            ``[[publication.authors]]`` are tables with the fields of `Author`. A relative ``licence_file`` starts at the
            file's folder.

    Returns:
        The options that it gives, and the publication.

    Raises:
        ConfigError: The file cannot be read, a key is unknown, or a value has the wrong type or makes no sense.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"expected a configuration in TOML at '{path}', but it cannot be read ({error})") from error
    said = content.pop(_PUBLICATION, {})
    options = _checked(content, of=DatasetConfig, also=(_PUBLICATION,), where=f"'{path}'")
    about = _checked(said, of=Publication, where=f"[{_PUBLICATION}] of '{path}'")
    authors = tuple(
        Author(**_checked(author, of=Author, where=f"[[{_PUBLICATION}.authors]] of '{path}'"))
        for author in about.pop("authors", ())
    )
    if "licence_file" in about:
        about["licence_file"] = path.parent / about["licence_file"]
    if "keywords" in about:
        about["keywords"] = tuple(about["keywords"])
    return options, Publication(**about, authors=authors)


def _checked(content: object, *, of: type, where: str, also: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise ConfigError(f"expected a table in {where}, but got {content!r}")
    known = {field.name: field for field in dataclasses.fields(of)}
    for name, value in content.items():
        if name not in known:
            nearest = difflib.get_close_matches(name, [*known, *also], n=1, cutoff=0)
            raise ConfigError(
                f"unknown key {name!r} in {where}: expected one of {', '.join([*known, *also])}; nearest: {nearest[0]}"
            )
        expected = _kind_of(known[name])
        if not isinstance(value, expected) or isinstance(value, bool):
            raise ConfigError(f"expected {name} in {where} to be {_NAMES[expected]}, but got {value!r}: correct it")
    return {name: float(value) if _kind_of(known[name]) == _NUMBER else value for name, value in content.items()}


_NUMBER = (int, float)

_Kind = type | tuple[type, ...]

_NAMES: Mapping[_Kind, str] = {str: "text", int: "a whole number", _NUMBER: "a number", list: "a list"}


def _kind_of(field: "dataclasses.Field[Any]") -> _Kind:
    if isinstance(field.default, tuple):
        return list
    if isinstance(field.default, float):
        return _NUMBER
    return int if isinstance(field.default, int) else str
