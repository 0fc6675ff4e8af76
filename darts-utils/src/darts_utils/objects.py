"""Objects: sets of pixels that touch by an edge or by a corner (8-connected), on NumPy and CuPy alike.

What an object is, which objects there are and which of them reach out of the trusted area is decided here, for
post-processing, export and the report of a run alike. In host memory objects are runs of pixels (`darts_utils.runs`); on a
GPU they are an image of labels. `find_objects` gives the one or the other, and both answer the same questions.
"""

from typing import Any, Protocol

import numpy as np

from darts_utils.device import array_namespace, is_cupy, scipy_namespace
from darts_utils.runs import ObjectRuns, find_runs

NEIGHBOURS = np.ones((3, 3), dtype=bool)
"""The structuring element of 8-connectivity."""


class Objects(Protocol):
    """The objects of a raster, numbered from 1 in the order of their first pixels, row by row.

    Arrays are where the raster was, in host memory or on a GPU.
    """

    @property
    def count(self) -> int:
        """Number of objects."""

    def sizes_px(self) -> Any:
        """Count the pixels of each object, ``(count,)`` int64."""

    def touching_outside(self, extent: Any, /) -> Any:
        """Tell which objects have a pixel outside `extent`  (y, x) bool, or 8-adjacent to one outside: ``(count,)`` bool."""

    def pixels(self, values: Any, /) -> Any:
        """Take the values of the pixels in objects, object after object, each row by row: ``(pixels,)``."""

    def counts(self, flags: Any, /) -> Any:
        """Count the pixels of each object that are marked in `flags`  (pixels,) bool: ``(count,)`` int64."""

    def mask(self, keep: Any, /) -> Any:
        """Draw the objects that stay, `keep`  (count,) bool: ``(y, x)`` bool."""

    def labels(self) -> Any:
        """Draw the labels of the objects, ``(y, x)`` int32, 0 outside."""


def find_objects(values: Any, *, above: float = 0, valid: Any | None = None, within: Objects | None = None) -> Objects:
    """Find the objects of a raster.

    Args:
        values: ``(y, x)`` array of numbers or bool.
        above: A pixel belongs to an object where its value, in its own precision, is greater; NaN is not.
        valid: ``(y, x)`` bool; pixels outside belong to no object.
        within: Objects of the same raster with a lower `above` and the same `valid`, if they are known: saves time.

    Examples:
        >>> found = find_objects(np.array([[0.9, 0.2, 0.2, 0.7], [0.2, 0.8, 0.2, 0.3]], dtype="float32"), above=0.5)
        >>> found.count, found.sizes_px().tolist()
        (2, [2, 1])
        >>> found.mask(found.sizes_px() > 1).astype(int)
        array([[1, 0, 0, 0],
               [0, 1, 0, 0]])
    """
    if not is_cupy(values):
        return find_runs(values, above=above, valid=valid, within=within if isinstance(within, ObjectRuns) else None)
    marked = values > values.dtype.type(above)
    return LabelledObjects(*label_objects(marked if valid is None else marked & valid))


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
    if not is_cupy(objects):
        found = find_runs(objects != 0 if objects.dtype.kind in "if" else objects)
        return found.labels(), found.count
    labels, count = scipy_namespace("ndimage", objects).label(objects, structure=_neighbours(objects))
    return labels.astype("int32", copy=False), int(count)


class LabelledObjects:
    """Objects as an image of labels: how a GPU has them. Works on NumPy arrays, too.

    Args:
        labels: ``(y, x)`` int32: 0 outside, 1 … `count` in objects.
        count: Number of objects.
    """

    def __init__(self, labels: Any, count: int) -> None:
        self._labels = labels
        self.count = count

    def sizes_px(self) -> Any:
        """Count the pixels of each object, ``(count,)`` int64."""
        return self._numbers(self._labels.ravel())

    def touching_outside(self, extent: Any) -> Any:
        """Tell which objects have a pixel outside `extent`, or 8-adjacent to one outside: ``(count,)`` bool."""
        dilation = scipy_namespace("ndimage", self._labels).binary_dilation
        return self._numbers(self._labels[dilation(~extent, structure=_neighbours(self._labels))]) > 0

    def pixels(self, values: Any) -> Any:
        """Take the values of the pixels in objects, object after object, each row by row: ``(pixels,)``."""
        inside = self._labels > 0
        return values[inside][self._by_object(self._labels[inside])]

    def counts(self, flags: Any) -> Any:
        """Count the pixels of each object that are marked in `flags`  (pixels,) bool: ``(count,)`` int64."""
        owners = self._labels[self._labels > 0]
        return self._numbers(owners[self._by_object(owners)][flags])

    def mask(self, keep: Any) -> Any:
        """Draw the objects that stay, `keep`  (count,) bool: ``(y, x)`` bool."""
        xp = array_namespace(self._labels)
        return xp.concatenate([xp.zeros(1, dtype=bool), keep])[self._labels]

    def labels(self) -> Any:
        """Return the labels of the objects, ``(y, x)`` int32, 0 outside."""
        return self._labels

    def _numbers(self, labels: Any) -> Any:
        xp = array_namespace(labels)
        if labels.size == 0:  # older CuPy cannot count nothing
            return xp.zeros(self.count, dtype="int64")
        return xp.bincount(labels, minlength=self.count + 1)[1:].astype("int64", copy=False)

    def _by_object(self, owners: Any) -> Any:
        xp = array_namespace(owners)
        number = len(owners)
        return xp.argsort(owners.astype("int64") * number + xp.arange(number))  # unique keys: sorts stably everywhere


def _neighbours(like: Any) -> Any:
    return array_namespace(like).asarray(NEIGHBOURS)
