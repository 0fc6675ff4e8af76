"""The guard against drift and the temperature of calibrated models."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from darts_utils.errors import CheckpointError, DartsWarning
from darts_utils.inference.drift import QUANTILE_PERCENT, check_drift, quantile_table, usual_limits
from darts_utils.inference.temperature import Tempered, applied_temperature
from darts_utils.testing import example_tile

NAMES = ("slope", "tc_brightness")


@pytest.fixture
def limits():
    rng = np.random.default_rng(0)
    samples = {"slope": rng.uniform(0, 40, 100_000), "tc_brightness": rng.integers(100, 140, 100_000)}
    return usual_limits({"input_quantiles": quantile_table(samples)})


def tile_of(slope, brightness, shape=(300, 20)):
    tile = example_tile([*NAMES, "valid_data_mask"], shape=shape)
    return tile.assign(
        slope=tile.slope.copy(data=np.full(shape, slope, "float32")),
        tc_brightness=tile.tc_brightness.copy(data=np.full(shape, brightness, "uint8")),
        valid_data_mask=tile.valid_data_mask.copy(data=np.ones(shape, bool)),
    )


def test_quantiles_are_those_of_numpy():
    values = np.random.default_rng(1).normal(size=1000)
    table = quantile_table({"slope": values})
    assert table["percent"] == list(QUANTILE_PERCENT)
    np.testing.assert_allclose(table["values"]["slope"], np.percentile(values, QUANTILE_PERCENT))


def test_usual_tiles_pass_in_silence(limits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_drift(tile_of(20.0, 120), limits=limits, variables=NAMES, consumer="model 'm'")
        check_drift(tile_of(np.nan, 120), limits=limits, variables=NAMES, consumer="model 'm'")
        check_drift(tile_of(80.0, 0), limits={}, variables=NAMES, consumer="model 'm'")
        check_drift(tile_of(80.0, 0).chunk(), limits=limits, variables=NAMES, consumer="model 'm'")


def test_unusual_variables_are_named(limits):
    with pytest.warns(
        DartsWarning, match=r"model 'm' was trained on: slope \(100% of .* 0\.0\d* … 3\d\.\d*, median 80\)"
    ):
        check_drift(tile_of(80.0, 120), limits=limits, variables=NAMES, consumer="model 'm'")
    with pytest.warns(DartsWarning, match=r"slope .*; tc_brightness \(100%"):
        check_drift(tile_of(80.0, 0), limits=limits, variables=NAMES, consumer="model 'm'")


def test_only_valid_pixels_count(limits):
    tile = tile_of(80.0, 120)
    mask = np.zeros((300, 20), bool)
    mask[100:] = True
    slope = np.where(mask, np.float32(20), np.float32(80))
    tile = tile.assign(slope=tile.slope.copy(data=slope), valid_data_mask=tile.valid_data_mask.copy(data=mask))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_drift(tile, limits=limits, variables=NAMES, consumer="model 'm'")


@pytest.mark.parametrize(
    "table", [3, {}, {"percent": [1.0], "values": {}}, {"percent": list(QUANTILE_PERCENT), "values": {"slope": [1.0]}}]
)
def test_quantiles_that_make_no_sense_are_refused(table):
    with pytest.raises(CheckpointError, match=r"expected input_quantiles to have percent with 0.1 and 99.9"):
        usual_limits({"input_quantiles": table})


@given(st.floats(0.05, 20))
def test_a_temperature_moves_no_pixel_over_one_half(temperature):
    network = torch.nn.Conv2d(2, 1, 1)
    images = torch.randn(2, 2, 4, 4)
    with torch.inference_mode():
        before, after = network(images), Tempered(network, temperature)(images)
    assert torch.equal(before > 0, after > 0)
    torch.testing.assert_close(after * temperature, before)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (None, None),
        ({"temperature": 2, "apply": True}, 2.0),
        ({"temperature": 2.0, "apply": False}, None),
        ({"temperature": None, "apply": False}, None),
    ],
)
def test_the_temperature_is_read(entry, expected):
    assert applied_temperature({} if entry is None else {"calibration": entry}) == expected


@pytest.mark.parametrize(
    "entry",
    [
        1.5,
        {},
        {"temperature": 0.0, "apply": True},
        {"temperature": None, "apply": True},
        {"temperature": True, "apply": True},
        {"temperature": float("inf"), "apply": True},
        {"temperature": 1.0, "apply": "yes"},
    ],
)
def test_temperatures_that_make_no_sense_are_refused(entry):
    with pytest.raises(CheckpointError, match="expected calibration to have a temperature above 0"):
        applied_temperature({"calibration": entry})
