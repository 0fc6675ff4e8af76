"""The board of a Ray run: an actor beside the driver on which scenes are posted, and on which workers note what they try.

Ray gives a piece of work to another worker whenever one is lost, without end. The board is how a scene that kills its workers
is told from one that was unlucky: a try that was begun, and not ended, has cost a worker.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import Dataset, TaskPoolStrategy
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

_AT_ONCE = 64
"""Scenes that are fetched from the board at most at once."""


class _Board:
    """Holds what was posted until it is taken down; only what is on its way is in memory."""

    def __init__(self) -> None:
        self._posted: dict[int, bytes] = {}
        self._count = 0
        self._is_closed = False
        self._news = asyncio.Condition()
        self._tries: Counter[str] = Counter()

    async def post(self, rows: Sequence[bytes]) -> None:
        async with self._news:
            for row in rows:
                self._posted[self._count] = row
                self._count += 1
            self._news.notify_all()

    async def close(self) -> None:
        async with self._news:
            self._is_closed = True
            self._news.notify_all()

    async def read(self, start: int) -> list[bytes]:
        """What was posted from a number on, in order; nothing once the board is closed. What was taken down is empty."""
        async with self._news:
            await self._news.wait_for(lambda: self._is_closed or self._count > start)
            return [self._posted.get(number, b"") for number in range(start, min(self._count, start + _AT_ONCE))]

    async def take_down(self, number: int) -> None:
        self._posted.pop(number, None)

    async def begin(self, names: Sequence[str]) -> list[int]:
        self._tries.update(names)
        return [self._tries[name] for name in names]

    async def end(self, names: Sequence[str]) -> None:
        for name in names:
            self._tries.pop(name, None)


@dataclass(frozen=True)
class Board:
    """The board, as the driver and the workers see it."""

    actor: Any
    """Handle of the actor."""

    @classmethod
    def beside_driver(cls) -> "Board":
        """Put up a board on the driver's own node: where that is lost, the run is lost too."""
        node = ray.get_runtime_context().get_node_id()
        place = NodeAffinitySchedulingStrategy(node, soft=False)
        return cls(ray.remote(_Board).options(num_cpus=0, scheduling_strategy=place, max_concurrency=1000).remote())

    def post(self, table: pa.Table) -> None:
        """Post a scene, as a table of one row."""
        ray.get(self.actor.post.remote([_packed(table)]))

    def close(self) -> None:
        """Say that nothing more will come."""
        ray.get(self.actor.close.remote())

    def take_down(self, number: int) -> None:
        """Forget a scene that has ended; scenes are numbered as they were posted, from 0."""
        self.actor.take_down.remote(number)

    def begin(self, stage: str, tile_ids: Sequence[str]) -> list[int]:
        """Note that a stage of some tiles is tried, and return for each which try it is, from 1."""
        return list(ray.get(self.actor.begin.remote([f"{stage} {name}" for name in tile_ids])))

    def end(self, stage: str, tile_ids: Sequence[str]) -> None:
        """Note that the worker has outlived it."""
        self.actor.end.remote([f"{stage} {name}" for name in tile_ids])

    def scenes(self, *, blank: pa.Table) -> Dataset:
        """The scenes as they are posted, a block each: the source of a run of any length.

        Args:
            blank: Stands for a scene that has ended, where the source is started once more.
        """
        node = ray.get_runtime_context().get_node_id()
        seed = ray.data.from_blocks([pa.table({"seed": [0]})])
        source: Dataset = seed.map_batches(
            _Source(self, _packed(blank)),
            batch_size=None,
            batch_format="pyarrow",
            compute=TaskPoolStrategy(size=1),
            num_cpus=0,
            label_selector={"ray.io/node-id": node},
        )
        return source


@dataclass(frozen=True)
class _Source:
    """Reads a board from its beginning; started once more, it gives the same scenes under the same numbers."""

    board: Board
    blank: bytes

    def __call__(self, _seed: pa.Table) -> Iterator[pa.Table]:
        number = 0
        while rows := ray.get(self.board.actor.read.remote(number)):
            yield from (_unpacked(row or self.blank) for row in rows)
            number += len(rows)


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _unpacked(packed: bytes) -> pa.Table:
    with pa.ipc.open_stream(packed) as reader:
        return reader.read_all()
