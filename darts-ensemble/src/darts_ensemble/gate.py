"""The gate between two stages: where the first found something, and nowhere else, the next is asked; imports no torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.device import array_namespace, computed, to_numpy
from darts_utils.errors import ConfigError
from darts_utils.kernels import kernel, over_rows


@dataclass(frozen=True)
class Gate:
    """Lets later stages see the surroundings of what an earlier one found.

    A valid pixel is open if a pixel with a probability above `threshold` is at most `reach_px` rows and columns away.

    Raises:
        ConfigError: `threshold` or `reach_px` makes no sense.
    """

    threshold: float = 0.5
    """A pixel counts as found where the probability is above this, 0 … 1."""
    reach_px: int = 16
    """How far around a found pixel the gate is open, in pixels of the grid on which the gate stands; 0: that pixel alone."""

    def __post_init__(self) -> None:
        if not isinstance(self.threshold, int | float) or not 0 <= self.threshold <= 1:
            raise ConfigError(f"expected the threshold of a gate to be 0 … 1, but got {self.threshold!r}")
        if isinstance(self.reach_px, bool) or not isinstance(self.reach_px, int) or self.reach_px < 0:
            raise ConfigError(
                f"expected reach_px of a gate to be a whole number of at least 0, but got {self.reach_px!r}"
            )

    @property
    def name(self) -> str:
        """What the gate is called in messages."""
        return f"gate at {self.threshold:g}"

    @property
    def required_variables(self) -> tuple[str, ...]:
        """``probabilities`` and ``valid_data_mask``."""
        return ("probabilities", "valid_data_mask")

    def narrow(self, tile: xr.Dataset) -> xr.Dataset:
        """Declare invalid what later stages shall not look at.

        Args:
            tile: Tile with the `required_variables`.

        Returns:
            The tile with ``valid_data_mask`` True in open pixels alone, and with ``probabilities`` NaN elsewhere; all other
            arrays are those of `tile`, so that a network sees the surroundings of what is open as they are.
        """
        valid, probabilities = (computed(tile[name].data) for name in ("valid_data_mask", "probabilities"))
        xp = array_namespace(valid)
        seen = surroundings(to_numpy(probabilities) > self.threshold, reach_px=self.reach_px)
        narrowed = valid & xp.asarray(seen)
        attrs = {name: tile[name].attrs for name in ("valid_data_mask", "probabilities")}
        return tile.assign(
            valid_data_mask=(("y", "x"), narrowed, attrs["valid_data_mask"]),
            probabilities=(
                ("y", "x"),
                xp.where(narrowed, probabilities, xp.float32(np.nan)),
                attrs["probabilities"],
            ),
        )


def surroundings(found: NDArray[np.bool_], *, reach_px: int) -> NDArray[np.bool_]:
    """Where a pixel is found at most `reach_px` rows and columns away.

    Args:
        found: ``(y, x)`` bool.
        reach_px: Rows and columns, at least 0.

    Examples:
        >>> surroundings(np.array([[True, False, False]]), reach_px=1)
        array([[ True,  True, False]])
    """
    height, width = found.shape
    along_rows, both = np.empty_like(found), np.empty_like(found)
    over_rows(_widen_rows, height, found, min(reach_px, width), along_rows)
    over_rows(_widen_columns, height, along_rows, min(reach_px, height), both)
    return both


@kernel
def _widen_rows(first: int, last: int, found: Any, reach_px: int, widened: Any) -> None:
    width = found.shape[1]
    for row in range(first, last):
        seen = 0
        for column in range(min(reach_px, width)):
            seen += found[row, column]
        for column in range(width):
            if column + reach_px < width:
                seen += found[row, column + reach_px]
            widened[row, column] = seen > 0
            if column >= reach_px:
                seen -= found[row, column - reach_px]


@kernel
def _widen_columns(first: int, last: int, found: Any, reach_px: int, widened: Any) -> None:
    height, width = found.shape
    seen = np.zeros(width, np.int32)
    for row in range(max(0, first - reach_px), min(height, first + reach_px)):
        seen += found[row]
    for row in range(first, last):
        if row + reach_px < height:
            seen += found[row + reach_px]
        widened[row] = seen > 0
        if row >= reach_px:
            seen -= found[row - reach_px]
