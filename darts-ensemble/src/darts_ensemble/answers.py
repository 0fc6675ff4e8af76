"""What a model says about a tile, held to the contract, whoever wrote the model; imports no torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from darts_utils.device import array_namespace, computed, is_cupy
from darts_utils.errors import ModelAnswerError
from darts_utils.grids import tile_id
from darts_utils.kernels import kernel, over_rows
from darts_utils.tiles import DIMS

_ROUNDING = 1e-6
"""How far beyond 0 and 1 a probability may be by rounding alone; it is then 0 or 1."""
_FAULTS = ("NaN where the tile is valid", "numbers where the tile is not valid", "numbers outside 0 … 1")


def checked_probabilities(answer: xr.Dataset, tile: xr.Dataset, *, model: str) -> Any:
    """Return the probabilities of an answer, once they are known to be some.

    Args:
        answer: What the model made of `tile`.
        tile: Tile with ``valid_data_mask``  (y, x) bool.
        model: The model, for the message: ``"model 'full'"``.

    Returns:
        ``(y, x)`` float32, NumPy or CuPy: 0 … 1 where the tile is valid, NaN elsewhere. The model's own array, or a copy in
        which what was outside by rounding alone is 0 or 1.

    Raises:
        ModelAnswerError: The answer has no such array: not float32, on another grid, NaN at a valid pixel, a number at one
            that is not valid, or numbers outside 0 … 1 (percent, or the network's output before the sigmoid).
    """
    array = answer.get("probabilities")
    valid = computed(tile["valid_data_mask"].data)
    if array is None or array.dtype != np.dtype("float32") or array.dims != DIMS or array.shape != valid.shape:
        got = "none" if array is None else f"an array of {array.dtype}, dims {array.dims} and shape {array.shape}"
        raise _error(tile, model, f"an array 'probabilities' of float32, dims {DIMS} and shape {valid.shape}", got)
    moved = [dim for dim in DIMS if not np.array_equal(array[dim].values, tile[dim].values)]
    if moved:
        raise _error(tile, model, "probabilities at the tile's own coordinates", f"others in {' and '.join(moved)}")
    values = computed(array.data)
    *faults, outside = _faults_on_gpu(values, valid) if is_cupy(values) else _faults_of(values, valid)
    if any(faults):
        got = ", ".join(f"{count} px with {fault}" for fault, count in zip(_FAULTS, faults, strict=True) if count)
        raise _error(tile, model, "probabilities of 0 … 1 where valid_data_mask is True, and NaN elsewhere", got)
    return array_namespace(values).clip(values, 0, 1) if outside else values


def checked_answers(answers: Sequence[xr.Dataset], tiles: Sequence[xr.Dataset], *, model: str) -> list[xr.Dataset]:
    """Return what a model has answered as a list of its own, once it is known to be one tile for each.

    Args:
        answers: What ``inference_batched`` returned.
        tiles: What it was given.
        model: The model, for the message.

    Raises:
        ModelAnswerError: Names the model and what came.
    """
    if not isinstance(answers, Sequence) or not all(isinstance(answer, xr.Dataset) for answer in answers):
        raise ModelAnswerError(
            f"expected {model} to give a list of tiles, but got {type(answers).__name__}: its inference_batched is at fault"
        )
    if len(answers) != len(tiles):
        raise ModelAnswerError(
            f"expected {model} to give one tile for each of {len(tiles)}, but got {len(answers)}: its inference_batched is "
            "at fault"
        )
    return list(answers)


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
    outside = (values < 0) | (values > 1)
    return tuple(int(fault.sum()) for fault in (valid & ~known, known & ~valid, beyond & valid, outside & valid))


@kernel
def _count_faults(first: int, last: int, values: Any, valid: Any, rounding: float) -> tuple[int, int, int, int]:
    unknown = unasked = beyond = outside = 0
    for row in range(first, last):
        for column in range(values.shape[1]):
            value = values[row, column]
            if valid[row, column]:
                unknown += np.isnan(value)
                if value < 0 or value > 1:
                    outside += 1
                    beyond += value < -rounding or value > 1 + rounding
            else:
                unasked += not np.isnan(value)
    return unknown, unasked, beyond, outside
