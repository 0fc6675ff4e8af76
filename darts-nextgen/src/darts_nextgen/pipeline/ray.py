"""The runtime of a Ray cluster: the stages of a run as a stream of tiles through tasks, model workers and tasks again."""

from dataclasses import replace
from functools import partial

from ray.data import Dataset

from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.local import Progress, kept_report, log_progress, run_folder
from darts_nextgen.pipeline.plan import RunPlan, plan_run
from darts_nextgen.pipeline.ray_cluster import check_nodes, connected, node_resources
from darts_nextgen.pipeline.ray_stream import Operators, stream_tables
from darts_nextgen.pipeline.ray_workers import ModelWorker, RaySpec, finish_tiles, prepare_scenes, tile_rows, tile_table
from darts_nextgen.pipeline.report import RESULTS_FILE, RunReport, TileRow
from darts_nextgen.pipeline.resources import Resources, derive_resources
from darts_utils.logging import get_logger

_logger = get_logger(__name__)


def run_ray(config: RunConfig, *, force: bool = False, progress: Progress = log_progress) -> RunReport:
    """Map the scenes of a run on a Ray cluster; those whose results are complete and current are left as they are.

    Args:
        config: The run; its section ``ray`` says what the stages may use. Paths must be the same on every node.
        force: Map all scenes.
        progress: Told how far the run is.

    Returns:
        What became of each tile, as `darts_nextgen.pipeline.local.run_local` returns it, with the same files.

    Raises:
        ConfigError: As `run_local`, and: the cluster has no GPU and one is asked for, a worker would never find a place, or a
            node has other versions; nothing has been written.
        CheckpointError: A model file cannot be used; nothing has been written.
        UnknownFrameworkError: No installed package provides a model's framework; nothing has been written.
        OutputError: Configuration or report cannot be written, or another run is writing into the same folder.

    Notes:
        A scene that cannot be mapped is a row of the report, also where it has cost its workers their lives, and the others
        go on. A run that is interrupted, or killed, is continued by the next one.
    """
    plan = _plan(config)
    with connected(config.ray.address):
        resources = derive_resources(config.ray, device=config.device, nodes=node_resources())
        check_nodes()
        with run_folder(config):
            return _run_tasks(plan, resources, force=force, progress=progress)


def plan_ray(config: RunConfig) -> Resources:
    """Check a run as `run_ray` does, and say what its stages would use; writes nothing.

    Raises:
        ConfigError: As `run_ray`.
        CheckpointError: A model file cannot be used.
        UnknownFrameworkError: No installed package provides a model's framework.
    """
    _plan(config)
    with connected(config.ray.address):
        found = derive_resources(config.ray, device=config.device, nodes=node_resources())
        check_nodes()
        return found


def _plan(config: RunConfig) -> RunPlan:
    """Plan on the CPU: the GPUs may be elsewhere."""
    return plan_run(replace(config, device="cpu"))


def _run_tasks(plan: RunPlan, resources: Resources, *, force: bool, progress: Progress) -> RunReport:
    table = plan.config.out / RESULTS_FILE
    rows = {task.tile_id: TileRow(task.tile_id, task.path) for task in plan.tasks}
    finished = 0
    spec = RaySpec(replace(plan.config, device=resources.device), plan.features, dict(plan.model_hashes), force=force)
    with kept_report(rows.values(), table) as keep:
        progress(None, finished=0, total=len(rows))
        for batch in _stream(list(rows.values()), spec, resources).iter_batches(
            batch_size=None, batch_format="pyarrow"
        ):
            for row in tile_rows(batch):
                rows[row.tile_id] = row
                finished += 1
                for note in row.warnings:
                    _logger.warning("[%s] %s", row.tile_id, note)
                progress(row, finished=finished, total=len(rows))
            keep()
        for lost in [row for row in rows.values() if row.status == "pending"]:
            finished += 1
            rows[lost.tile_id] = replace(
                lost,
                status="failed",
                error="WorkerLost: each worker that had the tile was lost: look into Ray's logs for why",
            )
            progress(rows[lost.tile_id], finished=finished, total=len(rows))
    return RunReport(tuple(rows.values()), table)


def _stream(rows: list[TileRow], spec: RaySpec, resources: Resources) -> Dataset:
    """The stages one after the other; nothing runs before someone asks for results."""
    operators = Operators(
        prepare=partial(prepare_scenes, spec=spec),
        worker=ModelWorker,
        worker_arguments=(spec,),
        finish=partial(finish_tiles, spec=spec),
    )
    return stream_tables(
        [tile_table(row) for row in rows], operators, resources=resources, retries=spec.config.ray.retries
    )
