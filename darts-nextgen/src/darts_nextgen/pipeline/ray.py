"""The runtime of a Ray cluster: the stages of a run as a stream of tiles through tasks, model workers and tasks again."""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import ray
from ray.data import Dataset

from darts_nextgen.pipeline.admission import Admission, expected_bytes
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.local import Progress, log_progress, run_folder
from darts_nextgen.pipeline.partitions import KeptTable, kept_table
from darts_nextgen.pipeline.plan import RunPlan, plan_run
from darts_nextgen.pipeline.queueing import Queued, queued_scenes, with_pauses
from darts_nextgen.pipeline.rates import Pace, Rates
from darts_nextgen.pipeline.ray_board import Board
from darts_nextgen.pipeline.ray_cluster import check_nodes, connected, node_resources
from darts_nextgen.pipeline.ray_stream import CALLS_AHEAD, Operators, stream_tables
from darts_nextgen.pipeline.ray_workers import ModelWorker, RaySpec, finish_tiles, prepare_scenes, tile_rows, tile_table
from darts_nextgen.pipeline.report import RunReport, TileRow
from darts_nextgen.pipeline.resources import Resources, derive_resources
from darts_utils.errors import DartsError
from darts_utils.logging import get_logger

_logger = get_logger(__name__)

_PAUSE_SECONDS = 1.0
"""Where no scene has come for this long, tiles that wait for others to share a call with go on without."""

_SCENES_PER_STREAM = 10_000
"""Scenes that are mapped by one stream of Ray Data."""

_MOST_FOLDERS = 100
"""Folders of scenes that every node is asked about."""

_BLANK = TileRow("", Path(), status="current")
"""Stands for no scene: goes through everything untouched."""


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
        resources = _checked(plan, device=config.device)
        with run_folder(config):
            return _RayRun(plan, resources, force=force, progress=progress).do()


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
    """Plan on the CPU: the GPUs may be elsewhere."""
    return plan_run(replace(config, device="cpu"))


def _checked(plan: RunPlan, *, device: str) -> Resources:
    found = derive_resources(plan.config.ray, device=device, nodes=node_resources())
    config = plan.config
    folders = dict.fromkeys(task.path.parent for task in plan.tasks)
    given = [*config.models, *(path for path in (config.dem, config.tcvis) if path is not None)]
    # what cannot be read here either is told by the tiles that need it
    check_nodes(
        read=[path.absolute() for path in (*given, *islice(folders, _MOST_FOLDERS)) if path.exists()], write=config.out
    )
    return found


class _RayRun:
    """One run; scenes are posted by a thread of its own, as far as there is room for their tiles."""

    def __init__(self, plan: RunPlan, resources: Resources, *, force: bool, progress: Progress) -> None:
        self._plan = plan
        self._resources = resources
        self._force = force
        self._progress = progress
        self._pace = Pace(plan.total, workers=resources.model_workers)
        self._admission = Admission(
            resources.in_flight_bytes,
            # of the calls that wait, and of the one whose answer is on its way, the store has tiles without and with probabilities
            held=resources.model_workers * resources.tiles_per_call * (CALLS_AHEAD + 1),
            least=resources.tiles_per_call,
        )
        self._on_the_way: dict[str, _Posted] = {}
        self._lock = threading.Lock()  # tiles end in one thread; in the other, those that are not even posted
        self._is_over = False
        self._trouble: BaseException | None = None

    def do(self) -> RunReport:
        with kept_table(self._plan.config.out) as table:
            self._progress(None, finished=0, total=self._plan.total, rates=Rates())
            scenes = with_pauses(queued_scenes(self._plan, table), pause_seconds=_PAUSE_SECONDS)
            while not self._is_over:
                self._stream(scenes, table)
        return table.report()

    def _stream(self, scenes: Iterator[Queued | None], table: KeptTable) -> None:
        """Map the next scenes by one stream of Ray Data, which notes a little about each of its blocks, and so must end."""
        board = Board.beside_driver()
        threading.Thread(target=self._post_some, args=(scenes, board, table), daemon=True, name="admission").start()
        try:
            # Whatever Ray fetched ahead, it would keep until more comes, and more may wait for just this tile to leave.
            ended = self._operators(board).iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
            for batch in ended:
                for row in tile_rows(batch):
                    if row.tile_id != _BLANK.tile_id:
                        posted = self._on_the_way.pop(row.tile_id)
                        board.take_down(posted.number)
                        self._admission.leave(posted.scene.number, measured_bytes=row.bytes.get("inference", 0))
                        self._end(posted.scene.number, row, table)
        except ray.exceptions.RayError as error:
            raise DartsError(
                f"the run broke off, because the Ray cluster did ({' '.join(str(error).split())[-300:]}): start it again, and "
                "it goes on where it was"
            ) from error
        finally:
            if sys.exception() is not None:
                self._admission.close()
        if self._trouble is not None:
            raise self._trouble

    def _post_some(self, scenes: Iterator[Queued | None], board: Board, table: KeptTable) -> None:
        """What the thread does: post scenes when there is room for them, until there are enough or no more."""
        try:
            count = 0
            for scene in scenes:
                if self._admission.is_closed:
                    break
                if scene is None:
                    count += self._post_blanks(board, count)
                else:
                    count += self._post(scene, board, count, table)
                if count >= _SCENES_PER_STREAM:
                    break
            else:
                self._is_over = True
        except BaseException as error:  # noqa: BLE001 - it is raised by the thread of the run
            self._trouble, self._is_over = error, True
        with contextlib.suppress(ray.exceptions.RayError):  # the cluster may be gone
            board.close()

    def _post(self, scene: Queued, board: Board, number: int, table: KeptTable) -> int:
        row = scene.row
        if row.tile_id in self._on_the_way:
            error = (
                f"ConfigError: expected a tile id of its own for each scene, but '{self._on_the_way[row.tile_id].scene.row.scene}' "
                "has the same and is being mapped: rename one, or map them apart"
            )
            self._end(scene.number, replace(row, status="failed", error=error), table)
            return 0
        config, features, models = self._plan.config, self._plan.features, len(self._plan.model_hashes)
        needed = expected_bytes(row.scene, config=config, features=features, models=models)
        if not self._admission.enter(scene.number, expected_bytes=needed):
            return 0
        self._on_the_way[row.tile_id] = _Posted(number, scene)
        board.post(tile_table(row))
        return 1

    def _post_blanks(self, board: Board, number: int) -> int:
        """Let go on what waits for others to share a call with."""
        blanks = self._resources.tiles_per_call - 1 if self._on_the_way else 0
        for each in range(blanks):
            board.post(tile_table(_BLANK))
            board.take_down(number + each)
        return blanks

    def _end(self, number: int, row: TileRow, table: KeptTable) -> None:
        with self._lock:
            table.end(number, row)
            rates = self._pace.after(row)
            for note in row.warnings:
                _logger.debug("[%s] %s", row.tile_id, note)
            self._progress(row, finished=self._pace.finished, total=self._plan.total, rates=rates)

    def _operators(self, board: Board) -> Dataset:
        """The stages one after the other; nothing runs before someone asks for results."""
        spec = RaySpec(
            replace(self._plan.config, device=self._resources.device),
            self._plan.features,
            dict(self._plan.model_hashes),
            force=self._force,
            board=board,
            debug=logging.getLogger("darts").isEnabledFor(logging.DEBUG),
        )
        operators = Operators(
            prepare=partial(prepare_scenes, spec=spec),
            worker=ModelWorker,
            worker_arguments=(spec,),
            finish=partial(finish_tiles, spec=spec),
        )
        return stream_tables(partial(board.scenes, blank=tile_table(_BLANK)), operators, resources=self._resources)


@dataclass(frozen=True)
class _Posted:
    """A scene that is on its way."""

    number: int
    """Its number on the board."""
    scene: Queued
    """The scene."""
