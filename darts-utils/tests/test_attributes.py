import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.attributes import JSON_ATTRIBUTE, pack_attributes, unpack_attributes
from darts_utils.errors import TileContractError
from darts_utils.testing import example_tile
from darts_utils.tile_io import read_tile, write_tile


def same(left, right):
    """Equal in value and in type, all the way down; NaN equals NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.generic | np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right or (isinstance(left, float) and np.isnan(left) and np.isnan(right))


ODD = {
    "flag": np.bool_(True),
    "single": np.float32(0.1),
    "wide": np.int64(3),
    "text": np.str_("x"),
    "array": np.arange(6, dtype="uint16").reshape(2, 3),
    "none": None,
    "pair": (1, [2.5, "a"]),
    "table": {"a": {"b": (True,)}},
    "large": 2**70,
    "nul": "a\0b",
    "empty": "",
    "surrogate": "\udce9",
    "": "no name",
    "_FillValue": 7,
    "grid_mapping": "crs",
    "coordinates": "lon lat",
    "dtype": "bool",
    "scale_factor": 0.5,
    "infinite": float("inf"),
    "units": "days since 2000-01-01",
}


@pytest.mark.parametrize("name", ODD)
def test_any_attribute_survives_the_file_with_its_type(name, tmp_path):
    tile = example_tile(["red", "ndvi"], shape=(4, 5))
    for attrs in (tile.attrs, tile.red.attrs, tile.ndvi.attrs, tile.x.attrs):
        attrs[name] = ODD[name]
    read = read_tile(write_tile(tile, tmp_path / "tile.nc"))
    for before, after in ((tile, read), (tile.red, read.red), (tile.ndvi, read.ndvi), (tile.x, read.x)):
        assert same(before.attrs, after.attrs)
    assert read.red.dtype == "uint16"
    assert read.ndvi.values.tobytes() == tile.ndvi.values.tobytes()


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(attrs=st.dictionaries(st.text(max_size=6).filter(lambda name: name != JSON_ATTRIBUTE), values, max_size=5))
def test_packing_and_unpacking_changes_nothing(attrs):
    assert same(unpack_attributes(pack_attributes(attrs, owner="the tile")), attrs)


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"when": np.datetime64("2021-08-21")}, "attribute 'when' of the tile must be text.*but got datetime64"),
        ({"raw": b"bytes"}, "attribute 'raw' of the tile must be text"),
        ({"keys": {1: 2}}, "attribute 'keys'"),
        ({"nested": [{"a": object()}]}, "attribute 'nested'.*but got object"),
        ({3: "three"}, "names of their own .text., but got 3"),
        ({JSON_ATTRIBUTE: "mine"}, "names of their own"),
    ],
)
def test_what_cannot_be_kept_is_named_before_anything_is_written(attrs, message, tmp_path):
    tile = example_tile(["red"], shape=(4, 5))
    tile.attrs = attrs
    with pytest.raises(TileContractError, match=message):
        write_tile(tile, tmp_path / "tile.nc")
    assert list(tmp_path.iterdir()) == []
