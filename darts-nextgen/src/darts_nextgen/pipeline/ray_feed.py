"""Scenes through the operators of Ray Data, any number of them, as far as there is room for their tiles.

What the operators do, and what a tile needs, is handed in: a run hands in its stages, a benchmark or a simulation what stands for them.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import ray

from darts_nextgen.pipeline.admission import Admission
from darts_nextgen.pipeline.queueing import Queued, with_pauses
from darts_nextgen.pipeline.ray_board import Board
from darts_nextgen.pipeline.ray_stream import Operators, stream_tables
from darts_nextgen.pipeline.ray_workers import tile_rows, tile_table
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.resources import Resources
from darts_utils.errors import DartsError

_PAUSE_SECONDS = 1.0
"""Where no scene has come for this long, tiles that wait for others to share a call with go on without."""

_SCENES_PER_STREAM = 10_000
"""Scenes that are mapped by one stream of Ray Data."""

_FREED_AFTER_SECONDS = 1.0
"""The rhythm in which Ray frees what nobody needs any more (its ``free_objects_period_milliseconds``)."""

_BLANK = TileRow("", Path(), status="current")
"""Stands for no scene: goes through everything untouched."""


def ended_scenes(
    scenes: Iterator[Queued],
    operators: Callable[[Board], Operators],
    *,
    resources: Resources,
    needed_bytes: Callable[[TileRow], int],
) -> Generator[tuple[Queued, TileRow], None, None]:
    """Take scenes through operators, and give each when it has ended, in the order in which they do.

    Args:
        scenes: Rows that are pending; there may be more of them at any time.
        operators: Makes what is done to them, given the board on which they are posted.
        resources: What the operators may use.
        needed_bytes: What the tile of a scene will need in the object store when it is complete.

    Yields:
        The scene as it came, and its row as the last operator gave it. A scene whose tile id another one has that is on its way
        is a failed row.

    Raises:
        DartsError: The cluster has broken off, or done a scene twice.

    Notes:
        To be closed by who asks for no more, lest a thread wait for room for ever.
    """
    yield from _Feed(scenes, operators, resources=resources, needed_bytes=needed_bytes).ended()


@dataclass(frozen=True)
class _Posted:
    """A scene that is on its way."""

    number: int
    """Its number on the board."""
    scene: Queued
    """The scene."""


class _Feed:
    """Scenes are posted by a thread of its own; they end in the one that asks for them."""

    def __init__(
        self,
        scenes: Iterator[Queued],
        operators: Callable[[Board], Operators],
        *,
        resources: Resources,
        needed_bytes: Callable[[TileRow], int],
    ) -> None:
        self._scenes = with_pauses(scenes, pause_seconds=_PAUSE_SECONDS)
        self._operators = operators
        self._resources = resources
        self._needed_bytes = needed_bytes
        self._admission = Admission(resources.in_flight_bytes, least=resources.tiles_per_call)
        self._on_the_way: dict[str, _Posted] = {}
        self._refused: deque[tuple[Queued, TileRow]] = deque()
        self._is_over = False
        self._trouble: BaseException | None = None

    def ended(self) -> Iterator[tuple[Queued, TileRow]]:
        try:
            while not self._is_over:
                yield from self._stream()
        finally:
            self._admission.close()

    def _stream(self) -> Iterator[tuple[Queued, TileRow]]:
        """Map the next scenes by one stream of Ray Data, which notes a little about each of its blocks, and so must end."""
        board = Board.beside_driver()
        threading.Thread(target=self._post_some, args=(board,), daemon=True, name="admission").start()
        source = partial(board.scenes, blank=tile_table(_BLANK))
        stream = stream_tables(source, self._operators(board), resources=self._resources)
        try:
            # Whatever Ray fetched ahead, it would keep until more comes, and more may wait for just this tile to leave.
            for batch in stream.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for row in tile_rows(batch):
                    if row.tile_id != _BLANK.tile_id:
                        posted = self._on_the_way.pop(row.tile_id, None)
                        if posted is None:
                            raise DartsError(
                                f"Ray has given tile '{row.tile_id}' twice: start the run again, and it makes what is missing"
                            )
                        board.take_down(posted.number)
                        self._leave(posted.scene, row)
                        yield posted.scene, row
                yield from self._taken_refused()
        except ray.exceptions.RayError as error:
            raise DartsError(
                f"the run broke off, because the Ray cluster did ({' '.join(str(error).split())[-300:]}): start it again, and "
                "it goes on where it was"
            ) from error
        if self._trouble is not None:
            raise self._trouble
        yield from self._taken_refused()

    def _leave(self, scene: Queued, row: TileRow) -> None:
        """Make room for others, as soon as Ray has freed what the tile has needed."""
        leave = partial(self._admission.leave, scene.number, measured_bytes=row.bytes.get("inference", 0))
        if not row.bytes:  # it never was a tile
            leave()
            return
        timer = threading.Timer(_FREED_AFTER_SECONDS, leave)
        timer.daemon = True
        timer.start()

    def _taken_refused(self) -> Iterator[tuple[Queued, TileRow]]:
        while self._refused:
            yield self._refused.popleft()

    def _post_some(self, board: Board) -> None:
        """What the thread does: post scenes when there is room for them, until there are enough or no more."""
        try:
            count = 0
            for scene in self._scenes:
                if self._admission.is_closed:
                    break
                if scene is None:
                    count += self._post_blanks(board, count)
                else:
                    count += self._post(scene, board, count)
                if count >= _SCENES_PER_STREAM:
                    break
            else:
                self._is_over = True
        except BaseException as error:  # noqa: BLE001 - it is raised by the other thread
            self._trouble, self._is_over = error, True
        with contextlib.suppress(Exception):  # the cluster may be gone, or this process not connected to it any more
            board.close()

    def _post(self, scene: Queued, board: Board, number: int) -> int:
        row = scene.row
        other = self._on_the_way.get(row.tile_id)  # which may end at any moment
        if other is not None:
            error = (
                f"ConfigError: expected a tile id of its own for each scene, but '{other.scene.row.scene}' "
                "has the same and is being mapped: rename one, or map them apart"
            )
            self._refused.append((scene, replace(row, status="failed", error=error)))
            return 0
        if not self._admission.enter(scene.number, expected_bytes=self._needed_bytes(row)):
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
