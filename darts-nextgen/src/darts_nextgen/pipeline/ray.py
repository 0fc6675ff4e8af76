"""The runtime of a Ray cluster: the stages of a run as a stream of tiles through tasks, model workers and tasks again."""

import logging
import math
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice

from darts_nextgen.pipeline.admission import expected_bytes
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.inputs import model_hashes
from darts_nextgen.pipeline.local import Progress, log_progress, run_folder
from darts_nextgen.pipeline.node_watch import watched_nodes
from darts_nextgen.pipeline.partitions import kept_table
from darts_nextgen.pipeline.plan import RunPlan, plan_run
from darts_nextgen.pipeline.queueing import queued_scenes
from darts_nextgen.pipeline.rates import Pace, Rates
from darts_nextgen.pipeline.ray_board import Board
from darts_nextgen.pipeline.ray_cluster import check_nodes, connected, node_resources
from darts_nextgen.pipeline.ray_feed import ended_scenes
from darts_nextgen.pipeline.ray_stream import Operators
from darts_nextgen.pipeline.ray_workers import ModelWorker, RaySpec, finish_tiles, prepare_scenes
from darts_nextgen.pipeline.report import RunReport
from darts_nextgen.pipeline.resources import Resources, derive_resources
from darts_nextgen.pipeline.runfiles import absolute_config
from darts_utils.files import exists
from darts_utils.logging import get_logger

_logger = get_logger(__name__)

_MOST_FOLDERS = 100
"""Folders of scenes that every node is asked about."""


def run_ray(config: RunConfig, *, force: bool = False, progress: Progress = log_progress) -> RunReport:
    """Map the scenes of a run on a Ray cluster; those whose results are complete and current are left as they are.

    Args:
        config: The run; its section ``ray`` says what the stages may use. Paths must be the same on every node.
        force: Map all scenes.
        progress: Told how far the run is.

    Returns:
        What became of each tile, as `darts_nextgen.pipeline.local.run_local` returns it, with the same files.

    Raises:
        ConfigError: As `run_local`, and: the cluster has no GPU and one is asked for, a worker or a task would never find a place,
            or a node has other versions, other models, or does not see the paths; nothing has been written.
        CheckpointError: A model file cannot be used; nothing has been written.
        UnknownFrameworkError: No installed package provides a model's framework; nothing has been written.
        OutputError: Configuration or report cannot be written, or another run is writing into the same folder.
        DartsError: The cluster has broken off during the run.

    Notes:
        A scene that cannot be mapped is a row of the report, also where it has cost its workers their lives, and the others
        go on. A run that is interrupted, or killed, is continued by the next one.
    """
    plan = _plan(config)
    with connected(config.ray.address):
        resources = _checked(plan, device=config.device)
        with run_folder(config):
            return _mapped(plan, resources, force=force, progress=progress)


def plan_ray(config: RunConfig) -> Resources:
    """Check a run as `run_ray` does, and say what its stages would use; writes nothing.

    Raises:
        ConfigError: As `run_ray`.
        CheckpointError: A model file cannot be used.
        UnknownFrameworkError: No installed package provides a model's framework.
    """
    plan = _plan(config)
    with connected(config.ray.address):
        return _checked(plan, device=config.device)


def _plan(config: RunConfig) -> RunPlan:
    """Plan on the CPU, since the GPUs may be elsewhere; so may be the folders in which the workers are."""
    return plan_run(absolute_config(replace(config, device="cpu")))


def _checked(plan: RunPlan, *, device: str) -> Resources:
    config = plan.config
    found = derive_resources(config.ray, device=device, nodes=node_resources())
    if plan.total is not None:  # no workers without a call
        calls = math.ceil(plan.total / found.tiles_per_call)
        found = replace(found, model_workers=max(1, min(found.model_workers, calls)))
    folders = dict.fromkeys(task.path.parent for task in plan.tasks)
    given = [*config.models, *(path for path in (config.dem, config.tcvis) if path is not None)]
    # what cannot be read here either is told by the tiles that need it
    check_nodes(
        read=[path for path in (*given, *islice(folders, _MOST_FOLDERS)) if exists(path)],
        write=config.out,
        same=partial(_digests, config, tuple(plan.model_hashes)),
    )
    return found


def _digests(config: RunConfig, models: Collection[str]) -> dict[str, str]:
    """Digest of the file of each model that takes part, under a name for the reader."""
    found = model_hashes(config)
    return {f"model '{name}'": found.get(name, "none") for name in models}


def _mapped(plan: RunPlan, resources: Resources, *, force: bool, progress: Progress) -> RunReport:
    """Take the scenes of a run through its stages, and write down what becomes of each."""
    config, pace = plan.config, Pace(plan.total, workers=resources.model_workers)
    needed_bytes = partial(expected_bytes, config=config, features=plan.features, models=len(plan.model_hashes))
    with kept_table(config.out) as table:
        progress(None, finished=0, total=plan.total, rates=Rates())
        ended = ended_scenes(
            queued_scenes(plan, table),
            partial(_operators, plan, device=resources.device, force=force),
            resources=resources,
            needed_bytes=lambda row: needed_bytes(row.scene),
        )
        with watched_nodes(needs_gpus=resources.model_gpus > 0), closing(ended):
            for scene, row in ended:
                table.end(scene.number, row)
                for note in row.warnings:
                    _logger.debug("[%s] %s", row.tile_id, note)
                rates = pace.after(row)
                progress(row, finished=pace.finished, total=plan.total, rates=rates)
    return table.report()


def _operators(plan: RunPlan, board: Board, *, device: str, force: bool) -> Operators:
    """The stages, for workers that note on a board what they try."""
    spec = RaySpec(
        replace(plan.config, device=device),
        plan.features,
        dict(plan.model_hashes),
        force=force,
        board=board,
        debug=logging.getLogger("darts").isEnabledFor(logging.DEBUG),
    )
    return Operators(
        prepare=partial(prepare_scenes, spec=spec),
        worker=ModelWorker,
        worker_arguments=(spec,),
        finish=partial(finish_tiles, spec=spec),
    )
