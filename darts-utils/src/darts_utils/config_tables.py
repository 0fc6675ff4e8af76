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
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

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


def parse_table(kind: type[T], table: Mapping[str, object]) -> T:
    """Build a dataclass from a table, with every value checked against its field's type.

    Args:
        kind: A dataclass.
        table: Keys are fields of `kind`; those that are not given take the field's default. One value is a list of one.

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
    return TableParser().parse_table(kind, table)


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
    listing: str = "expected one of",
) -> None:
    """Raise if a table has a key that is not known.

    Args:
        table: The table.
        known: The keys that it may have.
        where: What the table is called, for the message.
        elsewhere: Keys of other tables, which the user may have meant, by the name of their table.
        listing: Words before the list of known keys, where none is near.

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
        advice = f"did you mean {near[0]!r}{homes[near[0]]}?" if near else f"{listing} {', '.join(sorted(known))}"
        raise ConfigError(f"unknown key {key!r} in {where}: {advice}")


class TableParser:
    """What `parse_table` does; a package whose messages read otherwise has its own attributes, `wrong` and `absent`.

    A value stands in a table, which is named by the keys that lead to it, with dots (``""``: the outermost), under its own name
    there (``"red"``, ``"inputs[0]"``).
    """

    takes_lone_values: ClassVar[bool] = True
    """Whether one value is a list of one."""
    listing: ClassVar[str] = "expected one of"
    """Words before the list of known keys."""

    def parse_table(self, kind: type[T], table: Mapping[str, object], *, name: str = "") -> T:
        """Build a dataclass from a table.

        Args:
            kind: A dataclass.
            table: Keys and values.
            name: Of the table.

        Raises:
            ConfigError: As `parse_table` of this module.
        """
        fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        check_keys(table, fields, where=called(name), listing=self.listing)
        hints = get_type_hints(kind)
        values = {key: self.parse_value(value, hints[key], name=key, table=name) for key, value in table.items()}
        absent = sorted(key for key, field in fields.items() if key not in values and _is_required(field))
        if absent:
            raise ConfigError(self.absent(absent, values, table=name))
        try:
            return kind(**values)
        except ConfigError as error:
            if not name:
                raise
            raise ConfigError(f"{called(name)}: {error}") from error

    def parse_value(self, value: object, hint: Any, *, name: str, table: str = "") -> Any:
        """Convert one value to the type that a field has.

        Args:
            value: What the table holds.
            hint: The type; where it is several, a value of exactly one of them stays, others become the last.
            name: Of the value.
            table: Of its table.

        Raises:
            ConfigError: Says what the value must be, and what came.

        Examples:
            >>> TableParser().parse_value(["a.tif"], tuple[Path, ...], name="scene")
            (PosixPath('a.tif'),)
            >>> TableParser().parse_value("chips/*.tif", tuple[str, ...], name="scenes")
            ('chips/*.tif',)
        """
        if hint is Any or (dataclasses.is_dataclass(hint) and isinstance(value, hint)):  # type: ignore[arg-type]
            return value
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            kinds = [each for each in arguments if each is not type(None)]
            known = type(value) in kinds or (value is None and len(kinds) < len(arguments))
            return value if known else self.parse_value(value, kinds[-1], name=name, table=table)
        if origin is tuple:
            if isinstance(value, list | tuple):
                rows = enumerate(value)
                return tuple(self.parse_value(row, arguments[0], name=f"{name}[{k}]", table=table) for k, row in rows)
            if self.takes_lone_values:
                return (self.parse_value(value, arguments[0], name=name, table=table),)
        elif origin is Literal:
            if value in arguments:
                return value
        elif is_table(hint):
            if isinstance(value, Mapping):
                if origin is None:
                    return self.parse_table(hint, value, name=dotted(table, name))
                kind, parse = arguments[1], self.parse_value
                return {str(key): parse(row, kind, name=f"{name}.{key}", table=table) for key, row in value.items()}
        elif isinstance(value, _ACCEPTED.get(hint, hint)) and isinstance(value, bool) == (hint is bool):
            return hint(value)  # a bool is an int in Python, not in a configuration
        raise ConfigError(self.wrong(value, hint, name=name, table=table))

    def wrong(self, value: object, hint: Any, *, name: str, table: str) -> str:
        """Say what a value must be, and what came."""
        origin = get_origin(hint)
        if origin is Literal:
            wanted = f"one of {', '.join(map(repr, get_args(hint)))}"
        else:
            wanted = "a list" if origin is tuple else "a table" if is_table(hint) else _WORDS[hint]
        got = str(value).lower() if isinstance(value, bool) else repr(value)
        return f"{dotted(table, name)} must be {wanted}, but got {got}"

    def absent(self, names: Collection[str], given: Collection[str], *, table: str) -> str:
        """Say which keys a table must have; `given` are those that it has."""
        del given
        return f"the configuration must have {', '.join(dotted(table, name) for name in names)}"


def dotted(table: str, name: str) -> str:
    """The key of a value from the outermost table on, such as ``"postprocessing.threshold"``."""
    return f"{table}.{name}" if table else name


def called(table: str) -> str:
    """What messages call a table."""
    return f"[{table}]" if table else "the configuration"


def is_table(hint: Any) -> bool:
    """Whether a type is given as a table: a dataclass or a mapping."""
    origin = get_origin(hint)
    return dataclasses.is_dataclass(hint) or (isinstance(origin, type) and issubclass(origin, Mapping))


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
