"""Objects as runs, and as images of labels, against scikit-image and scipy."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.measure
import skimage.morphology
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.device import array_namespace, move_tile, to_numpy
from darts_utils.errors import GridMismatchError
from darts_utils.objects import LabelledObjects, find_objects
from darts_utils.runs import find_runs, runs_of_labels
from darts_utils.testing import strategies

NEIGHBOURS = np.ones((3, 3), dtype=bool)


def _spiral(size):
    mask = np.zeros((size, size), dtype=bool)
    row, column, (down, right) = 0, -1, (0, 1)
    for length in [size, *(each for n in range(size - 1, 0, -2) for each in (n, n))]:
        for _ in range(length):
            row, column = row + down, column + right
            mask[row % size, column % size] = True
        down, right = right, -down
    return mask


RINGS = sum(np.pad(skimage.morphology.disk(r), 12 - r).astype(int) for r in (2, 4, 7, 9, 12)) % 2 == 1
MASKS = {
    "nothing": np.zeros((9, 11), dtype=bool),
    "everything": np.ones((200, 130), dtype=bool),
    "one pixel": np.pad(np.ones((1, 1), dtype=bool), 5),
    "diagonal": np.eye(150, dtype=bool),
    "anti-diagonal": np.eye(150, dtype=bool)[::-1],
    "checkerboard": np.indices((140, 141)).sum(axis=0) % 2 == 0,
    "rings": RINGS,
    "spiral": _spiral(41),
    "spiral that turns the other way": _spiral(41)[:, ::-1],
    "two that touch by a corner": np.kron(np.eye(2), np.ones((70, 70))).astype(bool),
    "comb with its back below": (np.arange(200)[None, :] % 2 == 0) | (np.arange(150)[:, None] == 149),
    "comb with its back above": (np.arange(200)[None, :] % 2 == 0) | (np.arange(150)[:, None] == 0),
    "comb on its side": ((np.arange(200)[None, :] % 2 == 0) | (np.arange(150)[:, None] == 149)).T,
    "one row": (np.arange(300) % 7 < 4)[None, :],
    "one column": (np.arange(300) % 7 < 4)[:, None],
    "no rows": np.zeros((0, 5), dtype=bool),
    "no columns": np.zeros((5, 0), dtype=bool),
    "noise at the percolation threshold": np.random.default_rng(0).random((257, 263)) < 0.407,
    "noise": np.random.default_rng(1).random((257, 263)) < 0.2,
    "runs that end on blocks of 64": np.kron(np.random.default_rng(2).random((70, 6)) < 0.5, np.ones((2, 64))) > 0,
}


@pytest.mark.parametrize("name", MASKS)
def test_objects_are_those_of_scikit_image_and_scipy(name):
    mask = MASKS[name]
    found = find_runs(mask)
    expected, count = scipy.ndimage.label(mask, NEIGHBOURS)
    assert found.count == count
    np.testing.assert_array_equal(found.labels(), expected)
    np.testing.assert_array_equal(found.mask(np.ones(count, dtype=bool)), mask)
    if mask.size:
        np.testing.assert_array_equal(found.labels(), skimage.measure.label(mask, connectivity=2))
        regions = skimage.measure.regionprops(expected)
        assert found.sizes_px().tolist() == [region.area for region in regions]
        boxes = [[*region.bbox[::2], *region.bbox[1::2]] for region in regions]
        assert found.boxes().tolist() == boxes


@pytest.mark.parametrize("name", MASKS)
def test_threads_change_nothing(name, monkeypatch):
    """Bands of 64 rows and blocks of runs meet at seams, across which objects go."""
    extent = np.random.default_rng(3).random(MASKS[name].shape) < 0.9
    results = []
    for threads in ("1", "2", "3", "8"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found = find_runs(MASKS[name])
        again = runs_of_labels(found.labels(), count=found.count)
        results.append(
            [
                *(found.row_starts, found.first, found.end, found.label, found.labels(), found.sizes_px()),
                *(again.row_starts, again.first, again.end, again.label),
                *(found.touching_outside(extent), found.pixels(extent), found.boxes()),
            ]
        )
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@given(mask=strategies.masks(max_px=20), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=60)
def test_runs_labels_on_a_gpu_and_scipy_answer_alike(mask, seed):
    """What runs on a GPU is written for any array library; here with NumPy."""
    rng = np.random.default_rng(seed)
    values, extent = rng.random(mask.shape, dtype="float32"), rng.random(mask.shape) < 0.9
    labels, count = scipy.ndimage.label(mask, NEIGHBOURS)
    inside = [values[labels == number] for number in range(1, count + 1)]
    pixels = np.concatenate([np.zeros(0), *inside])
    near = skimage.morphology.dilation(~extent, NEIGHBOURS, mode="ignore")
    for objects in (find_objects(mask), runs_of_labels(labels, count=count), LabelledObjects(labels, count)):
        assert objects.count == count
        assert objects.sizes_px().tolist() == [len(each) for each in inside]
        assert objects.touching_outside(extent).tolist() == [bool(near[labels == n].any()) for n in range(1, count + 1)]
        np.testing.assert_array_equal(objects.pixels(values), pixels)
        assert objects.counts(objects.pixels(values) > 0.5).tolist() == [int((each > 0.5).sum()) for each in inside]
        keep = rng.random(count) < 0.5
        np.testing.assert_array_equal(objects.mask(keep), np.isin(labels, 1 + np.flatnonzero(keep)))
        np.testing.assert_array_equal(objects.labels(), labels)


@given(mask=strategies.masks(max_px=30), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=60)
def test_thresholds_within_lower_ones(mask, seed):
    values = np.random.default_rng(seed).random(mask.shape, dtype="float32")
    values[0, 0] = np.nan
    low = find_runs(values, above=0.3, valid=mask)
    for above in (0.3, 0.5, 0.9):
        alone, within = find_runs(values, above=above, valid=mask), find_runs(values, above=above, within=low)
        expected = scipy.ndimage.label((values > np.float32(above)) & mask, NEIGHBOURS)[0]
        np.testing.assert_array_equal(alone.labels(), expected)
        np.testing.assert_array_equal(within.labels(), expected)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 15, 16, 17, 63, 64, 65])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 1])
def test_rows_of_any_length_are_read_to_their_end_and_not_beyond(width, share):
    """Eight pixels are looked at together; runs within runs begin and end anywhere in such a word."""
    rng = np.random.default_rng(width)
    mask = rng.random((70, width)) < share
    values = np.where(mask, 0.5 + 0.5 * rng.random(mask.shape), 0).astype("float32")
    wider = find_runs(values, above=0.25)
    np.testing.assert_array_equal(wider.labels(), scipy.ndimage.label(mask, NEIGHBOURS)[0])
    for above in (0.25, 0.6, 0.9):
        expected = scipy.ndimage.label(values > np.float32(above), NEIGHBOURS)[0]
        np.testing.assert_array_equal(find_runs(values, above=above, within=wider).labels(), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in MASKS if MASKS[name].size])
def test_a_gpu_finds_the_same_objects(name):
    cupy = array_namespace(move_tile(xr.Dataset({"mask": (("y", "x"), MASKS[name])}), device="cuda").mask.data)
    rng = np.random.default_rng(0)
    values, extent = rng.random(MASKS[name].shape, dtype="float32"), rng.random(MASKS[name].shape) < 0.99
    ours, theirs = find_objects(MASKS[name]), find_objects(cupy.asarray(MASKS[name]))
    assert ours.count == theirs.count
    keep = rng.random(ours.count) < 0.5
    answers = [
        (ours.labels(), theirs.labels()),
        (ours.sizes_px(), theirs.sizes_px()),
        (ours.touching_outside(extent), theirs.touching_outside(cupy.asarray(extent))),
        (ours.pixels(values), theirs.pixels(cupy.asarray(values))),
        (ours.mask(keep), theirs.mask(cupy.asarray(keep))),
    ]
    everywhere, flags = np.ones_like(extent), ours.pixels(values) > 0.5
    answers.append((ours.touching_outside(everywhere), theirs.touching_outside(cupy.asarray(everywhere))))
    answers.extend((ours.counts(each), theirs.counts(cupy.asarray(each))) for each in (flags, np.zeros_like(flags)))
    for one, other in answers:
        np.testing.assert_array_equal(one, to_numpy(other))


def test_the_threshold_has_the_precision_of_the_values():
    values = np.array([[0.7, np.nextafter(np.float32(0.7), np.float32(1))]], dtype="float32")
    assert find_runs(values, above=0.7).labels().tolist() == [[0, 1]]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "int64", "float32", "float64"])
def test_any_dtype_and_layout_and_read_only(dtype):
    mask = np.random.default_rng(0).random((90, 80)) < 0.4
    expected = scipy.ndimage.label(mask, NEIGHBOURS)[0]
    for values in (
        mask.astype(dtype),
        np.asfortranarray(mask.astype(dtype)),
        np.repeat(mask, 2, 1).astype(dtype)[:, ::2],
    ):
        values.flags.writeable = False
        np.testing.assert_array_equal(find_runs(values).labels(), expected)


def test_labels_side_by_side_stay_apart():
    labels = np.array([[1, 1, 2, 2, 0, 3], [3, 0, 2, 1, 1, 1]], dtype="int32")
    found = runs_of_labels(labels, count=3)
    np.testing.assert_array_equal(found.labels(), labels)
    assert found.sizes_px().tolist() == [5, 3, 2]


def test_arrays_of_another_raster_are_refused():
    """A kernel that trusted them would read beyond their end."""
    found = find_runs(np.eye(5, dtype=bool))
    small = np.ones((4, 5), dtype=bool)
    for question in (
        lambda: found.touching_outside(small),
        lambda: found.pixels(small),
        lambda: found.counts(np.ones(4, dtype=bool)),
        lambda: found.mask(np.ones(2, dtype=bool)),
        lambda: find_runs(small, within=found),
        lambda: find_runs(np.eye(5), valid=small),
    ):
        with pytest.raises(GridMismatchError, match="must have the shape .*, as the objects have, but got"):
            question()


@pytest.mark.parametrize("labels", [[[0, 3]], [[-1, 1]]])
def test_labels_beyond_the_count_are_refused(labels):
    with pytest.raises(ValueError, match="expected labels from 0 to 2, but got .*: give the count of label_objects"):
        runs_of_labels(np.array(labels, dtype="int32"), count=2)
