"""Objects: sets of pixels that touch by an edge or by a corner (8-connected), on NumPy and CuPy alike.

What an object is, which objects there are and which of them reach out of the trusted area is decided here, for
post-processing, export and the report of a run alike.
"""

from typing import Any

import numpy as np

from darts_utils.device import array_namespace, scipy_namespace

NEIGHBOURS = np.ones((3, 3), dtype=bool)
"""The structuring element of 8-connectivity."""


def label_objects(objects: Any) -> tuple[Any, int]:
    """Number the objects of a binary raster.

    Args:
        objects: ``(y, x)`` array, non-zero in objects.

    Returns:
        ``(y, x)`` int32: 0 outside, and 1, 2, … in the order of the objects' first pixels, row by row; and their number.

    Examples:
        >>> label_objects(np.array([[1, 0, 0, 1], [0, 1, 0, 0]], dtype="uint8"))
        (array([[1, 0, 0, 2],
               [0, 1, 0, 0]], dtype=int32), 2)
    """
    labels, count = scipy_namespace("ndimage", objects).label(objects, structure=_neighbours(objects))
    return labels.astype("int32", copy=False), int(count)


def object_sizes_px(labels: Any, count: int) -> Any:
    """Count the pixels of each object.

    Args:
        labels: ``(y, x)`` int32 from `label_objects`.
        count: Number of objects.

    Returns:
        ``(count,)`` int64, the object with label 1 first.
    """
    return array_namespace(labels).bincount(labels.ravel(), minlength=count + 1)[1:].astype("int64")


def touching_outside(labels: Any, count: int, extent: Any) -> Any:
    """Tell which objects have a pixel outside `extent`, or 8-adjacent to one outside.

    Args:
        labels: ``(y, x)`` int32 from `label_objects`.
        count: Number of objects.
        extent: ``(y, x)`` bool: True where the result is trusted. What lies beyond the array is not looked at.

    Returns:
        ``(count,)`` bool, the object with label 1 first.
    """
    near_outside = scipy_namespace("ndimage", labels).binary_dilation(~extent, structure=_neighbours(labels))
    return array_namespace(labels).bincount(labels[near_outside], minlength=count + 1)[1:] > 0


def keep_objects(labels: Any, keep: Any) -> Any:
    """Return ``(y, x)`` bool: the pixels of the objects that stay.

    Args:
        labels: ``(y, x)`` int32 from `label_objects`.
        keep: ``(count,)`` bool, the object with label 1 first.
    """
    xp = array_namespace(labels)
    return xp.concatenate([xp.zeros(1, dtype=bool), keep])[labels]


def _neighbours(like: Any) -> Any:
    return array_namespace(like).asarray(NEIGHBOURS)
