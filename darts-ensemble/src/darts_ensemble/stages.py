"""Inference in stages: a cheap model first, a better one, perhaps on a finer grid, where the first found something.

A stage is anything with ``name``, ``required_variables`` and ``inference_batched`` (`TileStage`): a model, an ensemble, or
something that brings tiles onto another grid, as super-resolution does. Between two stages may stand a `Gate`.

Each pixel of the result has what the last stage that looked at it made. So behind a gate: where it was open, the result is
what the later stages made of it; where it was closed, it is the tile as it came to the gate, taken from the nearest pixel if
a later stage changed the grid. The gate works through ``valid_data_mask``: what is closed is declared invalid to the later
stages, which do no work there, and the values around what is open stay as they are, so a network says about an open pixel
what it would have said without a gate.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr

from darts_ensemble.answers import checked_answers, checked_probabilities
from darts_ensemble.gate import Gate
from darts_ensemble.overlay import nearest_pixels, overlay
from darts_utils.device import array_namespace, computed
from darts_utils.errors import ConfigError, DartsWarning
from darts_utils.grids import geobox_of
from darts_utils.inference.config import DEFAULT_INFERENCE, InferenceConfig
from darts_utils.inference.requirements import require_model_inputs

_REHEARSAL_PX = 32
"""Edge length of the corner of a tile that is rehearsed with; a stage that makes tiles smaller has room."""


class TileStage(Protocol):
    """One step of inference in stages; every `darts_utils.models.TileModel` is one."""

    @property
    def name(self) -> str:
        """Name of the stage, for messages and attributes."""
        ...

    @property
    def required_variables(self) -> tuple[str, ...]:
        """Names of the tile variables that the stage needs."""
        ...

    def inference_batched(
        self, tiles: Sequence[xr.Dataset], /, *, options: InferenceConfig = DEFAULT_INFERENCE
    ) -> list[xr.Dataset]:
        """Return each tile with what the stage adds; on the same grid, or all on another one of the same CRS.

        Where ``valid_data_mask`` is False the stage does no work that costs time; a tile may have no valid pixel, and may
        be of one pixel. With no tiles at all the options are checked, and nothing else is done.
        """
        ...


def run_stages(
    tile: xr.Dataset, *, stages: Sequence[TileStage | Gate], options: InferenceConfig = DEFAULT_INFERENCE
) -> xr.Dataset:
    """Take a tile through stages.

    Args:
        tile: Preprocessed tile with what the stages need and do not make.
        stages: What to do, in order. A gate needs ``probabilities``, so a stage that makes them comes before it, and it
            needs a stage behind it.
        options: Overlap, batch size, padding, blending, patch size; for every stage.

    Returns:
        The tile, on the grid of the last stage, with what the stages added. Each pixel has what the last stage that looked
        at it made (see this module's introduction). Of ``probabilities`` the attribute ``source`` names the stages, and for
        each gate, in order, ``gates`` says where it was open and ``gates_open_percent`` the share of the valid pixels that
        came to it which it let through.

    Raises:
        ConfigError: There is no stage, a gate stands last, or the options do not fit a stage; before any work is done.
        MissingVariableError: What a stage needs is neither in the tile nor made by a stage before it; before any work is
            done, because the stages are rehearsed with a corner of the tile that holds no valid pixel.
        ModelAnswerError: A stage gives other than one tile for each, or something else than probabilities.
        GridMismatchError: A stage changes the CRS.
    """
    return run_stages_batched([tile], stages=stages, options=options)[0]


def run_stages_batched(
    tiles: Sequence[xr.Dataset], *, stages: Sequence[TileStage | Gate], options: InferenceConfig = DEFAULT_INFERENCE
) -> list[xr.Dataset]:
    """Do `run_stages` for many tiles; each stage sees all of them, so that their patches share the network's batches.

    Args:
        tiles: Tiles of any shape, grid and CRS; with none, the stages and options are checked and nothing else.
        stages: As for `run_stages`.
        options: As for `run_stages`, for all tiles.

    Returns:
        The tiles as `run_stages` makes them, in order; the same as one by one.
    """
    if not stages:
        raise ConfigError("expected at least one stage, but got none: name a model")
    if isinstance(stages[-1], Gate):
        raise ConfigError(f"expected a stage behind the {stages[-1].name}, but it is the last: add one, or remove it")
    for stage in stages:
        if not isinstance(stage, Gate):
            _check_options(stage, options)
    _rehearse(tiles, stages, options)
    return _run(list(tiles), list(stages), options)


def _check_options(stage: TileStage, options: InferenceConfig) -> None:
    try:
        stage.inference_batched([], options=options)  # looks at the options, and has nothing to do
    except ConfigError as error:
        raise ConfigError(f"stage {stage.name!r}: {error}") from error


def _rehearse(tiles: Sequence[xr.Dataset], stages: Sequence[TileStage | Gate], options: InferenceConfig) -> None:
    """Take an invalid corner of each kind of tile through the stages: what is missing shows before the work begins."""
    kinds: dict[frozenset[str], xr.Dataset] = {}
    for tile in tiles:
        require_model_inputs(tile, ["valid_data_mask"], consumer="inference in stages")
        kinds.setdefault(frozenset(map(str, tile.data_vars)), tile)
    corners = [_invalid_corner(tile) for tile in kinds.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DartsWarning)  # said again when it is meant
        _run(corners, list(stages), options)


def _invalid_corner(tile: xr.Dataset) -> xr.Dataset:
    corner = tile.isel(y=slice(0, _REHEARSAL_PX), x=slice(0, _REHEARSAL_PX))
    nothing = {"valid_data_mask": xr.zeros_like(corner["valid_data_mask"])}
    if "probabilities" in corner:
        nothing["probabilities"] = xr.full_like(corner["probabilities"], np.nan)
    return corner.assign(nothing)


def _run(tiles: list[xr.Dataset], stages: list[TileStage | Gate], options: InferenceConfig) -> list[xr.Dataset]:
    if not stages or not tiles:
        return tiles
    stage, rest = stages[0], stages[1:]
    for tile in tiles:
        require_model_inputs(tile, stage.required_variables, consumer=f"stage {stage.name!r}")
    if isinstance(stage, Gate):
        narrowed = [stage.narrow(tile) for tile in tiles]
        done = _run(narrowed, rest, options)
        return [_behind(stage, *three) for three in zip(tiles, narrowed, done, strict=True)]
    return _run(_answers(stage, tiles, options), rest, options)


def _answers(stage: TileStage, tiles: list[xr.Dataset], options: InferenceConfig) -> list[xr.Dataset]:
    answers = checked_answers(stage.inference_batched(tiles, options=options), tiles, model=f"stage {stage.name!r}")
    for index, (answer, tile) in enumerate(zip(answers, tiles, strict=True)):
        require_model_inputs(answer, ["valid_data_mask"], consumer=f"what follows stage {stage.name!r}")
        nearest_pixels(geobox_of(answer), geobox_of(tile))  # raises where the CRS differ
        if "probabilities" in answer:
            values = checked_probabilities(answer, answer, model=f"stage {stage.name!r}")
            answers[index] = answer.assign(probabilities=answer["probabilities"].copy(data=values))
    return answers


def _behind(gate: Gate, tile: xr.Dataset, narrowed: xr.Dataset, done: xr.Dataset) -> xr.Dataset:
    """What comes out behind a gate: the later stages' result, over the tile that came to it."""
    require_model_inputs(done, gate.required_variables, consumer=f"what comes out behind the {gate.name}")
    result = overlay(done, tile)
    later = done["probabilities"].attrs
    record = {
        **later,
        "source": f"{later.get('source')}; {gate.name} closed: {tile['probabilities'].attrs.get('source')}",
        "gates": [f"within {gate.reach_px} px of a probability above {gate.threshold:g}", *later.get("gates", ())],
        "gates_open_percent": [_open_percent(narrowed, tile), *later.get("gates_open_percent", ())],
    }
    return result.assign(probabilities=(("y", "x"), result["probabilities"].data, record))


def _open_percent(narrowed: xr.Dataset, tile: xr.Dataset) -> float:
    counts = [_count(each["valid_data_mask"].data) for each in (narrowed, tile)]
    return 100 * counts[0] / counts[1] if counts[1] else 0.0


def _count(mask: Any) -> int:
    values = computed(mask)
    return int(array_namespace(values).count_nonzero(values))
