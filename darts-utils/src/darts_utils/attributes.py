"""Attributes of a tile as NetCDF can hold them, and back, without loss.

NetCDF knows text and numbers. What it has no type for (truth values, None, lists, tables, NumPy scalars and arrays), and
what xarray would take for itself (``_FillValue``, ``grid_mapping``, …), is kept as JSON in one attribute.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from darts_utils.errors import TileContractError

JSON_ATTRIBUTE = "darts_json_attrs"
"""Name of the attribute that holds the others."""

_TAKEN_BY_XARRAY = frozenset(
    [
        "_FillValue",
        "missing_value",
        "scale_factor",
        "add_offset",
        "dtype",
        "_Unsigned",
        "_Encoding",
        "calendar",
        "coordinates",
        "grid_mapping",
        "bounds",
        "cell_measures",
        "ancillary_variables",
        "formula_terms",
        "climatology",
    ]
)
_TAG = "__darts__"
_INT64 = np.iinfo("int64")


def pack_attributes(attrs: Mapping[Any, Any], *, owner: str) -> dict[str, str | int | float]:
    """Turn attributes into what NetCDF can hold.

    Args:
        attrs: Names and values: text, numbers, truth values, None, lists, tuples, tables with text as keys, NumPy scalars and
            arrays of numbers, truth values or text.
        owner: Whose attributes they are, for the message.

    Raises:
        TileContractError: A value is of another kind; names it.

    Examples:
        >>> packed = pack_attributes({"count": 3, "models": ("full", "optical")}, owner="the tile")
        >>> packed["count"], unpack_attributes(packed)
        (3, {'count': 3, 'models': ('full', 'optical')})
    """
    plain: dict[str, str | int | float] = {}
    rich: dict[str, object] = {}
    for name, value in attrs.items():
        if not isinstance(name, str) or name == JSON_ATTRIBUTE:
            raise TileContractError(f"attributes of {owner} must have names of their own (text), but got {name!r}")
        if name not in _TAKEN_BY_XARRAY and _is_plain_text(name) and _is_plain(value):
            plain[name] = value
        else:
            rich[name] = _to_json(value, where=f"attribute {name!r} of {owner}")
    # The order of the names is kept, too.
    return {**plain, JSON_ATTRIBUTE: json.dumps({"order": list(attrs), "values": rich})} if rich else plain


def unpack_attributes(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what NetCDF held back into the attributes that were packed.

    Raises:
        ValueError: The JSON is damaged.
        KeyError: The same.
    """
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in attrs.items()
        if name != JSON_ATTRIBUTE
    }
    if JSON_ATTRIBUTE not in attrs:
        return plain
    stored = json.loads(str(attrs[JSON_ATTRIBUTE]))
    values = {**plain, **{name: _from_json(value) for name, value in stored["values"].items()}}
    return {name: values[name] for name in [*stored["order"], *(set(values) - set(stored["order"]))]}


def _is_plain(value: object) -> bool:
    if type(value) is str:
        return _is_plain_text(value)
    if type(value) is int:
        return _INT64.min <= value <= _INT64.max
    return type(value) is float


def _is_plain_text(text: str) -> bool:
    # HDF5 stores empty text as nothing, ends text at NUL, and knows UTF-8 only.
    return text != "" and "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _to_json(value: Any, *, where: str) -> Any:
    if value is None or type(value) in {bool, str, int, float}:
        return value
    if type(value) is list:
        return [_to_json(entry, where=where) for entry in value]
    if type(value) is tuple:
        return {_TAG: "tuple", "values": [_to_json(entry, where=where) for entry in value]}
    if type(value) is dict and all(type(key) is str for key in value) and _TAG not in value:
        return {key: _to_json(entry, where=where) for key, entry in value.items()}
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufU":
        kind = "scalar" if isinstance(value, np.generic) else "array"
        return {_TAG: kind, "dtype": value.dtype.str, "shape": list(value.shape), "values": value.ravel().tolist()}
    raise TileContractError(
        f"{where} must be text, a number, a truth value, None, a list, a tuple, a table or a NumPy array of these, but got "
        f"{type(value).__name__}: convert it, e.g. to text"
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _from_json(entry) for key, entry in value.items()}
    if value[_TAG] == "tuple":
        return tuple(_from_json(entry) for entry in value["values"])
    array = np.array(value["values"], dtype=value["dtype"]).reshape(value["shape"])
    return array[()] if value[_TAG] == "scalar" else array
