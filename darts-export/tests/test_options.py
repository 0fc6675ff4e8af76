import enum
import json
from pathlib import Path, PureWindowsPath

import numpy as np

from darts_export.options import plain_options


class _Mask(enum.StrEnum):
    QUALITY = "quality"


def test_everything_becomes_plain() -> None:
    options = {
        "threshold": np.float32(0.5),
        "count": np.int64(3),
        "keep": np.bool_(True),
        "name": np.str_("full"),
        "mask": _Mask.QUALITY,
        "size": (3, [4, (5,)]),
        "members": {"b", "a", "c"},
        "numbers": frozenset({10, 2, 1.5}),
        "path": Path("models/full.pt"),
        "there": PureWindowsPath("C:\\models"),
        "nothing": None,
        "table": {"z": 1, "a": {"y": False}},
    }
    plain = plain_options(options)
    assert plain == {
        "threshold": 0.5,
        "count": 3,
        "keep": True,
        "name": "full",
        "mask": "quality",
        "size": [3, [4, [5]]],
        "members": ["a", "b", "c"],
        "numbers": [1.5, 2, 10],
        "path": "models/full.pt",
        "there": "C:\\models",
        "nothing": None,
        "table": {"a": {"y": False}, "z": 1},
    }
    assert {type(value) for value in plain.values()} == {str, int, float, bool, list, dict, type(None)}
    assert {type(plain[name]) for name in ("name", "mask", "path")} == {str}
    assert json.loads(json.dumps(plain)) == plain


def test_the_order_of_the_keys_does_not_matter() -> None:
    assert json.dumps(plain_options({"b": {"d": 1, "c": 2}, "a": 3})) == '{"a": 3, "b": {"c": 2, "d": 1}}'


def test_no_options() -> None:
    assert plain_options(None) == plain_options({}) == {}
