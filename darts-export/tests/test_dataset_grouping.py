"""Grouping, against asking every geometry about every other one."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset.grouping import box_components, box_pairs, components, groups_of

_BOXES = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 15), st.integers(1, 15)), max_size=20
)


@settings(deadline=None)
@given(boxes=_BOXES, distance=st.sampled_from([0.0, 1.0, 2.5]), kinds=st.integers(1, 3))
def test_pairs_are_those_of_every_one_asked_about_every_other(
    boxes: list[tuple[int, int, int, int]], distance: float, kinds: int
) -> None:
    bounds = np.array([(x, y, x + width, y + height) for x, y, width, height in boxes], dtype=float).reshape(-1, 4)
    alike = np.arange(len(bounds)) % kinds
    near = [
        [first, second]
        for first in range(len(bounds))
        for second in range(first + 1, len(bounds))
        if all(
            bounds[one, axis] <= bounds[other, axis + 2] + distance
            for axis in (0, 1)
            for one, other in ((first, second), (second, first))
        )
    ]
    pairs = box_pairs(np.array([shapely.box(*each) for each in bounds], dtype=object), distance_m=distance, alike=alike)
    assert pairs.tolist() == [pair for pair in near if alike[pair[0]] == alike[pair[1]]]
    connected = components(len(bounds), np.array(near, dtype="int64").reshape(-1, 2))
    assert box_components(bounds, distance_m=distance).tolist() == connected.tolist()


@settings(deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    )
)
def test_components_are_what_walking_along_pairs_reaches(case: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = case
    expected = []
    for start in range(count):
        reached = {start}
        for _ in range(count):
            reached |= {end for pair in pairs if reached & set(pair) for end in pair}
        expected.append(min(reached))
    assert components(count, np.array(pairs, dtype="int64").reshape(-1, 2)).tolist() == expected


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_group(count: int) -> None:
    groups = groups_of(components(count, np.empty((0, 2), dtype="int64")))
    assert (len(groups.lists()), groups.sizes.tolist()) == (count, [1] * count)


@settings(deadline=None)
@given(keys=st.lists(st.integers(0, 5), max_size=20), chosen=st.integers(0, 2**20 - 1))
def test_groups_hold_what_has_the_same_key(keys: list[int], chosen: int) -> None:
    groups = groups_of(np.array(keys, dtype="int64"))
    expected = [[index for index, key in enumerate(keys) if key == each] for each in sorted(set(keys))]
    assert [group.tolist() for group in groups.lists()] == expected
    assert groups.total(np.ones(len(keys))).tolist() == [len(group) for group in expected]
    kept = np.array([bool(chosen >> index & 1) for index in range(len(keys))], dtype=bool)
    left = [[index for index in group if kept[index]] for group in expected]
    assert [group.tolist() for group in groups.only(kept).lists()] == [group for group in left if group]
    backwards = np.arange(len(expected))[::-1]
    assert [group.tolist() for group in groups[backwards].lists()] == expected[::-1]
