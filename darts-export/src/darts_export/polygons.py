"""Outlines of objects along the edges of their pixels."""

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from darts_export.rings import link_edges, trace_rings
from darts_utils.component_kernels import number_pieces
from darts_utils.runs import ObjectRuns


def polygonise(runs: ObjectRuns, transform: Affine) -> NDArray[np.object_]:
    """Draw the outline of each object along the edges of its pixels.

    Args:
        runs: Objects that do not touch each other, as `darts_utils.runs.find_runs` finds them.
        transform: From pixel corners to coordinates.

    Returns:
        ``(count,)`` shapely geometries, the object with label 1 first: a Polygon, or a MultiPolygon where parts of the
        object touch only by a corner, or not at all. Valid, exterior rings counter-clockwise, holes clockwise.

    Notes:
        Pixels are traced with 4 neighbours, which gives valid pieces that meet at most in corners, and the pieces of an
        object are collected; traced with 8 neighbours the rings would cross themselves. The work grows with the number
        of runs, not with that of pixels.

    Examples:
        >>> from darts_utils.runs import find_runs
        >>> polygonise(find_runs(np.eye(2, dtype=bool)), Affine.identity())[0].geom_type
        'MultiPolygon'
    """
    pieces, labels = _pieces(runs, transform)
    outlines = np.empty(runs.count, dtype=object)
    parts = np.bincount(labels - 1, minlength=runs.count)
    is_single = (parts == 1)[labels - 1]
    outlines[labels[is_single] - 1] = pieces[is_single]
    several, owners = np.unique(labels[~is_single], return_inverse=True)
    outlines[several - 1] = shapely.multipolygons(pieces[~is_single], indices=owners)
    return outlines


def _pieces(runs: ObjectRuns, transform: Affine) -> tuple[NDArray[np.object_], NDArray[np.int32]]:
    """Draw the pieces that are connected by edges, and say to which objects they belong; object after object."""
    piece = np.empty(len(runs.first), dtype="int32")
    count = number_pieces(runs.row_starts, runs.first, runs.end, piece)
    points, ends, starts_at = _rings(runs, piece)
    owners = piece[starts_at // 2]
    labels = np.empty(count, dtype="int32")
    labels[piece] = runs.label
    order = np.lexsort((owners, labels[owners]))  # stable: the outer ring stays before those of holes
    lengths = np.diff(ends, prepend=0)[order]
    offsets = np.concatenate([np.zeros(1, dtype="int64"), np.cumsum(lengths)])
    sources = np.repeat((ends[order] - lengths) - offsets[:-1], lengths) + np.arange(offsets[-1])
    columns, lines = points[sources].T
    coordinates = np.column_stack(transform * (columns.astype("float64"), lines.astype("float64")))
    outer = np.flatnonzero(starts_at[order] % 2 == 0)
    drawn = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, coordinates, (offsets, np.append(outer, len(order)))
    )
    north_is_up = transform.determinant < 0
    return drawn if north_is_up else shapely.orient_polygons(drawn), labels[owners[order][outer]]


def _rings(
    runs: ObjectRuns, piece: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """All rings: their corners as columns and rows, where each ends, and the edge at which each starts."""
    number = len(runs.first)
    following = np.empty(2 * number, dtype="int64")
    link_edges(runs.row_starts, runs.first, runs.end, piece, following)
    points = np.empty((6 * number, 2), dtype="int32")
    ends, starts_at = np.empty((2, 2 * number), dtype="int64")
    count = trace_rings(runs.rows(), runs.first, runs.end, following, points, ends, starts_at)
    return points[: ends[count - 1] if count else 0], ends[:count], starts_at[:count]
