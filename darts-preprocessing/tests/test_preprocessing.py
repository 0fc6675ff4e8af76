import functools

import numpy as np
import pytest
import scipy.ndimage

from darts_preprocessing import FEATURES, align, preprocess
from darts_preprocessing.preprocessing import DEM_FEATURES, OPTICAL_FEATURES
from darts_utils.device import is_cupy
from darts_utils.errors import DartsWarning, MissingVariableError, TileContractError
from darts_utils.grids import geobox_of
from darts_utils.synthetic import synthetic_scene
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

PLANET = synthetic_scene(21, shape=(64, 80), clouds=False, swath_edge=False)
SENTINEL = synthetic_scene(22, shape=(48, 40), resolution_m=10.0, sensor="sentinel2", clouds=False, swath_edge=False)
MASKS = {"valid_data_mask", "quality_data_mask"}
ON_REQUEST = ("dem", "hillshade", "aspect", "curvature", "terrain_ruggedness", "vector_ruggedness", "dissection")
ALL = {*FEATURES} - {*ON_REQUEST}


@pytest.mark.parametrize("scene", [PLANET, SENTINEL], ids=["planetscope", "sentinel2"])
def test_contract(scene):
    verb = functools.partial(preprocess, dem=scene.dem, tcvis=scene.tcvis)
    result = assert_verb_contract(verb, scene.tile, adds=MASKS | ALL, changes=OPTICAL_BANDS, needs=OPTICAL_BANDS)
    assert np.isfinite(result.relative_elevation.values).all()
    assert np.isfinite(result.slope.values).all()
    assert result.attrs["tcvis_release"] == "2020"
    assert result.attrs["tcvis_missing_percent"] == 0


def test_features_are_known_by_what_they_are_made_from():
    assert OPTICAL_FEATURES == ("ndvi",)
    assert ("relative_elevation", "slope", *ON_REQUEST) == DEM_FEATURES
    assert (*OPTICAL_FEATURES, *DEM_FEATURES, *TCVIS_BANDS) == FEATURES


def test_every_feature_can_be_asked_for():
    verb = functools.partial(preprocess, dem=SENTINEL.dem, features=[*ON_REQUEST, "gndvi", "bai", "no_feature"])
    tile = assert_verb_contract(verb, SENTINEL.tile, adds=MASKS | {*ON_REQUEST, "gndvi", "bai"}, changes=OPTICAL_BANDS)
    for name in ("dem", "hillshade", "curvature", "terrain_ruggedness", "vector_ruggedness"):
        assert tile[name].attrs["missing_percent"] == 0
    assert tile.hillshade.attrs["sun_azimuth_deg"] == SENTINEL.tile.attrs["sun_azimuth_deg"]


def test_a_hillshade_without_a_sun_gives_one_warning():
    dark = SENTINEL.tile.assign_attrs()
    del dark.attrs["sun_azimuth_deg"]
    with pytest.warns(DartsWarning, match="takes azimuth 225° and elevation 25°") as caught:
        tile = preprocess(dark, dem=SENTINEL.dem, features=["hillshade"])
    assert len(messages(caught)) == 1
    assert tile.hillshade.attrs["sun_elevation_deg"] == 25.0


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
    whole = preprocess(PLANET.tile, dem=PLANET.dem, tcvis=PLANET.tcvis, features=FEATURES)
    window = dict(y=slice(10, 40), x=slice(30, 80))
    part = preprocess(PLANET.tile.isel(window), dem=PLANET.dem, tcvis=PLANET.tcvis, features=FEATURES)
    for name in {*FEATURES} - {"dem", "aspect", "dissection"}:
        np.testing.assert_allclose(
            part[name].values, whole[name].isel(window).values, rtol=1e-5, atol=1e-5, err_msg=name
        )


def messages(caught):
    return [str(warning.message) for warning in caught if warning.category is DartsWarning]


def test_partial_elevation_gives_a_warning_with_the_shares():
    half = PLANET.dem.isel(x=slice(0, PLANET.dem.sizes["x"] // 2))
    with pytest.warns(DartsWarning) as caught:
        tile = preprocess(PLANET.tile, dem=half, features=["dem", "slope", "relative_elevation"])
    missing = {name: 100 * np.isnan(tile[name].values).mean() for name in ("dem", "slope", "relative_elevation")}
    assert 10 < missing["dem"] == missing["relative_elevation"] < missing["slope"] < 90
    for name, share in missing.items():
        assert tile[name].attrs["missing_percent"] == pytest.approx(share, abs=1e-3)
    gap, surroundings = messages(caught)
    assert f"the elevation model covers only {100 - missing['dem']:.1f} % of the tile" in gap
    assert f"slope {missing['slope']:.3g} %" in gap
    assert (
        f"relative_elevation of {tile.relative_elevation.attrs['partial_percent']:.3g} % of the pixels" in surroundings
    )


def cropped_to(dem, grid, *, margin_px):
    """The heights on the grid of a tile with a margin: what a user gets who cuts the elevation model to the tile."""
    return align(dem, grid=grid.pad(margin_px) if margin_px else grid)


def test_an_elevation_model_without_a_margin_gives_a_warning():
    grid = geobox_of(PLANET.tile)
    with pytest.warns(DartsWarning) as caught:
        tile = preprocess(PLANET.tile, dem=cropped_to(PLANET.dem, grid, margin_px=0), tpi_outer_radius_m=30.0)
    whole = preprocess(PLANET.tile, dem=PLANET.dem, tpi_outer_radius_m=30.0)
    border = np.ones(grid.shape, bool)
    border[10:-10, 10:-10] = False
    differs = np.abs(tile.relative_elevation.values - whole.relative_elevation.values) > 1e-4
    assert differs.any()
    assert not differs[~border].any()
    share = 100 * border.mean()
    assert tile.relative_elevation.attrs["missing_percent"] == 0
    assert tile.relative_elevation.attrs["partial_percent"] == pytest.approx(share, abs=1e-3)
    assert tile.slope.attrs["missing_percent"] == pytest.approx(100 * np.isnan(tile.slope.values).mean(), abs=1e-3)
    edge, surroundings = messages(caught)
    assert (
        f"ends at the tile's border, where features are NaN (slope {tile.slope.attrs['missing_percent']:.3g} %)" in edge
    )
    assert f"relative_elevation of {share:.3g} % of the pixels is that to a part of their surroundings" in surroundings
    assert "give one that reaches 30 m beyond the tile" in surroundings


def test_an_elevation_model_with_its_margin_gives_no_warning():
    dem = cropped_to(PLANET.dem, geobox_of(PLANET.tile), margin_px=13)
    tile = preprocess(PLANET.tile, dem=dem, tpi_outer_radius_m=30.0)
    assert tile.relative_elevation.attrs["partial_percent"] == tile.slope.attrs["missing_percent"] == 0


def test_a_hole_in_the_elevation_model_reaches_as_far_as_the_radius():
    heights = PLANET.dem.dem.values.copy()
    heights[heights.shape[0] // 2 - 3 :, :][:6, heights.shape[1] // 2 - 3 : heights.shape[1] // 2 + 3] = np.nan
    holed = PLANET.dem.assign(dem=PLANET.dem.dem.copy(data=heights))
    with pytest.warns(DartsWarning, match=r"covers only 99\.\d % of the tile|part of their surroundings"):
        tile = preprocess(PLANET.tile, dem=holed, tpi_outer_radius_m=30.0)
    hole = np.isnan(tile.relative_elevation.values)
    near = scipy.ndimage.distance_transform_edt(~hole) <= 10
    assert tile.relative_elevation.attrs["partial_percent"] == pytest.approx(100 * (near & ~hole).mean(), abs=1e-3)


@pytest.mark.parametrize("fill", [None, -9999.0])
def test_heights_that_are_none_are_refused_in_memory_too(fill):
    spoiled = PLANET.dem.dem.copy(data=PLANET.dem.dem.values.copy())
    middle = spoiled.sizes["y"] // 2, spoiled.sizes["x"] // 2
    spoiled[middle[0] - 5 : middle[0] + 5, middle[1] - 5 : middle[1] + 5] = -9999
    if fill is None:
        with pytest.raises(
            TileContractError, match="elevation model .* must hold heights of -500 to 9000 m, but they go from -9999"
        ):
            preprocess(PLANET.tile, dem=PLANET.dem.assign(dem=spoiled))
        with pytest.raises(TileContractError, match="but they go from .*check its unit"):
            preprocess(PLANET.tile, dem=PLANET.dem.assign(dem=PLANET.dem.dem * np.float32(100)))
    else:
        with pytest.warns(DartsWarning):
            tile = preprocess(PLANET.tile, dem=PLANET.dem.assign(dem=spoiled.assign_attrs(_FillValue=fill)))
        assert np.nanmax(np.abs(tile.relative_elevation.values)) < 500
        assert np.isnan(tile.slope.values).any()


def with_gap(tcvis, fill):
    """The trends with nothing in their western half."""
    middle = tcvis.sizes["x"] // 2

    def emptied(array):
        values = np.full(array.shape, 120, "uint8")
        values[:, :middle] = fill
        return array.copy(data=values).assign_attrs({} if fill == 0 else {"_FillValue": fill})

    return tcvis.assign({name: emptied(array) for name, array in tcvis.items()})


@pytest.mark.parametrize("fill", [0, 255])
def test_a_gap_in_the_trends_is_counted_and_does_not_ring(fill):
    with pytest.warns(DartsWarning, match=r"trends cover only \d+\.\d % of the tile: the rest is 0"):
        tile = preprocess(PLANET.tile, tcvis=with_gap(PLANET.tcvis, fill))
    gap = tile.tc_wetness.values == 0
    assert 0.2 < gap.mean() < 0.8
    for name in TCVIS_BANDS:
        np.testing.assert_array_equal(tile[name].values, np.where(gap, 0, 120))
        assert tile[name].attrs["missing_percent"] == pytest.approx(100 * gap.mean(), abs=1e-3)
    assert tile.attrs["tcvis_missing_percent"] == pytest.approx(100 * gap.mean(), abs=1e-3)
    with pytest.warns(DartsWarning, match="trends cover only"):
        alone = preprocess(PLANET.tile, tcvis=with_gap(PLANET.tcvis, fill), features=["tc_greenness"])
    np.testing.assert_array_equal(alone.tc_greenness.values, tile.tc_greenness.values)


def test_one_trend_of_zero_is_no_gap():
    tcvis = PLANET.tcvis.assign(
        tc_wetness=PLANET.tcvis.tc_wetness.copy(data=np.zeros_like(PLANET.tcvis.tc_wetness.values))
    )
    tile = preprocess(PLANET.tile, tcvis=tcvis)
    assert (tile.tc_wetness.values == 0).all()
    assert tile.attrs["tcvis_missing_percent"] == 0


def test_trends_that_end_in_the_tile_give_a_warning():
    part = PLANET.tcvis.isel(x=slice(0, PLANET.tcvis.sizes["x"] // 2))
    with pytest.warns(DartsWarning, match=r"trends cover only \d+\.\d % of the tile"):
        tile = preprocess(PLANET.tile, tcvis=part)
    assert tile.attrs["tcvis_missing_percent"] > 10
    assert (tile[list(TCVIS_BANDS)].to_array().values[:, :, -1] == 0).any()


def test_a_feature_is_made_anew_where_its_source_is_given():
    asked = ["relative_elevation", "tc_wetness"]
    narrow = preprocess(PLANET.tile, dem=PLANET.dem, tcvis=PLANET.tcvis, features=asked, tpi_outer_radius_m=30.0)
    wide = preprocess(narrow, dem=PLANET.dem, features=asked, tpi_outer_radius_m=150.0)
    expected = preprocess(PLANET.tile, dem=PLANET.dem, features=asked[:1], tpi_outer_radius_m=150.0)
    assert wide.relative_elevation.identical(expected.relative_elevation)
    assert wide.tc_wetness.identical(narrow.tc_wetness)  # kept: no trends were given
    assert preprocess(narrow, features=asked).identical(narrow)


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


def test_with_a_tiny_radius_the_slope_still_has_its_border():
    tile = preprocess(PLANET.tile, dem=PLANET.dem, features=["slope"], tpi_outer_radius_m=0.1)
    np.testing.assert_allclose(tile.slope.values, preprocess(PLANET.tile, dem=PLANET.dem).slope.values, atol=1e-5)


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
    if backend.name == "cupy":
        assert all(is_cupy(array.data) for array in got.data_vars.values())


def test_features_of_elevation_and_trends_go_to_where_the_bands_are(monkeypatch):
    brought = []

    def recorded(array, *, like):
        brought.append((array.copy(), like))
        return brought[-1][0]

    monkeypatch.setattr("darts_preprocessing.preprocessing.beside", recorded)
    tile = preprocess(SENTINEL.tile, dem=SENTINEL.dem, tcvis=SENTINEL.tcvis)
    assert {id(array) for array, _ in brought} == {id(tile[name].data) for name in ALL - {"ndvi"}}
    assert all(like is tile.blue.data for _, like in brought)
