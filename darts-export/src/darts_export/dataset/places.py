"""Where rows stand: neighbours near each other, what can have to do with each other never apart, whatever the partitions."""

import numpy as np
from numpy.typing import NDArray

from darts_export.dataset.grouping import box_components

_BITS = 25
_OFFSET_M = 1 << (_BITS - 1)

PLACE_BITS = 2 * _BITS
"""Number of bits of a place's code."""


def place_codes(bounds: NDArray[np.float64], *, reach_m: float) -> NDArray[np.int64]:
    """Give each box the place of the set of boxes that it belongs to.

    Args:
        bounds: ``(N, 4)`` float64 minimal x and y, maximal x and y on the map.
        reach_m: Boxes as near as this are of the same set, metres on the map.

    Returns:
        ``(N,)`` the Morton code, in metres, of the lower left corner of all that is in the set: places with codes that begin
        alike lie in the same square. It does not depend on what is not in the set.

    Examples:
        >>> codes = place_codes(np.array([[0, 0, 1, 1], [9, 9, 10, 10], [2, 2, 3, 3]], dtype=float), reach_m=1)
        >>> (codes - codes[0]).tolist()
        [0, 195, 0]
    """
    return codes_of_sets(bounds, box_components(bounds, distance_m=reach_m))


def codes_of_sets(bounds: NDArray[np.float64], roots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each box the Morton code of the lower left corner of its set, see `place_codes`."""
    corners = np.full((len(bounds), 2), np.inf)
    for axis in (0, 1):
        np.minimum.at(corners[:, axis], roots, bounds[:, axis])
    return morton_codes(corners[roots])


def morton_codes(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Interleave the bits of x and y, in whole metres.

    Args:
        points: ``(N, 2)`` float64 metres on the map, within 16,000 km of the pole.

    Examples:
        >>> (morton_codes(np.array([[1.5, 0], [0, 1], [3, 3]])) - morton_codes(np.zeros((1, 2)))).tolist()
        [1, 2, 15]
    """
    whole = np.clip(np.floor(points) + _OFFSET_M, 0, (1 << _BITS) - 1).astype("int64")
    return _spread(whole[:, 0]) | (_spread(whole[:, 1]) << 1)


def _spread(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put a 0 before each bit."""
    spread = values
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        spread = (spread | (spread << shift)) & mask
    return spread


def leaves(codes: NDArray[np.int64], *, most: int) -> list[slice]:
    """Share rows among partitions: squares that hold at most some number of rows, or a single place.

    Args:
        codes: ``(N,)`` the places of the rows, in ascending order.
        most: Larger squares are cut into four, until they are of one metre.

    Returns:
        The partitions, in ascending order, none of them empty. A row more changes only the partition that it is in.

    Examples:
        >>> leaves(np.array([0, 1, 2, 5, 5, 5]), most=2)
        [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None), slice(3, 6, None)]
    """
    found = []
    waiting = [(0, len(codes), 0, PLACE_BITS)] if len(codes) else []
    while waiting:
        begin, end, lowest, bits = waiting.pop()
        if end - begin <= most or bits == 0:
            found.append(slice(begin, end))
            continue
        quarter = 1 << (bits - 2)
        corners = [lowest + quarter * number for number in range(5)]
        edges = (begin + np.searchsorted(codes[begin:end], corners)).tolist()
        children = zip(edges, edges[1:], corners, strict=False)
        waiting += [(low, high, corner, bits - 2) for low, high, corner in children if high > low][::-1]
    return found
