"""Weighted mean of overlapping patches, summed for a band of rows only.

Windows come row by row, so every row above the current window is final: it is divided, written to the result and
forgotten. The sum of the weights needs no array of its own. A patch's weight is an outer product, and no window that
covers a valid pixel is ever left out; so at a valid pixel the sum over all windows is a sum down its column times a sum
along its row.
"""

import numpy as np
from numpy.typing import NDArray

from darts_utils.inference._kernels import add_weighted, finish_rows


class RowBand:
    """The mean of one tile in the making.

    Args:
        valid: ``(H, W)`` bool; the result is NaN where it is False.
        row_weights: ``(H,)`` float64: sum of the weights of all windows down the rows, above 0.
        column_weights: ``(W,)`` float64: the same along the columns.
        height_px: Rows that one window can cover.
    """

    def __init__(
        self,
        valid: NDArray[np.bool_],
        *,
        row_weights: NDArray[np.float64],
        column_weights: NDArray[np.float64],
        height_px: int,
    ) -> None:
        self._valid = valid
        self._row_shares = 1 / row_weights
        self._column_shares = 1 / column_weights
        self._top = 0
        # Double precision: with a large overlap thousands of patches meet in a pixel.
        self._sums = np.zeros((min(height_px, valid.shape[0]), valid.shape[1]))
        self._mean = np.empty(valid.shape, "float32")

    def add(
        self,
        rows: slice,
        columns: slice,
        patch: NDArray[np.float32],
        *,
        corner: tuple[int, int],
        line: NDArray[np.float64],
    ) -> None:
        """Add one window.

        Args:
            rows: Rows of the tile that it covers; they never start above those of the window before.
            columns: Columns of the tile that it covers.
            patch: ``(patch, patch)`` float32: probabilities.
            corner: Row and column of the patch at which those rows and columns begin.
            line: ``(patch,)`` float64: weights along one axis of the patch.
        """
        self._finish_above(rows.start)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        add_weighted(self._sums, columns.start, patch, *corner, height, width, line)

    def finish(self) -> NDArray[np.float32]:
        """Return the mean, ``(H, W)`` float32 in 0 … 1, NaN where not valid."""
        self._finish_above(len(self._mean))
        return self._mean

    def _finish_above(self, row: int) -> None:
        final = min(row - self._top, len(self._sums))
        if final > 0:
            rows = slice(self._top, self._top + final)
            finish_rows(
                0,
                final,
                self._mean[rows],
                self._sums,
                self._valid[rows],
                self._row_shares[rows],
                self._column_shares,
            )
            self._mean[rows.stop : row] = np.nan  # no window came near: no pixel is valid
            kept = len(self._sums) - final
            self._sums[:kept] = self._sums[final:]
            self._sums[max(kept, final) :] = 0
            self._sums[kept:final] = 0
            self._top = row
