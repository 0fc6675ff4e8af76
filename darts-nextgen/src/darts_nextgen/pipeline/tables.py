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
_ACCEPTED: Mapping[type, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
    Path: (str, Path),
}


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
        near = difflib.get_close_matches(key.replace("-", "_"), homes, n=1)
        advice = f"did you mean {near[0]!r}{homes[near[0]]}?" if near else f"expected one of {', '.join(sorted(known))}"
        raise ConfigError(f"unknown key {key!r} in {where}: {advice}")


def parse_table(kind: type[T], table: Mapping[str, object], *, prefix: str = "") -> T:
    """Build a dataclass from a table, with every value checked against its field's type.

    Args:
        kind: A dataclass.
        table: Keys are fields of `kind`; those that are not given take the field's default.
        prefix: What stands before a key in messages, e.g. ``"postprocessing."``.

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
    check_keys(table, fields, where=f"[{prefix.rstrip('.')}]" if prefix else "the configuration")
    hints = get_type_hints(kind)
    values = {key: parse_value(value, hints[key], key=f"{prefix}{key}") for key, value in table.items()}
    absent = [
        name
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if absent:
        raise ConfigError(f"the configuration must have {', '.join(prefix + name for name in absent)}")
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"[{prefix.rstrip('.')}]: {error}") if prefix else error from error


def parse_value(value: object, hint: Any, *, key: str) -> Any:
    """Convert one value to the type that a field has.

    Args:
        value: What the table holds.
        hint: The type.
        key: Name of the value, for the message.

    Raises:
        ConfigError: Says what the key must be, and what came.

    Examples:
        >>> parse_value(["a.tif"], tuple[Path, ...], key="scene")
        (PosixPath('a.tif'),)
        >>> parse_value("chips/*.tif", tuple[str, ...], key="scenes")
        ('chips/*.tif',)
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        return parse_table(hint, _expect(value, Mapping, "a table", key), prefix=f"{key}.")
    if origin in (Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else parse_value(value, inner, key=key)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{key} must be one of {', '.join(map(repr, arguments))}, but got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):  # one value is a list of one
            return (parse_value(value, arguments[0], key=key),)
        return tuple(parse_value(entry, arguments[0], key=f"{key}[{index}]") for index, entry in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        rows = _expect(value, Mapping, "a table", key)
        return {str(name): parse_value(entry, arguments[1], key=f"{key}.{name}") for name, entry in rows.items()}
    if isinstance(value, bool) and hint is not bool:  # a bool is an int in Python, not in a configuration
        raise ConfigError(f"{key} must be {_WORDS[hint]}, but got {str(value).lower()}")
    return hint(_expect(value, _ACCEPTED[hint], _WORDS[hint], key))


def _expect(value: object, kinds: Any, words: str, key: str) -> Any:
    if not isinstance(value, kinds):
        raise ConfigError(f"{key} must be {words}, but got {value!r}")
    return value


def plain_table(config: object) -> dict[str, Any]:
    """Turn a dataclass into a table of plain data; None is left out, as TOML has no word for it.

    Examples:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Example:
        ...     out: Path = Path("results")
        ...     dem: Path | None = None
        >>> plain_table(Example())
        {'out': 'results'}
    """
    return {
        field.name: _plain_value(value)
        for field in dataclasses.fields(config)  # type: ignore[arg-type]
        if (value := getattr(config, field.name)) is not None
    }


def _plain_value(value: object) -> Any:
    if dataclasses.is_dataclass(value):
        return plain_table(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain_value(entry) for name, entry in value.items()}
    if isinstance(value, tuple):
        return [_plain_value(entry) for entry in value]
    return value
