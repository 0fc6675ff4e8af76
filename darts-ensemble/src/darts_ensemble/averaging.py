"""Mean and spread of arrays that come one after the other; imports no torch."""

import math
from typing import Any

import numpy as np

from darts_utils.device import array_namespace, computed, is_cupy
from darts_utils.kernels import kernel, over_rows


class RunningAverage:
    """Weighted mean and standard deviation, one array at a time, in double precision.

    Holds one array of double precision, two with `std`, however many are added; each is let go when it is taken in.

    Args:
        with_std: Whether `std` will be asked for; it costs a second array.

    Notes:
        The mean lies within the smallest and the largest value, and equal values have the spread 0, both to the last bit.
        NaN in one array is NaN in the result. Computes where the arrays live, NumPy or CuPy; dask is computed.

    References:
        West, D. H. D. (1979): Updating mean and variance estimates: an improved method. Communications of the ACM 22(9),
        532-535, doi:10.1145/359146.359153.

    Examples:
        >>> average = RunningAverage(with_std=True)
        >>> average.add(np.array([[0.2, 0.5]], "float32"), weight=1.0)
        >>> average.add(np.array([[0.8, 0.5]], "float32"), weight=1.0)
        >>> average.mean(), average.std()
        (array([[0.5, 0.5]], dtype=float32), array([[0.3, 0. ]], dtype=float32))
    """

    def __init__(self, *, with_std: bool = False) -> None:
        self._with_std = with_std
        self._weight = 0.0
        self._mean: Any = None
        self._squares: Any = None

    def add(self, values: Any, *, weight: float) -> None:
        """Take in one more array.

        Args:
            values: ``(y, x)`` array of the same shape as those before; untouched.
            weight: Above 0, and so small that the sum of all weights is finite.

        Raises:
            ValueError: `weight` is no such number, or the array has another shape.
        """
        if not (weight > 0 and math.isfinite(self._weight + weight)):
            raise ValueError(
                f"expected a weight above 0 and weights whose sum is finite, but got {weight} after a sum of "
                f"{self._weight}: divide all weights by the largest"
            )
        values = computed(values)
        self._weight += weight
        if self._mean is None:
            self._mean = values.astype("float64")
            self._squares = self._mean * 0 if self._with_std else None  # NaN stays NaN
            return
        if values.shape != self._mean.shape:
            raise ValueError(f"expected arrays of one shape, {self._mean.shape}, but got one of {values.shape}")
        share = weight / self._weight
        if is_cupy(values):
            self._take_in_on_gpu(values, weight, share)
        elif self._with_std:
            over_rows(_take_in_with_squares, len(values), self._mean, self._squares, values, weight, share)
        else:
            over_rows(_take_in, len(values), self._mean, values, share)

    def _take_in_on_gpu(self, values: Any, weight: float, share: float) -> None:
        xp = array_namespace(values)
        difference = values - self._mean
        low, high = xp.minimum(self._mean, values), xp.maximum(self._mean, values)
        self._mean = xp.clip(self._mean + difference * share, low, high)
        if self._with_std:
            self._squares += weight * difference * (values - self._mean)

    def mean(self) -> Any:
        """Return Σ w·x / Σ w, float32.

        Raises:
            ValueError: No array was added.
        """
        if self._mean is None:
            raise ValueError("expected at least one array to average, but got none: add one first")
        return self._mean.astype("float32")

    def std(self) -> Any:
        """Return √(Σ w·(x − mean)² / Σ w), float32: the spread of the members themselves, not an estimate for others.

        Raises:
            ValueError: No array was added, or it was not said that `std` would be asked for.
        """
        if self._squares is None:
            raise ValueError(
                "expected RunningAverage(with_std=True) and at least one array, but got "
                f"with_std={self._with_std} and {'no' if self._mean is None else 'an'} array: correct what is amiss"
            )
        xp = array_namespace(self._squares)
        spread = self._squares / self._weight
        return xp.sqrt(spread, out=spread).astype("float32")


@kernel
def _moved(mean: float, value: float, share: float) -> float:
    """The mean with its share of a value more: between the two, also where rounding would leave them."""
    moved = mean + (value - mean) * share
    low, high = (mean, value) if mean < value else (value, mean)
    if moved < low:
        return low
    return high if moved > high else moved  # NaN is neither below nor above


@kernel
def _take_in(first: int, last: int, mean: Any, values: Any, share: float) -> None:
    for row in range(first, last):
        for column in range(mean.shape[1]):
            mean[row, column] = _moved(mean[row, column], np.float64(values[row, column]), share)


@kernel
def _take_in_with_squares(
    first: int, last: int, mean: Any, squares: Any, values: Any, weight: float, share: float
) -> None:
    for row in range(first, last):
        for column in range(mean.shape[1]):
            value = np.float64(values[row, column])
            before = mean[row, column]
            after = _moved(before, value, share)
            mean[row, column] = after
            squares[row, column] += weight * (value - before) * (value - after)
