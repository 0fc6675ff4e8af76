import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train_utils.config import SplitConfig
from darts_train_utils.splits import Patches, check_split, find_overlaps, split_folds, split_patches
from darts_utils.errors import TrainingDataError

METHODS = ("random", "scene", "region", "blocks", "stratified")


def squares(corners, *, size=10.0, scenes=None, regions=None, crs="EPSG:3413", shares=None):
    corners = np.asarray(corners, "float64").reshape(-1, 2)
    count = len(corners)
    return Patches(
        scenes or ["scene"] * count,
        regions or ["region"] * count,
        [crs] * count if isinstance(crs, str) else crs,
        np.hstack([corners, corners + size]),
        np.zeros(count) if shares is None else np.asarray(shares, "float64"),
    )


def overlaps_by_loops(patches):
    found = []
    for a in range(len(patches)):
        for b in range(a + 1, len(patches)):
            (l1, b1, r1, t1), (l2, b2, r2, t2) = patches.bounds[a], patches.bounds[b]
            if min(r1, r2) > max(l1, l2) and min(t1, t2) > max(b1, b2):
                found.append((a, b))
    return found


many = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(many)
def test_overlaps_are_those_of_plain_loops(corners):
    patches = squares(corners)
    assert [tuple(pair) for pair in find_overlaps(patches).tolist()] == overlaps_by_loops(patches)


@settings(deadline=None, max_examples=150)
@given(many, st.sampled_from(METHODS), st.integers(0, 5), st.integers(2, 4), st.data())
def test_no_two_that_overlap_are_on_different_sides(corners, method, seed, folds, data):
    names = st.lists(st.sampled_from("abcdef"), min_size=len(corners), max_size=len(corners))
    patches = squares(corners, scenes=data.draw(names), regions=data.draw(names))
    pairs = overlaps_by_loops(patches)
    config = SplitConfig(method=method, seed=seed, block_m=40)
    splits = []
    with contextlib.suppress(TrainingDataError):  # too few groups
        splits.append(split_patches(patches, config=config))
        splits += split_folds(patches, folds=folds, config=config)
    for split in splits:
        sides = [set(rows.tolist()) for rows in (split.training, split.validation, split.test, split.left_out)]
        assert sum(map(len, sides)) == len(patches)
        assert set.union(*sides) == set(range(len(patches)))
        side_of = {row: side for side, rows in enumerate(sides[:3]) for row in rows}
        assert all(side_of.get(a, side_of.get(b)) == side_of.get(b, side_of.get(a)) for a, b in pairs)
        if method in ("scene", "region"):
            of = patches.scenes if method == "scene" else patches.regions
            assert len({(of[row], side) for row, side in side_of.items()}) == len(set(of))
        if method != "blocks":
            assert not sides[3]


def test_patches_that_touch_do_not_overlap_and_one_pixel_does():
    assert find_overlaps(squares([[0, 0], [10, 0], [0, 10], [10, 10]])).size == 0
    assert find_overlaps(squares([[0, 0], [9.99, 9.99]])).tolist() == [[0, 1]]


def test_overlap_is_seen_across_utm_zones():
    from pyproj import Transformer

    x, y = Transformer.from_crs("EPSG:32608", "EPSG:32609", always_xy=True).transform(700_000, 7_500_000)
    patches = squares(
        [[700_000, 7_500_000], [x + 500, y], [x + 50_000, y]], size=2560, crs=["EPSG:32608"] + ["EPSG:32609"] * 2
    )
    assert find_overlaps(patches).tolist() == [[0, 1]]


def test_shares_are_kept_and_strata_are_alike():
    grid = [[10 * (k % 20), 10 * (k // 20)] for k in range(400)]
    positive = np.where(np.arange(400) % 4 == 0, 0.2, 0.0)
    split = split_patches(squares(grid, shares=positive), config=SplitConfig(method="stratified"))
    assert [len(rows) for rows in (split.training, split.validation, split.test)] == [280, 60, 60]
    assert [int((positive[rows] > 0).sum()) for rows in (split.training, split.validation, split.test)] == [70, 15, 15]


def test_the_draw_depends_on_the_seed_only():
    patches = squares([[10 * k, 0] for k in range(50)])
    first, again, other = (split_patches(patches, config=SplitConfig("random", seed=seed)) for seed in (1, 1, 2))
    assert first.test.tolist() == again.test.tolist() != other.test.tolist()


def test_each_patch_is_tested_once():
    patches = squares([[10 * k, 0] for k in range(30)])
    splits = split_folds(patches, folds=5, config=SplitConfig("random"))
    assert sorted(np.concatenate([split.test for split in splits]).tolist()) == list(range(30))
    assert all(len(split.test) == 6 and len(split.validation) == 0 for split in splits)


def test_blocks_leave_out_what_reaches_over():
    patches = squares([[k, 0] for k in range(0, 90, 5)])
    splits = split_folds(patches, folds=2, config=SplitConfig("blocks", block_m=50))
    assert len(splits[0].left_out) > 0
    assert patches.bounds[splits[0].test, 2].max() <= patches.bounds[splits[1].test, 0].min() or (
        patches.bounds[splits[1].test, 2].max() <= patches.bounds[splits[0].test, 0].min()
    )


def test_too_few_groups_overlaps_and_nonsense_are_refused():
    chain = squares([[5 * k, 0] for k in range(10)])
    with pytest.raises(TrainingDataError, match="10 patches in 1 groups .* leave 2 empty"):
        split_patches(chain, config=SplitConfig("random"))
    with pytest.raises(TrainingDataError, match="leave 2 empty"):
        split_folds(chain, folds=3, config=SplitConfig("random"))
    with pytest.raises(TrainingDataError, match="at least 2 folds"):
        split_folds(chain, folds=1, config=SplitConfig("random"))
    with pytest.raises(TrainingDataError, match=r"patches 4 \(scene 'scene'\) and 5 .* 0 other pairs"):
        check_split(chain, [np.arange(5), np.arange(5, 10)])
    with pytest.raises(TrainingDataError, match="one is on two"):
        check_split(chain, [np.arange(5), np.arange(4, 10)])
    with pytest.raises(TrainingDataError, match="as many scenes"):
        Patches(["a"], [], [], np.zeros((0, 4)), np.zeros(0))
    with pytest.raises(TrainingDataError, match="no area"):
        squares([[0, 0]], size=0.0)
