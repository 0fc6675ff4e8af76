"""What became of each tile: rows, their table ``results.parquet``, and the exit code that follows from them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from darts_nextgen.pipeline.stages import STAGE_NAMES
from darts_utils.errors import OutputError
from darts_utils.files import atomic_path

RESULTS_FILE = "results.parquet"
"""Name of the results table in the folder of the results."""

Status = Literal["pending", "done", "current", "failed"]

SCHEMA = pa.schema(
    [
        pa.field("tile_id", pa.string(), nullable=False),
        pa.field("scene", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("failed_stage", pa.string()),
        pa.field("error", pa.string()),
        pa.field("warnings", pa.list_(pa.string()), nullable=False),
        pa.field("objects", pa.int64()),
        *(pa.field(f"{name}_seconds", pa.float64()) for name in STAGE_NAMES),
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
    warnings: tuple[str, ...] = ()
    """What is worth knowing about the result; told by the run that has made it."""
    objects: int | None = None
    """Number of thaw slumps found."""
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Stage → seconds; of a failed tile up to and with the stage that failed."""
    products: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Key of each file in the STAC item → path."""


@dataclass(frozen=True)
class RunReport:
    """What a run did."""

    rows: tuple[TileRow, ...]
    """One row per scene, in the order of the scenes."""
    table: Path
    """The same as a Parquet file."""

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

    @property
    def objects(self) -> int:
        """Number of thaw slumps found in all tiles."""
        return sum(row.objects for row in self.rows if row.objects is not None)

    @property
    def exit_code(self) -> int:
        """0: all tiles are complete; 1: some are not."""
        return 0 if len(self.complete) == len(self.rows) else 1


def write_report(rows: Sequence[TileRow], path: str | os.PathLike[str]) -> Path:
    """Write the results table; it replaces an older one only when it is complete.

    Raises:
        OutputError: The file cannot be written.
    """
    table = pa.Table.from_pylist([_record(row) for row in rows], schema=SCHEMA)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)
    return Path(path)


def read_report(path: str | os.PathLike[str]) -> RunReport:
    """Read a results table.

    Raises:
        OutputError: There is no such file, or it is no results table.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise OutputError(
            f"expected a results table at '{path}', but it cannot be read ({error}): run the scenes again"
        ) from error
    if not table.schema.equals(SCHEMA):
        found = ", ".join(table.schema.names)
        raise OutputError(f"expected a results table at '{path}', but its columns are {found}: name {RESULTS_FILE}")
    return RunReport(tuple(_row(record) for record in table.to_pylist(maps_as_pydicts="strict")), Path(path))


def _record(row: TileRow) -> dict[str, object]:
    return {
        "tile_id": row.tile_id,
        "scene": str(row.scene),
        "status": row.status,
        "failed_stage": row.failed_stage,
        "error": row.error,
        "warnings": list(row.warnings),
        "objects": row.objects,
        **{f"{name}_seconds": row.seconds.get(name) for name in STAGE_NAMES},
        "products": list(row.products.items()),
    }


def _row(record: Mapping[str, Any]) -> TileRow:
    values = {name: value for name, value in record.items() if not name.endswith("_seconds")}
    seconds = {name: value for name in STAGE_NAMES if (value := record[f"{name}_seconds"]) is not None}
    return TileRow(
        **{**values, "scene": Path(values["scene"]), "warnings": tuple(values["warnings"]), "seconds": seconds}
    )
