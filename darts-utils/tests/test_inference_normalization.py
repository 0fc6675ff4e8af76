import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.errors import CheckpointError
from darts_utils.inference import Normalization, Scaling, network_input, parse_normalization
from darts_utils.inference.normalization import normalize_into
from darts_utils.testing import example_tile

CONFIG = {
    "normalization": {
        "ndvi": {"offset": -1, "scale": 0.5},
        "red": {"offset": 0.0, "scale": 1e-4, "clip": True},
        "slope": {"offset": 0.0, "scale": 1 / 90, "clip": False},
    }
}


def test_the_order_of_the_channels_is_that_of_the_input_combination():
    normalization = parse_normalization(CONFIG, variables=["red", "ndvi"])
    assert normalization.variables == ("red", "ndvi")
    assert normalization.scalings["ndvi"] == Scaling(-1.0, 0.5, clip=True)


def test_what_is_written_is_read_again():
    normalization = parse_normalization(CONFIG, variables=["slope", "red"])
    again = parse_normalization({"normalization": normalization.to_config()}, variables=["slope", "red"])
    assert again == normalization


def test_values_by_hand(backend):
    tile = example_tile(["red", "ndvi", "slope"], shape=(1, 4))
    tile.red[:] = [[0, 5_000, 10_000, 65_535]]
    tile.ndvi[:] = [[-1.0, 0.0, 1.0, np.nan]]
    tile.slope[:] = [[0.0, 45.0, 180.0, np.nan]]
    image = network_input(
        backend.tile(tile), normalization=parse_normalization(CONFIG, variables=["red", "ndvi", "slope"])
    )
    assert image.dtype == np.float32
    expected = [[[0, 0.5, 1, 1]], [[0, 0.5, 1, 0]], [[0, 0.5, 2, 0]]]
    np.testing.assert_allclose(image, expected, atol=1e-7)


@pytest.mark.parametrize("clip", [True, False])
def test_infinity_is_missing_like_nan(clip):
    tile = example_tile(["ndvi", "slope"], shape=(1, 4))
    tile.ndvi[:] = [[np.inf, -np.inf, np.nan, 1.0]]
    tile.slope[:] = [[np.float32(3e38), np.inf, 0.0, 45.0]]
    normalization = Normalization({"ndvi": Scaling(-1.0, 0.5, clip), "slope": Scaling(0.0, 20.0, clip)})
    image = network_input(tile, normalization=normalization)
    slope = [0, 0, 0, 1 if clip else 900]  # 3e38 · 20 is beyond single precision
    np.testing.assert_array_equal(image, [[[0, 0, 0, 1]], [slope]])


def test_values_beyond_single_precision_are_missing():
    channel = np.empty((1, 3), "float32")
    normalize_into(channel, np.array([[1e300, -1e300, 0.25]]), Scaling(0.0, 1.0, clip=False))
    np.testing.assert_array_equal(channel, [[0, 0, 0.25]])


@settings(deadline=None)
@given(offset=st.floats(-1e4, 1e4), scale=st.floats(1e-5, 1e-2), seed=st.integers(0, 9))
def test_close_to_the_formula_in_double_precision(offset, scale, seed):
    tile = example_tile(["red"], shape=(3, 5), seed=seed)
    image = network_input(tile, normalization=Normalization({"red": Scaling(offset, scale)}))
    expected = np.clip((tile.red.values.astype("float64") - offset) * scale, 0, 1)
    np.testing.assert_allclose(image[0], expected, atol=1e-5)
    assert image.min() >= 0
    assert image.max() <= 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, r"but got none, and two generations of models exist, .*: state it as config\['normalization'\]"),
        ([1, 2], r"expected normalization to be a table, but got \[1, 2\]"),
        ({"ndvi": {"offset": 0, "scale": 1}}, "of every input variable, but red missing"),
    ],
)
def test_a_table_that_is_missing_or_incomplete_is_refused(table, message):
    with pytest.raises(CheckpointError, match=message) as error:
        parse_normalization({"normalization": table}, variables=["red", "ndvi"])
    assert "clip((x - offset) * scale, 0, 1)" in str(error.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3000, "expected the normalization of 'red' to have offset, scale and clip, but got 3000"),
        ({"scale": 1}, "expected the normalization of 'red' to have offset, scale and clip"),
        ({"offset": 0, "scale": 1, "mean": 2}, "expected the normalization of 'red' to have offset, scale and clip"),
        (
            {"offset": "0", "scale": 1},
            "expected offset of 'red' to be a finite number in single precision, but got '0'",
        ),
        (
            {"offset": True, "scale": 1},
            "expected offset of 'red' to be a finite number in single precision, but got True",
        ),
        ({"offset": 1e40, "scale": 1}, r"offset of 'red' to be a finite number in single precision, but got 1e\+40"),
        ({"offset": 10**400, "scale": 1}, "offset of 'red' to be a finite number in single precision, but got inf"),
        ({"offset": -(10**400), "scale": 1}, "offset of 'red' to be a finite number in single precision, but got inf"),
        ({"offset": 0, "scale": 1e40}, r"scale of 'red' to be a finite number in single precision, but got 1e\+40"),
        ({"offset": 0, "scale": float("inf")}, "scale of 'red' to be a finite number in single precision, but got inf"),
        ({"offset": 0, "scale": 1e-46}, "scale of 'red' to differ from 0 in single precision, but got 1e-46"),
        ({"offset": 0, "scale": 0}, "scale of 'red' to differ from 0 in single precision, but got 0.0"),
        (
            {"offset": 0, "scale": float("nan")},
            "expected scale of 'red' to be a finite number in single precision, but got nan",
        ),
        ({"offset": 0, "scale": 1, "clip": 1}, "expected clip of 'red' to be true or false, but got 1"),
    ],
)
def test_a_malformed_entry_is_refused(entry, message):
    with pytest.raises(CheckpointError, match=message):
        parse_normalization({"normalization": {"red": entry}}, variables=["red"])
