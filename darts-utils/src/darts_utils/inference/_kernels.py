"""Loops over the pixels of one patch or of one band of rows, compiled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_utils.kernels import kernel


@kernel
def scale_rows(
    first: int,
    last: int,
    channel: NDArray[np.float32],
    line: NDArray[Any],
    step: int,
    offset: Any,
    scale: Any,
    low: Any,
    high: Any,
    limit: Any,
) -> None:
    """Scale rows of pixels that lie in memory at even distances.

    Args:
        first: First row.
        last: Row after the last one.
        channel: ``(H, W)`` float32 to write to.
        line: uint8, uint16 or float32: row ``y`` begins at ``y · step``.
        step: Distance of rows.
        offset: Subtracted first; this and all further numbers are float32.
        scale: Multiplied next.
        low: Smallest result.
        high: Largest result.
        limit: What is larger in size after scaling, or NaN, is missing: 0. With infinity only NaN is.
    """
    for y in range(first, last):
        target = channel[y]
        source = line[y * step : y * step + target.size]
        for x in range(target.size):
            scaled = (np.float32(source[x]) - offset) * scale
            present = abs(scaled) <= limit
            scaled = low if scaled < low else scaled  # becomes a vector instruction, which max() does not
            scaled = high if scaled > high else scaled
            target[x] = scaled if present else np.float32(0)


@kernel
def add_weighted(
    sums: NDArray[np.float64],
    column: int,
    patch: NDArray[np.float32],
    patch_row: int,
    patch_column: int,
    height: int,
    width: int,
    weights: NDArray[np.float64],
) -> None:
    """Add weight × probability of a part of a patch.

    Args:
        sums: ``(≥ height, ≥ column + width)`` float64; its first row belongs to the part's first row.
        column: Column of `sums` that belongs to the part's first column.
        patch: ``(P, P)`` float32: probabilities.
        patch_row: First row of the part.
        patch_column: First column of the part.
        height: Rows of the part.
        width: Columns of the part.
        weights: ``(P,)`` float64: the weight of a pixel is that of its row times that of its column.
    """
    across = weights[patch_column : patch_column + width]
    for y in range(height):
        weight = weights[patch_row + y]
        source = patch[patch_row + y, patch_column : patch_column + width]
        target = sums[y, column : column + width]
        for x in range(width):
            target[x] += weight * across[x] * source[x]


@kernel
def finish_rows(
    first: int,
    last: int,
    mean: NDArray[np.float32],
    sums: NDArray[np.float64],
    valid: NDArray[np.bool_],
    row_shares: NDArray[np.float64],
    column_shares: NDArray[np.float64],
) -> None:
    """Turn sums into means, NaN where not valid, and set the sums to 0.

    Args:
        first: First row.
        last: Row after the last one.
        mean: ``(H, W)`` float32 to write to.
        sums: ``(H, W)`` float64: what is read, and 0 afterwards.
        valid: ``(H, W)`` bool.
        row_shares: ``(H,)`` float64: 1 by the sum of the weights of all windows down the rows.
        column_shares: ``(W,)`` float64: the same along the columns.
    """
    missing, most = np.float32(np.nan), np.float32(1)
    for y in range(first, last):
        target, source, seen, share = mean[y], sums[y], valid[y], row_shares[y]
        for x in range(target.size):
            value = np.float32(source[x] * share * column_shares[x])
            value = most if value > most else value  # rounding may reach beyond
            target[x] = value if seen[x] else missing
            source[x] = 0.0
