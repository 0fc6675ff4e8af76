"""What is decided pixel by pixel: range, mark, percent. One pass each, by kernels in host memory, by CuPy on a GPU."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.device import array_namespace, is_cupy
from darts_utils.kernels import kernel, over_rows

PERCENT_NODATA = 255
"""What ``probabilities_percent`` holds outside the extent, as the registry says."""


def are_probabilities(values: Any) -> bool:
    """Tell whether all values  (y, x) float32 lie in 0 … 1 or are NaN."""
    if is_cupy(values):
        return not bool(_outside_range(values).any())
    return not sum(over_rows(_count_outside_range, values.shape[0], values))


def marked_above(probabilities: Any, *, threshold: float, valid: Any | None) -> Any:
    """Return ``(y, x)`` uint8: 1 where a valid pixel's probability, a float32, is above the threshold in float32."""
    if is_cupy(probabilities):
        return _marked_above(probabilities, np.float32(threshold), valid)
    marked = np.empty(probabilities.shape, dtype="uint8")
    mask = np.ones((0, 0), dtype=bool) if valid is None else valid
    over_rows(_mark_above, marked.shape[0], probabilities, np.float32(threshold), mask, marked)
    return marked


def as_percent(probabilities: Any, extent: Any) -> Any:
    """Return ``(y, x)`` uint8: percent, rounded half to even; 255 outside ``extent``  (y, x) bool and where NaN."""
    if is_cupy(probabilities):
        return _as_percent(probabilities, extent)
    percent = np.empty(probabilities.shape, dtype="uint8")
    over_rows(_round_percent, percent.shape[0], probabilities, extent, percent)
    return percent


def _outside_range(values: Any) -> Any:
    return (values < 0) | (values > 1)


def _marked_above(probabilities: Any, threshold: np.float32, valid: Any | None) -> Any:
    marked = probabilities > threshold  # NaN compares false
    return (marked if valid is None else marked & valid).view("uint8")


def _as_percent(probabilities: Any, extent: Any) -> Any:
    xp = array_namespace(probabilities)
    shown = extent & ~xp.isnan(probabilities)
    percent = xp.where(shown, probabilities, 0).astype("float64")  # exact: in float32 the product would be rounded
    percent *= 100
    rounded = xp.rint(percent, out=percent).astype("uint8")
    rounded[~shown] = PERCENT_NODATA
    return rounded


@kernel
def _count_outside_range(first_row: int, last_row: int, values: NDArray[np.float32]) -> int:
    outside = 0
    for row in range(first_row, last_row):
        for column in range(values.shape[1]):
            outside += (values[row, column] < 0) | (values[row, column] > 1)
    return outside


@kernel
def _mark_above(
    first_row: int,
    last_row: int,
    probabilities: NDArray[np.float32],
    threshold: np.float32,
    valid: NDArray[np.bool_],
    marked: NDArray[np.uint8],
) -> None:
    for row in range(first_row, last_row):
        for column in range(marked.shape[1]):
            marked[row, column] = probabilities[row, column] > threshold
        if valid.size:
            for column in range(marked.shape[1]):
                marked[row, column] &= valid[row, column]


@kernel
def _round_percent(
    first_row: int,
    last_row: int,
    probabilities: NDArray[np.float32],
    extent: NDArray[np.bool_],
    percent: NDArray[np.uint8],
) -> None:
    for row in range(first_row, last_row):
        for column in range(percent.shape[1]):
            value = np.float64(probabilities[row, column])  # exact: in float32 the product would be rounded
            shown = extent[row, column] and not np.isnan(value)
            rounded = np.int32(np.rint(100 * value)) if shown else np.int32(PERCENT_NODATA)
            percent[row, column] = rounded
