"""One tile under a moving window: which windows matter, what is read through one, and what becomes of the answers.

The tile is continued by a mirrored border of ``padding_px`` pixels, repeated where the tile is smaller than that; beyond
it, up to the size of a patch, pixels are missing, and missing pixels are 0 in the network's input, as NaN and infinity
are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.device import computed, to_numpy
from darts_utils.errors import CheckpointError
from darts_utils.grids import tile_id
from darts_utils.inference.blending import RowBand
from darts_utils.inference.normalization import Normalization, normalize_into
from darts_utils.patches import PatchWindow, patch_starts, patch_windows


@dataclass(frozen=True)
class _Axis:
    """The pixels of one axis with its border, as indices into the tile."""

    length_px: int
    padding_px: int
    patch_px: int
    overlap_px: int

    @property
    def padded_px(self) -> int:
        return max(self.length_px + 2 * self.padding_px, self.patch_px)

    def source(self, start: int) -> NDArray[np.intp] | slice:
        """Pixels of the tile that stand in a window, the mirrored ones too; fewer than a patch where some are missing."""
        begin, end = start - self.padding_px, start - self.padding_px + self.patch_px
        if begin >= 0 and end <= self.length_px:
            return slice(begin, end)  # the common case costs no copy
        mirrored = np.pad(np.arange(self.length_px), self.padding_px, mode="reflect")
        return mirrored[start : start + self.patch_px]

    def own(self, start: int) -> tuple[slice, slice]:
        """Pixels of the tile itself, without border, as slices of the tile and of the window."""
        begin = max(start - self.padding_px, 0)
        end = max(min(start - self.padding_px + self.patch_px, self.length_px), begin)
        offset = begin - (start - self.padding_px)
        return slice(begin, end), slice(offset, offset + end - begin)

    def sum_of_weights(self, line: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the weights of all windows at each pixel of the tile itself."""
        sums = np.zeros(self.padded_px)
        for start in patch_starts(self.padded_px, patch_px=self.patch_px, overlap_px=self.overlap_px):
            sums[start : start + self.patch_px] += line
        return sums[self.padding_px : self.padding_px + self.length_px]


class Canvas:
    """A tile on its way through the network: `open` it, `read` and `add` its `windows` in order, `close` it.

    Args:
        tile: Tile with the variables of `normalization` and ``valid_data_mask``.
        normalization: Channels of the network's input.
        patch_px: Edge length of a window.
        overlap_px: Overlap of neighbouring windows.
        padding_px: Width of the mirrored border.
        line: ``(patch,)`` float64: blending weights along one axis of a window, above 0.
    """

    _band: RowBand
    """The result in the making, between `open` and `close`."""

    def __init__(
        self,
        tile: xr.Dataset,
        *,
        normalization: Normalization,
        patch_px: int,
        overlap_px: int,
        padding_px: int,
        line: NDArray[np.float64],
    ) -> None:
        self._tile = tile
        self._normalization = normalization
        self._valid = np.asarray(to_numpy(computed(tile["valid_data_mask"].data)), dtype=bool)
        self._rows, self._columns = (_Axis(length, padding_px, patch_px, overlap_px) for length in self._valid.shape)
        self._values: list[NDArray[np.generic]] = []
        self._line = line
        grid = patch_windows((self._rows.padded_px, self._columns.padded_px), patch_px=patch_px, overlap_px=overlap_px)
        self.windows: Sequence[PatchWindow] = [window for window in grid if self._matters(window)]
        """Windows that hold a valid pixel, in the order in which they must be added."""

    def _matters(self, window: PatchWindow) -> bool:
        return bool(self._valid[self._rows.own(window.row)[0], self._columns.own(window.column)[0]].any())

    def open(self) -> None:
        """Bring the tile's arrays into memory and make room for the result."""
        self._values = [to_numpy(computed(self._tile[name].data)) for name in self._normalization.variables]
        self._band = RowBand(
            self._valid,
            row_weights=self._rows.sum_of_weights(self._line),
            column_weights=self._columns.sum_of_weights(self._line),
            height_px=len(self._line),
        )

    def read(self, window: PatchWindow, patch: NDArray[np.float32]) -> None:
        """Write the network's input for one window.

        Args:
            window: One of `windows`.
            patch: ``(C, patch, patch)`` float32 to write to.
        """
        rows, columns = self._rows.source(window.row), self._columns.source(window.column)
        patch[:] = 0
        for channel, values, scaling in zip(patch, self._values, self._normalization.scalings.values(), strict=True):
            seen = _cut(values, rows, columns)
            normalize_into(channel[: seen.shape[0], : seen.shape[1]], seen, scaling)

    def check(self, window: PatchWindow, probabilities: NDArray[np.float32]) -> None:
        """Raise if the network says NaN about a valid pixel; what it says about others does not matter.

        Args:
            window: One of `windows`.
            probabilities: ``(patch, patch)`` float32.

        Raises:
            CheckpointError: Names the tile and the window.
        """
        (tile_rows, rows), (tile_columns, columns) = self._rows.own(window.row), self._columns.own(window.column)
        if bool((np.isnan(probabilities[rows, columns]) & self._valid[tile_rows, tile_columns]).any()):
            raise CheckpointError(
                f"expected a probability for each valid pixel, but the network gave NaN for tile {tile_id(self._tile)!r} in "
                f"rows {tile_rows.start} to {tile_rows.stop - 1}, columns {tile_columns.start} to {tile_columns.stop - 1}, "
                f"where every input is finite: look for extreme values of {', '.join(self._normalization.variables)} there; "
                "if there are none, the network's weights overflow"
            )

    def add(self, window: PatchWindow, weighted: NDArray[np.float64]) -> None:
        """Add what the network says about one window.

        Args:
            window: One of `windows`.
            weighted: ``(patch, patch)`` float64: weight × probability.
        """
        (tile_rows, rows), (tile_columns, columns) = self._rows.own(window.row), self._columns.own(window.column)
        self._band.add(tile_rows, tile_columns, weighted[rows, columns])

    def close(self) -> NDArray[np.float32]:
        """Return the probabilities and let go of everything else.

        Returns:
            ``(H, W)`` float32 in 0 … 1, NaN outside ``valid_data_mask``.
        """
        if not self.windows:  # no pixel is valid, nothing was opened
            return np.full(self._valid.shape, np.nan, "float32")
        result = self._band.finish()
        self._values = []
        del self._band
        return result


def _cut(
    values: NDArray[np.generic], rows: NDArray[np.intp] | slice, columns: NDArray[np.intp] | slice
) -> NDArray[np.generic]:
    if isinstance(rows, slice):
        return values[rows][:, columns]
    return values[:, columns][rows] if isinstance(columns, slice) else values[np.ix_(rows, columns)]
