"""Steps that are done to one tile, the same in every runtime: what goes wrong becomes its row, and the other tiles go on."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from darts_nextgen.pipeline.layout import ERRORS_FOLDER
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.stages import TileOutcome
from darts_nextgen.pipeline.transience import is_transient
from darts_utils.errors import OutputError
from darts_utils.faults import attempt, collected_warnings
from darts_utils.files import atomic_path
from darts_utils.logging import get_logger, log_tile

_logger = get_logger(__name__)

NamedStep = tuple[str, Callable[[Any], Any]]
"""A stage's name and what it does."""


@dataclass(frozen=True)
class Handling:
    """What is done about errors."""

    out: Path
    """Folder of the results."""
    retries: int
    """How often a step is tried again after an error that may pass."""
    pause_seconds: float = 1.0
    """Pause before the first repetition; each further one is twice as long."""


def take_steps(row: TileRow, passed: Any, steps: Iterable[NamedStep], *, handling: Handling) -> tuple[TileRow, Any]:
    """Take a tile through some steps, as far as it goes; the boundary at which everything that goes wrong becomes a row.

    Args:
        row: The tile's row so far.
        passed: What the first step takes.
        steps: Name of each stage and its step, in order; each takes what the one before returns.
        handling: What is done about errors.

    Returns:
        The row, and what the last step returned. Where a step failed, the row says which, why, and where the traceback is.
        Where the last step exported the tile, the row is done.
    """
    with log_tile(row.tile_id):
        for name, step in steps:
            with collected_warnings() as notes:
                done = attempt(
                    partial(step, passed),
                    step=name,
                    logger=_logger,
                    retries=handling.retries,
                    may_pass=is_transient,
                    pause_seconds=handling.pause_seconds,
                )
            passed = done.value
            row = noted_row(timed_row(row, name, seconds=done.seconds, made=passed), notes)
            if done.error is not None:
                return failed_row(row, name, error=done.error, told=done.traceback, out=handling.out), None
    if isinstance(passed, TileOutcome):
        remove_traceback(handling.out, row.tile_id)
        row = replace(
            row, status="done", objects=passed.objects, area_km2=passed.area_km2, products=dict(passed.products)
        )
    return row, passed


def timed_row(row: TileRow, name: str, *, seconds: float, made: Any) -> TileRow:
    """Add to a row how long a stage took, and how many bytes it made."""
    sizes = {name: int(made.nbytes)} if isinstance(made, xr.Dataset | TileOutcome) else {}
    return replace(
        row,
        seconds={**row.seconds, name: row.seconds.get(name, 0.0) + seconds},
        bytes={**row.bytes, **sizes},
    )


def noted_row(row: TileRow, notes: Iterable[str]) -> TileRow:
    """Log what was warned of, and add it to a row."""
    for note in notes:
        _logger.warning("%s", note)
    return replace(row, warnings=tuple(dict.fromkeys((*row.warnings, *notes))))


def failed_row(row: TileRow, name: str | None, *, error: str, told: str | None, out: Path) -> TileRow:
    """Let a tile fail.

    Args:
        row: The tile's row so far.
        name: The stage that failed.
        error: What went wrong, in one line.
        told: The traceback; it is kept as a file, whose name the row has.
        out: Folder of the results.
    """
    kept = None
    if told is not None:
        kept = traceback_path(out, row.tile_id)
        try:
            with atomic_path(kept) as temporary:
                temporary.write_text(f"{row.scene}\n{name}: {error}\n\n{told}", encoding="utf-8", errors="replace")
        except (OutputError, OSError) as trouble:
            _logger.warning("the traceback cannot be kept: %s", trouble)
            kept = None
    return replace(row, status="failed", failed_stage=name, error=error, traceback=kept)


def remove_traceback(out: Path, tile_id: str) -> None:
    """Remove the traceback of a tile that is fine now."""
    with contextlib.suppress(OSError):
        traceback_path(out, tile_id).unlink()


def traceback_path(out: Path, tile_id: str) -> Path:
    """The file that holds the traceback of a tile."""
    return out / ERRORS_FOLDER / f"{tile_id}.txt"
