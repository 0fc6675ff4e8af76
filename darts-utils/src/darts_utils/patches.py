"""Patch windows and blending weights: integers and arrays only, no pixels.

Definition: windows step by ``patch − overlap``; the last window of a row or column is shifted inward so that it ends
with the tile. The weight of pixel ``i`` of a patch is ``w(i) = min(1, (i+1)/(overlap+1), (patch−i)/(overlap+1))``, and
in two dimensions the outer product: it is above 0 everywhere, so every pixel that a window covers gets a probability.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ramp = Literal["open", "closed"]


@dataclass(frozen=True)
class PatchWindow:
    """One window of a tile, in pixels."""

    row: int
    """First row."""
    column: int
    """First column."""
    size: int
    """Edge length; windows are square."""

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the window in a ``(y, x)`` array."""
        return slice(self.row, self.row + self.size), slice(self.column, self.column + self.size)


def patch_starts(length_px: int, *, patch_px: int, overlap_px: int) -> list[int]:
    """First indices of the windows along one axis.

    Args:
        length_px: Length of the axis, at least `patch_px` (pad a smaller tile first).
        patch_px: Edge length of a patch.
        overlap_px: Overlap of neighbours, ``0 ≤ overlap < patch``.

    Returns:
        Ascending starts; every index of the axis is covered.

    Raises:
        ValueError: The overlap or a size makes no sense.

    Examples:
        >>> patch_starts(10, patch_px=4, overlap_px=1)
        [0, 3, 6]
        >>> patch_starts(11, patch_px=4, overlap_px=1)
        [0, 3, 6, 7]
    """
    _check(patch_px, overlap_px)
    if length_px < patch_px:
        raise ValueError(
            f"expected an axis of at least one patch ({patch_px} px), but got {length_px} px: pad the tile first"
        )
    starts = list(range(0, length_px - patch_px + 1, patch_px - overlap_px))
    if starts[-1] + patch_px < length_px:
        starts.append(length_px - patch_px)
    return starts


def patch_windows(shape_px: tuple[int, int], *, patch_px: int, overlap_px: int) -> Iterator[PatchWindow]:
    """Yield the windows of a tile, row by row.

    Args:
        shape_px: ``(height, width)``, each at least `patch_px`.
        patch_px: Edge length of a patch.
        overlap_px: Overlap of neighbours, ``0 ≤ overlap < patch``.
    """
    columns = patch_starts(shape_px[1], patch_px=patch_px, overlap_px=overlap_px)
    for row in patch_starts(shape_px[0], patch_px=patch_px, overlap_px=overlap_px):
        for column in columns:
            yield PatchWindow(row, column, patch_px)


def patch_weights(*, patch_px: int, overlap_px: int, ramp: Ramp = "open") -> NDArray[np.float32]:
    """Blending weights of one patch.

    Args:
        patch_px: Edge length of a patch.
        overlap_px: Overlap of neighbours, ``0 ≤ overlap < patch``.
        ramp: ``"open"`` is the definition above, never 0. ``"closed"`` is ``linspace(0, 1, overlap)`` of older
            pipelines, which gives the outermost pixel the weight 0.

    Returns:
        ``(patch, patch)`` float32, largest value 1.

    Examples:
        >>> patch_weights(patch_px=4, overlap_px=1)[0]
        array([0.25, 0.5 , 0.5 , 0.25], dtype=float32)
    """
    line = axis_weights(patch_px=patch_px, overlap_px=overlap_px, ramp=ramp)
    weights: NDArray[np.float32] = np.outer(line, line).astype("float32")
    return weights


def axis_weights(*, patch_px: int, overlap_px: int, ramp: Ramp = "open") -> NDArray[np.float64]:
    """Blending weights along one axis of a patch; `patch_weights` is their outer product.

    Args:
        patch_px: Edge length of a patch.
        overlap_px: Overlap of neighbours, ``0 ≤ overlap < patch``.
        ramp: As for `patch_weights`.

    Returns:
        ``(patch,)`` float64.

    Examples:
        >>> axis_weights(patch_px=4, overlap_px=1)
        array([0.5, 1. , 1. , 0.5])
    """
    _check(patch_px, overlap_px)
    index = np.arange(patch_px)
    if ramp == "open":
        line: NDArray[np.float64] = np.minimum(1.0, np.minimum(index + 1, patch_px - index) / (overlap_px + 1))
        return line
    line = np.ones(patch_px)
    rise = np.linspace(0.0, 1.0, overlap_px)
    line[:overlap_px] = rise
    line[patch_px - overlap_px :] = np.minimum(line[patch_px - overlap_px :], rise[::-1])
    return line


def _check(patch_px: int, overlap_px: int) -> None:
    if patch_px < 1:
        raise ValueError(f"expected a patch size of at least 1 px, but got {patch_px}")
    if not 0 <= overlap_px < patch_px:
        raise ValueError(f"expected an overlap of 0 to {patch_px - 1} px (patch − 1), but got {overlap_px}")
