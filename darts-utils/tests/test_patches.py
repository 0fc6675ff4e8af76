import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_utils.patches import patch_starts, patch_weights, patch_windows
from darts_utils.testing.strategies import patch_grids


@settings(deadline=None)
@given(grid=patch_grids())
def test_windows_cover_every_index_and_stay_inside(grid):
    length, patch, overlap = grid
    starts = patch_starts(length, patch_px=patch, overlap_px=overlap)
    covered = np.zeros(length, int)
    for start in starts:
        assert 0 <= start <= length - patch
        covered[start : start + patch] += 1
    assert covered.min() >= 1
    assert starts == sorted(set(starts))
    assert all(after - before <= patch - overlap for before, after in itertools.pairwise(starts))


@settings(deadline=None, max_examples=50)
@given(
    vertical=patch_grids(max_patch_px=9, max_extra_px=20),
    extra=st.integers(0, 20),
    ramp=st.sampled_from(["open", "closed"]),
)
def test_split_and_weighted_merge_is_the_identity(vertical, extra, ramp):
    height, patch, overlap = vertical
    shape = (height, patch + extra)
    image = np.random.default_rng(0).random(shape)
    weights = patch_weights(patch_px=patch, overlap_px=overlap, ramp=ramp).astype("float64")
    total, norm = np.zeros(shape), np.zeros(shape)
    for window in patch_windows(shape, patch_px=patch, overlap_px=overlap):
        total[window.slices] += weights * image[window.slices]
        norm[window.slices] += weights
    seen = norm > 0
    np.testing.assert_allclose(total[seen] / norm[seen], image[seen], rtol=1e-12)
    if ramp == "open":
        assert seen.all()


@settings(deadline=None)
@given(grid=patch_grids(max_extra_px=0))
def test_weights_are_the_formula_of_the_definition(grid):
    _, patch, overlap = grid
    line = [min(1, (i + 1) / (overlap + 1), (patch - i) / (overlap + 1)) for i in range(patch)]
    weights = patch_weights(patch_px=patch, overlap_px=overlap)
    np.testing.assert_allclose(weights, np.outer(line, line), rtol=1e-6)
    assert weights.dtype == np.float32
    assert weights.min() > 0


def test_the_closed_ramp_is_that_of_older_pipelines():
    line = patch_weights(patch_px=8, overlap_px=3, ramp="closed")[3]
    np.testing.assert_allclose(line, [0, 0.5, 1, 1, 1, 1, 0.5, 0])


def test_windows_go_row_by_row():
    windows = list(patch_windows((4, 6), patch_px=4, overlap_px=0))
    assert [(w.row, w.column) for w in windows] == [(0, 0), (0, 2)]


@pytest.mark.parametrize(("patch", "overlap"), [(4, 4), (4, -1), (4, 9)])
def test_an_overlap_outside_the_patch_is_refused(patch, overlap):
    with pytest.raises(ValueError, match=f"overlap of 0 to 3 px .* but got {overlap}"):
        patch_weights(patch_px=patch, overlap_px=overlap)


def test_a_patch_of_no_size_and_a_small_axis_are_refused():
    with pytest.raises(ValueError, match="at least 1 px, but got 0"):
        patch_weights(patch_px=0, overlap_px=0)
    with pytest.raises(ValueError, match=r"at least one patch \(8 px\), but got 7 px"):
        patch_starts(7, patch_px=8, overlap_px=0)
