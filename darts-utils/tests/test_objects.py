"""Objects against scikit-image and loops."""

import numpy as np
import skimage.measure
import skimage.morphology
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.objects import LabelledObjects, find_objects, label_objects
from darts_utils.testing import strategies


@given(mask=strategies.masks(max_px=20))
@settings(deadline=None, max_examples=60)
def test_labels_and_sizes_are_those_of_scikit_image(mask):
    labels, count = label_objects(mask)
    np.testing.assert_array_equal(labels, skimage.measure.label(mask, connectivity=2))
    assert labels.dtype == np.int32
    sizes = [region.area for region in skimage.measure.regionprops(labels)]
    for objects in (find_objects(mask), LabelledObjects(labels, count)):
        assert objects.sizes_px().tolist() == sizes
    assert sum(sizes) == mask.sum()


@given(mask=strategies.masks(max_px=14), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=50)
def test_touching_outside_equals_a_loop(mask, seed):
    extent = np.random.default_rng(seed).random(mask.shape) < 0.9
    labels, count = label_objects(mask)
    expected = [
        bool((skimage.morphology.dilation(labels == index, np.ones((3, 3)), mode="ignore") & ~extent).any())
        for index in range(1, count + 1)
    ]
    for objects in (find_objects(mask), LabelledObjects(labels, count)):
        assert objects.touching_outside(extent).tolist() == expected


@given(mask=strategies.masks(max_px=14), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=50)
def test_objects_stay_or_go_whole(mask, seed):
    labels, count = label_objects(mask)
    keep = np.random.default_rng(seed).random(count) < 0.5
    stays = [index for index in range(1, count + 1) if keep[index - 1]]
    for objects in (find_objects(mask), LabelledObjects(labels, count)):
        np.testing.assert_array_equal(objects.mask(keep), np.isin(labels, stays))


def test_no_pixels_are_counted_as_none_where_the_library_cannot(monkeypatch):
    """Older CuPy cannot count an empty array; NumPy stands in for it here."""
    bincount = np.bincount

    def of_an_older_cupy(numbers, minlength):
        if numbers.size == 0:
            raise ValueError("zero-size array to reduction operation cupy_max which has no identity")
        return bincount(numbers, minlength=minlength)

    monkeypatch.setattr(np, "bincount", of_an_older_cupy)
    objects, nothing = LabelledObjects(np.array([[1, 0, 2]], "int32"), 2), LabelledObjects(np.zeros((0, 3), "int32"), 0)
    assert objects.counts(np.zeros(2, bool)).tolist() == [0, 0]
    assert objects.counts(np.zeros(2, bool)).dtype == np.int64
    assert objects.touching_outside(np.ones((1, 3), bool)).tolist() == [False, False]
    assert nothing.sizes_px().shape == (0,)


def test_nothing_and_read_only():
    nothing = np.zeros((3, 4), dtype=bool)
    nothing.flags.writeable = False
    labels, count = label_objects(nothing)
    assert count == 0
    for objects in (find_objects(nothing), LabelledObjects(labels, count)):
        assert objects.sizes_px().shape == (0,)
        assert objects.touching_outside(~nothing).shape == (0,)
        assert not objects.mask(np.zeros(0, dtype=bool)).any()
