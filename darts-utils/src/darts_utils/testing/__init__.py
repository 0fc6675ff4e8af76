"""The test kit of the workspace (extra ``[testing]``): one line per verb, one fixture per backend.

`assert_verb_contract` holds a verb to the tile contract, `example_tile` makes small valid tiles from the registry,
`data_dir` finds the real data, `backends` holds the array backends behind the ``backend`` fixture (enable it with
``pytest_plugins = ["darts_utils.testing.plugin"]`` in a root ``conftest.py``), and `strategies` are for Hypothesis.
"""

from darts_utils.testing.backends import Backend
from darts_utils.testing.contract import assert_verb_contract
from darts_utils.testing.data import data_dir
from darts_utils.testing.examples import example_tile

__all__ = ["Backend", "assert_verb_contract", "data_dir", "example_tile"]
