"""One tile under a moving window: which windows matter, what is seen through one, and what becomes of the answers.

The tile is continued by a mirrored border (`borders`); where a window reaches beyond that, pixels are missing, and missing
pixels are 0 in the network's input, as NaN and infinity are.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.device import computed, to_numpy
from darts_utils.errors import CheckpointError
from darts_utils.grids import tile_id
from darts_utils.inference.blending import RowBand
from darts_utils.inference.borders import Axis
from darts_utils.patches import PatchWindow


class Canvas:
    """A tile on its way through the network: `open` it, `cut` and `add` its `windows` in order, `close` it.

    Args:
        tile: Tile with `variables` and ``valid_data_mask``.
        variables: Channels of the network's input.
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
        variables: tuple[str, ...],
        overlap_px: int,
        padding_px: int,
        line: NDArray[np.float64],
    ) -> None:
        self._tile = tile
        self._variables = variables
        self._valid = np.asarray(to_numpy(computed(tile["valid_data_mask"].data)), dtype=bool)
        self._rows, self._columns = (Axis(length, padding_px, len(line), overlap_px) for length in self._valid.shape)
        self._values: list[NDArray[np.generic]] = []
        self._line = line

    def windows(self) -> Iterator[PatchWindow]:
        """Yield the windows that hold a valid pixel, in the order in which they must be added."""
        starts = self._columns.starts
        columns = [self._columns.own(start)[0] for start in starts]
        for row in self._rows.starts:
            seen = np.any(self._valid[self._rows.own(row)[0]], axis=0, keepdims=True)[0]
            for start, own in zip(starts, columns, strict=True):
                if seen[own].any():
                    yield PatchWindow(row, start, len(self._line))

    def open(self) -> None:
        """Bring the tile's arrays into memory and make room for the result."""
        self._values = [to_numpy(computed(self._tile[name].data)) for name in self._variables]
        self._band = RowBand(
            self._valid,
            row_weights=self._rows.sum_of_weights(self._line),
            column_weights=self._columns.sum_of_weights(self._line),
            height_px=len(self._line),
        )

    def cut(self, window: PatchWindow) -> Iterator[NDArray[np.generic]]:
        """Yield what is seen of each variable through one window.

        Args:
            window: One of `windows`.

        Yields:
            ``(≤ patch, ≤ patch)`` in tile units: smaller where pixels beyond the border are missing. A view of the tile
            where no pixel is mirrored.
        """
        rows, columns = self._rows.source(window.row), self._columns.source(window.column)
        for values in self._values:
            if isinstance(rows, slice):
                yield values[rows, columns]
            else:
                yield values[rows][:, columns]

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
                f"where every input is finite: look for extreme values of {', '.join(self._variables)} there; "
                "if there are none, the network's weights overflow: choose precision='float32'"
            )

    def add(self, window: PatchWindow, probabilities: NDArray[np.float32]) -> None:
        """Add what the network says about one window.

        Args:
            window: One of `windows`.
            probabilities: ``(patch, patch)`` float32.
        """
        (tile_rows, rows), (tile_columns, columns) = self._rows.own(window.row), self._columns.own(window.column)
        self._band.add(tile_rows, tile_columns, probabilities, corner=(rows.start, columns.start), line=self._line)

    def close(self) -> NDArray[np.float32]:
        """Return the probabilities and let go of everything else.

        Returns:
            ``(H, W)`` float32 in 0 … 1, NaN outside ``valid_data_mask``.
        """
        result = self._band.finish()
        self._values = []
        del self._band
        return result

    def nothing(self) -> NDArray[np.float32]:
        """Return the probabilities of a tile without windows: ``(H, W)`` float32, all NaN."""
        return np.full(self._valid.shape, np.nan, "float32")
