"""The erosion against scikit-image, scipy and the definition."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.morphology
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darts_postprocessing.erosion import erode_by_disc
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


@given(mask=strategies.masks(max_px=24), radius_px=st.integers(0, 30))
@settings(deadline=None, max_examples=60)
def test_equals_the_definition_and_only_shrinks(mask: Mask, radius_px: int) -> None:
    eroded = erode_by_disc(mask, radius_px=radius_px)
    np.testing.assert_array_equal(eroded, _by_definition(mask, radius_px))
    assert not (eroded & ~mask).any()


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
