"""Plain tables (of a TOML file, of the command line) to frozen dataclasses and back; the dataclass is the schema.

Unknown keys and values of the wrong type are refused by name. Knows the types that options have: ``bool``, ``int``,
``float``, ``str``, ``Path``, ``Literal``, ``X | None``, ``tuple[X, ...]``, ``Mapping[str, X]`` and dataclasses of these.
"""

import dataclasses
import difflib
import types
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from darts_utils.errors import ConfigError

T = TypeVar("T")

_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}
_ACCEPTED: Mapping[type, tuple[type, ...]] = {float: (int, float), Path: (str, Path)}


def parse_table(kind: type[T], table: Mapping[str, object], *, name: str = "") -> T:
    """Build a dataclass from a table, with every value checked against its field's type.

    Args:
        kind: A dataclass.
        table: Keys are fields of `kind`; those that are not given take the field's default. One value is a list of one.
        name: Of the table, for messages: the keys that lead to it, with dots; empty: it is the whole configuration.

    Raises:
        ConfigError: A key is unknown or missing, a value has the wrong type, or the dataclass itself refuses it.

    Examples:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Example:
        ...     radius_px: int = 10
        >>> parse_table(Example, {"radius_px": 3})
        Example(radius_px=3)
        >>> parse_table(Example, {"radius_px": 2.5})
        Traceback (most recent call last):
        darts_utils.errors.ConfigError: radius_px must be a whole number, but got 2.5
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    called = f"[{name}]" if name else "the configuration"
    check_keys(table, fields, where=called)
    hints = get_type_hints(kind)
    values = {key: _parsed(value, hints[key], name=f"{name}.{key}" if name else key) for key, value in table.items()}
    absent = sorted(key for key, field in fields.items() if key not in values and _is_required(field))
    if absent:
        raise ConfigError(f"{called} must have {', '.join(absent)}: add what is missing")
    try:
        return kind(**values)
    except ConfigError as error:
        if not name:
            raise
        raise ConfigError(f"{called}: {error}") from error


def _parsed(value: object, hint: Any, *, name: str) -> Any:
    """Convert one value to the type that a field has; of several types, one that fits exactly, else the last."""
    if hint is Any or (dataclasses.is_dataclass(hint) and isinstance(value, hint)):  # type: ignore[arg-type]
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [each for each in arguments if each is not type(None)]
        known = type(value) in kinds or (value is None and len(kinds) < len(arguments))
        return value if known else _parsed(value, kinds[-1], name=name)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return (_parsed(value, arguments[0], name=name),)
        return tuple(_parsed(row, arguments[0], name=f"{name}[{index}]") for index, row in enumerate(value))
    if origin is Literal:
        if value in arguments:
            return value
    elif _is_table(hint):
        if isinstance(value, Mapping):
            if origin is None:
                return parse_table(hint, value, name=name)
            return {str(key): _parsed(row, arguments[1], name=f"{name}.{key}") for key, row in value.items()}
    elif isinstance(value, _ACCEPTED.get(hint, hint)) and isinstance(value, bool) == (hint is bool):
        return hint(value)  # a bool is an int in Python, not in a configuration
    raise ConfigError(
        f"{name} must be {_words(hint)}, but got {str(value).lower() if isinstance(value, bool) else repr(value)}"
    )


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    return "a table" if _is_table(hint) else _WORDS[hint]


def _is_table(hint: Any) -> bool:
    """Whether a type is given as a table: a dataclass or a mapping."""
    origin = get_origin(hint)
    return dataclasses.is_dataclass(hint) or (isinstance(origin, type) and issubclass(origin, Mapping))


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def plain_table(config: object) -> dict[str, Any]:
    """Turn a dataclass into a table of plain data; None is left out, as TOML has no word for it.

    Args:
        config: A dataclass of what `parse_table` knows.

    Examples:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Example:
        ...     out: Path = Path("results")
        ...     dem: Path | None = None
        >>> plain_table(Example())
        {'out': 'results'}
    """
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    return {name: _plain_value(value) for name, value in values.items() if value is not None}


def _plain_value(value: object) -> Any:
    if dataclasses.is_dataclass(value):
        return plain_table(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain_value(entry) for name, entry in value.items() if entry is not None}
    return [_plain_value(entry) for entry in value] if isinstance(value, list | tuple) else value


def check_keys(
    table: Mapping[str, object],
    known: Collection[str],
    *,
    where: str,
    elsewhere: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> None:
    """Raise if a table has a key that is not known.

    Args:
        table: The table.
        known: The keys that it may have.
        where: What the table is called, for the message.
        elsewhere: Keys of other tables, which the user may have meant, by the name of their table.

    Raises:
        ConfigError: Names the key, and the nearest valid one.

    Examples:
        >>> check_keys({"treshold": 0.4}, ["threshold", "mask"], where="[postprocessing]")
        Traceback (most recent call last):
        darts_utils.errors.ConfigError: unknown key 'treshold' in [postprocessing]: did you mean 'threshold'?
    """
    for key in table:
        if key in known:
            continue
        homes = dict.fromkeys(known, "") | {name: f" in {home}" for home, names in elsewhere.items() for name in names}
        near = difflib.get_close_matches(str(key).replace("-", "_"), homes, n=1)
        advice = f"did you mean {near[0]!r}{homes[near[0]]}?" if near else f"expected one of {', '.join(sorted(known))}"
        raise ConfigError(f"unknown key {key!r} in {where}: {advice}")
