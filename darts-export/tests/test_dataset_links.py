"""Links between years and matching, against slow and plain answers."""

import itertools

import networkx as nx
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset.links import Links, direct_links, matched, overlaps
from darts_export.dataset.slump_ids import geohashes

BOXES = st.lists(
    st.tuples(st.integers(2018, 2023), st.integers(0, 9), st.integers(0, 9), st.integers(1, 6)), max_size=14
)


@settings(deadline=None)
@given(BOXES)
def test_links_are_the_transitive_reduction_of_what_overlaps(boxes: list[tuple[int, int, int, int]]) -> None:
    years = np.array([year for year, *_ in boxes], dtype="int64")
    outlines = np.array([shapely.box(x, y, x + size, y + size) for _, x, y, size in boxes], dtype=object)
    everything = [(i, j) for i, j in itertools.permutations(range(len(boxes)), 2) if years[i] < years[j]]
    pairs = np.array(everything, dtype="int64").reshape(-1, 2)
    found = direct_links(outlines, years, pairs, min_overlap=0.3, workers=1)
    graph = nx.DiGraph()
    for i, j in everything:
        smaller = min(outlines[i].area, outlines[j].area)
        if outlines[i].intersection(outlines[j]).area >= 0.3 * smaller:
            graph.add_edge(i, j)
    assert sorted(map(tuple, found.pairs.tolist())) == sorted(nx.transitive_reduction(graph).edges)


@settings(deadline=None)
@given(st.dictionaries(st.tuples(st.integers(0, 6), st.integers(10, 16)), st.integers(1, 4)), st.integers(0, 99))
def test_matching_takes_the_largest_first(shared: dict[tuple[int, int], int], seed: int) -> None:
    expected: dict[int, int] = {}
    for left, right in sorted(shared, key=lambda pair: (-shared[pair], pair)):
        if left not in expected and right not in expected.values():
            expected[left] = right
    order = np.random.default_rng(seed).permutation(len(shared))
    pairs = np.array(list(shared), dtype="int64").reshape(-1, 2)[order]
    found = matched(Links(pairs, np.array(list(shared.values()), dtype=float)[order]))
    assert dict(found.pairs.tolist()) == expected


def test_shares_of_the_smaller_just_below_at_and_above_the_least() -> None:
    large = shapely.box(0, 0, 10, 10)
    small = shapely.box([7, 7 - 1e-9, 7 + 1e-6], 0, [17, 17 - 1e-9, 17 + 1e-6], 10)
    pairs = np.array([[0, 0], [0, 1], [0, 2]])
    found = overlaps(np.array([large]), small, pairs, min_overlap=0.3, workers=1)
    assert found.pairs.tolist() == [[0, 0], [0, 1]]
    assert found.shared.tolist() == pytest.approx([30, 30])


def test_geohashes_are_those_of_others() -> None:
    # Examples of geohash.org and of its article in Wikipedia.
    places = [
        (10.40744, 57.64911, "u4pruydq"),
        (-5.6, 42.6, "ezs42e44"),
        (-180, -90, "00000000"),
        (180, 90, "zzzzzzzz"),
    ]
    longitude, latitude = (np.array([place[axis] for place in places]) for axis in (0, 1))
    assert geohashes(longitude, latitude).tolist() == [code for *_, code in places]
