"""The erosion against scikit-image, scipy and the definition."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.morphology
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darts_postprocessing.erosion import erode_by_disc, erode_in_passes, half_widths_of
from darts_utils.testing import strategies

Mask = NDArray[np.bool_]


def _by_definition(mask: Mask, radius_px: int) -> Mask:
    """Erase a disc around every false pixel."""
    rows, columns = np.indices(mask.shape)
    kept = np.ones(mask.shape, dtype=bool)
    for row, column in zip(*np.nonzero(~mask), strict=True):
        kept &= (rows - row) ** 2 + (columns - column) ** 2 > radius_px**2
    return kept


@pytest.mark.parametrize("radius_px", [0, 1, 2, 3, 5, 10, 17])
@pytest.mark.parametrize("share", [0.9, 0.999])
def test_equals_scikit_image_and_scipy(radius_px: int, share: float) -> None:
    mask = np.random.default_rng(radius_px).random((97, 123)) < share
    disc = skimage.morphology.disk(radius_px)
    ours = erode_by_disc(mask, radius_px=radius_px)
    np.testing.assert_array_equal(ours, skimage.morphology.erosion(mask, disc, mode="ignore"))
    np.testing.assert_array_equal(ours, scipy.ndimage.binary_erosion(mask, disc, border_value=1))


@given(mask=strategies.masks(max_px=24), radius_px=st.integers(0, 40))
@settings(deadline=None, max_examples=100)
def test_equals_the_definition_and_only_shrinks(mask: Mask, radius_px: int) -> None:
    eroded = erode_by_disc(mask, radius_px=radius_px)
    np.testing.assert_array_equal(eroded, _by_definition(mask, radius_px))
    assert not (eroded & ~mask).any()
    # What runs on a GPU is written for any array library; here with NumPy.
    np.testing.assert_array_equal(erode_in_passes(mask, half_widths_of(mask.shape, radius_px)), eroded)


def _holes(*places: tuple[int, int]) -> Mask:
    mask = np.ones((260, 190), dtype=bool)
    for row, column in places:
        mask[row, column] = False
    return mask


MASKS = {
    "everything": _holes(),
    "nothing": np.zeros((130, 70), dtype=bool),
    "one hole": _holes((130, 95)),
    "holes in the corners": _holes((0, 0), (0, -1), (-1, 0), (-1, -1)),
    "holes beside the seams of bands": _holes((63, 5), (64, 50), (65, 120), (129, 100), (130, 20), (131, 180)),
    "checkerboard": np.indices((130, 70)).sum(axis=0) % 2 == 0,
    "half": np.tri(260, 190, dtype=bool),
    "one row": np.arange(300)[None, :] % 50 > 0,
    "one column": np.arange(300)[:, None] % 50 > 0,
    "one pixel": np.ones((1, 1), dtype=bool),
    "noise": np.random.default_rng(0).random((261, 140)) < 0.999,
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("radius_px", [0, 1, 7, 33, 150])
def test_threads_and_bands_change_nothing(name: str, radius_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    disc = skimage.morphology.disk(radius_px, decomposition=None)
    expected = scipy.ndimage.distance_transform_edt(np.pad(MASKS[name], 1, constant_values=True)) > radius_px
    if MASKS[name].all():  # scipy has no distance then
        expected[:] = True
    if radius_px <= 7:
        np.testing.assert_array_equal(
            expected[1:-1, 1:-1], skimage.morphology.erosion(MASKS[name], disc, mode="ignore")
        )
    for threads in ("1", "2", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        np.testing.assert_array_equal(erode_by_disc(MASKS[name], radius_px=radius_px), expected[1:-1, 1:-1])


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (7, 0)])
def test_no_pixels(shape: tuple[int, int]) -> None:
    for radius_px in (0, 3, 10**9):
        assert erode_by_disc(np.ones(shape, dtype=bool), radius_px=radius_px).shape == shape


def test_any_layout() -> None:
    mask = MASKS["noise"]
    for same in (np.asfortranarray(mask), np.repeat(mask, 2, axis=1)[:, ::2], mask[::-1, ::-1][::-1, ::-1]):
        np.testing.assert_array_equal(erode_by_disc(same, radius_px=5), erode_by_disc(mask, radius_px=5))


@pytest.mark.parametrize("radius_px", [3, 4, 5, 10, 13])
def test_radius_at_the_exact_distance(radius_px: int) -> None:
    """A pixel at exactly the radius erodes, one a step beyond does not: along an axis and on a Pythagorean diagonal."""
    mask = np.ones((60, 60), dtype=bool)
    mask[30, 30] = False
    eroded = erode_by_disc(mask, radius_px=radius_px)
    assert not eroded[30, 30 + radius_px]
    assert eroded[30, 30 + radius_px + 1]
    if radius_px % 5 == 0:
        assert not eroded[30 + 3 * radius_px // 5, 30 + 4 * radius_px // 5]
        assert eroded[30 + 3 * radius_px // 5, 30 + 4 * radius_px // 5 + 1]


def test_whole_mask_stays_whole_and_border_does_not_erode() -> None:
    assert erode_by_disc(np.ones((5, 7), dtype=bool), radius_px=300).all()
    assert not erode_by_disc(np.zeros((5, 7), dtype=bool), radius_px=3).any()


def test_radius_beyond_one_byte() -> None:
    mask = np.ones((3, 700), dtype=bool)
    mask[1, 0] = False
    eroded = erode_by_disc(mask, radius_px=300)
    assert not eroded[1, :301].any()
    assert eroded[1, 301:].all()


def test_input_stays_as_it_is() -> None:
    mask = np.random.default_rng(0).random((20, 20)) < 0.8
    before = mask.copy()
    mask.flags.writeable = False
    assert not np.shares_memory(erode_by_disc(mask, radius_px=0), mask)
    erode_by_disc(mask, radius_px=2)
    np.testing.assert_array_equal(mask, before)
