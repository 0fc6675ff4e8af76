import numpy as np
import pytest

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
    assert VARIABLES.written_by("loading")[:4] == OPTICAL_BANDS


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
