"""The runtime of this process: one tile after the other through the stages, each tile failing for itself."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from darts_export.staleness import Verdict
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.plan import RunPlan, plan_run
from darts_nextgen.pipeline.report import RESULTS_FILE, RunReport, TileRow, write_report
from darts_nextgen.pipeline.runfiles import RUN_FILE, write_config
from darts_nextgen.pipeline.stages import run_stages
from darts_nextgen.pipeline.tasks import SceneTask
from darts_utils.faults import attempt, collected_warnings
from darts_utils.files import remove_leftovers, sole_writer
from darts_utils.logging import get_logger, log_tile

_logger = get_logger(__name__)

WRITE_EVERY_SECONDS = 5.0
"""The results table on disk is brought up to date when it is older than this."""

NamedStep = tuple[str, Callable[[Any], Any]]
"""A stage's name and what it made."""


class Progress(Protocol):
    """Told at the start of a run and after each tile."""

    def __call__(self, row: TileRow | None, *, finished: int, total: int) -> None:
        """Take note.

        Args:
            row: What became of the tile that has just ended; None at the start.
            finished: Number of tiles that have ended.
            total: Number of tiles of the run.
        """
        ...


def log_progress(row: TileRow | None, *, finished: int, total: int) -> None:
    """Write one log line for each tile."""
    if row is None:
        _logger.info("scenes to map: %d", total)
    elif row.status == "failed":
        _logger.error("%d/%d %s failed in %s: %s", finished, total, row.tile_id, row.failed_stage, row.error)
    elif row.status == "current":
        _logger.info("%d/%d %s is complete and current", finished, total, row.tile_id)
    else:
        seconds = sum(row.seconds.values())
        _logger.info("%d/%d %s done in %.1f s, thaw slumps: %d", finished, total, row.tile_id, seconds, row.objects)


def run_local(config: RunConfig, *, force: bool = False, progress: Progress = log_progress) -> RunReport:
    """Map the scenes of a run in this process; those whose results are complete and current are left as they are.

    Args:
        config: The run.
        force: Map all scenes.
        progress: Told how far the run is.

    Returns:
        What became of each tile. The results are in ``<out>/<tile_id>/``, the report in ``<out>/results.parquet``, the
        configuration in ``<out>/run.toml``.

    Raises:
        ConfigError: The run makes no sense as a whole, see `darts_nextgen.pipeline.plan.plan_run`; nothing has been written.
        CheckpointError: A model file cannot be used; nothing has been written.
        UnknownFrameworkError: No installed package provides a model's framework; nothing has been written.
        DeviceError: A named device is not there; nothing has been written.
        OutputError: Configuration or report cannot be written, or another run is writing into the same folder.

    Notes:
        A scene that cannot be mapped is a row of the report, and the others go on. A run that is interrupted, or killed,
        leaves a valid table, in which the scenes that were not run are pending; the next run does what is missing. Why a
        tile is made again is logged, and is what `RunPlan.judge` says.
    """
    plan = plan_run(config)
    with run_folder(config):
        stages = run_stages(
            plan.config, features=plan.features, models=lambda: plan.ensemble, model_hashes=plan.model_hashes
        )
        steps = [(stage.name, stage.make()) for stage in stages]
        return _run_tasks(plan, steps, force=force, progress=progress)


@contextmanager
def run_folder(config: RunConfig) -> Iterator[None]:
    """Have the folder of a run alone: without what an interrupted run left half-written, and with the configuration in it.

    Args:
        config: The run.

    Raises:
        OutputError: The configuration cannot be written, or another run is writing into the same folder.
    """
    with sole_writer(config.out) as is_certain:
        if not is_certain:
            _logger.warning(
                "the file system of '%s' knows no locks on folders: see to it that no other run writes there at the same time",
                config.out,
            )
        remove_leftovers(config.out)
        write_config(config, config.out / RUN_FILE)
        yield


@contextmanager
def kept_report(rows: Collection[TileRow], table: Path) -> Iterator[Callable[[], None]]:
    """Keep the table of a run on disk: now, from time to time, and at the end, however that comes.

    Args:
        rows: The rows; looked at anew each time.
        table: The file.

    Yields:
        What to call after a tile; it writes if the last time is long ago.
    """
    write_report([*rows], table)
    written = time.monotonic()

    def keep() -> None:
        nonlocal written
        if time.monotonic() - written > WRITE_EVERY_SECONDS:
            write_report([*rows], table)
            written = time.monotonic()

    try:
        yield keep
    finally:
        write_report([*rows], table)


def _run_tasks(plan: RunPlan, steps: Sequence[NamedStep], *, force: bool, progress: Progress) -> RunReport:
    table = plan.config.out / RESULTS_FILE
    rows = [TileRow(task.tile_id, task.path) for task in plan.tasks]
    with kept_report(rows, table) as keep:
        progress(None, finished=0, total=len(rows))
        for index, task in enumerate(plan.tasks):
            verdict = plan.judge(task, force=force)
            rows[index] = current_row(task, verdict, out=plan.config.out) or run_task(task, steps)
            keep()
            progress(rows[index], finished=index + 1, total=len(rows))
    return RunReport(tuple(rows), table)


def current_row(task: SceneTask, verdict: Verdict, *, out: Path) -> TileRow | None:
    """The row of a tile for which there is nothing to do; None, and a log line that says why, where there is.

    Args:
        task: The scene.
        verdict: What is to be done for it.
        out: Folder of the results.
    """
    if verdict.manifest is None or not verdict.is_current:
        _logger.info("%s is to be mapped: %s", task.tile_id, "; ".join(verdict.reasons))
        return None
    manifest, folder = verdict.manifest, out / task.tile_id
    products = {file.asset: str(folder / file.name) for file in manifest.files}
    return TileRow(
        task.tile_id, task.path, status="current", objects=manifest.summary.get("objects"), products=products
    )


def run_task(task: SceneTask, steps: Sequence[NamedStep]) -> TileRow:
    """Take one scene through all steps; the boundary at which everything that goes wrong becomes a row.

    Args:
        task: The scene.
        steps: Name of each stage and its step, in order.
    """
    with log_tile(task.tile_id):
        with collected_warnings() as notes:
            row = _run_steps(task, steps)
        for note in notes:
            _logger.warning("%s", note)
    return replace(row, warnings=tuple(notes))


def _run_steps(task: SceneTask, steps: Sequence[NamedStep]) -> TileRow:
    seconds: dict[str, float] = {}
    passed: Any = task
    for name, step in steps:
        done = attempt(partial(step, passed), step=name, logger=_logger)
        seconds[name] = done.seconds
        if done.error is not None:
            return TileRow(
                task.tile_id, task.path, status="failed", failed_stage=name, error=done.error, seconds=seconds
            )
        passed = done.value
    return TileRow(
        task.tile_id, task.path, status="done", objects=passed.objects, seconds=seconds, products=passed.products
    )
