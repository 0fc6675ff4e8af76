"""Statistics of a raster within objects."""

import numpy as np
from numpy.typing import NDArray

from darts_utils.kernels import kernel, over_rows
from darts_utils.runs import ObjectRuns

_NAMES = ("min", "max", "mean", "median", "std")


def statistics_of(runs: ObjectRuns, values: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Summarise values per object.

    Args:
        runs: The objects.
        values: ``(y, x)`` float32.

    Returns:
        ``min``, ``max``, ``mean``, ``median``, ``std`` (of the population), each ``(count,)`` float64, computed in
        float64; NaN where an object holds a NaN.

    Examples:
        >>> from darts_utils.runs import find_runs
        >>> runs = find_runs(np.array([[1, 1, 0, 1]], dtype="uint8"))
        >>> result = statistics_of(runs, np.array([[0.5, 1.0, 0.0, 0.75]], dtype="float32"))
        >>> result["median"].tolist(), result["std"].tolist()
        ([0.75, 0.75], [0.25, 0.0])
    """
    summary = np.empty((len(_NAMES), runs.count), dtype="float64")
    over_rows(_summarise, runs.count, np.cumsum(runs.sizes_px()), runs.pixels(values), summary)
    return dict(zip(_NAMES, summary, strict=True))


@kernel
def _summarise(
    first: int, last: int, ends: NDArray[np.int64], pixels: NDArray[np.float32], summary: NDArray[np.float64]
) -> None:
    for index in range(first, last):
        begin = ends[index - 1] if index > 0 else 0
        inside = pixels[begin : ends[index]]
        lowest, highest, total = np.float64(np.inf), np.float64(-np.inf), 0.0
        for value in inside:
            lowest, highest = min(lowest, np.float64(value)), max(highest, np.float64(value))
            total += value
        if np.isnan(total):
            summary[:, index] = np.nan
            continue
        mean = total / len(inside)
        squares = 0.0
        for value in inside:
            squares += (value - mean) ** 2
        middle = len(inside) // 2
        order = np.partition(inside, middle)
        median = np.float64(order[middle])
        if len(inside) % 2 == 0:
            median = (median + np.float64(order[:middle].max())) / 2
        summary[0, index], summary[1, index], summary[2, index] = lowest, highest, mean
        summary[3, index], summary[4, index] = median, np.sqrt(squares / len(inside))
