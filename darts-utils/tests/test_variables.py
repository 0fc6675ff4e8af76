import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

from darts_utils import variables
from darts_utils.errors import DartsWarning
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS, VARIABLES, Variable, VariableRegistry


def test_every_row_has_a_dtype_units_and_a_consistent_range():
    for name, row in VARIABLES.items():
        assert np.dtype(row.dtype).name == row.dtype
        assert row.long_name
        assert row.units
        if row.valid_min is not None:
            assert row.valid_min < row.valid_max, name
        if row.dtype == "float32":
            assert np.isnan(row.nodata), f"{name}: invalid float pixels are NaN"


def test_bands_are_in_the_registry():
    assert set(OPTICAL_BANDS) | set(TCVIS_BANDS) <= set(VARIABLES)
    assert [name for name, row in VARIABLES.items() if row.stage == "loading"][:4] == list(OPTICAL_BANDS)


def test_per_model_names_are_known_only_where_they_make_sense():
    assert VARIABLES["probabilities-full"] is VARIABLES["probabilities"]
    for name in ("ndvi-full", "probabilities-", "-full", "nothing"):
        assert name not in VARIABLES
        with pytest.raises(KeyError, match=name):
            VARIABLES[name]


def test_names_that_are_no_text_are_not_known():
    assert 7 not in VARIABLES


def test_every_row_says_what_it_is_made_from():
    made_from = {row.origin for row in VARIABLES.values()}
    assert made_from == {"sensor", "optical", "dem", "tcvis", "model"}
    assert [name for name, row in VARIABLES.items() if row.origin == "tcvis"] == list(TCVIS_BANDS)


def test_a_name_given_twice_is_refused():
    row = Variable("a", "uint8", "loading", "sensor", "a", "1")
    with pytest.raises(ValueError, match="got 'a' twice"):
        VariableRegistry([row, row])


def moisture_of(name):
    """As a package would announce it."""
    return Variable(name, "float32", "preprocessing", "optical", "soil moisture", "1") if name == "moisture" else None


def out_of_order(name):
    raise OSError("the catalogue is gone")


@pytest.fixture
def announce(monkeypatch):
    """Let packages announce variables, by the values of their entry points."""

    def announced(*values):
        entries = [importlib.metadata.EntryPoint("theirs", value, variables.VARIABLES_GROUP) for value in values]
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: entries)
        variables._entries.cache_clear()
        variables._announced.cache_clear()

    monkeypatch.setitem(sys.modules, "announcer", sys.modules[__name__])
    yield announced
    monkeypatch.undo()
    variables._entries.cache_clear()
    variables._announced.cache_clear()


def test_packages_announce_further_variables(announce):
    announce("announcer:moisture_of")
    assert VARIABLES["moisture"].long_name == "soil moisture"
    assert "moisture" not in list(VARIABLES)
    assert "dryness" not in VARIABLES


@pytest.mark.parametrize("broken", ["no_such_package:f", "announcer:no_such_function", "announcer:out_of_order"])
def test_a_broken_package_gives_a_warning_and_the_others_still_work(announce, broken):
    announce(broken, "announcer:moisture_of")
    assert "ndvi" in VARIABLES  # the table asks no package
    with pytest.warns(DartsWarning, match=f"'theirs' are provided by '{broken}', which does not work .*reinstall"):
        assert VARIABLES["moisture"].units == "1"


def test_names_of_the_table_import_no_package():
    code = (
        "import sys; from darts_utils.variables import VARIABLES; VARIABLES['ndvi'], VARIABLES['probabilities-full']; "
        "print(*{'numpy', 'spyndex', 'darts_preprocessing'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
