"""What a model says about a tile, held to the contract, whoever wrote the model; imports no torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from darts_utils.device import array_namespace, computed, is_cupy
from darts_utils.errors import ModelAnswerError
from darts_utils.grids import tile_id
from darts_utils.kernels import kernel, over_rows

_ROUNDING = 1e-6
"""How far beyond 0 and 1 a probability may be by rounding alone."""
_FAULTS = ("NaN where the tile is valid", "numbers where the tile is not valid", "numbers outside 0 … 1")


def checked_probabilities(answer: xr.Dataset, tile: xr.Dataset, *, model: str) -> Any:
    """Return the probabilities of an answer, once they are known to be some.

    Args:
        answer: What the model made of `tile`.
        tile: Tile with ``valid_data_mask``  (y, x) bool.
        model: The model, for the message: ``"model 'full'"``.

    Returns:
        ``(y, x)`` float32, NumPy or CuPy: 0 … 1 where the tile is valid, NaN elsewhere.

    Raises:
        ModelAnswerError: The answer has no such array: not float32, of another shape, NaN at a valid pixel, a number at one
            that is not valid, or numbers outside 0 … 1 (percent, or the network's output before the sigmoid).
    """
    values = computed(answer["probabilities"].data) if "probabilities" in answer else None
    valid = computed(tile["valid_data_mask"].data)
    if values is None or values.dtype != np.dtype("float32") or values.shape != valid.shape:
        got = "none" if values is None else f"an array of {values.dtype} and shape {values.shape}"
        raise _error(tile, model, f"an array 'probabilities' of float32 and shape {valid.shape}", got)
    faults = _faults_on_gpu(values, valid) if is_cupy(values) else _faults_of(values, valid)
    if any(faults):
        got = ", ".join(f"{count} px with {fault}" for fault, count in zip(_FAULTS, faults, strict=True) if count)
        raise _error(tile, model, "probabilities of 0 … 1 where valid_data_mask is True, and NaN elsewhere", got)
    return values


def check_count(answers: Sequence[xr.Dataset], tiles: Sequence[xr.Dataset], *, model: str) -> None:
    """Raise if a model has not answered each tile with one.

    Raises:
        ModelAnswerError: Names the model and the numbers.
    """
    if len(answers) != len(tiles):
        raise ModelAnswerError(
            f"expected {model} to give one tile for each of {len(tiles)}, but got {len(answers)}: its inference_batched is "
            "at fault"
        )


def _error(tile: xr.Dataset, model: str, expected: str, got: str) -> ModelAnswerError:
    return ModelAnswerError(
        f"expected {model} to give tile {tile_id(tile)!r} {expected}, but got {got}: the model or its package is at fault"
    )


def _faults_of(values: Any, valid: Any) -> tuple[int, ...]:
    counts = over_rows(_count_faults, len(values), values, valid, _ROUNDING)
    return tuple(map(sum, zip(*counts, strict=True)))


def _faults_on_gpu(values: Any, valid: Any) -> tuple[int, ...]:
    xp = array_namespace(values)
    known = ~xp.isnan(values)
    beyond = (values < -_ROUNDING) | (values > 1 + _ROUNDING)
    return tuple(int(fault.sum()) for fault in (valid & ~known, known & ~valid, beyond & valid))


@kernel
def _count_faults(first: int, last: int, values: Any, valid: Any, rounding: float) -> tuple[int, int, int]:
    unknown = unasked = beyond = 0
    for row in range(first, last):
        for column in range(values.shape[1]):
            value = values[row, column]
            if valid[row, column]:
                unknown += np.isnan(value)
                beyond += value < -rounding or value > 1 + rounding
            else:
                unasked += not np.isnan(value)
    return unknown, unasked, beyond
