"""Inputs that have the right name and hold other numbers."""

import pytest

from darts_utils.errors import CheckpointError, DartsWarning, TileContractError
from darts_utils.inference.agreement import Surroundings, check_agreement, trained_surroundings
from darts_utils.testing import example_tile

CONFIG = {"input_combination": ["red", "relative_elevation"]}
WITHIN_300 = {**CONFIG, "relative_elevation_radius_m": 300}


def tile_of(*, band=None, elevation=None):
    tile = example_tile(["red", "relative_elevation", "valid_data_mask"], shape=(4, 5)).assign_attrs(tile_id="t1")
    for name, attrs in (("red", band), ("relative_elevation", elevation)):
        if attrs is not None:
            tile[name].attrs.update(attrs)
    return tile


def radii(outer_m, inner_m=0.0):
    return {"outer_radius_m": outer_m, "inner_radius_m": inner_m}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, None),
        ({"relative_elevation_radius_m": 300}, Surroundings(300.0)),
        ({"relative_elevation_radius_m": 300.0, "relative_elevation_inner_radius_m": 50}, Surroundings(300.0, 50.0)),
        ({"relative_elevation_radius_m": 300, "input_combination": ["red"]}, None),
    ],
)
def test_what_a_model_says(more, expected):
    assert trained_surroundings({**CONFIG, **more}) == expected


@pytest.mark.parametrize(
    "more",
    [
        {"relative_elevation_radius_m": value}
        for value in ("300", 0, -1, float("nan"), float("inf"), True, [300], 10**400)
    ]
    + [
        {"relative_elevation_inner_radius_m": 10},
        {"relative_elevation_radius_m": 30, "relative_elevation_inner_radius_m": 30},
        {"relative_elevation_radius_m": 30, "relative_elevation_inner_radius_m": -1},
    ],
)
def test_a_model_that_says_nonsense(more):
    with pytest.raises(CheckpointError, match="expected relative_elevation_radius_m to be metres above 0"):
        trained_surroundings({**CONFIG, **more})


@pytest.mark.parametrize(
    ("elevation", "config"),
    [
        (None, CONFIG),  # nobody says anything
        (radii(100.0), CONFIG),
        (radii(300.0), WITHIN_300),
        (radii(300.0 + 1e-9), WITHIN_300),
        ({"outer_radius_m": 300}, WITHIN_300),
        (None, {**CONFIG, "relative_elevation_radius_m": 100.0}),
        (radii(300.0), {**WITHIN_300, "input_combination": ["red"]}),
    ],
)
def test_agreement_is_silent(elevation, config):
    check_agreement(tile_of(elevation=elevation), config=config, consumer="model 'm'")


@pytest.mark.parametrize(
    "elevation", [radii(100.0), radii(300.0, 30.0), radii(299.9), radii("300"), radii(float("nan"))]
)
def test_other_surroundings_are_refused(elevation):
    with pytest.raises(
        TileContractError,
        match=r"model 'm' was trained with an elevation relative to the mean within 300 m; that of tile 't1' is relative to "
        r"the mean within .*: make the tile with the same --tpi-outer-radius-m",
    ):
        check_agreement(tile_of(elevation=elevation), config=WITHIN_300, consumer="model 'm'")


def test_unusual_surroundings_of_which_one_side_says_nothing_are_warned_about():
    with pytest.warns(
        DartsWarning, match="of model 'm' is relative to the mean within 300 m, and tile 't1' does not say"
    ):
        check_agreement(tile_of(), config=WITHIN_300, consumer="model 'm'")
    with pytest.warns(
        DartsWarning, match="of tile 't1' is .* within 100 m and beyond 20 m, and model 'm' does not say"
    ):
        check_agreement(tile_of(elevation=radii(100.0, 20.0)), config=CONFIG, consumer="model 'm'")


@pytest.mark.parametrize(
    "band",
    [
        {"reflectance_scale": 1e-4, "reflectance_offset": -0.1},  # Sentinel-2 as it is stored since 2022
        {"reflectance_scale": 1e-3, "reflectance_offset": 0.0},
        {"reflectance_scale": "unknown"},
        {"reflectance_offset": None},
    ],
)
def test_counts_of_a_sensor_are_refused(band):
    with pytest.raises(
        TileContractError,
        match=r"model 'm' needs reflectance × 10 000 in 'red'; tile 't1' says .*: run preprocessing first",
    ):
        check_agreement(tile_of(band=band), config=CONFIG, consumer="model 'm'")


@pytest.mark.parametrize("band", [{}, {"reflectance_scale": 0.0001, "reflectance_offset": 0}])
def test_reflectance_is_taken(band):
    check_agreement(tile_of(band=band), config=CONFIG, consumer="model 'm'")
