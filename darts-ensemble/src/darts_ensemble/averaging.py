"""Mean and spread of arrays that come one after the other; imports no torch."""

import math
from typing import Any


class RunningAverage:
    """Weighted mean and standard deviation, one array at a time, in double precision.

    Args:
        with_std: Whether `std` will be asked for; it costs a second array.

    Notes:
        NaN in one array is NaN in the result. Computes where the arrays live, NumPy or CuPy.

    References:
        West, D. H. D. (1979): Updating mean and variance estimates: an improved method. Communications of the ACM 22(9),
        532-535, doi:10.1145/359146.359153.

    Examples:
        >>> import numpy as np
        >>> average = RunningAverage(with_std=True)
        >>> average.add(np.array([0.2, 0.5], "float32"), weight=1.0)
        >>> average.add(np.array([0.8, 0.5], "float32"), weight=1.0)
        >>> average.mean(), average.std()
        (array([0.5, 0.5], dtype=float32), array([0.3, 0. ], dtype=float32))
    """

    def __init__(self, *, with_std: bool = False) -> None:
        self._with_std = with_std
        self._weight = 0.0
        self._mean: Any = None
        self._squares: Any = None

    def add(self, values: Any, *, weight: float) -> None:
        """Take in one more array.

        Args:
            values: Array of the same shape as those before; untouched.
            weight: Above 0, and so small that the sum of all weights is finite.

        Raises:
            ValueError: `weight` is no such number.
        """
        if not (weight > 0 and math.isfinite(self._weight + weight)):
            raise ValueError(
                f"expected a weight above 0 and weights whose sum is finite, but got {weight} after a sum of "
                f"{self._weight}: divide all weights by the largest"
            )
        values = values.astype("float64")
        if self._mean is None:
            self._mean, self._squares = values * 0, values * 0 if self._with_std else None
        self._weight += weight
        difference = values - self._mean
        self._mean = self._mean + difference * (weight / self._weight)
        if self._with_std:
            self._squares = self._squares + weight * difference * (values - self._mean)

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
        return ((self._squares / self._weight) ** 0.5).astype("float32")
