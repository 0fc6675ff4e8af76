"""What became of each tile: rows, their table ``results.parquet``, and the exit code that follows from them.

The table is a folder of Parquet files, ``part-00000.parquet`` and so on, which everything that reads Parquet reads as one table;
`darts_nextgen.pipeline.partitions` keeps it during a run. Rows are read when someone looks at them, a part at a time.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, overload

import pyarrow as pa
import pyarrow.parquet as pq

from darts_nextgen.pipeline.layout import RESULTS_FILE
from darts_nextgen.pipeline.stages import STAGE_NAMES
from darts_utils.errors import OutputError
from darts_utils.files import atomic_path, is_file

Status = Literal["pending", "done", "current", "failed"]

SCHEMA = pa.schema(
    [
        pa.field("tile_id", pa.string(), nullable=False),
        pa.field("scene", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("failed_stage", pa.string()),
        pa.field("error", pa.string()),
        pa.field("traceback", pa.string()),
        pa.field("warnings", pa.list_(pa.string()), nullable=False),
        pa.field("objects", pa.int64()),
        pa.field("area_km2", pa.float64()),
        *(pa.field(f"{name}_seconds", pa.float64()) for name in STAGE_NAMES),
        *(pa.field(f"{name}_bytes", pa.int64()) for name in STAGE_NAMES),
        pa.field("products", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)
"""Columns of the results table; what a tile has not (yet) is null."""


@dataclass(frozen=True)
class TileRow:
    """What became of one tile."""

    tile_id: str
    """Name of the tile and of its folder."""
    scene: Path
    """Scene folder or GeoTIFF."""
    status: Status = "pending"
    """``"pending"``: not run (yet); ``"done"``: made in this run; ``"current"``: there was nothing to do; ``"failed"``."""
    failed_stage: str | None = None
    """The stage that failed, one of `darts_nextgen.pipeline.stages.STAGE_NAMES`."""
    error: str | None = None
    """What went wrong, in one line: kind and message."""
    traceback: Path | None = None
    """Text file that says where it went wrong, for whoever mends it."""
    warnings: tuple[str, ...] = ()
    """What is worth knowing about the result; told by the run that has made it."""
    objects: int | None = None
    """Number of thaw slumps found."""
    area_km2: float | None = None
    """Area with data that was mapped in this run."""
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Stage → seconds; of a failed tile up to and with the stage that failed."""
    bytes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Stage → bytes of what it made: of the tile in memory, of the files in the end."""
    products: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Key of each file in the STAC item → path."""


class StoredRows(Sequence[TileRow]):
    """The rows of a table on disk, in the order of the scenes; read when they are looked at, a part at a time.

    Args:
        parts: The files of the table, in order.
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        self._parts = tuple(parts)
        self._kept: tuple[int, list[TileRow]] | None = None

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        ends, end = [], 0
        for part in self._parts:
            end += pq.read_metadata(part).num_rows
            ends.append(end)
        return tuple(ends)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[TileRow]:
        for number in range(len(self._parts)):
            yield from self._read(number)

    @overload
    def __getitem__(self, index: int) -> TileRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TileRow]: ...
    def __getitem__(self, index: int | slice) -> TileRow | Sequence[TileRow]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        position = range(len(self))[index]
        number = next(number for number, end in enumerate(self._ends) if position < end)
        return self._read(number)[position - self._ends[number]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def _read(self, number: int) -> list[TileRow]:
        if self._kept is None or self._kept[0] != number:
            self._kept = number, _rows_of(self._parts[number])
        return self._kept[1]


@dataclass(frozen=True)
class RunReport:
    """What a run did."""

    rows: Sequence[TileRow]
    """One row per scene, in the order of the scenes."""
    table: Path
    """The same as Parquet files in a folder."""

    @cached_property
    def counts(self) -> Mapping[Status, int]:
        """Number of tiles of each status."""
        return Counter(row.status for row in self.rows)

    @property
    def failed(self) -> tuple[TileRow, ...]:
        """The tiles that failed."""
        return tuple(row for row in self.rows if row.status == "failed")

    @property
    def done(self) -> tuple[TileRow, ...]:
        """The tiles that this run has made."""
        return tuple(row for row in self.rows if row.status == "done")

    @property
    def current(self) -> tuple[TileRow, ...]:
        """The tiles whose files were complete and current before this run."""
        return tuple(row for row in self.rows if row.status == "current")

    @property
    def complete(self) -> tuple[TileRow, ...]:
        """The tiles whose files are there: made in this run or before."""
        return tuple(row for row in self.rows if row.status in {"done", "current"})

    @cached_property
    def objects(self) -> int:
        """Number of thaw slumps found in all tiles."""
        return sum(row.objects for row in self.rows if row.objects is not None)

    @property
    def exit_code(self) -> int:
        """0: all tiles are complete; 1: some are not."""
        return 1 if self.counts["failed"] or self.counts["pending"] else 0


def write_rows(rows: Sequence[TileRow], path: str | os.PathLike[str]) -> Path:
    """Write one Parquet file of a results table; it replaces an older one only when it is complete.

    Raises:
        OutputError: The file cannot be written.
    """
    table = pa.Table.from_pylist([_record(row) for row in rows], schema=SCHEMA)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)
    return Path(path)


def read_report(path: str | os.PathLike[str]) -> RunReport:
    """Read a results table.

    Args:
        path: The folder ``results.parquet``, or one of the files in it.

    Raises:
        OutputError: There is no such table, or it is no results table.
    """
    place = Path(path)
    parts = [place] if is_file(place) else sorted(place.glob("part-*.parquet"))
    if not parts:
        raise OutputError(f"expected a results table at '{path}', but there is none: run the scenes again")
    for part in parts:
        _check_schema(part)
    return RunReport(StoredRows(parts), place)


def is_table(path: Path) -> bool:
    """Whether a file is a results table, of this or an older version."""
    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException):
        return False
    return {"tile_id", "scene", "status"} <= {*names}


def _check_schema(part: Path) -> None:
    try:
        schema = pq.read_schema(part)
    except (OSError, pa.ArrowException) as error:
        raise OutputError(
            f"expected a results table at '{part}', but it cannot be read ({error}): run the scenes again"
        ) from error
    if not schema.equals(SCHEMA):
        found = ", ".join(schema.names)
        raise OutputError(
            f"expected a results table of this version at '{part}', but its columns are {found}: name {RESULTS_FILE}, or run the "
            "scenes again"
        )


def _rows_of(part: Path) -> list[TileRow]:
    # A single file: of a folder called "results.parquet" pyarrow would look for partitions in the path.
    table = pq.read_table(part, partitioning=None)
    return [_row(record) for record in table.to_pylist(maps_as_pydicts="strict")]


def _record(row: TileRow) -> dict[str, object]:
    return {
        "tile_id": row.tile_id,
        "scene": str(row.scene),
        "status": row.status,
        "failed_stage": row.failed_stage,
        "error": row.error,
        "traceback": None if row.traceback is None else str(row.traceback),
        "warnings": list(row.warnings),
        "objects": row.objects,
        "area_km2": row.area_km2,
        **{f"{name}_seconds": row.seconds.get(name) for name in STAGE_NAMES},
        **{f"{name}_bytes": row.bytes.get(name) for name in STAGE_NAMES},
        "products": list(row.products.items()),
    }


def _row(record: Mapping[str, Any]) -> TileRow:
    seconds, sizes = (
        {name: value for name in STAGE_NAMES if (value := record[f"{name}_{unit}"]) is not None}
        for unit in ("seconds", "bytes")
    )
    return TileRow(
        tile_id=record["tile_id"],
        scene=Path(record["scene"]),
        status=record["status"],
        failed_stage=record["failed_stage"],
        error=record["error"],
        traceback=None if record["traceback"] is None else Path(record["traceback"]),
        warnings=tuple(record["warnings"]),
        objects=record["objects"],
        area_km2=record["area_km2"],
        seconds=seconds,
        bytes=sizes,
        products=record["products"],
    )
