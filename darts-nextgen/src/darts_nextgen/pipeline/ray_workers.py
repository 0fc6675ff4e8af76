"""The stages of a run as Ray Data calls them in its workers: tables of tiles in, tables of tiles out.

A row carries a tile (`darts_nextgen.pipeline.rows`) and, as JSON, its row of the results table so far. A tile that has failed,
or has nothing left to do, goes on as a row without a tile.
"""

import errno
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import xarray as xr

from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.inputs import model_hashes
from darts_nextgen.pipeline.local import current_row
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.resuming import judge_task
from darts_nextgen.pipeline.rows import TILE_COLUMN, from_row, to_row
from darts_nextgen.pipeline.stages import Stage, infer_tiles, load_models, run_stages
from darts_nextgen.pipeline.tasks import SceneTask
from darts_utils.errors import CheckpointError
from darts_utils.faults import attempt, collected_warnings
from darts_utils.logging import get_logger, log_tile

REPORT_COLUMN = "darts_row"
"""The JSON column with what has become of the tile."""

_TRANSIENT = frozenset(
    [errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED,
     errno.ECONNABORTED, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.EREMOTEIO]
)  # fmt: skip
"""Errors of the system that may pass."""

_logger = get_logger(__name__)


@dataclass(frozen=True)
class RaySpec:
    """What every worker is told: enough to build the stages there."""

    config: RunConfig
    """The run; its device is that of a model worker."""
    features: tuple[str, ...]
    """Features that preprocessing makes."""
    model_hashes: dict[str, str]
    """Name of each model that takes part → SHA-256 of its file."""
    force: bool = False
    """Make all tiles, also those that are current."""

    def stages(self) -> dict[str, Stage]:
        """The stages of the run by name."""
        made = run_stages(
            self.config,
            features=self.features,
            models=partial(load_models, self.config),
            model_hashes=self.model_hashes,
        )
        return {stage.name: stage for stage in made}


def tile_table(row: TileRow, tile: xr.Dataset | None = None) -> pa.Table:
    """Make the table of one row that travels."""
    values = {**asdict(replace(row, seconds={}, products={})), "scene": str(row.scene)}
    text = json.dumps(values | {"seconds": dict(row.seconds), "products": dict(row.products)})
    table = pa.table({TILE_COLUMN: pa.nulls(1, pa.large_string())}) if tile is None else to_row(tile)
    return table.append_column(REPORT_COLUMN, pa.array([text], pa.large_string()))


def tile_rows(table: pa.Table) -> list[TileRow]:
    """Read what has become of the tiles of a table."""
    values = [json.loads(text) for text in table[REPORT_COLUMN].to_pylist()]
    return [TileRow(**{**each, "scene": Path(each["scene"]), "warnings": tuple(each["warnings"])}) for each in values]


def prepare_scenes(table: pa.Table, *, spec: RaySpec) -> Iterator[pa.Table]:
    """Load and preprocess the scenes of a table; those whose results are current have nothing left to do."""
    stages = spec.stages()
    for row in tile_rows(table):
        task = SceneTask(row.scene, row.tile_id)
        judged = _passed(row, "load", partial(_judged, task, spec=spec), retries=spec.config.ray.retries)
        made, found = judged
        if made.status == "failed":
            yield tile_table(made)
        elif found is not None:
            yield tile_table(found)
        else:
            yield tile_table(*_through(row, task, [stages["load"], stages["preprocess"]], spec=spec))


def finish_tiles(table: pa.Table, *, spec: RaySpec) -> Iterator[pa.Table]:
    """Postprocess and export the tiles of a table."""
    stages = spec.stages()
    for index, row in enumerate(tile_rows(table)):
        if row.status != "pending":
            yield tile_table(row)
            continue
        tile = from_row(table, index=index)
        done, outcome = _through(row, tile, [stages["postprocess"], stages["export"]], spec=spec)
        if outcome is not None:
            done = replace(done, status="done", objects=outcome.objects, products=outcome.products)
        yield tile_table(done)


class ModelWorker:
    """Holds the models of a run and adds their probabilities to tiles.

    Args:
        spec: The run.
    """

    def __init__(self, spec: RaySpec) -> None:
        self._spec = spec
        # A model that cannot be loaded here is told by each tile, as every other error is.
        self._loaded = attempt(partial(_load_same_models, spec), step="loading the models", logger=_logger)

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """Add the probabilities to the tiles of a table; their patches share the batches of the networks."""
        rows = tile_rows(table)
        pending = [index for index, row in enumerate(rows) if row.status == "pending"]
        yield from (tile_table(row) for row in rows if row.status != "pending")
        tiles = [from_row(table, index=index) for index in pending]
        if len(tiles) > 1:
            together = attempt(partial(self._infer_together, tiles), step="inference", logger=_logger)
            if together.value is not None:
                seconds = together.seconds / len(tiles)
                for index, tile in zip(pending, together.value, strict=True):
                    yield tile_table(_timed(rows[index], "inference", seconds), tile)
                return
        for index, tile in zip(pending, tiles, strict=True):  # one by one, so that each fails, and warns, for itself
            with log_tile(rows[index].tile_id):
                row, made = _passed(
                    rows[index], "inference", partial(self._infer_one, tile), retries=self._spec.config.ray.retries
                )
            yield tile_table(row, made)

    def _infer_together(self, tiles: Sequence[xr.Dataset]) -> list[xr.Dataset] | None:
        """Probabilities of several tiles; None where there were warnings, which belong to one tile each."""
        if self._loaded.value is None:
            return None
        with collected_warnings() as notes:
            made = infer_tiles(tiles, config=self._spec.config, ensemble=self._loaded.value)
        return None if notes else made

    def _infer_one(self, tile: xr.Dataset) -> xr.Dataset:
        if self._loaded.value is None:
            raise CheckpointError(f"the models cannot be used on this node: {self._loaded.error}")
        return infer_tiles([tile], config=self._spec.config, ensemble=self._loaded.value)[0]


def _load_same_models(spec: RaySpec) -> Any:
    found = model_hashes(spec.config)
    other = [name for name, value in spec.model_hashes.items() if found.get(name) != value]
    if other:
        raise CheckpointError(
            f"expected the same model files on every node, but {', '.join(other)} differs here from where the run was "
            "started: copy the files, or keep them on storage that all nodes share"
        )
    return load_models(spec.config)


def _judged(task: SceneTask, *, spec: RaySpec) -> TileRow | None:
    verdict = judge_task(task, config=spec.config, features=spec.features, models=spec.model_hashes, force=spec.force)
    return current_row(task, verdict, out=spec.config.out)


def _through(row: TileRow, passed: Any, stages: Sequence[Stage], *, spec: RaySpec) -> tuple[TileRow, Any]:
    """Take what is there through some stages, as far as it goes."""
    with log_tile(row.tile_id):
        for stage in stages:
            row, passed = _passed(row, stage.name, partial(stage.make(), passed), retries=spec.config.ray.retries)
            if passed is None:
                break
    return row, passed


def _passed(row: TileRow, name: str, work: Callable[[], Any], *, retries: int) -> tuple[TileRow, Any]:
    """Do one stage; the boundary at which everything that goes wrong becomes a row."""
    with collected_warnings() as notes:
        done = attempt(partial(retried, work, retries=retries), step=name, logger=_logger)
    row = replace(_timed(row, name, done.seconds), warnings=tuple(dict.fromkeys((*row.warnings, *notes))))
    if done.error is not None:
        row = replace(row, status="failed", failed_stage=name, error=done.error)
    return row, done.value


def _timed(row: TileRow, name: str, seconds: float) -> TileRow:
    return replace(row, seconds={**row.seconds, name: row.seconds.get(name, 0.0) + seconds})


def retried(work: Callable[[], Any], *, retries: int, pause_seconds: float = 1.0) -> Any:
    """Do a piece of work again where it failed for a reason that may pass.

    Args:
        work: What to do.
        retries: How often it is tried again at most.
        pause_seconds: Pause before the first repetition; each further one is twice as long.

    Returns:
        What the work returns.
    """
    for repetition in range(retries):
        try:
            return work()
        except Exception as error:
            if not is_transient(error):
                raise
            _logger.warning("%s; trying again", error)
        time.sleep(pause_seconds * 2**repetition)
    return work()


def is_transient(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is one of the network or the file system that may pass.

    Examples:
        >>> is_transient(OSError(errno.ESTALE, "stale file handle")), is_transient(OSError(errno.ENOSPC, "disk full"))
        (True, False)
    """
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError):
            return True
        if isinstance(error, OSError) and error.errno in _TRANSIENT:
            return True
        error = error.__cause__
    return False
