"""The demo's networks in stages: the optical one first, the full one where it found something."""

import numpy as np
import pytest

from darts_ensemble import Ensemble, Gate, run_stages
from darts_preprocessing import load_and_preprocess
from darts_utils.inference.config import InferenceConfig

OPTIONS = InferenceConfig(patch_px=64, batch_size=4, precision="float32")


@pytest.fixture(scope="module")
def tile(planet):
    return load_and_preprocess(planet.scene, dem=planet.dem, tcvis=planet.tcvis)


@pytest.fixture(scope="module")
def members(models):
    return Ensemble.load(models, device="cpu").members


def test_where_the_gate_is_open_the_network_says_what_it_says_without_a_gate(tile, members):
    cheap, better = members["optical"], members["full"]
    result = run_stages(tile, stages=[cheap, Gate(threshold=0.5, reach_px=8), better], options=OPTIONS)
    (percent,) = result.probabilities.attrs["gates_open_percent"]
    assert 1 < percent < 60
    first, second = (model.inference(tile, options=OPTIONS).probabilities.values for model in (cheap, better))
    found = result.probabilities.values
    from_second, from_first = found == second, found == first
    valid = tile.valid_data_mask.values
    assert (from_second | from_first)[valid].all()
    assert from_second[valid].mean() == pytest.approx(percent / 100, abs=1e-3)
    assert (first[valid & ~from_second] <= 0.5).all()
    np.testing.assert_array_equal(np.isnan(found), ~valid)


def test_a_gate_that_stays_closed_leaves_what_the_first_said(tile, members):
    better = members["full"]
    nothing = Gate(threshold=1.0)
    result = run_stages(tile, stages=[members["optical"], nothing, better], options=OPTIONS)
    assert result.probabilities.attrs["gates_open_percent"] == [0.0]
    expected = members["optical"].inference(tile, options=OPTIONS)
    np.testing.assert_array_equal(result.probabilities.values, expected.probabilities.values)
