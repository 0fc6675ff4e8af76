"""The whole chain: order of the steps, against the steps one by one and against scikit-image."""

import dataclasses
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import skimage.measure
import skimage.morphology
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_postprocessing import (
    PostprocessingConfig,
    binarize,
    drop_edge_objects,
    erode_extent,
    postprocess,
    postprocess_batched,
    remove_small_objects,
)
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import Backend, assert_verb_contract, example_tile

DISTORTIONS = {
    "transposed probabilities": ("probabilities", lambda array: array.transpose("x", "y")),
    "double probabilities": ("probabilities", lambda array: array.astype("float64")),
    "transposed member": ("probabilities-a", lambda array: array.transpose("x", "y")),
    "double member": ("probabilities-a", lambda array: array.astype("float64")),
    "quality of bytes": ("quality_data_mask", lambda array: array.astype("uint8")),
    "validity of bytes": ("valid_data_mask", lambda array: array.astype("uint8")),
    "transposed validity": ("valid_data_mask", lambda array: array.transpose("x", "y")),
}

ADDED = {"extent", "probabilities_percent", "binarized_segmentation"}


def _clean_tile(shape: tuple[int, int] = (80, 90)) -> xr.Dataset:
    tile = example_tile(["probabilities", "valid_data_mask", "quality_data_mask"], shape=shape)
    tile.probabilities[:], tile.valid_data_mask[:], tile.quality_data_mask[:] = 0.1, True, True
    return tile


def _rough_tile(seed: int, shape: tuple[int, int] = (60, 70)) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    tile = _clean_tile(shape)
    coarse = rng.random((shape[0] // 4 + 1, shape[1] // 4 + 1)).astype("float32")
    tile.probabilities[:] = np.kron(coarse, np.ones((4, 4), "float32"))[: shape[0], : shape[1]]
    tile.quality_data_mask[:] = rng.random(shape) < 0.995
    tile.valid_data_mask[:] = rng.random(shape) < 0.999
    tile.probabilities.values[~tile.valid_data_mask.values] = np.nan
    tile.quality_data_mask.values &= tile.valid_data_mask.values
    return tile


def test_contract() -> None:
    tile = example_tile(["probabilities", "valid_data_mask", "quality_data_mask"])
    assert_verb_contract(
        partial(postprocess, radius_px=1, edge_px=2, min_object_px=3),
        tile,
        adds=ADDED,
        needs=["probabilities", "quality_data_mask"],
    )


def test_contract_with_members() -> None:
    names = ["probabilities", "probabilities-full", "probabilities-optical", "valid_data_mask"]
    assert_verb_contract(
        partial(postprocess, mask="valid", radius_px=1, edge_px=2, keep_members=True, edge_objects="keep"),
        example_tile(names),
        adds={
            *ADDED,
            *(f"{name}-{model}" for name in ADDED - {"extent"} for model in ("full", "optical")),
        },
        needs=["probabilities", "valid_data_mask"],
    )


@given(seed=st.integers(0, 200), threshold=st.sampled_from([0.3, 0.5, 0.8]))
@settings(deadline=None, max_examples=25)
def test_equals_scikit_image(seed: int, threshold: float) -> None:
    tile = _rough_tile(seed)
    result = postprocess(tile, threshold=threshold, radius_px=3, edge_px=2, min_object_px=20)

    extent = skimage.morphology.erosion(tile.quality_data_mask.values, skimage.morphology.disk(3), mode="ignore")
    extent[:2] = extent[-2:] = extent[:, :2] = extent[:, -2:] = False
    labels = skimage.measure.label(tile.probabilities.values > np.float32(threshold), connectivity=2)
    touched = np.unique(labels[skimage.morphology.dilation(~extent, np.ones((3, 3), bool), mode="ignore")])
    expected = skimage.morphology.remove_small_objects(
        (labels > 0) & ~np.isin(labels, touched), max_size=19, connectivity=2
    )
    np.testing.assert_array_equal(result.extent.values, extent)
    np.testing.assert_array_equal(result.binarized_segmentation.values, expected)
    percent = np.where(extent, np.rint(np.nan_to_num(tile.probabilities.values) * 100), 255)
    np.testing.assert_array_equal(result.probabilities_percent.values, percent)


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_steps_one_by_one(seed: int) -> None:
    tile = _rough_tile(seed)
    steps = remove_small_objects(drop_edge_objects(binarize(erode_extent(tile, radius_px=2, edge_px=3))))
    whole = postprocess(tile, radius_px=2, edge_px=3)
    xr.testing.assert_identical(whole.extent, steps.extent)
    xr.testing.assert_identical(whole.binarized_segmentation, steps.binarized_segmentation)


@pytest.mark.parametrize("seed", range(3))
def test_results_are_found_again(seed: int) -> None:
    """Idempotence: what is left of a result, taken for probabilities, gives the same result."""
    once = postprocess(_rough_tile(seed), radius_px=2, edge_px=3, min_object_px=9)
    found = once.binarized_segmentation.values.astype("float32")
    again = postprocess(
        once.assign(probabilities=once.probabilities.copy(data=found)), radius_px=2, edge_px=3, min_object_px=9
    )
    np.testing.assert_array_equal(again.binarized_segmentation.values, once.binarized_segmentation.values)


def test_objects_that_only_touch_nodata() -> None:
    """Beside missing data, by an edge or by a corner: the erosion makes its surroundings unsure, so such objects go."""
    for rows, columns in ((slice(20, 30), slice(30, 40)), (slice(30, 40), slice(30, 40))):
        tile = _clean_tile()
        tile.probabilities[rows, columns] = 0.9
        hole = {"y": slice(20, 30), "x": slice(20, 30)}
        for name, value in (("probabilities", np.nan), ("valid_data_mask", False), ("quality_data_mask", False)):
            tile[name][hole] = value
        assert postprocess(tile, radius_px=0, edge_px=0).binarized_segmentation.sum() == 0
        kept = postprocess(tile, radius_px=0, edge_px=0, edge_objects="keep").binarized_segmentation
        assert int(kept.sum()) == 100


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_threads_change_nothing(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tile = _rough_tile(4, (400, 70))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = postprocess(tile, radius_px=2, further_thresholds=[0.2, 0.8], high_threshold=0.7)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    xr.testing.assert_identical(
        postprocess(tile, radius_px=2, further_thresholds=[0.2, 0.8], high_threshold=0.7), alone
    )


def test_objects_are_found_before_masking() -> None:
    """A cloud hides the bridge between two halves: they are one object, and it goes as a whole."""
    tile = _clean_tile()
    tile.probabilities[30:50, 20:70] = 0.9
    tile.quality_data_mask[30:50, 44] = False
    assert postprocess(tile, radius_px=2).binarized_segmentation.sum() == 0
    kept = postprocess(tile, radius_px=2, edge_objects="keep").binarized_segmentation
    assert int(kept.sum()) == 20 * 50  # whole: also where it lies outside the extent


def test_missing_data_cut_objects() -> None:
    """Without data there is no object: two halves beside a strip of nodata are two objects."""
    tile = _clean_tile()
    tile.probabilities[30:34, 20:30] = 0.9
    tile.probabilities[30:34, 24:26] = np.nan
    assert int(postprocess(tile, min_object_px=16).binarized_segmentation.sum()) == 32
    assert int(postprocess(tile, min_object_px=17).binarized_segmentation.sum()) == 0


def test_size_filter_comes_last_and_keeps_exactly_the_minimum() -> None:
    tile = _clean_tile()
    tile.probabilities[20, 20:52] = 0.9  # 32 px
    tile.probabilities[40, 20:51] = 0.9  # 31 px
    assert int(postprocess(tile).binarized_segmentation.sum()) == 32


def test_object_next_to_the_extent_is_dropped_one_pixel_further_it_stays() -> None:
    for column, stays in ((10, False), (11, True)):  # the first trusted column is 10
        tile = _clean_tile()
        tile.probabilities[30:40, column : column + 10] = 0.9
        assert bool(postprocess(tile, edge_px=10).binarized_segmentation.any()) is stays


def test_an_edge_of_zero_trusts_the_border() -> None:
    tile = _clean_tile()
    tile.probabilities[0:10, 0:10] = 0.9
    result = postprocess(tile, edge_px=0)
    assert result.extent.all()
    assert int(result.binarized_segmentation.sum()) == 100


def test_percent() -> None:
    tile = _clean_tile((1, 6))
    tile.probabilities[0] = [0.0, 1.0, 0.004, 0.006, np.nan, 0.5]
    tile.quality_data_mask[0, 5] = False
    percent = postprocess(tile, radius_px=0, edge_px=0).probabilities_percent.values
    assert percent.tolist() == [[0, 100, 0, 1, 255, 255]]


def test_percent_at_just_below_and_just_above_each_half() -> None:
    """Against exact arithmetic: a float32 is a fraction, and so is a hundred times it."""
    halves = ((np.arange(100) + 0.5) / 100).astype("float32")
    values = np.stack([np.nextafter(halves, np.float32(0)), halves, np.nextafter(halves, np.float32(1))])
    tile = _clean_tile(values.shape)
    tile.probabilities[:] = values
    percent = postprocess(tile, radius_px=0, edge_px=0).probabilities_percent.values
    expected = [[round(Fraction(float(value)) * 100) for value in row] for row in values]
    assert percent.tolist() == expected


def test_members_are_independent_of_each_other() -> None:
    tile = _clean_tile()
    tile = tile.assign({"probabilities-a": tile.probabilities.copy(deep=True), "probabilities-b": tile.probabilities})
    tile["probabilities-a"][30:40, 30:40] = 0.9
    result = postprocess(tile, keep_members=True)
    assert int(result["binarized_segmentation-a"].sum()) == 100
    assert int(result["binarized_segmentation-b"].sum()) == 0
    assert int(result.binarized_segmentation.sum()) == 0
    assert result["probabilities_percent-a"].attrs["source"] == "probabilities-a"


def test_attributes_record_the_options() -> None:
    attrs = postprocess(_clean_tile(), threshold=0.7, min_object_px=5).binarized_segmentation.attrs
    assert attrs["source"] == "probabilities"
    assert (attrs["threshold"], attrs["edge_objects"], attrs["min_object_px"]) == (0.7, "drop", 5)
    assert (attrs["mask"], attrs["radius_px"], attrs["edge_px"]) == ("quality", 10, 10)


OTHER_OPTIONS: dict[str, object] = {
    "threshold": 0.4,
    "high_threshold": 0.8,
    "mask": "valid",
    "radius_px": 3,
    "edge_px": 4,
    "min_object_px": 5,
    "edge_objects": "keep",
    "drop_water": True,
    "water_max_ndvi": 0.1,
    "water_max_nir": 0.2,
    "min_slope_deg": 2.0,
    "max_slope_deg": 60.0,
    "max_implausible_share": 0.3,
}
"""Another value of each option that decides which objects there are."""


def test_each_option_that_decides_is_recorded_and_can_be_told_apart() -> None:
    said = {field.name for field in dataclasses.fields(PostprocessingConfig)} - {"further_thresholds", "keep_members"}
    assert set(OTHER_OPTIONS) == said
    tile = _clean_tile().assign(example_tile(["ndvi", "nir", "slope"], shape=(80, 90)).data_vars)
    usual: dict[str, Any] = {"drop_water": True, "min_slope_deg": 1.0}
    for name, value in OTHER_OPTIONS.items():
        before = usual if name.startswith(("water", "max_implausible")) else {}
        changed = postprocess(tile, **{**before, name: value}).binarized_segmentation.attrs
        assert changed != postprocess(tile, **before).binarized_segmentation.attrs, name


def test_the_extent_is_recorded_only_where_it_decides() -> None:
    attrs = postprocess(_clean_tile(), edge_objects="keep").binarized_segmentation.attrs
    assert {"mask", "radius_px", "edge_px"}.isdisjoint(attrs)


def test_backends(backend: Backend) -> None:
    tile = _rough_tile(3)
    expected = postprocess(tile, radius_px=2, edge_px=2)
    result = postprocess(backend.tile(tile), radius_px=2, edge_px=2)
    for name in ADDED:
        np.testing.assert_array_equal(backend.values(result[name]), expected[name].values)


def test_missing_variables_are_all_named_before_any_work() -> None:
    with pytest.raises(
        MissingVariableError,
        match=r"postprocess needs 'probabilities', 'quality_data_mask'; tile .*run preprocess and a",
    ):
        postprocess(example_tile(["red"]))


def test_members_that_are_not_there() -> None:
    with pytest.raises(MissingVariableError, match=r"needs 'probabilities-<model>'; .* with keep_members=True first"):
        postprocess(_clean_tile(), keep_members=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 50}, "threshold must be a probability between 0 and 1, but got 50"),
        ({"threshold": "0.5"}, "threshold must be a probability between 0 and 1, but got '0.5'"),
        ({"threshold": None}, "threshold must be a probability between 0 and 1, but got None"),
        ({"threshold": True}, "threshold must be a probability between 0 and 1, but got True"),
        ({"mask": "all"}, "mask must be one of 'quality', 'valid', 'none', but got 'all'"),
        ({"radius_px": -1}, "radius_px must be"),
        ({"radius_px": True}, "radius_px must be a whole number of pixels, 0 or more, but got True"),
        ({"edge_px": -1}, "edge_px must be"),
        ({"min_object_px": -1}, "min_object_px must be"),
        ({"edge_objects": "cut"}, "edge_objects must be one of 'drop', 'keep', but got 'cut'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        postprocess(_clean_tile(), **options)


@pytest.mark.parametrize("change", DISTORTIONS)
def test_variables_in_another_form(change: str) -> None:
    """A transposed square tile, a mask of bytes, probabilities in double precision."""
    name, distort = DISTORTIONS[change]
    tile = example_tile(["probabilities", "probabilities-a", "valid_data_mask", "quality_data_mask"], shape=(20, 20))
    with pytest.raises(TileContractError, match=f"variable '{name}' of tile 'example-0' must (have dims|be)"):
        postprocess(tile.assign({name: distort(tile[name])}), keep_members=True)


def test_member_that_holds_logits_is_named() -> None:
    tile = _clean_tile().assign({"probabilities-a": _clean_tile().probabilities * 50})
    with pytest.raises(TileContractError, match="'probabilities-a' of tile 'example-0' must hold probabilities"):
        postprocess(tile, keep_members=True)


def test_batched_takes_tiles_of_any_shape() -> None:
    tiles = [_rough_tile(1), _rough_tile(2, (40, 50))]
    for one, tile in zip(postprocess_batched(tiles, threshold=0.4), tiles, strict=True):
        xr.testing.assert_identical(one, postprocess(tile, threshold=0.4))
