import numpy as np
import pytest
import spyndex

from darts_preprocessing import calculate_index, calculate_ndvi, index_names
from darts_preprocessing.index_catalogue import BAND_SYMBOLS, index_catalogue, parse_formula
from darts_utils.errors import MissingVariableError
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.variables import OPTICAL_BANDS, VARIABLES

TILE = example_tile([*OPTICAL_BANDS, "valid_data_mask"], shape=(30, 40))
CONSTANTS = {name: each.default for name, each in spyndex.constants.items() if each.default is not None}
ALLOWED = {
    name: each for name, each in spyndex.indices.items() if set(each.bands) <= set(BAND_SYMBOLS) | set(CONSTANTS)
}


def test_every_index_that_the_bands_allow_is_there():
    assert len(ALLOWED) > 90
    assert index_names() == tuple(sorted(name.lower() for name in ALLOWED))
    assert len(set(index_names())) == len(ALLOWED)


@pytest.mark.parametrize("name", ALLOWED)
def test_it_equals_spyndex(name):
    tile = calculate_index(TILE, name)
    reflectances = {symbol: TILE[band].values / 10_000 for symbol, band in BAND_SYMBOLS.items()}
    with np.errstate(all="ignore"):
        expected = np.asarray(spyndex.computeIndex(name, params={**CONSTANTS, **reflectances}), dtype="float64")
    expected = np.where(TILE.valid_data_mask.values & np.isfinite(expected), expected, np.nan)
    got = tile[name.lower()]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.values, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["gndvi", "GNDVI", "EVI", "bai"])
def test_contract(name):
    def verb(tile):
        return calculate_index(tile, name)

    def twin(tiles):
        return [calculate_index(tile, name) for tile in tiles]

    needs = {*index_catalogue()[name.lower()].bands, "valid_data_mask"}
    assert_verb_contract(verb, TILE, adds={name.lower()}, needs=needs, twin=twin, nan_reach_px=0)


def test_the_registry_knows_indices_by_name():
    row = VARIABLES["gndvi"]
    assert (row.dtype, row.origin, row.stage) == ("float32", "optical", "preprocessing")
    assert row.long_name == "Green Normalized Difference Vegetation Index"
    assert "gndvi" in VARIABLES
    assert "gndvi" not in list(VARIABLES)
    assert "ndmi" not in VARIABLES  # needs a shortwave band
    assert "nirvp" not in VARIABLES  # needs the light that reaches the ground


def test_ndvi_is_that_of_its_own_verb():
    assert calculate_index(TILE, "NDVI").identical(calculate_ndvi(TILE))


def test_what_is_no_number_is_nan():
    dark = TILE.assign(nir=TILE.nir * 0, red=TILE.red * 0)
    assert np.isnan(calculate_index(dark, "SR").sr.values).all()
    assert np.isnan(calculate_index(TILE.assign(red=TILE.red * 0), "SR").sr.values).all()  # infinite


def test_reflectances_above_one_count_as_one():
    bright = TILE.assign(nir=TILE.nir * 0 + np.uint16(20_000), red=TILE.red * 0 + np.uint16(5_000))
    dvi = calculate_index(bright, "DVI").dvi.values
    np.testing.assert_allclose(dvi[TILE.valid_data_mask.values], 0.5)


@pytest.mark.parametrize(
    ("name", "advice"), [("gndwi", "did you mean"), ("NBR", "of blue, green, red and nir"), ("?", "see")]
)
def test_other_names_are_refused(name, advice):
    with pytest.raises(
        ValueError, match=f"(?s)expected a spectral index.*but got '{name.replace('?', '.')}'.*"
    ) as caught:
        calculate_index(TILE, name)
    assert advice in str(caught.value)


def test_missing_bands_are_named():
    with pytest.raises(MissingVariableError, match=r"calculate_index\('GNDVI'\) needs 'green'"):
        calculate_index(TILE.drop_vars("green"), "GNDVI")


@pytest.mark.parametrize(
    "formula", ["__import__('os')", "N.real", "N if R else G", "N > R", "X + 1", "True", "'a'", "[N]"]
)
def test_formulas_are_arithmetic_alone(formula):
    with pytest.raises(ValueError, match="expected a formula of symbols and"):
        parse_formula(formula, constants={})


def test_what_is_no_formula_is_refused():
    with pytest.raises(ValueError, match="expected a formula of symbols and .*but got 'N -'"):
        parse_formula("N -", constants={})


def test_signs_and_precedence():
    bands = {"N": 0.5, "R": 0.25, "G": 2.0, "B": 3.0}
    assert parse_formula("-N**2.0+B*G-R/N", constants={})(bands) == -(0.5**2) + 6 - 0.5


def test_backends_agree(backend):
    got = backend.values(calculate_index(backend.tile(TILE), "EVI").evi)
    np.testing.assert_allclose(got, calculate_index(TILE, "EVI").evi.values, rtol=1e-6)
