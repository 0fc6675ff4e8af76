"""Objects as horizontal runs of pixels: found, numbered, measured and drawn without an image of labels.

A thaw slump of ten thousand pixels is a few hundred runs, so everything after the one look at the raster costs next to
nothing. An object is a set of pixels that touch by an edge or by a corner (8-connected).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.component_kernels import number_objects
from darts_utils.errors import GridMismatchError
from darts_utils.kernels import over_rows
from darts_utils.run_kernels import (
    add_up,
    draw_labels,
    draw_mask,
    fill_boxes,
    gather,
    mark_touching,
    place,
    scan_labels,
    scan_rows,
    scan_runs,
)

_LEAST_RUNS = 4096
"""Runs that are worth a thread."""


@dataclass(frozen=True)
class ObjectRuns:
    """The objects of a raster in host memory; made by `find_runs` and `runs_of_labels`.

    Objects are numbered from 1 in the order of their first pixels, row by row. Runs of one object never touch within a row.

    Examples:
        >>> objects = find_runs(np.array([[1, 0, 0, 1], [0, 1, 1, 0]], dtype="uint8"))
        >>> objects.count, objects.first.tolist(), objects.end.tolist(), objects.label.tolist()
        (1, [0, 3, 1], [1, 4, 3], [1, 1, 1])
        >>> objects.sizes_px().tolist(), objects.boxes().tolist()
        ([4], [[0, 2, 0, 4]])
    """

    shape: tuple[int, int]
    """Rows and columns of the raster."""
    count: int
    """Number of objects."""
    row_starts: NDArray[np.int64]
    """``(rows + 1,)``: the runs of row ``r`` are those from ``row_starts[r]`` up to ``row_starts[r + 1]``."""
    first: NDArray[np.int32]
    """``(runs,)``: the first column of each run, row by row."""
    end: NDArray[np.int32]
    """``(runs,)``: the column after its last."""
    label: NDArray[np.int32]
    """``(runs,)``: the object that it belongs to, 1 … `count`."""

    def rows(self) -> NDArray[np.int32]:
        """Return the row of each run, ``(runs,)`` int32."""
        return np.repeat(np.arange(self.shape[0], dtype="int32"), np.diff(self.row_starts))

    def sizes_px(self) -> NDArray[np.int64]:
        """Count the pixels of each object, ``(count,)`` int64."""
        return _sums(self.count, self.label, self.end - self.first)

    def boxes(self) -> NDArray[np.int32]:
        """Return the bounding box of each object, ``(count, 4)`` int32: first row, end row, first column, end column."""
        boxes = np.empty((self.count, 4), dtype="int32")
        fill_boxes(self.row_starts, self.first, self.end, self.label, boxes)
        return boxes

    def touching_outside(self, extent: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which objects have a pixel outside `extent`, or 8-adjacent to one outside.

        Args:
            extent: ``(y, x)`` bool. What lies beyond the raster is not looked at.

        Returns:
            ``(count,)`` bool.

        Raises:
            GridMismatchError: `extent` has another shape than the raster.
        """
        _check_shape("extent", extent, self.shape)
        touches = np.zeros(len(self.first), dtype=bool)
        rows = self.rows()
        over_rows(mark_touching, len(rows), rows, self.first, self.end, extent, touches, least_rows=_LEAST_RUNS)
        return _sums(self.count, self.label, touches.astype("int32")) > 0

    def pixels(self, values: NDArray[Any]) -> NDArray[Any]:
        """Take the values of the pixels in objects, object after object, each row by row.

        Args:
            values: ``(y, x)`` array.

        Returns:
            ``(pixels,)`` array of the same dtype. Those of an object begin where those of the objects before it end, so
            ``np.maximum.reduceat(pixels, np.cumsum(sizes) - sizes)`` and the like summarise them.

        Raises:
            GridMismatchError: `values` has another shape than the raster.

        Examples:
            >>> objects = find_runs(np.array([[1, 0, 1], [1, 0, 1]], dtype=bool))
            >>> objects.pixels(np.array([[1, 2, 3], [4, 5, 6]])).tolist()
            [1, 4, 3, 6]
        """
        _check_shape("values", values, self.shape)
        targets = np.empty(len(self.first), dtype="int64")
        sizes = self.sizes_px()
        place(self.first, self.end, self.label, np.cumsum(sizes) - sizes, targets)
        found = np.empty(int(sizes.sum()), dtype=values.dtype)
        rows = self.rows()
        over_rows(gather, len(rows), rows, self.first, self.end, targets, values, found, least_rows=_LEAST_RUNS)
        return found

    def counts(self, flags: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count the pixels of each object that are marked.

        Args:
            flags: ``(pixels,)`` bool, in the order of `pixels`.

        Returns:
            ``(count,)`` int64.

        Raises:
            GridMismatchError: `flags` has not one entry per pixel in objects.
        """
        ends = np.cumsum(self.sizes_px())
        _check_shape("flags", flags, (int((self.end - self.first).sum()),))
        below = np.concatenate([[0], np.cumsum(flags, dtype="int64")])
        return np.diff(below[ends], prepend=0)

    def mask(self, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Draw the objects that stay.

        Args:
            keep: ``(count,)`` bool.

        Returns:
            ``(y, x)`` bool.

        Raises:
            GridMismatchError: `keep` has not one entry per object.
        """
        _check_shape("keep", keep, (self.count,))
        drawn = np.zeros(self.shape, dtype=bool)
        over_rows(draw_mask, self.shape[0], self.row_starts, self.first, self.end, self.label, keep, drawn)
        return drawn

    def labels(self) -> NDArray[np.int32]:
        """Draw the labels of the objects, ``(y, x)`` int32, 0 outside."""
        drawn = np.zeros(self.shape, dtype="int32")
        over_rows(draw_labels, self.shape[0], self.row_starts, self.first, self.end, self.label, drawn)
        return drawn


def find_runs(
    values: NDArray[Any],
    *,
    above: float = 0,
    valid: NDArray[np.bool_] | None = None,
    within: ObjectRuns | None = None,
) -> ObjectRuns:
    """Find the objects of a raster.

    Args:
        values: ``(y, x)`` array of numbers or bool.
        above: A pixel belongs to an object where its value, in its own precision, is greater; NaN is not.
        valid: ``(y, x)`` bool; pixels outside belong to no object.
        within: Objects of the same raster with a lower `above` and the same `valid`, if they are known: only their pixels
            are looked at.

    Raises:
        GridMismatchError: `valid` or the raster of `within` has another shape than `values`.

    Examples:
        >>> values = np.array([[0.6, 0.9, 0.2, 0.8]], dtype="float32")
        >>> low = find_runs(values, above=0.5)
        >>> high = find_runs(values, above=0.7, within=low)
        >>> low.count, high.first.tolist(), high.end.tolist()
        (2, [1, 3], [2, 4])
    """
    numbers = values.view("uint8") if values.dtype == bool else values
    limit = numbers.dtype.type(above)
    height, width = values.shape
    if within is not None:
        _check_shape("values", values, within.shape)
        bands = over_rows(scan_runs, height, within.row_starts, within.first, within.end, numbers, limit)
    else:
        mask = np.ones((0, 0), dtype=bool) if valid is None else valid
        if valid is not None:
            _check_shape("valid", valid, values.shape)
        bands = over_rows(scan_rows, height, numbers, mask, limit)
    counts, first, end = (np.concatenate(parts) for parts in zip(*bands, strict=True))
    row_starts = np.concatenate([np.zeros(1, dtype="int64"), np.cumsum(counts)])
    label = np.empty(len(first), dtype="int32")
    count = int(number_objects(row_starts, first, end, label))
    return ObjectRuns((height, width), count, row_starts, first, end, label)


def runs_of_labels(labels: NDArray[np.integer[Any]], *, count: int) -> ObjectRuns:
    """Take the objects of an image of labels as they are.

    Args:
        labels: ``(y, x)`` whole numbers: 0 outside, 1 … `count` in objects.
        count: Number of objects.

    Raises:
        ValueError: A label lies outside 0 … `count`.
    """
    bands = over_rows(scan_labels, labels.shape[0], labels)
    counts, first, end, label = (np.concatenate(parts) for parts in zip(*bands, strict=True))
    row_starts = np.concatenate([np.zeros(1, dtype="int64"), np.cumsum(counts)])
    if len(label) and not 0 < label.min() <= label.max() <= count:
        raise ValueError(
            f"expected labels from 0 to {count}, but got {label.min()} to {label.max()}: give the count of label_objects"
        )
    height, width = labels.shape
    return ObjectRuns((height, width), count, row_starts, first, end, label)


def _check_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:  # the kernels would read beyond the array
        raise GridMismatchError(
            f"{name!r} must have the shape {shape}, as the objects have, but got {array.shape}: use arrays of one tile"
        )


def _sums(count: int, label: NDArray[np.int32], numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    sums = np.zeros(count, dtype="int64")
    add_up(label, numbers, sums)
    return sums
