"""Statistics of a raster within objects."""

import numpy as np
from numpy.typing import NDArray


def statistics_of(labels: NDArray[np.int32], count: int, values: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Summarise values per object.

    Args:
        labels: ``(y, x)`` int32: 0 outside, objects numbered from 1 without gaps.
        count: Number of objects.
        values: ``(y, x)`` float32.

    Returns:
        ``min``, ``max``, ``mean``, ``median``, ``std`` (of the population), each ``(count,)`` float64, computed in
        float64; NaN where an object holds a NaN.

    Examples:
        >>> labels = np.array([[1, 1, 0, 2]], dtype="int32")
        >>> result = statistics_of(labels, 2, np.array([[0.5, 1.0, 0.0, 0.75]], dtype="float32"))
        >>> result["median"].tolist(), result["std"].tolist()
        ([0.75, 0.75], [0.25, 0.0])
    """
    inside = np.flatnonzero(labels)
    groups = labels.ravel()[inside] - 1
    found = values.ravel()[inside].astype("float64")
    order = np.lexsort((found, groups))  # by object, then by value; NaN comes last
    groups, found = groups[order], found[order]
    sizes = np.bincount(groups, minlength=count)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    mean = np.bincount(groups, weights=found, minlength=count) / sizes
    variance = np.bincount(groups, weights=(found - mean[groups]) ** 2, minlength=count) / sizes
    highest = found[ends - 1]
    broken = np.isnan(highest)
    lowest = np.where(broken, np.nan, found[starts])
    median = (found[starts + (sizes - 1) // 2] + found[starts + sizes // 2]) / 2
    return {
        "min": lowest,
        "max": highest,
        "mean": mean,
        "median": np.where(broken, np.nan, median),
        "std": np.sqrt(variance),
    }
