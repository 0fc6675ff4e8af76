"""Grouping, against asking every geometry about every other one."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset.grouping import components, members, near_pairs

_BOXES = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 15), st.integers(1, 15)), max_size=20
)


@settings(deadline=None)
@given(
    boxes=_BOXES,
    distance=st.sampled_from([0.0, 1.0, 2.5]),
    partition=st.sampled_from([1.0, 7.0, 1000.0]),
    workers=st.sampled_from([1, 3]),
)
def test_pairs_are_those_of_every_one_asked_about_every_other(
    boxes: list[tuple[int, int, int, int]], distance: float, partition: float, workers: int
) -> None:
    geometries = np.array([shapely.box(x, y, x + width, y + height) for x, y, width, height in boxes], dtype=object)
    expected = [
        [first, second]
        for first in range(len(geometries))
        for second in range(first + 1, len(geometries))
        if shapely.distance(geometries[first], geometries[second]) <= distance
    ]
    pairs = near_pairs(geometries, distance_m=distance, partition_m=partition, workers=workers)
    assert pairs.tolist() == expected


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
    assert len(members(components(count, np.empty((0, 2), dtype="int64")))) == count
