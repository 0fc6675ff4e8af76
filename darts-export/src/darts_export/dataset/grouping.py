"""Which of many geometries belong together: pairs, what the pairs connect, and sets that have nothing to do with each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from darts_utils.component_kernels import connect_boxes, connect_pairs

Pairs = NDArray[np.int64]
"""``(P, 2)`` indices, the smaller one first, in ascending order."""

_STRIP_HEIGHTS = 8
"""Boxes are searched in strips of this many of their mean heights."""


@dataclass(frozen=True)
class Groups:
    """Disjoint sets of indices, the members of each in ascending order."""

    members: NDArray[np.int64]
    """``(N,)`` the members of all groups, group after group."""
    starts: NDArray[np.int64]
    """``(G,)`` where each group begins in `members`."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """``(G,)`` number of members of each group."""
        return np.diff(self.starts, append=len(self.members))

    @property
    def firsts(self) -> NDArray[np.int64]:
        """``(G,)`` the smallest member of each group."""
        return self.members[self.starts]

    @property
    def owners(self) -> NDArray[np.int64]:
        """``(N,)`` the group of each of `members`."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add the values of each group's members."""
        return np.bincount(self.owners, weights=values[self.members], minlength=len(self.starts)).astype("float64")

    def largest(self, values: NDArray[Any]) -> NDArray[Any]:
        """Find the largest value of each group's members."""
        return np.maximum.reduceat(values[self.members], self.starts) if len(self.starts) else values[:0]

    def only(self, chosen: NDArray[np.bool_]) -> "Groups":
        """Leave out the members that are not chosen, and groups of which none is."""
        kept = chosen[self.members]
        owners = self.owners[kept]
        return Groups(self.members[kept], np.flatnonzero(np.diff(owners, prepend=-1)))

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "Groups":
        """Choose groups, in the order given."""
        sizes, starts = self.sizes[chosen], self.starts[chosen]
        firsts = np.cumsum(sizes) - sizes
        return Groups(self.members[np.arange(sizes.sum()) + np.repeat(starts - firsts, sizes)], firsts)

    def lists(self) -> list[NDArray[np.int64]]:
        """List the members of each group."""
        return np.split(self.members, self.starts[1:]) if len(self.starts) else []


def groups_of(keys: NDArray[np.int64]) -> Groups:
    """Group what has the same key; groups are in ascending order of their keys.

    Examples:
        >>> [group.tolist() for group in groups_of(np.array([0, 1, 0])).lists()]
        [[0, 2], [1]]
    """
    order = np.argsort(keys, kind="stable")
    return Groups(order, np.flatnonzero(np.diff(keys[order], prepend=keys[order[:1]] - 1)))


def box_pairs(geometries: NDArray[np.object_], *, distance_m: float, alike: NDArray[np.int64]) -> Pairs:
    """Find pairs of the same key whose boxes overlap, touch, or are near.

    Args:
        geometries: ``(N,)`` geometries on one plane, none of them empty.
        distance_m: Boxes as near as this count, in units of the plane.
        alike: ``(N,)`` keys.

    Returns:
        The pairs.

    Examples:
        >>> row = shapely.box([0, 1, 5], 0, [1, 2, 6], 1)
        >>> box_pairs(row, distance_m=0, alike=np.zeros(3, dtype=int)).tolist()
        [[0, 1]]
    """
    if len(geometries) == 0:
        return np.empty((0, 2), dtype="int64")
    bounds = shapely.bounds(geometries)
    reach = shapely.box(*(bounds + np.array([-1, -1, 1, 1]) * distance_m).T)
    left, right = shapely.STRtree(geometries).query(reach)
    kept = (left < right) & (alike[left] == alike[right])
    pairs = np.column_stack([left[kept], right[kept]]).astype("int64")
    return pairs[np.lexsort(pairs.T[::-1])]


def components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """Number what pairs connect.

    Args:
        count: Number of things.
        pairs: ``(P, 2)`` indices of things that belong together.

    Returns:
        ``(count,)`` the smallest index of each thing's component.

    Examples:
        >>> components(5, np.array([[1, 3], [3, 4]])).tolist()
        [0, 1, 2, 1, 1]
    """
    roots = np.arange(count, dtype="int64")
    connect_pairs(roots, pairs)
    return roots


def box_components(bounds: NDArray[np.float64], *, distance_m: float) -> NDArray[np.int64]:
    """Number the sets of boxes that are connected by being near.

    Geometries of different sets have nothing to do with each other: they are farther apart than the distance.

    Args:
        bounds: ``(N, 4)`` float64 minimal x and y, maximal x and y.
        distance_m: Boxes as near as this, along x and along y, are connected.

    Returns:
        ``(N,)`` the smallest index of each box's set.

    Notes:
        Boxes are swept from left to right, in strips along x. The work grows with the number of boxes times the number of
        boxes above and below each other within a strip.

    Examples:
        >>> boxes = np.array([[0, 0, 1, 1], [9, 9, 10, 10], [2, 2, 3, 3]], dtype=float)
        >>> box_components(boxes, distance_m=1).tolist()
        [0, 1, 0]
    """
    roots = np.arange(len(bounds), dtype="int64")
    if len(bounds) == 0:
        return roots
    strip_m = _STRIP_HEIGHTS * max(float((bounds[:, 3] - bounds[:, 1]).mean()) + distance_m, 1e-6)
    low = np.floor(bounds[:, 1] / strip_m).astype("int64")
    crossed = np.floor((bounds[:, 3] + distance_m) / strip_m).astype("int64") - low + 1
    which = np.repeat(np.arange(len(bounds), dtype="int32"), crossed)
    strip = np.arange(len(which)) - np.repeat(np.cumsum(crossed) - crossed - low, crossed)
    order = np.lexsort((bounds[which, 0], strip))
    connect_boxes(roots, which[order], strip[order], bounds, distance_m)
    return roots
