"""Rings along the edges of pixels, traced from the runs of objects: the kernels behind `darts_export.polygons`.

Every run has two upright edges, a left one and a right one; edge ``2 · run`` is the left, ``2 · run + 1`` the right. A ring goes
down along left edges and up along right ones, so what it encloses is on its left where north is up. On each line between two rows
the ends of upright edges meet in pairs, and between the two of a pair the ring goes level.

Where two pixels touch by a corner alone, four edges meet. If the two belong to different pieces (sets that touch by edges), each
piece keeps its own edges. If they belong to the same piece, the edges are shared out the other way round, so that the ring is
two rings that touch in the corner, and none that crosses itself: the polygon is valid.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.kernels import kernel


@kernel
def _column(first: NDArray[np.int32], end: NDArray[np.int32], edge: int) -> int:
    return int(end[edge // 2] if edge % 2 else first[edge // 2])


@kernel
def _link(following: NDArray[np.int64], west: int, east: int, below: int) -> None:
    """Let the ring go level from one upright edge to the other; edges from `below` on lie under the line."""
    leaves_west = (west % 2 == 0) == (west < below)  # a left edge is left at its foot, a right one at its head
    if leaves_west:
        following[west] = east
    else:
        following[east] = west


@kernel
def link_edges(
    row_starts: NDArray[np.int64],
    first: NDArray[np.int32],
    end: NDArray[np.int32],
    piece: NDArray[np.int32],
    following: NDArray[np.int64],
) -> None:
    """Find for every upright edge the one that follows in its ring.

    Args:
        row_starts: ``(rows + 1,)``: where the runs of each row begin.
        first: ``(runs,)`` first columns.
        end: ``(runs,)`` columns after the last.
        piece: ``(runs,)`` from `darts_utils.component_kernels.number_pieces`.
        following: ``(2 · runs,)`` int64, is filled.
    """
    rows = len(row_starts) - 1
    for line in range(rows + 1):
        below = 2 * row_starts[line]
        over = 2 * row_starts[line - 1] if line > 0 else below
        under, last = below, 2 * row_starts[line + 1] if line < rows else below
        waiting = -1  # the edge at the west end of the level part that is not complete yet
        while over < below or under < last:
            if over < below and under < last and _column(first, end, over) == _column(first, end, under):
                if over % 2 == under % 2:  # the edge goes straight on
                    if over % 2 == 0:
                        following[over] = under
                    else:
                        following[under] = over
                else:  # two pixels touch by a corner
                    right, left = (over, under) if over % 2 else (under, over)
                    if piece[right // 2] == piece[left // 2]:
                        right, left = left, right
                    _link(following, waiting, right, below)
                    waiting = left
                over += 1
                under += 1
                continue
            if under >= last or (over < below and _column(first, end, over) < _column(first, end, under)):
                edge = over
                over += 1
            else:
                edge = under
                under += 1
            if waiting < 0:
                waiting = edge
            else:
                _link(following, waiting, edge, below)
                waiting = -1


@kernel
def trace_rings(
    rows: NDArray[np.int32],
    first: NDArray[np.int32],
    end: NDArray[np.int32],
    following: NDArray[np.int64],
    points: NDArray[np.int32],
    ends: NDArray[np.int64],
    starts_at: NDArray[np.int64],
) -> Any:
    """Walk along all rings.

    Args:
        rows: ``(runs,)`` row of each run.
        first: ``(runs,)`` first columns.
        end: ``(runs,)`` columns after the last.
        following: ``(2 · runs,)`` from `link_edges`.
        points: ``(≥ 6 · runs, 2)`` int32, is filled with columns and rows of corners; each ring ends where it begins.
        ends: ``(≥ runs,)``, is filled with the end of each ring in `points`.
        starts_at: ``(≥ runs,)``, is filled with the edge at which each ring starts, the first of its edges: a left one where
            the ring is the outer one of its piece, a right one where it is that of a hole.

    Returns:
        Number of rings.
    """
    walked = np.zeros(len(following), dtype=np.bool_)
    count = 0
    number = 0
    for start in range(len(following)):
        if walked[start]:
            continue
        begin = number
        edge = start
        while not walked[edge]:
            walked[edge] = True
            then = following[edge]
            here, there = _column(first, end, edge), _column(first, end, then)
            if here != there:
                line = rows[edge // 2] + 1 - edge % 2
                points[number, 0], points[number, 1] = here, line
                points[number + 1, 0], points[number + 1, 1] = there, line
                number += 2
            edge = then
        points[number, 0], points[number, 1] = points[begin, 0], points[begin, 1]
        number += 1
        ends[count] = number
        starts_at[count] = start
        count += 1
    return count
