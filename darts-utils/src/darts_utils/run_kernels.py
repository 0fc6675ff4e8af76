"""The loops over runs; `darts_utils.runs` calls them and checks shapes before, since a kernel would read beyond an array."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darts_utils.kernels import kernel

Array: TypeAlias = NDArray[Any]
Found: TypeAlias = tuple[Array, ...]
"""Runs in each row, then first column, end (and label) of each run."""

_ALL_0 = np.uint64(0)
_ALL_1 = np.uint64(0x0101010101010101)
"""Eight marks at once."""


@kernel
def _grown(array: Array, least: int) -> Array:
    """Return `array`, or a copy with more room, so that it holds at least `least`."""
    if array.size >= least:
        return array
    larger = np.empty(max(least, 2 * array.size), dtype=array.dtype)
    larger[: array.size] = array
    return larger


@kernel
def _append_runs(marked: Array, width: int, offset: int, first: Array, end: Array, number: int) -> int:
    """Append the runs of a row of marks to `first` and `end`; returns how many there are then.

    Args:
        marked: ``(≥ width,)`` uint8: 0 or 1, and 0 from `width` up; of whole words of 8.
        width: Length of the row.
        offset: Column of its first pixel.
        first: Room for the first column of each run.
        end: Room for the column after its last.
        number: How many runs are there already.

    Eight pixels that go on as the one before them are passed over together: almost all of a raster is such.
    """
    words, going_on, inside = marked.view(np.uint64), _ALL_0, False
    for word in range((width + 7) // 8):
        if words[word] == going_on:
            continue
        for column in range(8 * word, 8 * word + 8):
            if marked[column] != inside:
                if inside:
                    end[number] = offset + column
                    number += 1
                else:
                    first[number] = offset + column
                inside = not inside
        going_on = _ALL_1 if inside else _ALL_0
    if inside:
        end[number] = offset + width
        number += 1
    return number


@kernel
def _whole_words(width: int) -> Array:
    return np.zeros((width + 7) // 8 * 8, dtype=np.uint8)


@kernel
def scan_rows(first_row: int, last_row: int, values: Array, valid: Array, limit: float) -> Found:
    """Find the runs of valid values above `limit` in a band of rows."""
    width = values.shape[1]
    counts = np.zeros(last_row - first_row, dtype=np.int64)
    first, end = np.empty(1024, dtype=np.int32), np.empty(1024, dtype=np.int32)
    marked = _whole_words(width)
    number = 0
    for row in range(first_row, last_row):
        for column in range(width):
            marked[column] = values[row, column] > limit
        if valid.size:
            for column in range(width):
                marked[column] &= valid[row, column]
        first, end = _grown(first, number + width // 2 + 1), _grown(end, number + width // 2 + 1)
        before = number
        number = _append_runs(marked, width, 0, first, end, number)
        counts[row - first_row] = number - before
    return counts, first[:number].copy(), end[:number].copy()


@kernel
def scan_runs(
    first_row: int, last_row: int, row_starts: Array, wider_first: Array, wider_end: Array, values: Array, limit: float
) -> Found:
    """Find the runs of values above `limit` within wider runs, in a band of rows."""
    width = values.shape[1]
    counts = np.zeros(last_row - first_row, dtype=np.int64)
    first, end = np.empty(1024, dtype=np.int32), np.empty(1024, dtype=np.int32)
    marked = _whole_words(width)
    number = 0
    for row in range(first_row, last_row):
        first, end = _grown(first, number + width // 2 + 1), _grown(end, number + width // 2 + 1)
        before = number
        for run in range(row_starts[row], row_starts[row + 1]):
            offset, length = wider_first[run], wider_end[run] - wider_first[run]
            for column in range(length):
                marked[column] = values[row, offset + column] > limit
            marked[length : (length + 7) // 8 * 8] = 0
            number = _append_runs(marked, length, offset, first, end, number)
        counts[row - first_row] = number - before
    return counts, first[:number].copy(), end[:number].copy()


@kernel
def scan_labels(first_row: int, last_row: int, labels: Array) -> Found:
    """Find the runs of equal labels in a band of rows; their labels come last."""
    width = labels.shape[1]
    counts = np.zeros(last_row - first_row, dtype=np.int64)
    first, end = np.empty(1024, dtype=np.int32), np.empty(1024, dtype=np.int32)
    label = np.empty(1024, dtype=np.int32)
    number = 0
    for row in range(first_row, last_row):
        least = number + width
        first, end, label = _grown(first, least), _grown(end, least), _grown(label, least)
        before, current = number, 0
        for column in range(width):
            if labels[row, column] != current:
                if current:
                    end[number] = column
                    number += 1
                current = labels[row, column]
                first[number], label[number] = column, current
        if current:
            end[number] = width
            number += 1
        counts[row - first_row] = number - before
    return counts, first[:number].copy(), end[:number].copy(), label[:number].copy()


@kernel
def add_up(label: Array, numbers: Array, sums: Array) -> None:
    """Add the number of each run to the sum of its object."""
    for run in range(label.size):
        sums[label[run] - 1] += numbers[run]


@kernel
def fill_boxes(row_starts: Array, first: Array, end: Array, label: Array, boxes: Array) -> None:
    """Fill in first row, end row, first column and end column of each object."""
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = row_starts.size, 0, np.iinfo(np.int32).max, 0
    for row in range(row_starts.size - 1):
        for run in range(row_starts[row], row_starts[row + 1]):
            box = boxes[label[run] - 1]
            box[0], box[1] = min(box[0], row), row + 1
            box[2], box[3] = min(box[2], first[run]), max(box[3], end[run])


@kernel
def mark_touching(
    first_run: int, last_run: int, rows: Array, first: Array, end: Array, extent: Array, touches: Array
) -> None:
    """Mark the runs, of a range, with a pixel outside `extent` or 8-adjacent to one outside."""
    height, width = extent.shape
    for run in range(first_run, last_run):
        outside = 0
        for row in range(max(rows[run] - 1, 0), min(rows[run] + 2, height)):
            for column in range(max(first[run] - 1, 0), min(end[run] + 1, width)):
                outside += not extent[row, column]
        touches[run] = outside > 0


@kernel
def place(first: Array, end: Array, label: Array, starts: Array, targets: Array) -> None:
    """Say where the pixels of each run go among those of all objects; `starts` moves on to each object's end."""
    for run in range(first.size):
        targets[run] = starts[label[run] - 1]
        starts[label[run] - 1] += end[run] - first[run]


@kernel
def gather(
    first_run: int, last_run: int, rows: Array, first: Array, end: Array, targets: Array, values: Array, found: Array
) -> None:
    """Copy the values below a range of runs to where `place` says."""
    for run in range(first_run, last_run):
        for column in range(first[run], end[run]):
            found[targets[run] + column - first[run]] = values[rows[run], column]


@kernel
def draw_mask(
    first_row: int, last_row: int, row_starts: Array, first: Array, end: Array, label: Array, keep: Array, drawn: Array
) -> None:
    """Draw the objects to keep in a band of rows of `drawn`, False before."""
    for row in range(first_row, last_row):
        for run in range(row_starts[row], row_starts[row + 1]):
            if keep[label[run] - 1]:
                drawn[row, first[run] : end[run]] = True


@kernel
def draw_labels(
    first_row: int, last_row: int, row_starts: Array, first: Array, end: Array, label: Array, drawn: Array
) -> None:
    """Draw the labels in a band of rows of `drawn`, 0 before."""
    for row in range(first_row, last_row):
        for run in range(row_starts[row], row_starts[row + 1]):
            drawn[row, first[run] : end[run]] = label[run]
