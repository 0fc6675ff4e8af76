"""What belongs together: union-find over the runs of a raster, over pairs, and over boxes.

All are in one file, as numba's cache does not notice when a kernel changes that is called from another file. Until things are
numbered, each has a parent that comes earlier or is itself, so the root of a component is its first member. Callers check
shapes before, since a kernel would read beyond an array.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darts_utils.kernels import kernel

Array: TypeAlias = NDArray[Any]


@kernel
def _root(parents: Array, one: int) -> int:
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one


@kernel
def _unite(parents: Array, one: int, other: int) -> None:
    first, second = _root(parents, one), _root(parents, other)
    parents[max(first, second)] = min(first, second)


@kernel
def number_objects(row_starts: Array, first: Array, end: Array, label: Array) -> int:
    """Join each run with those of the row above that it touches, by an edge or a corner, then number the objects.

    The root of an object is its first run, so numbering the roots in order numbers objects by their first pixels.

    Args:
        row_starts: ``(rows + 1,)``: where the runs of each row begin.
        first: ``(runs,)`` first columns.
        end: ``(runs,)`` columns after the last.
        label: ``(runs,)`` int32, is filled with numbers from 1.

    Returns:
        Number of objects.
    """
    for row in range(row_starts.size - 1):
        above = row_starts[max(row - 1, 0)]
        for run in range(row_starts[row], row_starts[row + 1]):
            label[run] = run
            while above < row_starts[row] and end[above] < first[run]:
                above += 1
            neighbour = above
            while neighbour < row_starts[row] and first[neighbour] <= end[run]:
                _unite(label, neighbour, run)
                neighbour += 1
    count = 0
    for run in range(label.size):
        if label[run] == run:
            count += 1
            label[run] = count
        else:
            label[run] = label[label[run]]
    return count


@kernel
def number_pieces(row_starts: Array, first: Array, end: Array, piece: Array) -> int:
    """Number the pieces, whose pixels are connected by edges, from 0 in the order of their first runs.

    Args:
        row_starts: ``(rows + 1,)``: where the runs of each row begin.
        first: ``(runs,)`` first columns.
        end: ``(runs,)`` columns after the last.
        piece: ``(runs,)`` int32, is filled.

    Returns:
        Number of pieces.
    """
    parents = np.arange(len(first), dtype=np.int32)
    for row in range(1, len(row_starts) - 1):
        above, below = row_starts[row - 1], row_starts[row]
        while above < row_starts[row] and below < row_starts[row + 1]:
            if first[above] < end[below] and first[below] < end[above]:
                _unite(parents, above, below)
            if end[above] < end[below]:
                above += 1
            else:
                below += 1
    count = 0
    for run in range(len(first)):
        root = _root(parents, run)
        if root == run:
            piece[run] = count
            count += 1
        else:
            piece[run] = piece[root]
    return count


@kernel
def connect_pairs(roots: Array, pairs: Array) -> None:
    """Find the components of things of which pairs belong together.

    Args:
        roots: ``(N,)`` int64 ``0 … N − 1``, is filled with the smallest member of each thing's component.
        pairs: ``(P, 2)`` indices.
    """
    for one, other in pairs:
        _unite(roots, one, other)
    for index in range(len(roots)):
        roots[index] = _root(roots, index)


@kernel
def connect_boxes(roots: Array, which: Array, strip: Array, bounds: Array, distance: float) -> None:
    """Find the components of boxes that are near to each other, sweeping each strip from left to right.

    Args:
        roots: ``(N,)`` int64 ``0 … N − 1``, is filled with the smallest member of each box's component.
        which: ``(K,)`` boxes, those of a strip after each other, by their left edges.
        strip: ``(K,)`` the strip of each; a box is in all that it reaches, with the distance.
        bounds: ``(N, 4)`` float64 minimal x and y, maximal x and y.
        distance: Boxes as near as this, along x and along y, are connected.
    """
    for position in range(len(which)):
        one = which[position]
        reach = bounds[one, 2] + distance
        for ahead in range(position + 1, len(which)):
            other = which[ahead]
            if strip[ahead] != strip[position] or bounds[other, 0] > reach:
                break
            if bounds[other, 1] <= bounds[one, 3] + distance and bounds[one, 1] <= bounds[other, 3] + distance:
                _unite(roots, one, other)
    for index in range(len(roots)):
        roots[index] = _root(roots, index)
