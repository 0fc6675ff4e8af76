"""Outlines of objects along the edges of their pixels."""

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray


def polygonise(labels: NDArray[np.int32], count: int, transform: Affine) -> NDArray[np.object_]:
    """Draw the outline of each object along the edges of its pixels.

    Args:
        labels: ``(y, x)`` int32: 0 outside, objects numbered from 1 without gaps.
        count: Number of objects.
        transform: From pixel corners to coordinates.

    Returns:
        ``(count,)`` shapely geometries, the object with label 1 first: a Polygon, or a MultiPolygon where parts of the
        object touch only by a corner. Valid, exterior rings counter-clockwise.

    Notes:
        Pixels are traced with 4 neighbours, which gives valid pieces that meet at most in corners, and the pieces of an
        object are collected; traced with 8 neighbours the rings would cross themselves.

    Examples:
        >>> labels = np.array([[1, 0], [0, 1]], dtype="int32")
        >>> polygonise(labels, 1, Affine.identity())[0].geom_type
        'MultiPolygon'
    """
    pieces: list[list[shapely.Polygon]] = [[] for _ in range(count)]
    for shape, value in rasterio.features.shapes(labels, mask=labels > 0, connectivity=4, transform=transform):
        exterior, *holes = shape["coordinates"]
        pieces[int(value) - 1].append(shapely.Polygon(exterior, holes))
    outlines = np.empty(count, dtype=object)
    for index, parts in enumerate(pieces):
        outlines[index] = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    oriented: NDArray[np.object_] = shapely.orient_polygons(outlines)
    return oriented
