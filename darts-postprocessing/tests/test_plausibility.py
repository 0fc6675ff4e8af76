"""Objects on water, on flat and on steep ground, against a loop over regions of scikit-image."""

from functools import partial

import numpy as np
import pytest
import skimage.measure
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_postprocessing import drop_implausible_objects, postprocess
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import Backend, assert_verb_contract, example_tile

NAMES = ["binarized_segmentation", "ndvi", "nir", "slope"]


def _tile(seed: int, shape: tuple[int, int] = (40, 50)) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    tile = example_tile([*NAMES, "probabilities"], shape=shape)
    tile.binarized_segmentation[:] = rng.random(shape) < 0.35
    tile.ndvi[:] = rng.uniform(-0.3, 0.3, shape).astype("float32")
    tile.ndvi.values[rng.random(shape) < 0.1] = np.nan
    tile.nir[:] = rng.integers(0, 2000, shape)
    tile.slope[:] = rng.uniform(0, 20, shape).astype("float32")
    tile.slope.values[rng.random(shape) < 0.1] = np.nan
    return tile


@given(seed=st.integers(0, 999), share=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@settings(deadline=None, max_examples=30)
def test_equals_a_loop_over_objects(seed: int, share: float) -> None:
    tile = _tile(seed)
    ours = drop_implausible_objects(
        tile, drop_water=True, min_slope_deg=4, max_slope_deg=16, max_implausible_share=share
    ).binarized_segmentation.values
    expected = np.zeros_like(ours)
    ndvi, nir, slope = (tile[name].values for name in ("ndvi", "nir", "slope"))
    labels = skimage.measure.label(tile.binarized_segmentation.values, connectivity=2)
    for region in skimage.measure.regionprops(labels):
        here = tuple(region.coords.T)
        water = np.mean((nir[here] <= 1000) & (np.isnan(ndvi[here]) | (ndvi[here] <= 0)))
        if max(water, np.mean(slope[here] < 4), np.mean(slope[here] > 16)) <= share:
            expected[here] = 1
    np.testing.assert_array_equal(ours, expected)


def test_off_by_default() -> None:
    tile = _tile(0).drop_vars(["ndvi", "nir", "slope"])
    xr.testing.assert_identical(drop_implausible_objects(tile), tile)


def test_at_the_limits() -> None:
    """Water is up to the limits, flat is below one, steep above one; a share must be exceeded."""
    tile = example_tile(NAMES, shape=(1, 4))
    tile.binarized_segmentation[0], tile.slope[0] = [1, 1, 0, 1], [5, 4, 0, 5]
    tile.ndvi[0], tile.nir[0] = np.float32([0.1, 0.2, 0, 0.1]), [5700, 5700, 0, 5701]

    def kept(**options: float) -> list[int]:
        return drop_implausible_objects(tile, **options).binarized_segmentation.values[0].tolist()

    assert kept(min_slope_deg=5) == [1, 1, 0, 1]  # half of the first object: not more than half
    assert kept(min_slope_deg=5, max_implausible_share=0.49) == [0, 0, 0, 1]
    assert kept(max_slope_deg=4.9) == [1, 1, 0, 0]
    assert kept(max_slope_deg=5, max_implausible_share=0) == [1, 1, 0, 1]
    assert kept(drop_water=True, water_max_ndvi=0.1, water_max_nir=0.57, max_implausible_share=0) == [0, 0, 0, 1]
    assert kept(drop_water=True, water_max_ndvi=0.1, water_max_nir=0.5701, max_implausible_share=0) == [0, 0, 0, 0]


def test_an_object_goes_or_stays_whole() -> None:
    tile = example_tile(NAMES, shape=(1, 9))
    tile.binarized_segmentation[0] = [1, 1, 1, 1, 0, 1, 1, 1, 1]
    tile.slope[0] = [0, 0, 9, 9, 0, 0, 0, 0, 9]
    assert drop_implausible_objects(tile, min_slope_deg=1).binarized_segmentation.values.tolist() == [
        [1, 1, 1, 1, 0, 0, 0, 0, 0]
    ]


def test_contract() -> None:
    assert_verb_contract(
        partial(drop_implausible_objects, drop_water=True, min_slope_deg=2.0, max_slope_deg=30.0),
        example_tile(NAMES),
        adds=(),
        changes={"binarized_segmentation"},
        needs=NAMES,
    )


def test_attributes_record_what_is_on() -> None:
    attrs = drop_implausible_objects(_tile(0), min_slope_deg=2).binarized_segmentation.attrs
    assert (attrs["min_slope_deg"], attrs["max_implausible_share"]) == (2, 0.5)
    assert "max_slope_deg" not in attrs
    assert "water_max_ndvi" not in attrs


def test_backends(backend: Backend) -> None:
    verb = partial(drop_implausible_objects, drop_water=True, min_slope_deg=5.0)
    np.testing.assert_array_equal(
        backend.values(verb(backend.tile(_tile(1))).binarized_segmentation),
        verb(_tile(1)).binarized_segmentation.values,
    )


@pytest.mark.parametrize(
    ("options", "missing"),
    [({"drop_water": True}, "'ndvi', 'nir'"), ({"min_slope_deg": 1}, "'slope'"), ({"max_slope_deg": 40}, "'slope'")],
)
def test_missing_features_name_the_way_out(options: dict[str, float], missing: str) -> None:
    tile = _tile(0).drop_vars(["ndvi", "nir", "slope"])
    with pytest.raises(
        MissingVariableError, match=f"drop_implausible_objects needs {missing}; .*run preprocess with these features"
    ):
        drop_implausible_objects(tile, **options)
    with pytest.raises(MissingVariableError, match=f"postprocess needs {missing}; .*or do without the filter"):
        postprocess(tile, mask="none", **options)


def test_counts_of_the_sensor_are_no_reflectance() -> None:
    tile = _tile(0)
    raw = tile.assign(nir=tile.nir.assign_attrs(reflectance_offset=-0.1))
    for name, verb in (
        ("drop_implausible_objects", drop_implausible_objects),
        ("postprocess", partial(postprocess, mask="none")),
    ):
        with pytest.raises(
            TileContractError, match=f"{name} needs reflectance × 10 000 in 'nir'; tile 'example-0' says"
        ):
            verb(raw, drop_water=True)
        verb(raw, min_slope_deg=1)  # nobody looks at the near infrared
    bare = tile.assign(nir=tile.nir.drop_attrs())
    xr.testing.assert_equal(
        drop_implausible_objects(bare, drop_water=True).binarized_segmentation,
        drop_implausible_objects(tile, drop_water=True).binarized_segmentation,
    )


def test_variables_in_another_form() -> None:
    tile = example_tile(NAMES, shape=(20, 20))
    for name in NAMES:
        with pytest.raises(TileContractError, match=f"variable '{name}' of tile 'example-0' must have dims"):
            drop_implausible_objects(
                tile.assign({name: tile[name].transpose("x", "y")}), drop_water=True, min_slope_deg=1
            )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_water": "lakes"}, "drop_water must be True or False, but got 'lakes'"),
        ({"water_max_ndvi": 2}, "water_max_ndvi must be an NDVI between -1 and 1, but got 2"),
        ({"water_max_nir": 1000}, "water_max_nir must be a reflectance between 0 and 1, but got 1000"),
        ({"max_implausible_share": 50}, "max_implausible_share must be a share between 0 and 1, but got 50"),
        ({"max_implausible_share": float("nan")}, "max_implausible_share must be a share"),
        ({"min_slope_deg": -1}, "min_slope_deg must be an angle between 0 and 90 degrees, or None, but got -1"),
        ({"max_slope_deg": True}, "max_slope_deg must be an angle between 0 and 90 degrees, or None, but got True"),
        ({"min_slope_deg": 9, "max_slope_deg": 3}, "min_slope_deg must not be above max_slope_deg, but got 9 and 3"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    for verb in (drop_implausible_objects, postprocess):
        with pytest.raises(ValueError, match=message):
            verb(_tile(0), **options)
