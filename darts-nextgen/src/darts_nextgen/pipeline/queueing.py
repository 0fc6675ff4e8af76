"""Scenes in the order in which they are taken up, those that arrive during the run last."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from darts_nextgen.pipeline.partitions import KeptTable
from darts_nextgen.pipeline.plan import RunPlan
from darts_nextgen.pipeline.report import TileRow

_ENOUGH = 16
"""Scenes that are read ahead from a stream."""


@dataclass(frozen=True)
class Queued:
    """A scene whose turn has come."""

    number: int
    """Its number in the results table."""
    row: TileRow
    """Its row, pending."""


def queued_scenes(plan: RunPlan, table: KeptTable) -> Iterator[Queued]:
    """Give the scenes of a run one by one, and put them into its table.

    Args:
        plan: The run. Of its tasks all are in the table, as pending, when the first is given; what its stream brings is added
            when it is given.
        table: The table.
    """
    known = [TileRow(task.tile_id, task.path) for task in plan.tasks]
    numbers = [table.add(row) for row in known]
    table.write()
    for number, row in zip(numbers, known, strict=True):
        yield Queued(number, row)
    del known, numbers
    for task in plan.stream or ():
        row = TileRow(task.tile_id, task.path)
        yield Queued(table.add(row), row)


def with_pauses(scenes: Iterator[Queued], *, pause_seconds: float) -> Iterator[Queued | None]:
    """Read ahead in a thread of its own, and give None whenever nothing has come for a while.

    Args:
        scenes: What is read.
        pause_seconds: How long a while is.

    Notes:
        The thread ends with the process where `scenes` never ends. What `scenes` raises is raised here.
    """
    came: queue.Queue[Queued | BaseException | None] = queue.Queue(_ENOUGH)

    def read() -> None:
        last: BaseException | None = None
        try:
            for scene in scenes:
                came.put(scene)
        except BaseException as error:  # noqa: BLE001 - it is raised by the other thread
            last = error
        came.put(last)

    threading.Thread(target=read, daemon=True, name="scenes").start()
    while True:
        try:
            scene = came.get(timeout=pause_seconds)
        except queue.Empty:
            yield None
            continue
        if scene is None:
            return
        if isinstance(scene, BaseException):
            raise scene
        yield scene
