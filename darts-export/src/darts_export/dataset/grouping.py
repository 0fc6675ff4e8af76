"""Which of many geometries belong together: pairs, found partition by partition, and what the pairs connect."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import shapely
from numpy.typing import NDArray


def near_pairs(
    geometries: NDArray[np.object_], *, distance_m: float, partition_m: float, workers: int
) -> NDArray[np.int64]:
    """Find the pairs of geometries that overlap, touch, or are near.

    Args:
        geometries: ``(N,)`` valid shapely geometries on one plane, none of them empty.
        distance_m: Pairs as near as this count, in units of the plane; 0: pairs that overlap or touch.
        partition_m: Edge length of the squares that are searched one by one, in units of the plane.
        workers: Number of squares that are searched at a time.

    Returns:
        ``(P, 2)`` pairs of indices, the smaller one first, in ascending order; they depend on neither `partition_m` nor
        `workers`.

    Examples:
        >>> row = shapely.box([0, 1, 5], 0, [1, 2, 6], 1)
        >>> near_pairs(row, distance_m=0, partition_m=1, workers=1).tolist()
        [[0, 1]]
    """
    if len(geometries) == 0:
        return np.empty((0, 2), dtype="int64")
    bounds = shapely.bounds(geometries)
    squares = np.floor(bounds[:, :2] / partition_m)
    owner = np.unique(squares, axis=0, return_inverse=True)[1].ravel()
    count = int(owner.max()) + 1
    reach = np.column_stack([np.full((count, 2), np.inf), np.full((count, 2), -np.inf)])
    np.minimum.at(reach[:, :2], owner, bounds[:, :2])
    np.maximum.at(reach[:, 2:], owner, bounds[:, 2:])
    reach += np.array([-1, -1, 1, 1]) * distance_m
    guest, host = shapely.STRtree(shapely.box(*reach.T)).query(geometries)
    guests = _split(guest, host, count)
    own = _split(np.arange(len(geometries)), owner, count)

    def search(partition: int) -> NDArray[np.int64]:
        inside, around = own[partition], guests[partition]
        tree = shapely.STRtree(geometries[around])
        if distance_m == 0:
            left, right = tree.query(geometries[inside], predicate="intersects")
        else:
            left, right = tree.query(geometries[inside], predicate="dwithin", distance=distance_m)
        pairs = np.column_stack([inside[left], around[right]]).astype("int64")
        # Whoever owns the smaller index asks, so each pair is found once, and always with the same question.
        return pairs[pairs[:, 0] < pairs[:, 1]]

    with ThreadPoolExecutor(workers) as pool:
        found = np.concatenate(list(pool.map(search, range(count))))
    return found[np.lexsort(found.T[::-1])]


def components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
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
    while True:
        ends = roots[pairs]
        low, high = ends.min(axis=1), ends.max(axis=1)
        if np.array_equal(low, high):
            return roots
        np.minimum.at(roots, high, low)
        while not np.array_equal(roots, shorter := roots[roots]):
            roots = shorter


def members(roots: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """List the members of each component, in ascending order, the component with the smallest index first.

    Examples:
        >>> [group.tolist() for group in members(np.array([0, 1, 0]))]
        [[0, 2], [1]]
    """
    if len(roots) == 0:
        return []
    order = np.argsort(roots, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(roots[order])) + 1)


def _split(values: NDArray[np.int64], keys: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    order = np.lexsort((values, keys))
    return np.split(values[order], np.cumsum(np.bincount(keys, minlength=count))[:-1])
