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
from darts_utils.runs import find_runs
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
    runs = find_runs(mask)
    labels, count = runs.labels(), runs.count
    reference = skimage.measure.label(mask, connectivity=2)
    np.testing.assert_array_equal(labels, reference)  # the same numbers too: both go row by row
    outlines = polygonise(runs, TRANSFORM)
    assert len(outlines) == count
    for index, outline in enumerate(outlines, start=1):
        assert outline.is_valid, shapely.is_valid_reason(outline)
        assert outline.geom_type in {"Polygon", "MultiPolygon"}
        assert outline.area == pytest.approx((labels == index).sum() * 3.125**2)
        for part in shapely.get_parts(outline):
            assert part.exterior.is_ccw
            assert not any(hole.is_ccw for hole in part.interiors)
    for outline, pieces in zip(outlines, _pieces_by_gdal(labels, count), strict=True):
        assert shapely.equals(outline, shapely.MultiPolygon(pieces))
        assert shapely.get_num_coordinates(outline) == sum(map(shapely.get_num_coordinates, pieces))
    if count:
        burnt = rasterio.features.rasterize(
            zip(outlines, range(1, count + 1), strict=True), mask.shape, transform=TRANSFORM, dtype="int32"
        )
        np.testing.assert_array_equal(burnt, labels)


def _pieces_by_gdal(labels: NDArray[np.int32], count: int) -> list[list[shapely.Polygon]]:
    pieces: list[list[shapely.Polygon]] = [[] for _ in range(count)]
    for shape, value in rasterio.features.shapes(labels, mask=labels > 0, connectivity=4, transform=TRANSFORM):
        exterior, *holes = shape["coordinates"]
        pieces[int(value) - 1].append(shapely.Polygon(exterior, holes))
    return pieces


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
    runs = find_runs(np.eye(2, dtype=bool))
    (outline,) = polygonise(runs, Affine.identity())
    assert (runs.count, outline.geom_type, len(outline.geoms)) == (1, "MultiPolygon", 2)


@pytest.mark.parametrize(
    "transform",
    [Affine.identity(), Affine(2, 0, 5, 0, 2, 7), Affine(0, 3, 0, 3, 0, 0), Affine.rotation(30) @ TRANSFORM],
)
def test_rings_are_oriented_whatever_the_grid(transform: Affine) -> None:
    mask = np.pad(np.zeros((1, 2), dtype=bool), ((1, 1), (1, 2)), constant_values=True)
    (outline,) = polygonise(find_runs(mask), transform)
    assert outline.is_valid
    assert outline.exterior.is_ccw
    assert [hole.is_ccw for hole in outline.interiors] == [False]
    assert outline.area == pytest.approx(13 * abs(transform.determinant))
