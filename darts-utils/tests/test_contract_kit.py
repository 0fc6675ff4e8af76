"""The kit itself: it accepts a good verb and catches each kind of bad one."""

import numpy as np
import pytest

from darts_utils.batching import batched
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import assert_verb_contract, contract, example_tile
from darts_utils.tiles import require_variables, variable

NEEDS = ("red", "nir", "valid_data_mask")
TILE = example_tile(NEEDS, shape=(8, 9)).assign_attrs(bands=["red", "nir"], cloud_share=float("nan"))
TILE = TILE.assign(count=(("y", "x"), np.arange(72, dtype="int32").reshape(8, 9)))  # the registry does not know it


def add_ndvi(tile):
    """A verb without a fault."""
    require_variables(tile, NEEDS, consumer="add_ndvi", hint="load them")
    values = np.where(tile.valid_data_mask.values, np.float32(0.5), np.float32(np.nan))
    return tile.assign(ndvi=variable("ndvi", values, source="test"))


def replaced(tile, values):
    """The result with other values in its new variable."""
    return add_ndvi(tile).assign(ndvi=variable("ndvi", values.astype("float32"), source="test"))


def with_attrs(array, **attrs):
    return array.copy().assign_attrs(attrs)


def edited(tile, edit):
    """The result, copied whole, after something was done to it."""
    result = add_ndvi(tile).copy(deep=True)
    edit(result)
    return result


def in_place(tile):
    result = add_ndvi(tile)
    tile["ndvi"] = result.ndvi
    return result


def writes_pixels(tile):
    tile.red.values[0, 0] = 1
    return add_ndvi(tile)


def writes_into_an_attribute(tile):
    tile.attrs["bands"].append("ndvi")
    return add_ndvi(tile)


def spreads_nan(tile):
    result = add_ndvi(tile)
    return result.assign(ndvi=result.ndvi.where(result.red.min() > 0))


def names_another(tile):
    if not set(NEEDS) <= set(tile.data_vars):
        raise MissingVariableError(
            "v", ["slope"], tile_id="t", present=[], hint="the red, near-nir and valid_data_mask"
        )
    return add_ndvi(tile)


def takes_any_form(tile):
    """Asks for what is missing, and looks at nothing else."""
    missing = [name for name in NEEDS if name not in tile]
    if missing:
        raise MissingVariableError("v", missing, tile_id="t", present=[], hint="load them")
    valid = tile.valid_data_mask.values.astype(bool)
    return tile.assign(ndvi=variable("ndvi", np.where(valid, 0.5, np.nan).astype("float32"), source="test"))


def takes_any_dtype(tile):
    for name in tile.data_vars:
        if tile[name].dims != ("y", "x"):
            raise TileContractError(f"{name!r} is transposed")
    return takes_any_form(tile)


def blames_another(tile):
    try:
        return add_ndvi(tile)
    except TileContractError as error:
        raise TileContractError("variable 'slope' is odd") from error


def fails_on(*, sizes):
    def verb(tile):
        if dict(tile.sizes) == sizes:
            raise IndexError(f"fails on {sizes}")
        return add_ndvi(tile)

    return verb


FAULTS = {
    "out of range": (lambda t: replaced(t, np.full(t.red.shape, 1.5)), "1.5 is above 1"),
    "infinite": (lambda t: replaced(t, np.where(t.valid_data_mask, np.inf, np.nan)), "ndvi: got infinity"),
    "nothing but nodata": (
        lambda t: replaced(t, np.full(t.red.shape, np.nan)),
        "ndvi: a good tile gave nothing but nodata",
    ),
    "values where nothing is valid": (
        lambda t: replaced(t, np.full(t.red.shape, 0.5)),
        r"ndvi: expected nodata where valid_data_mask is False, got \[0.5\]",
    ),
    "spreads NaN": (spreads_nan, "reached further than 0 px"),
    "no source": (lambda t: edited(t, lambda r: r.ndvi.attrs.update(source="")), "'source' must say"),
    "wrong units": (
        lambda t: edited(t, lambda r: r.ndvi.attrs.update(units="percent")),
        "attribute units must be '1', got 'percent'",
    ),
    "wrong dtype": (
        lambda t: add_ndvi(t).assign(ndvi=lambda r: r.ndvi.astype("f8")),
        "must be float32, but got float64",
    ),
    "adds a variable": (lambda t: add_ndvi(t).assign(more=t.red), "expected exactly"),
    "removes a variable": (lambda t: add_ndvi(t).drop_vars("count"), "expected exactly"),
    "changes a variable": (lambda t: add_ndvi(t).assign(red=t.red + np.uint16(1)), "the verb changed 'red'"),
    "changes a variable's attributes": (
        lambda t: add_ndvi(t).assign(red=with_attrs(t.red, source="?")),
        "the verb changed 'red'",
    ),
    "changes a dtype": (lambda t: add_ndvi(t).assign(count=t["count"].astype("int64")), "the verb changed 'count'"),
    "moves the grid": (lambda t: add_ndvi(t).assign_coords(x=t.x + 10, spatial_ref=moved(t)), "changed the grid"),
    "adds a coordinate": (lambda t: add_ndvi(t).assign_coords(band=1), "changed the coordinates"),
    "clears a coordinate's attributes": (
        lambda t: edited(t, lambda r: r.x.attrs.clear()),
        "changed coordinate 'x'",
    ),
    "clears the attributes": (
        lambda t: edited(t, lambda r: r.attrs.clear()),
        "the verb changed attribute 'tile_id': 'example-0' became None",
    ),
    "changes the date": (
        lambda t: add_ndvi(t).assign_attrs(date="1999-01-01"),
        "attribute 'date': '2021-08-21' became",
    ),
    "changes a list": (lambda t: add_ndvi(t).assign_attrs(bands=["red"]), "the verb changed attribute 'bands'"),
    "works in place": (in_place, "the verb changed its input"),
    "writes pixels": (writes_pixels, "read-only"),
    "writes into an attribute": (writes_into_an_attribute, "the verb changed its input"),
    "returns its input": (lambda t: t, "returned its input"),
    "names another missing variable": (names_another, r"expected 'red' to be named as missing, got \['slope'\]"),
    "takes a transposed variable": (
        takes_any_form,
        r"TileContractError for 'red' as dims \(x, y\), but the verb took it",
    ),
    "takes another dtype": (takes_any_dtype, "TileContractError for 'red' as int32, but the verb took it"),
    "blames another variable": (blames_another, "TileContractError that names 'red' as dims .*'slope' is odd"),
    "fails on a row": (fails_on(sizes={"y": 1, "x": 9}), "fails on"),
    "fails on a column": (fails_on(sizes={"y": 8, "x": 1}), "fails on"),
    "fails on a pixel": (fails_on(sizes={"y": 1, "x": 1}), "fails on"),
}


def moved(tile):
    west, rest = tile.spatial_ref.attrs["GeoTransform"].split(" ", 1)
    return with_attrs(tile.spatial_ref, GeoTransform=f"{float(west) + 10} {rest}")


add_ndvi_batched = batched(add_ndvi)


def hold(verb, twin=None, **options):
    given = {"adds": {"ndvi"}, "needs": NEEDS, "nan_reach_px": 0, "nodata_where": "valid_data_mask", **options}
    return assert_verb_contract(verb, TILE, twin=batched(verb) if twin is None else twin, **given)


def test_a_good_verb_passes():
    before = TILE.copy(deep=True)
    assert "ndvi" in assert_verb_contract(add_ndvi, TILE, adds={"ndvi"}, needs=NEEDS, nan_reach_px=0)
    assert "ndvi" in hold(add_ndvi)
    assert TILE.identical(before)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_verb_is_caught(fault):
    verb, message = FAULTS[fault]
    with pytest.raises((AssertionError, ValueError, IndexError), match=message):
        hold(verb)


def test_what_a_verb_says_that_it_changes_may_change():
    def verb(tile):
        result = add_ndvi(tile)
        changed = np.where(tile.valid_data_mask.values, tile.red.values, 0).astype("uint16")
        return result.assign(red=tile.red.copy(data=changed)).assign_attrs(date="1999-01-01", level=2)

    hold(verb, changes=["red"], changes_attrs=["date"])
    with pytest.raises(AssertionError, match="the verb changed 'red'"):
        hold(verb, changes_attrs=["date"])
    with pytest.raises(AssertionError, match="the verb changed attribute 'date'"):
        hold(verb, changes=["red"])


def test_variables_without_nodata_hold_zero_where_nothing_is_valid():
    def verb(tile):
        return tile.assign(red=tile.red.copy(data=tile.red.values | np.uint16(1)))

    hold(verb, adds=(), changes=["red"], needs=(), nan_reach_px=None, nodata_where=None)
    with pytest.raises(AssertionError, match="red: expected nodata where valid_data_mask is False, got"):
        hold(verb, adds=(), changes=["red"], needs=(), nan_reach_px=None)


def test_a_verb_without_a_missing_variable_error_is_caught():
    def verb(tile):
        values = np.full((tile.sizes["y"], tile.sizes["x"]), 0.5, "float32")
        return tile.assign(ndvi=variable("ndvi", values, source="test"))

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        hold(verb, twin=batched(verb), needs=["nir"], nodata_where=None)


def writing_twin(tiles):
    results = add_ndvi_batched(tiles)
    for tile in tiles:
        tile.attrs["seen"] = True
    return results


def adding_twin(tiles):
    results = add_ndvi_batched(tiles)
    tiles[-1]["more"] = tiles[-1].red
    return results


def overwriting_twin(tiles):
    for tile in tiles:
        tile.red.values[:] = 1
    return add_ndvi_batched(tiles)


@pytest.mark.parametrize(
    ("twin", "message"),
    [
        (lambda tiles: [each.assign_attrs(batched=1) for each in add_ndvi_batched(tiles)], "not identical"),
        (lambda tiles: add_ndvi_batched(tiles)[::-1], "not identical"),
        (lambda tiles: add_ndvi_batched(tiles)[1:], "expected 3 results of the twin, got 2"),
        (
            lambda tiles: [each.assign(ndvi=each.ndvi.astype("float64")) for each in add_ndvi_batched(tiles)],
            "the twin gives another dtype than the verb",
        ),
        (
            lambda tiles: [each.assign(count=each["count"].astype("int64")) for each in add_ndvi_batched(tiles)],
            "the twin gives another dtype than the verb",
        ),
        (writing_twin, "the twin changed its input"),
        (adding_twin, "the twin changed its input"),
        (overwriting_twin, "read-only"),
        (lambda tiles: add_ndvi_batched(tiles) or None, "expected the twin to turn an empty list into one, got None"),
    ],
)
def test_a_bad_twin_is_caught(twin, message):
    before = TILE.copy(deep=True)
    with pytest.raises((AssertionError, ValueError), match=message):
        hold(add_ndvi, twin)
    assert TILE.identical(before)


def test_what_the_twin_returns_is_held_to_the_contract_too():
    """Verb and twin agree, but only on tiles that the verb is not tried on alone."""

    def verb(tile):
        value = 1.5 if tile.sizes["x"] == 6 else 0.5
        return tile.assign(ndvi=variable("ndvi", np.full(tile.red.shape, value, "float32"), source="test"))

    with pytest.raises(AssertionError, match="1.5 is above 1"):
        hold(verb, needs=(), nodata_where=None)


def test_a_verb_without_a_twin_is_caught():
    with pytest.raises(AssertionError, match="in_place has no twin in_place_batched beside it"):
        contract._find_twin(in_place)
