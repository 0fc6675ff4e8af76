"""Objects of a binary raster, and their outlines along the edges of the pixels."""

from typing import Any

import numpy as np
import rasterio.features
import scipy.ndimage
import shapely
from affine import Affine
from numpy.typing import NDArray

_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def label_objects(objects: NDArray[Any]) -> tuple[NDArray[np.int32], int]:
    """Number the sets of non-zero pixels that touch by an edge or a corner.

    Args:
        objects: ``(y, x)`` array, non-zero in objects.

    Returns:
        ``(y, x)`` int32: 0 outside, and 1, 2, … in the order of the objects' first pixels, row by row; and their number.
    """
    labels, count = scipy.ndimage.label(objects, structure=_NEIGHBOURS)
    return labels.astype("int32", copy=False), int(count)


def touching_outside(labels: NDArray[np.int32], count: int, extent: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which objects have a pixel outside `extent`, or 8-adjacent to one outside.

    Args:
        labels: ``(y, x)`` int32 from `label_objects`.
        count: Number of objects.
        extent: ``(y, x)`` bool: True where the result is trusted. What lies beyond the array is not looked at.

    Returns:
        ``(count,)`` bool, the object with label 1 first.
    """
    near_outside = scipy.ndimage.binary_dilation(~extent, structure=_NEIGHBOURS)
    return np.bincount(labels[near_outside], minlength=count + 1)[1:] > 0


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
