import functools

import numpy as np
import pytest

from darts_preprocessing import FEATURES, preprocess
from darts_utils.errors import DartsWarning, MissingVariableError, TileContractError
from darts_utils.synthetic import synthetic_scene
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

PLANET = synthetic_scene(21, shape=(64, 80), clouds=False, swath_edge=False)
SENTINEL = synthetic_scene(22, shape=(48, 40), resolution_m=10.0, sensor="sentinel2", clouds=False, swath_edge=False)
MASKS = {"valid_data_mask", "quality_data_mask"}
ALL = {*FEATURES} - {"dem"}


@pytest.mark.parametrize("scene", [PLANET, SENTINEL], ids=["planetscope", "sentinel2"])
def test_contract(scene):
    verb = functools.partial(preprocess, dem=scene.dem, tcvis=scene.tcvis)
    result = assert_verb_contract(verb, scene.tile, adds=MASKS | ALL, changes=OPTICAL_BANDS, needs=OPTICAL_BANDS)
    assert np.isfinite(result.relative_elevation.values).all()
    assert np.isfinite(result.slope.values).all()
    assert result.attrs["tcvis_release"] == "2020"
    assert result.attrs["tcvis_missing_percent"] == 0


def test_without_auxiliary_data_their_features_are_absent():
    tile = preprocess(PLANET.tile)
    assert set(tile.data_vars) == set(PLANET.tile.data_vars) | MASKS | {"ndvi"}


def test_only_what_is_asked_for_is_made():
    asked = [*OPTICAL_BANDS, "valid_data_mask", "slope", "tc_wetness"]
    tile = preprocess(PLANET.tile, dem=PLANET.dem, tcvis=PLANET.tcvis, features=asked)
    assert set(tile.data_vars) == set(PLANET.tile.data_vars) | MASKS | {"slope", "tc_wetness"}
    with_dem = preprocess(PLANET.tile, dem=PLANET.dem, features=["dem"])
    assert with_dem.dem.attrs["units"] == "m"


@pytest.mark.parametrize(("feature", "option"), [("slope", "dem"), ("tc_greenness", "tcvis")])
def test_a_feature_without_its_source_is_refused(feature, option):
    with pytest.raises(MissingVariableError, match=f"preprocess needs '{feature}'.*give {option}="):
        preprocess(PLANET.tile, features=["ndvi", feature])


def test_auxiliary_data_of_the_wrong_kind_are_refused():
    with pytest.raises(MissingVariableError, match=r"preprocess\(dem=\) needs 'dem'"):
        preprocess(PLANET.tile, dem=PLANET.tcvis)
    with pytest.raises(MissingVariableError, match=r"preprocess\(tcvis=\) needs 'tc_brightness'"):
        preprocess(PLANET.tile, tcvis=PLANET.dem)


def test_the_border_is_as_good_as_the_middle():
    whole = preprocess(PLANET.tile, dem=PLANET.dem, tcvis=PLANET.tcvis)
    window = dict(y=slice(10, 40), x=slice(30, 80))
    part = preprocess(PLANET.tile.isel(window), dem=PLANET.dem, tcvis=PLANET.tcvis)
    for name in ALL:
        np.testing.assert_allclose(
            part[name].values, whole[name].isel(window).values, rtol=1e-5, atol=1e-5, err_msg=name
        )


def test_partial_elevation_and_trends_give_a_warning_with_the_share():
    half = PLANET.dem.isel(x=slice(0, PLANET.dem.sizes["x"] // 2))
    with pytest.warns(DartsWarning, match=r"elevation model covers only \d+\.\d % of the tile"):
        tile = preprocess(PLANET.tile, dem=half)
    share = np.isnan(tile.relative_elevation.values).mean()
    assert 0.1 < share < 0.9
    gap = PLANET.tcvis.isel(x=slice(0, PLANET.tcvis.sizes["x"] // 2))
    with pytest.warns(DartsWarning, match=r"trends cover only \d+\.\d % of the tile"):
        tile = preprocess(PLANET.tile, tcvis=gap)
    assert tile.attrs["tcvis_missing_percent"] > 10
    assert (tile[list(TCVIS_BANDS)].to_array().values[:, :, -1] == 0).any()


def test_without_a_sensor_mask_there_is_one_warning():
    with pytest.warns(DartsWarning, match="no sensor mask") as caught:
        preprocess(PLANET.tile.drop_vars(["planet_udm2", "planet_udm1"]))
    assert len(caught) == 1


def test_twice_is_once():
    once = preprocess(SENTINEL.tile, dem=SENTINEL.dem, tcvis=SENTINEL.tcvis)
    assert preprocess(once).identical(once)


def test_tiles_in_degrees_are_refused():
    with pytest.raises(TileContractError, match="projected CRS in metres"):
        preprocess(example_tile(OPTICAL_BANDS, crs="EPSG:4326", resolution_m=0.001))


def test_radius_changes_relative_elevation_alone():
    wide = preprocess(PLANET.tile, dem=PLANET.dem, tpi_outer_radius_m=150.0)
    narrow = preprocess(PLANET.tile, dem=PLANET.dem, tpi_outer_radius_m=30.0)
    assert np.abs(wide.relative_elevation).mean() > np.abs(narrow.relative_elevation).mean()
    np.testing.assert_allclose(wide.slope.values, narrow.slope.values, atol=1e-5)
    assert "150 m" in wide.relative_elevation.attrs["source"]


def test_backends_agree(backend):
    expected = preprocess(SENTINEL.tile, dem=SENTINEL.dem, tcvis=SENTINEL.tcvis)
    got = preprocess(backend.tile(SENTINEL.tile), dem=SENTINEL.dem, tcvis=SENTINEL.tcvis)
    for name in (*OPTICAL_BANDS, *MASKS, *ALL):
        np.testing.assert_array_equal(backend.values(got[name]), expected[name].values, err_msg=name)
