"""The pixels of one axis of a tile, continued as the moving window needs them.

A mirrored border of ``padding_px`` pixels on both sides, repeated where the tile is smaller than that; beyond it, up to the
length of a patch, pixels are missing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darts_utils.patches import patch_starts


@dataclass(frozen=True)
class Axis:
    """One axis with its border, as indices into the tile."""

    length_px: int
    """Length of the tile."""
    padding_px: int
    """Width of the mirrored border."""
    patch_px: int
    """Length of a window."""
    overlap_px: int
    """Overlap of neighbouring windows."""

    @property
    def starts(self) -> list[int]:
        """First pixels of the windows, counted from the beginning of the border."""
        return patch_starts(self._padded_px, patch_px=self.patch_px, overlap_px=self.overlap_px)

    @property
    def _padded_px(self) -> int:
        return max(self.length_px + 2 * self.padding_px, self.patch_px)

    def source(self, start: int) -> NDArray[np.intp] | slice:
        """Pixels of the tile that stand in a window, the mirrored ones too; fewer than a patch where some are missing.

        Args:
            start: One of `starts`.
        """
        begin, end = start - self.padding_px, start - self.padding_px + self.patch_px
        if begin >= 0 and end <= self.length_px:
            return slice(begin, end)  # the common case costs no copy
        mirrored = np.pad(np.arange(self.length_px), self.padding_px, mode="reflect")
        return mirrored[start : start + self.patch_px]

    def own(self, start: int) -> tuple[slice, slice]:
        """Pixels of the tile itself, without border, as slices of the tile and of the window.

        Args:
            start: One of `starts`.
        """
        begin = max(start - self.padding_px, 0)
        end = max(min(start - self.padding_px + self.patch_px, self.length_px), begin)
        offset = begin - (start - self.padding_px)
        return slice(begin, end), slice(offset, offset + end - begin)

    def sum_of_weights(self, line: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the weights of all windows at each pixel of the tile itself.

        Args:
            line: ``(patch,)`` float64: weights along a window.

        Returns:
            ``(length,)`` float64.
        """
        sums = np.zeros(self._padded_px)
        for start in self.starts:
            sums[start : start + self.patch_px] += line
        return sums[self.padding_px : self.padding_px + self.length_px]
