"""The runtime of this process: one tile after the other through the stages, each tile failing for itself."""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from darts_export.staleness import Verdict
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.layout import ERRORS_FOLDER, RESULTS_FILE
from darts_nextgen.pipeline.partitions import kept_table
from darts_nextgen.pipeline.plan import RunPlan, plan_run
from darts_nextgen.pipeline.queueing import queued_scenes
from darts_nextgen.pipeline.rates import Pace, Rates
from darts_nextgen.pipeline.report import RunReport, TileRow
from darts_nextgen.pipeline.runfiles import RUN_FILE, write_config
from darts_nextgen.pipeline.stages import run_stages
from darts_nextgen.pipeline.tasks import SceneTask
from darts_nextgen.pipeline.tile_steps import Handling, NamedStep, remove_traceback, take_steps
from darts_utils.files import remove_leftovers, sole_writer
from darts_utils.logging import get_logger

_logger = get_logger(__name__)


class Progress(Protocol):
    """Told at the start of a run and after each tile."""

    def __call__(self, row: TileRow | None, *, finished: int, total: int | None, rates: Rates) -> None:
        """Take note.

        Args:
            row: What became of the tile that has just ended; None at the start.
            finished: Number of tiles that have ended.
            total: Number of tiles of the run; None where nobody knows it, because they arrive while it goes on.
            rates: How fast it goes.
        """
        ...


def log_progress(row: TileRow | None, *, finished: int, total: int | None, rates: Rates) -> None:
    """Write one log line for each tile."""
    if row is None:
        _logger.info("scenes to map: %s", "as they come" if total is None else total)
        return
    count = f"{finished}" if total is None else f"{finished}/{total}"
    if row.status == "failed":
        _logger.error("%s %s failed in %s: %s (%s)", count, row.tile_id, row.failed_stage, row.error, rates.text())
    elif row.status == "current":
        _logger.info("%s %s is complete and current (%s)", count, row.tile_id, rates.text())
    else:
        seconds = sum(row.seconds.values())
        _logger.info(
            "%s %s done in %.1f s, thaw slumps: %d (%s)", count, row.tile_id, seconds, row.objects, rates.text()
        )


def run_local(config: RunConfig, *, force: bool = False, progress: Progress = log_progress) -> RunReport:
    """Map the scenes of a run in this process; those whose results are complete and current are left as they are.

    Args:
        config: The run.
        force: Map all scenes.
        progress: Told how far the run is.

    Returns:
        What became of each tile. The results are in ``<out>/<tile_id>/``, the report in ``<out>/results.parquet/``, the
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
        for folder in (config.out, config.out / RESULTS_FILE, config.out / ERRORS_FOLDER):
            remove_leftovers(folder)
        write_config(config, config.out / RUN_FILE)
        yield
        with contextlib.suppress(OSError):  # it holds tracebacks of failed tiles
            (config.out / ERRORS_FOLDER).rmdir()


def _run_tasks(plan: RunPlan, steps: Sequence[NamedStep], *, force: bool, progress: Progress) -> RunReport:
    handling = Handling(plan.config.out, plan.config.retries)
    pace = Pace(plan.total)
    with kept_table(plan.config.out) as table:
        progress(None, finished=0, total=plan.total, rates=Rates())
        for scene in queued_scenes(plan, table):
            task = SceneTask(scene.row.scene, scene.row.tile_id)
            verdict = plan.judge(task, force=force)
            row = current_row(task, verdict, out=plan.config.out) or run_task(task, steps, handling=handling)
            table.end(scene.number, row)
            rates = pace.after(row)
            progress(row, finished=pace.finished, total=plan.total, rates=rates)
    return table.report()


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
    remove_traceback(out, task.tile_id)  # a run that was killed when the tile was done has left it
    manifest, folder = verdict.manifest, out / task.tile_id
    products = {file.asset: str(folder / file.name) for file in manifest.files}
    return TileRow(
        task.tile_id, task.path, status="current", objects=manifest.summary.get("objects"), products=products
    )


def run_task(task: SceneTask, steps: Sequence[NamedStep], *, handling: Handling) -> TileRow:
    """Take one scene through all steps.

    Args:
        task: The scene.
        steps: Name of each stage and its step, in order.
        handling: What is done about errors.
    """
    row, _ = take_steps(TileRow(task.tile_id, task.path), task, steps, handling=handling)
    return row
