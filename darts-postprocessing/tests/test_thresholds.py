"""Hysteresis against scikit-image, and several thresholds against one at a time."""

from functools import partial

import numpy as np
import pytest
import scipy.ndimage
import skimage.filters
import skimage.morphology
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darts_postprocessing import (
    binarize,
    drop_edge_objects,
    drop_implausible_objects,
    erode_extent,
    postprocess,
    remove_small_objects,
)
from darts_utils.testing import Backend, assert_verb_contract, example_tile
from darts_utils.variables import VARIABLES

FURTHER = (0.2, 0.35, 0.65, 0.9)


def _tile(seed: int, shape: tuple[int, int] = (70, 60)) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    tile = example_tile(["probabilities", "valid_data_mask", "quality_data_mask", "slope"], shape=shape)
    smooth = scipy.ndimage.gaussian_filter(rng.standard_normal(shape), 1.5)
    tile.probabilities[:] = ((smooth - smooth.min()) / (smooth.max() - smooth.min())).astype("float32")
    tile.valid_data_mask[:] = rng.random(shape) < 0.99
    tile.quality_data_mask[:] = tile.valid_data_mask & (rng.random(shape) < 0.999)
    tile.probabilities.values[~tile.valid_data_mask.values] = np.nan
    tile.slope[:] = rng.uniform(0, 10, shape).astype("float32")
    return tile


def _hysteresis(image: NDArray[np.float32], low: float, high: float) -> NDArray[np.bool_]:
    """What is above the high threshold, grown to what is above the low one, by scikit-image's reconstruction."""
    seed, mask = image > np.float32(high), image > np.float32(low)
    grown = skimage.morphology.reconstruction(seed.astype("uint8"), mask.astype("uint8"), footprint=np.ones((3, 3)))
    return np.asarray(grown > 0)


@given(seed=st.integers(0, 500), low=st.floats(0, 1), step=st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_hysteresis_equals_scikit_image(seed: int, low: float, step: float) -> None:
    tile = _tile(seed)
    high = low + step * (1 - low)
    ours = binarize(tile, threshold=low, high_threshold=high).binarized_segmentation.values
    np.testing.assert_array_equal(ours, _hysteresis(np.nan_to_num(tile.probabilities.values), low, high))


@given(seed=st.integers(0, 500))
@settings(deadline=None, max_examples=30)
def test_hysteresis_equals_apply_hysteresis_threshold(seed: int) -> None:
    """scikit-image's function joins by edges alone; on pixels of 2 × 2 without corners the two agree."""
    rng = np.random.default_rng(seed)
    tile = example_tile(["probabilities"], shape=(40, 42))
    tile.probabilities[:] = np.kron(rng.random((20, 21), dtype="float32"), np.ones((2, 2), dtype="float32"))
    low = skimage.morphology.opening(tile.probabilities.values > 0.5, np.ones((2, 2)))
    four, eight = (scipy.ndimage.label(low, scipy.ndimage.generate_binary_structure(2, n))[1] for n in (1, 2))
    expected = skimage.filters.apply_hysteresis_threshold(tile.probabilities.values, 0.5, 0.9)
    ours = binarize(tile, threshold=0.5, high_threshold=0.9).binarized_segmentation.values
    assert not (expected & (ours == 0)).any()  # joining by corners keeps more, never less
    if four == eight:
        np.testing.assert_array_equal(ours, expected)


def test_a_high_threshold_must_be_exceeded() -> None:
    tile = example_tile(["probabilities"], shape=(1, 5))
    tile.probabilities[0] = [0.6, 0.8, 0.1, 0.6, np.nextafter(np.float32(0.8), np.float32(1))]
    assert binarize(tile, high_threshold=0.8).binarized_segmentation.values.tolist() == [[0, 0, 0, 1, 1]]


def test_contract_of_hysteresis() -> None:
    result = assert_verb_contract(
        partial(binarize, threshold=0.3, high_threshold=0.8),
        example_tile(["probabilities", "valid_data_mask"]),
        adds={"binarized_segmentation"},
        needs=["probabilities"],
    )
    attrs = result.binarized_segmentation.attrs
    assert (attrs["threshold"], attrs["high_threshold"]) == (0.3, 0.8)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("edge_objects", ["drop", "keep"])
def test_each_further_threshold_is_as_if_alone(seed: int, edge_objects: str) -> None:
    tile = _tile(seed)
    alone = partial(postprocess, tile, radius_px=1, edge_px=1, min_object_px=5, edge_objects=edge_objects)
    together = alone(threshold=0.5, further_thresholds=FURTHER, min_slope_deg=2)
    for threshold in (0.5, *FURTHER):
        name = "binarized_segmentation" if threshold == 0.5 else f"binarized_above-{100 * threshold:g}"
        expected = alone(threshold=threshold, min_slope_deg=2).binarized_segmentation
        np.testing.assert_array_equal(together[name].values, expected.values)
        assert together[name].attrs["threshold"] == threshold


def test_names_of_further_thresholds_are_in_the_registry() -> None:
    assert "binarized_above-12.5" in VARIABLES
    assert "binarized_above" in VARIABLES
    for name in ("binarized_above-", "binarized_above-full", "binarized_above-101", "ndvi-30"):
        assert name not in VARIABLES
    result = assert_verb_contract(
        partial(postprocess, further_thresholds=[0.125, 0.29], radius_px=1, edge_px=2),
        example_tile(["probabilities", "valid_data_mask", "quality_data_mask"]),
        adds={
            *("extent", "probabilities_percent", "binarized_segmentation"),
            *("binarized_above-12.5", "binarized_above-29"),
        },
        needs=["probabilities", "quality_data_mask"],
    )
    assert result["binarized_above-29"].attrs["source"] == "probabilities"


@pytest.mark.parametrize("seed", range(4))
def test_all_options_equal_the_steps_one_by_one(seed: int) -> None:
    tile = _tile(seed)
    steps = erode_extent(tile, radius_px=2, edge_px=1)
    steps = drop_edge_objects(binarize(steps, threshold=0.4, high_threshold=0.6))
    steps = remove_small_objects(drop_implausible_objects(steps, min_slope_deg=4, max_slope_deg=9), min_object_px=4)
    whole = postprocess(
        tile,
        threshold=0.4,
        high_threshold=0.6,
        radius_px=2,
        edge_px=1,
        min_object_px=4,
        min_slope_deg=4,
        max_slope_deg=9,
    )
    xr.testing.assert_identical(whole.binarized_segmentation, steps.binarized_segmentation)


def test_backends(backend: Backend) -> None:
    verb = partial(postprocess, threshold=0.4, high_threshold=0.7, further_thresholds=FURTHER, radius_px=1, edge_px=1)
    expected, result = verb(_tile(2)), verb(backend.tile(_tile(2)))
    for name in ("binarized_segmentation", *(f"binarized_above-{100 * each:g}" for each in FURTHER)):
        np.testing.assert_array_equal(backend.values(result[name]), expected[name].values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"high_threshold": 80}, "high_threshold must be a probability between 0 and 1, but got 80"),
        ({"high_threshold": 0.4}, r"high_threshold must not be below threshold, but got 0\.4 and 0\.5: exchange them"),
    ],
)
def test_high_thresholds_that_make_no_sense(options: dict[str, float], message: str) -> None:
    for verb in (binarize, postprocess):
        with pytest.raises(ValueError, match=message):
            verb(_tile(0), **options)


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ([30], "each of further_thresholds must be a probability between 0 and 1, but got 30: divide percent"),
        ([0.3, 0.3], r"further_thresholds must differ by a millionth or more, but got \(0\.3, 0\.3\): name each once"),
    ],
)
def test_further_thresholds_that_make_no_sense(further: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        postprocess(_tile(0), further_thresholds=further)
