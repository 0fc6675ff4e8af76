"""Outlines against the pixels they came from, and against scikit-image."""

import numpy as np
import pytest
import rasterio.features
import shapely
import skimage.measure
import skimage.morphology
from affine import Affine
from hypothesis import given, settings
from numpy.typing import NDArray

from darts_export.polygons import polygonise
from darts_utils.objects import label_objects
from darts_utils.testing import strategies

Mask = NDArray[np.bool_]
TRANSFORM = Affine(3.125, 0, 500_000, 0, -3.125, 7_550_000)

_RING = (skimage.morphology.disk(10) - np.pad(skimage.morphology.disk(8), 2)).astype(bool)
ADVERSARIAL = {
    "nothing": np.zeros((9, 11), dtype=bool),
    "everything": np.ones((9, 11), dtype=bool),
    "diagonal": np.eye(17, dtype=bool),
    "checkerboard": np.indices((12, 13)).sum(axis=0) % 2 == 0,
    "hole": np.pad(np.zeros((1, 1), dtype=bool), 2, constant_values=True),
    "two holes that touch by a corner": ~np.pad(np.eye(2, dtype=bool), 2),
    "hole that touches the outside by a corner": ~np.pad(np.eye(3, dtype=bool), ((0, 2), (0, 2))),
    "rings in a ring": _RING | np.pad(_RING[4:-4, 4:-4] | skimage.morphology.disk(6).astype(bool), 4),
    "object in its own hole by a corner": np.array(
        [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]], dtype=bool
    ),
    "island that touches the wall by a corner": np.array(
        [[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 0, 0, 1, 0], [1, 1, 1, 0, 1]], dtype=bool
    ),
    "one row": (np.arange(30) % 7 < 4)[None, :],
}


def _check(mask: Mask) -> None:
    labels, count = label_objects(mask)
    reference = skimage.measure.label(mask, connectivity=2)
    np.testing.assert_array_equal(labels, reference)  # the same numbers too: both go row by row
    outlines = polygonise(labels, count, TRANSFORM)
    assert len(outlines) == count
    for index, outline in enumerate(outlines, start=1):
        assert outline.is_valid, shapely.is_valid_reason(outline)
        assert outline.geom_type in {"Polygon", "MultiPolygon"}
        assert outline.area == pytest.approx((labels == index).sum() * 3.125**2)
        for part in shapely.get_parts(outline):
            assert part.exterior.is_ccw
            assert not any(hole.is_ccw for hole in part.interiors)
    if count:
        burnt = rasterio.features.rasterize(
            zip(outlines, range(1, count + 1), strict=True), mask.shape, transform=TRANSFORM, dtype="int32"
        )
        np.testing.assert_array_equal(burnt, labels)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_masks(name: str) -> None:
    _check(ADVERSARIAL[name])


@given(mask=strategies.masks(max_px=16))
@settings(deadline=None, max_examples=80)
def test_any_mask(mask: Mask) -> None:
    _check(mask)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6, 0.8])
def test_noise(share: float) -> None:
    _check(np.random.default_rng(7).random((60, 70)) < share)


def test_parts_that_touch_by_a_corner_are_one_object() -> None:
    labels, count = label_objects(np.eye(2, dtype="uint8"))
    (outline,) = polygonise(labels, count, Affine.identity())
    assert (count, outline.geom_type, len(outline.geoms)) == (1, "MultiPolygon", 2)
