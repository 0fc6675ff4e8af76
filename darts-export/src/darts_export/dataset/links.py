"""Which outlines of different years show the same ground, and which of them follow each other as one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

Pairs = NDArray[np.int64]

_ASKED_AT_A_TIME = 100_000
"""Pairs whose shared area is computed in one go, so that memory stays flat and workers have something to share."""


@dataclass(frozen=True)
class Links:
    """Pairs of things and how much area the two of each pair share."""

    pairs: Pairs
    """``(L, 2)`` indices; of the earlier outline first where they are outlines of different years."""
    shared: NDArray[np.float64]
    """``(L,)`` area that both cover, in units of the plane."""

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Links":
        return Links(self.pairs[chosen], self.shared[chosen])


def overlaps(
    left: NDArray[np.object_], right: NDArray[np.object_], pairs: Pairs, *, min_overlap: float, workers: int
) -> Links:
    """Keep the pairs whose shared area is at least a share of the smaller of the two.

    Args:
        left: ``(N,)`` valid polygons or multipolygons on one plane.
        right: ``(M,)`` the same.
        pairs: ``(P, 2)`` indices into `left` and `right`.
        min_overlap: The share, above 0 and at most 1.
        workers: Number of threads.

    Examples:
        >>> row = shapely.box([0, 1, 1.9], 0, [2, 3, 3.9], 1)
        >>> overlaps(row, row, np.array([[0, 1], [0, 2]]), min_overlap=0.3, workers=1).pairs.tolist()
        [[0, 1]]
    """
    smaller = np.minimum(shapely.area(left)[pairs[:, 0]], shapely.area(right)[pairs[:, 1]])
    possible = _shared_by_bounds(left, right, pairs) >= min_overlap * smaller
    pairs, smaller = pairs[possible], smaller[possible]
    parts = np.array_split(pairs, max(1, -(-len(pairs) // _ASKED_AT_A_TIME)))
    with ThreadPoolExecutor(workers) as pool:
        areas = pool.map(lambda part: shapely.area(shapely.intersection(left[part[:, 0]], right[part[:, 1]])), parts)
        shared = np.concatenate(list(areas))
    enough = shared >= min_overlap * smaller
    return Links(pairs[enough], shared[enough])


def _shared_by_bounds(left: NDArray[np.object_], right: NDArray[np.object_], pairs: Pairs) -> NDArray[np.float64]:
    """The area that the boxes around two outlines share: never less than that of the outlines."""
    one, other = shapely.bounds(left)[pairs[:, 0]], shapely.bounds(right)[pairs[:, 1]]
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    area: NDArray[np.float64] = np.clip(sides, 0, None).prod(axis=1)
    return area


def near_each_other(left: NDArray[np.object_], right: NDArray[np.object_]) -> Pairs:
    """List the pairs ``(index in left, index in right)`` of outlines whose boxes touch."""
    return np.column_stack(shapely.STRtree(right).query(left)).astype("int64")


def direct_links(
    outlines: NDArray[np.object_], years: NDArray[np.int64], candidates: Pairs, *, min_overlap: float, workers: int
) -> Links:
    """Link the outlines of different years that overlap, each to the nearest years in which its ground is seen again.

    Pairs of neighbouring years come first, then those of two years apart, and so on. A pair that earlier links connect
    already, through outlines of the years between, is not linked once more. So a year without images, or a cloud over one
    slump, is bridged where it lies and nowhere else.

    Args:
        outlines: ``(N,)`` valid polygons or multipolygons on one plane.
        years: ``(N,)`` their years.
        candidates: ``(P, 2)`` pairs of indices that may be linked, the earlier year first.
        min_overlap: Least shared area, as a share of the smaller outline.
        workers: Number of threads.

    Examples:
        >>> same = shapely.box([0, 0, 0], 0, 1, 1)
        >>> pairs = np.array([[0, 1], [0, 2], [1, 2]])
        >>> direct_links(same, np.array([2019, 2020, 2022]), pairs, min_overlap=0.3, workers=1).pairs.tolist()
        [[0, 1], [1, 2]]
    """
    count = len(outlines)
    steps = years[candidates[:, 1]] - years[candidates[:, 0]]
    links: dict[int, Links] = {}
    reached: dict[int, Pairs] = {}
    for step in range(1, int(steps.max(initial=0)) + 1):
        chains = _unique(
            [_joined(links[first].pairs, reached[step - first]) for first in links if step - first in reached], count
        )
        asked = candidates[steps == step]
        asked = asked[~np.isin(_keys(asked, count), _keys(chains, count))]
        found = overlaps(outlines, outlines, asked, min_overlap=min_overlap, workers=workers)
        if len(found.pairs):
            links[step] = found
        if len(found.pairs) or len(chains):
            reached[step] = np.concatenate([chains, found.pairs])
    return concatenated(list(links.values()))


def concatenated(links: list[Links]) -> Links:
    """Put links under each other."""
    pairs = np.concatenate([np.empty((0, 2), "int64"), *(each.pairs for each in links)])
    return Links(pairs, np.concatenate([np.empty(0), *(each.shared for each in links)]))


def matched(links: Links) -> Links:
    """Choose links so that each thing has at most one on either side: the largest shared area first.

    Ties go to the smaller indices. No pair is left out that both its things would rather have than what they got, so the
    answer is that of a stable matching, and it does not depend on the order of the links.

    Examples:
        >>> links = Links(np.array([[0, 7], [0, 8], [1, 8]]), np.array([3.0, 5.0, 4.0]))
        >>> matched(links).pairs.tolist()
        [[0, 8]]
    """
    left = np.unique(links.pairs[:, 0], return_inverse=True)[1].ravel()
    right = np.unique(links.pairs[:, 1], return_inverse=True)[1].ravel()
    waiting = np.lexsort((links.pairs[:, 1], links.pairs[:, 0], -links.shared))
    gone_left, gone_right = np.zeros(len(left), dtype=bool), np.zeros(len(right), dtype=bool)
    chosen = []
    while len(waiting):
        first_left, first_right = (np.unique(side[waiting], return_index=True)[1] for side in (left, right))
        mutual = waiting[np.intersect1d(first_left, first_right, assume_unique=True)]
        chosen.append(mutual)
        gone_left[left[mutual]], gone_right[right[mutual]] = True, True
        waiting = waiting[~gone_left[left[waiting]] & ~gone_right[right[waiting]]]
    return links[np.sort(np.concatenate(chosen)) if chosen else waiting]


def _joined(first: Pairs, second: Pairs) -> Pairs:
    """Pairs (a, c) for which there are (a, b) in the one and (b, c) in the other."""
    second = second[np.argsort(second[:, 0], kind="stable")]
    begin, end = (np.searchsorted(second[:, 0], first[:, 1], side=side) for side in ("left", "right"))
    counts = end - begin
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.column_stack([np.repeat(first[:, 0], counts), second[np.repeat(begin, counts) + within, 1]])


def _unique(found: list[Pairs], count: int) -> Pairs:
    keys = np.unique(_keys(np.concatenate([np.empty((0, 2), "int64"), *found]), count))
    return np.column_stack([keys // count, keys % count]) if len(keys) else np.empty((0, 2), "int64")


def _keys(pairs: Pairs, count: int) -> NDArray[np.int64]:
    """One number for each pair of indices below `count`."""
    keys: NDArray[np.int64] = pairs[:, 0] * count + pairs[:, 1]
    return keys
