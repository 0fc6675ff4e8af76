"""The kit itself: it accepts a good verb and catches each kind of bad one."""

import numpy as np
import pytest

from darts_utils.batching import batched
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.tiles import require_variables, variable


def add_ndvi(tile, *, fault=None):
    """A verb that can misbehave on request."""
    if fault != "no check":
        require_variables(tile, ["red", "nir"], consumer="add_ndvi", hint="load them")
    values = np.full(tile.red.shape, 0.5, "float32")
    if fault == "range":
        values += 1
    attrs = {} if fault == "source" else {"source": "test"}
    dims, values, registered = variable("ndvi", values, source="test")
    result = tile.assign(ndvi=(dims, values, {**registered, "source": attrs.get("source", "")}))
    if fault == "in place":
        tile["ndvi"] = result.ndvi
    if fault == "writes pixels":
        tile.red.values[0, 0] = 1
    if fault == "extra":
        result = result.assign(slope=variable("slope", values * 0, source="test"))
    if fault == "changes":
        result = result.assign(red=result.red + np.uint16(1))
    if fault == "grid":
        result = result.assign_coords(x=result.x + 10)
    if fault == "dtype":
        result = result.assign(ndvi=result.ndvi.astype("float64"))
    if fault == "units":
        result.ndvi.attrs["units"] = "percent"
    if fault == "nan":
        result = result.assign(ndvi=result.ndvi.where(result.red.min() > 0))
    if fault == "same":
        return tile
    return result


add_ndvi_batched = batched(add_ndvi)
TILE = example_tile(["red", "nir"], shape=(8, 9))


def test_a_good_verb_passes():
    result = assert_verb_contract(
        add_ndvi, TILE, adds={"ndvi"}, needs=["red", "nir"], twin=add_ndvi_batched, nan_reach_px=0
    )
    assert "ndvi" in result


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("range", "is above 1"),
        ("source", "'source' must say"),
        ("in place", "changed its input"),
        ("writes pixels", "read-only"),
        ("extra", "expected exactly"),
        ("changes", "the verb changed 'red'"),
        ("grid", "changed the grid"),
        ("dtype", "must be float32, but got float64"),
        ("units", "attribute units must be '1', got 'percent'"),
        ("same", "returned its input"),
        ("nan", "reached further than 0 px"),
    ],
)
def test_a_bad_verb_is_caught(fault, message):
    with pytest.raises((AssertionError, ValueError), match=message):
        assert_verb_contract(
            lambda tile: add_ndvi(tile, fault=fault),
            TILE,
            adds={"ndvi"},
            twin=lambda tiles: [add_ndvi(t, fault=fault) for t in tiles],
            nan_reach_px=0,
        )


def test_a_verb_without_a_missing_variable_error_is_caught():
    with pytest.raises((pytest.fail.Exception, AttributeError), match="DID NOT RAISE|no attribute"):
        assert_verb_contract(
            lambda tile: add_ndvi(tile, fault="no check"),
            TILE,
            adds={"ndvi"},
            needs=["nir"],
            twin=lambda tiles: [add_ndvi(t) for t in tiles],
        )


def test_a_twin_that_differs_is_caught():
    with pytest.raises(AssertionError, match="not identical"):
        assert_verb_contract(
            add_ndvi, TILE, adds={"ndvi"}, twin=lambda tiles: [add_ndvi(t).assign_attrs(batched=1) for t in tiles]
        )
