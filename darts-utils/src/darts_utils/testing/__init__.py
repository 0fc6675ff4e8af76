"""The test kit of the workspace (extra ``[testing]``): one line per verb, one fixture per backend.

`assert_verb_contract` holds a verb to the tile contract, `example_tile` makes small valid tiles from the registry,
`data_dir` finds the real data, `backends` holds the array backends behind the ``backend`` fixture (enable it with
``pytest_plugins = ["darts_utils.testing.plugin"]`` in a root ``conftest.py``), and `strategies` are for Hypothesis.
`example_tile` needs nothing but darts-utils; the other names import pytest when they are used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from darts_utils.testing.examples import example_tile

if TYPE_CHECKING:
    from darts_utils.testing.backends import Backend
    from darts_utils.testing.contract import assert_verb_contract
    from darts_utils.testing.data import data_dir

_HOMES = {"Backend": "backends", "assert_verb_contract": "contract", "data_dir": "data"}

__all__ = ["Backend", "assert_verb_contract", "data_dir", "example_tile"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
