"""Options of a run, as JSON keeps them."""

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

import numpy as np

from darts_export.text import is_storable
from darts_utils.errors import ConfigError


def plain_options(options: Mapping[str, object] | None) -> dict[str, Any]:
    """Turn options into what JSON can hold, always in the same order.

    Args:
        options: Names and values: text, numbers (NumPy's too), truth values, None, paths, and lists, tuples, sets and
            tables of these; None for no options.

    Returns:
        Text, numbers, truth values and None, in lists and in tables whose keys are sorted. Sets are sorted lists.

    Raises:
        ConfigError: A value is of another kind, a number is not finite, a key is no text; names where it is.

    Examples:
        >>> plain_options({"threshold": np.float64(0.5), "models": {"optical", "full"}, "size": (3, 4)})
        {'models': ['full', 'optical'], 'size': [3, 4], 'threshold': 0.5}
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ConfigError(f"config must be a table of options, but got {type(options).__name__}: name each value")
    return _plain_table(options, "config")


def _plain(value: object, path: str) -> Any:
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str | PurePath):
        return _plain_text(value, path)
    if isinstance(value, Real):
        return _plain_number(value, path)
    if isinstance(value, Mapping):
        return _plain_table(value, path)
    if isinstance(value, list | tuple):
        return _plain_list(value, path)
    if isinstance(value, AbstractSet):
        return _plain_set(value, path)
    raise ConfigError(
        f"{path} must be text, a number, a truth value, None, a path, or a list, set or table of these, but got "
        f"{type(value).__name__}: convert it, e.g. to text"
    )


def _plain_text(value: str | PurePath, path: str) -> str:
    text = str.__str__(value) if isinstance(value, str) else str(value)  # the text of an enum's member, not its name
    if not is_storable(text):
        raise ConfigError(
            f"{path} must be text that files can hold (no NUL, no lone surrogates), but got {text!r}: correct it"
        )
    return text


def _plain_number(value: Real, path: str) -> int | float:
    if isinstance(value, Integral):
        return int(value)
    number = float(value)
    if not math.isfinite(number):
        raise ConfigError(f"{path} must be a finite number, but got {number!r}: JSON has none of these; use None")
    return number


def _plain_table(value: Mapping[Any, object], path: str) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(f"{path} must have text as keys, but got {key!r}: write {str(key)!r}")
    return {_plain_text(key, f"a key of {path}"): _plain(value[key], f"{path}[{key!r}]") for key in sorted(value)}


def _plain_list(value: Sequence[object], path: str) -> list[Any]:
    return [_plain(entry, f"{path}[{index}]") for index, entry in enumerate(value)]


def _plain_set(value: AbstractSet[object], path: str) -> list[Any]:
    entries = [_plain(entry, f"an entry of {path}") for entry in value]
    try:
        return sorted(entries)
    except TypeError as error:
        raise ConfigError(
            f"{path} must be a set whose entries have an order, but got {value!r}: give a list instead"
        ) from error
