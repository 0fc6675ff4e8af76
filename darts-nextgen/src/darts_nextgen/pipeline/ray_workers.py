"""The stages of a run as Ray Data calls them in its workers: tables of tiles in, tables of tiles out.

A row carries a tile (`darts_nextgen.pipeline.rows`) and, as JSON, its row of the results table so far. A tile that has failed,
or has nothing left to do, goes on as a row without a tile.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import xarray as xr

from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.inputs import model_hashes
from darts_nextgen.pipeline.local import current_row
from darts_nextgen.pipeline.ray_board import Board
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.resuming import judge_task
from darts_nextgen.pipeline.rows import TILE_COLUMN, from_row, to_row
from darts_nextgen.pipeline.stages import infer_tiles, load_models, run_stages
from darts_nextgen.pipeline.tasks import SceneTask
from darts_nextgen.pipeline.tile_steps import Handling, NamedStep, failed_row, noted_row, take_steps, timed_row
from darts_nextgen.pipeline.transience import is_transient
from darts_utils.errors import CheckpointError
from darts_utils.faults import Attempt, attempt, caught_warnings, note_lines
from darts_utils.logging import configure_logging, get_logger, log_tile

REPORT_COLUMN = "darts_row"
"""The JSON column with what has become of the tile."""

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
    board: Board | None = None
    """Where workers note what they try; None: nowhere, and a scene may kill its workers without end."""
    debug: bool = False
    """Log timings and details too."""

    def steps(self, *names: str) -> list[NamedStep]:
        """Some steps of the run, made here."""
        made = run_stages(
            self.config,
            features=self.features,
            models=partial(load_models, self.config),
            model_hashes=self.model_hashes,
        )
        return [(stage.name, stage.make()) for stage in made if stage.name in names]

    @property
    def handling(self) -> Handling:
        """What is done about errors."""
        return Handling(self.config.out, self.config.retries)

    def start_logging(self) -> None:
        """Send the log lines of this worker, with their tiles, to its standard error, from where Ray hands them on."""
        if not logging.getLogger("darts").handlers:
            configure_logging(debug=self.debug)


def tile_table(row: TileRow, tile: xr.Dataset | None = None) -> pa.Table:
    """Make the table of one row that travels."""
    values = {**asdict(replace(row, seconds={}, products={}, bytes={})), "scene": str(row.scene)}
    values |= {"seconds": dict(row.seconds), "bytes": dict(row.bytes), "products": dict(row.products)}
    text = json.dumps(values | {"traceback": None if row.traceback is None else str(row.traceback)})
    table = pa.table({TILE_COLUMN: pa.nulls(1, pa.large_string())}) if tile is None else to_row(tile)
    return table.append_column(REPORT_COLUMN, pa.array([text], pa.large_string()))


def tile_rows(table: pa.Table) -> list[TileRow]:
    """Read what has become of the tiles of a table."""
    return [_row_of(json.loads(text)) for text in table[REPORT_COLUMN].to_pylist()]


def _row_of(values: dict[str, Any]) -> TileRow:
    kept = values["traceback"]
    paths = {"scene": Path(values["scene"]), "traceback": None if kept is None else Path(kept)}
    return TileRow(**{**values, **paths, "warnings": tuple(values["warnings"])})


def prepare_scenes(table: pa.Table, *, spec: RaySpec) -> Iterator[pa.Table]:
    """Load and preprocess the scenes of a table; those whose results are current have nothing left to do."""
    spec.start_logging()
    for row in tile_rows(table):
        if row.status != "pending":
            yield tile_table(row)
            continue
        yield from _watched(row, "load", partial(_prepared, row, spec=spec), spec=spec)


def _prepared(row: TileRow, *, spec: RaySpec) -> pa.Table:
    task = SceneTask(row.scene, row.tile_id)
    judged, found = take_steps(row, task, [("load", partial(_judged, spec=spec))], handling=spec.handling)
    if judged.status == "failed":
        return tile_table(judged)
    if isinstance(found, TileRow):
        return tile_table(found)
    return _travelling(*take_steps(judged, task, spec.steps("load", "preprocess"), handling=spec.handling), spec=spec)


def _judged(task: SceneTask, *, spec: RaySpec) -> TileRow | None:
    verdict = judge_task(task, config=spec.config, features=spec.features, models=spec.model_hashes, force=spec.force)
    return current_row(task, verdict, out=spec.config.out)


def finish_tiles(table: pa.Table, *, spec: RaySpec) -> Iterator[pa.Table]:
    """Postprocess and export the tiles of a table."""
    spec.start_logging()
    for index, row in enumerate(tile_rows(table)):
        if row.status != "pending":
            yield tile_table(row)
            continue
        yield from _watched(row, "export", partial(_finished, row, table, index=index, spec=spec), spec=spec)


def _finished(row: TileRow, table: pa.Table, *, index: int, spec: RaySpec) -> pa.Table:
    steps = spec.steps("postprocess", "export")
    done, _ = take_steps(row, from_row(table, index=index), steps, handling=spec.handling)
    return tile_table(done)


def _watched(row: TileRow, stage: str, work: Callable[[], pa.Table], *, spec: RaySpec) -> Iterator[pa.Table]:
    """Do what may cost the worker its life; a tile that has done so too often fails."""
    if spec.board is None:
        yield work()
        return
    (tried,) = spec.board.begin(stage, [row.tile_id])
    yield _lost(row, stage, tried, spec=spec) if tried > spec.config.retries + 1 else work()
    spec.board.end(stage, [row.tile_id])  # after Ray has taken the table, which may be what is too much


def _lost(row: TileRow, stage: str, tried: int, *, spec: RaySpec) -> pa.Table:
    error = f"WorkerLost: {tried - 1} workers were lost while they had the tile: look into Ray's logs for why"
    return tile_table(failed_row(row, stage, error=error, told=None, out=spec.config.out))


def _travelling(row: TileRow, tile: xr.Dataset | None, *, spec: RaySpec) -> pa.Table:
    """The table of a tile; one that a table cannot hold has failed."""
    if tile is None:
        return tile_table(row)
    with log_tile(row.tile_id):
        packed = attempt(partial(tile_table, row, tile), step="packing", logger=_logger)
    if packed.value is not None:
        return packed.value
    stage = next(reversed([*row.seconds]), None)
    return tile_table(failed_row(row, stage, error=str(packed.error), told=packed.traceback, out=spec.config.out))


class ModelWorker:
    """A process that holds the models.

    Args:
        spec: The run.
    """

    def __init__(self, spec: RaySpec) -> None:
        spec.start_logging()
        self._spec = spec
        self._loaded = self._load()

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """Add the probabilities to the tiles of a table; their patches share the batches of the networks."""
        if self._loaded.value is None:  # what was wrong with the storage may have passed
            self._loaded = self._load()
        rows = tile_rows(table)
        pending = {index: row for index, row in enumerate(rows) if row.status == "pending"}
        together = self._inferred_together(pending, table)
        # Each in its own place, whatever has become of the others: of a call that is done again, because a node was lost, Ray
        # takes what is missing by its place, and a tile that was pending the first time may be current by now.
        for index, row in enumerate(rows):
            if index not in pending:
                yield tile_table(row)
            elif index in together:
                yield _travelling(*together.pop(index), spec=self._spec)
            else:  # alone, so that it fails for itself
                yield from _watched(row, "inference", partial(self._inferred, row, table, index=index), spec=self._spec)
        self._note_end([*pending.values()])

    def _load(self) -> Attempt[Any]:
        """Load the models; where that fails each tile tells it, as every other error."""
        return attempt(
            partial(_load_same_models, self._spec),
            step="loading the models",
            logger=_logger,
            retries=self._spec.config.retries,
            may_pass=is_transient,
        )

    def _inferred_together(
        self, pending: Mapping[int, TileRow], table: pa.Table
    ) -> dict[int, tuple[TileRow, xr.Dataset]]:
        """The tiles of a call, by their places, whose patches have shared batches; nothing where they have to go one by one."""
        if len(pending) < 2 or not self._is_first_try([*pending.values()]):
            return {}
        tiles = [from_row(table, index=index) for index in pending]
        with caught_warnings() as caught:
            together = attempt(partial(self._infer_together, tiles), step="inference", logger=_logger)
        if together.value is None:
            return {}
        found = {}
        for (index, row), tile in zip(pending.items(), together.value, strict=True):
            timed = timed_row(row, "inference", seconds=together.seconds / len(tiles), made=tile)
            with log_tile(row.tile_id):
                found[index] = (noted_row(timed, note_lines(caught, tile_id=row.tile_id)), tile)
        return found

    def _is_first_try(self, rows: Sequence[TileRow]) -> bool:
        """Whether no worker was lost with these tiles; where one was, they go one by one, to find the one that did it."""
        if self._spec.board is None:
            return True
        return max(self._spec.board.begin("inference together", [row.tile_id for row in rows])) == 1

    def _note_end(self, rows: Sequence[TileRow]) -> None:
        if self._spec.board is not None:
            self._spec.board.end("inference together", [row.tile_id for row in rows])

    def _inferred(self, row: TileRow, table: pa.Table, *, index: int) -> pa.Table:
        steps = [("inference", self._infer_one)]
        return _travelling(
            *take_steps(row, from_row(table, index=index), steps, handling=self._spec.handling), spec=self._spec
        )

    def _infer_together(self, tiles: Sequence[xr.Dataset]) -> list[xr.Dataset] | None:
        """Probabilities of several tiles; None where there are no models, which each tile tells for itself."""
        if self._loaded.value is None:
            return None
        return infer_tiles(tiles, config=self._spec.config, ensemble=self._loaded.value)

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
