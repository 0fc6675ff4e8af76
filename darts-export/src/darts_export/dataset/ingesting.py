"""Tiles gathered in batches, on the one map, so that the rows of any place can be read without opening thousands of files.

A batch is three files: the objects and the trusted areas as Arrow, a record batch per tile, and facts as JSON, which are written
last. Its name is a fingerprint of the folders, their manifests, and size and times of the tables, so a batch whose facts are there
is complete and current.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from darts_export.dataset.archive import Unused
from darts_export.dataset.results import AREA_FILE, OBJECTS_FILE
from darts_export.dataset.tiles import AREA, OBJECTS, TileFacts, UnusableTileError, read_tile
from darts_export.manifest import MANIFEST_FILE
from darts_utils.files import atomic_path

FORMAT = 1
"""Version of the batches' format; it is part of their fingerprints."""

_TILES_PER_BATCH = 32
"""Mean number."""

_BOUNDS = tuple(pa.field(name, pa.float64()) for name in ("min_x", "min_y", "max_x", "max_y"))
STORED_OBJECTS, STORED_AREA = (pa.schema([*_BOUNDS, *schema]) for schema in (OBJECTS, AREA))


@dataclass(frozen=True)
class StoredTile:
    """A tile in a batch."""

    folder: Path
    """Where it was read."""
    facts: TileFacts
    batch: Path
    """The batch, without suffix."""
    number: int
    """Which of the tiles in the batch it is."""
    objects: int
    """Number of rows."""


@dataclass(frozen=True)
class BatchTask:
    """Folders to gather."""

    folders: tuple[Path, ...]
    batch: Path
    """The batch, without suffix."""
    sizes_only: bool


def batch_tasks(folders: Sequence[Path], place: Path, *, sizes_only: bool) -> list[BatchTask]:
    """Share folders among batches; a folder more or less changes one batch.

    Args:
        folders: Folders of tiles.
        place: Where the batches are.
        sizes_only: As for `read_tile`.
    """
    by_name = sorted(folders, key=lambda folder: (folder.name, folder))
    tasks: list[BatchTask] = []
    waiting: list[tuple[Path, str]] = []
    for index, folder in enumerate(by_name):
        digest = _digest_of(folder)
        waiting.append((folder, digest))
        # Where a batch ends depends on the name of the last tile alone.
        ends = int(hashlib.sha256(folder.name.encode()).hexdigest()[:8], 16) % _TILES_PER_BATCH == 0
        if ends or index == len(by_name) - 1:
            noted = json.dumps([FORMAT, sizes_only, [str(each) for each, _ in waiting], [each for _, each in waiting]])
            name = hashlib.sha256(noted.encode()).hexdigest()[:32]
            tasks.append(BatchTask(tuple(each for each, _ in waiting), place / name, sizes_only))
            waiting = []
    return tasks


def gather(task: BatchTask) -> tuple[list[StoredTile], list[Unused]]:
    """Read the tiles of a batch, unless that has been done.

    Returns:
        The tiles that can be used, and the folders that cannot.
    """
    facts_file = _file(task.batch, "facts.json")
    if not facts_file.is_file():
        _gather(task, facts_file)
    noted = json.loads(facts_file.read_text(encoding="utf-8"))
    tiles = [
        StoredTile(Path(each["folder"]), TileFacts(**each["facts"]), task.batch, number, each["objects"])
        for number, each in enumerate(noted["tiles"])
    ]
    return tiles, [Unused(Path(folder), reason) for folder, reason in noted["unused"]]


def _gather(task: BatchTask, facts_file: Path) -> None:
    tiles: list[dict[str, Any]] = []
    unused: list[tuple[str, str]] = []
    with (
        atomic_path(_file(task.batch, "objects")) as objects_path,
        atomic_path(_file(task.batch, "areas")) as areas_path,
        pa.OSFile(str(objects_path), "wb") as objects_file,
        pa.OSFile(str(areas_path), "wb") as areas_file,
        pa.ipc.new_file(objects_file, STORED_OBJECTS) as objects,
        pa.ipc.new_file(areas_file, STORED_AREA) as areas,
    ):
        for folder in task.folders:
            try:
                tile = read_tile(folder, sizes_only=task.sizes_only)
            except UnusableTileError as error:
                unused.append((str(folder), str(error)))
                continue
            objects.write_batch(_with_bounds(tile.objects, STORED_OBJECTS))
            areas.write_batch(_with_bounds(tile.area, STORED_AREA))
            tiles.append({"folder": str(folder), "facts": dataclasses.asdict(tile.facts), "objects": len(tile.objects)})
    with atomic_path(facts_file) as temporary:
        temporary.write_text(json.dumps({"tiles": tiles, "unused": unused}), encoding="utf-8")


def bounds_of(tiles: Sequence[StoredTile], kind: str) -> list[NDArray[np.float64]]:
    """Read the boxes of the rows of tiles.

    Args:
        tiles: The tiles.
        kind: ``"objects"`` or ``"areas"``.

    Returns:
        For each tile ``(N, 4)`` minimal x and y, maximal x and y.
    """
    by_tile: list[NDArray[np.float64]] = [np.empty((0, 4))] * len(tiles)
    for batch, numbers in _by_batch(tiles):
        with pa.OSFile(str(_file(batch, kind))) as source:
            reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=[0, 1, 2, 3]))
            for number in numbers:
                rows = reader.get_batch(tiles[number].number)
                by_tile[number] = np.column_stack([rows.column(index).to_numpy() for index in range(4)])
    return by_tile


def read_rows(
    tiles: Sequence[StoredTile], rows: Sequence[NDArray[np.int64] | None], kind: str
) -> list[tuple[TileFacts, pa.Table]]:
    """Read rows of tiles.

    Args:
        tiles: The tiles.
        rows: For each tile, the rows that are asked for; None: all.
        kind: ``"objects"`` or ``"areas"``.
    """
    found: list[tuple[TileFacts, pa.Table] | None] = [None] * len(tiles)
    schema = OBJECTS if kind == "objects" else AREA
    for batch, numbers in _by_batch(tiles):
        with pa.OSFile(str(_file(batch, kind))) as source:
            reader = pa.ipc.open_file(source)
            for number in numbers:
                table = pa.Table.from_batches([reader.get_batch(tiles[number].number)]).select(schema.names)
                chosen = rows[number]
                found[number] = (tiles[number].facts, table if chosen is None else table.take(pa.array(chosen)))
    return [each for each in found if each is not None]


def _by_batch(tiles: Sequence[StoredTile]) -> Iterator[tuple[Path, list[int]]]:
    numbers: dict[Path, list[int]] = {}
    for number, tile in enumerate(tiles):
        numbers.setdefault(tile.batch, []).append(number)
    yield from numbers.items()


def _with_bounds(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    bounds = shapely.bounds(shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False)))
    columns = [pa.array(bounds[:, index]) for index in range(4)]
    whole = table.combine_chunks()
    stored = [*columns, *(_one_chunk(whole[name], schema.field(name).type) for name in table.column_names)]
    return pa.RecordBatch.from_arrays(stored, schema=schema)


def _one_chunk(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], kind)


def _file(batch: Path, kind: str) -> Path:
    return batch.with_name(f"{batch.name}.{kind}")


def _digest_of(folder: Path) -> str:
    """Tell what is in a folder without reading more than its manifest."""
    noted: list[object] = []
    try:
        noted.append(hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest())
        for name in sorted(entry.name for entry in folder.iterdir()):
            found = (folder / name).stat()
            times = [found.st_mtime_ns, found.st_ctime_ns] if name in (OBJECTS_FILE, AREA_FILE) else []
            noted.append([name, found.st_size, *times])
    except OSError as error:
        noted.append([type(error).__name__, error.errno])
    return json.dumps(noted)
