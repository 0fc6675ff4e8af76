"""Published data sets: reading them, and saying what of them is complete."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import shapely

from darts_export.dataset.config import CRS
from darts_export.dataset.publishing import names
from darts_export.dataset.publishing.checksums import parse_checksums
from darts_export.dataset.publishing.columns import Table
from darts_export.dataset.publishing.geopackages import layers_of
from darts_export.dataset.publishing.geoparquet import bbox_column, read_rows
from darts_export.dataset.publishing.record import RECORD_FILE, Record, read_record
from darts_export.dataset.publishing.tables import TABLES
from darts_export.dataset.tracking import Tracks
from darts_export.staleness import damage_of
from darts_utils.errors import OutputError


@dataclass(frozen=True)
class DatasetCheck:
    """What `check_published` found."""

    record: Record | None
    """The manifest; None where there is none, or where it cannot be used."""
    problems: tuple[str, ...]
    """What is wrong, one line each; empty where the data set is complete and nothing else is there."""


def read_published(folder: Path, table: str, *, crs: str) -> geopandas.GeoDataFrame:
    """Read a table of a published data set.

    Args:
        folder: The data set.
        table: Name of the table, see `darts_export.dataset.publishing.tables.TABLES`.
        crs: ``"EPSG:3413"`` or ``"EPSG:4326"``.

    Returns:
        The table, without the columns of boxes.

    Raises:
        OutputError: It cannot be read.
    """
    path = folder / names.parquet_name(table, crs)
    try:
        return geopandas.read_parquet(path, columns=[column.name for column in TABLES[table].columns])
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot read '{path}' ({error}): check the data set with darts dataset check") from error


def require_published(folder: Path) -> Record:
    """Read the manifest of a data set whose files are all there, in their sizes.

    Raises:
        OutputError: There is no data set, or not all of it.
    """
    record = read_record(folder)
    if record is None:
        raise OutputError(
            f"expected a data set at '{folder}', but there is no {RECORD_FILE}: name the folder of a finished build"
        )
    for file in record.files:
        damage = damage_of(file, folder, sizes_only=True)
        if damage is not None:
            raise OutputError(
                f"expected a complete data set at '{folder}', but got {damage}: build it anew, or name another one"
            )
    return record


def read_tracks(folder: Path) -> Tracks:
    """Read Level 3 of a published data set, whose names another edition is to inherit.

    Returns:
        The tables, in EPSG:3413.

    Raises:
        OutputError: There is no data set, or not all of it, or its tables have another content than was written.
    """
    record = require_published(folder)
    tables = {}
    for table in ("level3", "level3_years", "level3_events"):
        wanted = names.parquet_name(table, CRS)
        file = next((each for each in record.files if each.name == wanted), None)
        damage = f"missing: {wanted}" if file is None else damage_of(file, folder, sizes_only=False)
        if damage is not None:
            raise OutputError(
                f"expected Level 3 of the data set at '{folder}' as it was written, but got {damage}: take another copy of it"
            )
        tables[table] = read_published(folder, table, crs=CRS)
    return Tracks(tables["level3"], tables["level3_years"], tables["level3_events"])


def check_published(
    folder: Path, *, sizes_only: bool = False, progress: Callable[[int, int], None] | None = None
) -> DatasetCheck:
    """Compare a data set with its manifest, its checksums and the registry of columns.

    Args:
        folder: The data set.
        sizes_only: Look at the sizes of the files, and do not read them.
        progress: Called with the number of files that were looked at, and of all.

    Returns:
        What is missing, damaged, unfinished or unknown; where the files are sound, also wrong columns, counts, invalid
        geometries and keys that are not unique.

    Raises:
        OutputError: The folder cannot be looked into.
    """
    try:
        present = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    except OSError as error:
        raise OutputError(f"cannot look into '{folder}' ({error.strerror}): check path and permissions") from error
    unfinished = sorted({_top(name) for name in present if any(part.startswith(".darts-") for part in name.split("/"))})
    problems = [f"unfinished: {name}" for name in unfinished]
    try:
        record = read_record(folder)
    except OutputError as error:
        return DatasetCheck(None, (f"manifest: {error}", *problems))
    if record is None:
        return DatasetCheck(None, (f"not finished: there is no {RECORD_FILE}", *problems))
    damages = []
    for number, file in enumerate(record.files, start=1):
        damages.append(damage_of(file, folder, sizes_only=sizes_only))
        if progress is not None:
            progress(number, len(record.files))
    problems[:0] = [damage for damage in damages if damage is not None]
    known = {RECORD_FILE, *(file.name for file in record.files)}
    problems += [
        f"unknown: {name} is not of this data set"
        for name in present
        if name not in known and _top(name) not in unfinished
    ]
    if not sizes_only and not any(damages):
        problems += _checksum_problems(folder, record)
        for name, rows in record.rows.items():
            problems += _table_problems(folder, name, rows)
    return DatasetCheck(record, tuple(problems))


def _top(name: str) -> str:
    parts = name.split("/")
    return "/".join(parts[: 1 + next((n for n, part in enumerate(parts) if part.startswith(".darts-")), len(parts))])


def _checksum_problems(folder: Path, record: Record) -> Iterator[str]:
    expected = {file.name: file.sha256 for file in record.files if file.name != names.CHECKSUMS}
    if parse_checksums((folder / names.CHECKSUMS).read_text(encoding="utf-8")) != expected:
        yield f"damaged: {names.CHECKSUMS} and {RECORD_FILE} disagree"


def _table_problems(folder: Path, name: str, rows: int) -> Iterator[str]:
    table = TABLES.get(name)
    if table is None:
        yield f"unknown: table {name} is not in the registry"
        return
    for crs in names.CRSS:
        file = names.parquet_name(name, crs)
        yield from (f"{file}: {problem}" for problem in _row_problems(folder / file, table, rows))
        package = names.geopackage_name(name, crs)
        for layer in layers_of(table, folder / file):
            features = pyogrio.read_info(folder / package, layer=layer.name)["features"]
            if layer.geometry == "geometry" and features != rows:
                yield f"{package}: layer {layer.name} has {features} features instead of {rows}"


def _row_problems(path: Path, table: Table, rows: int) -> Iterator[str]:
    boxes = {bbox_column(name) for name in table.geometries}
    columns = [(each.name, each.type) for each in pq.read_schema(path) if each.name not in boxes]
    expected = [(column.name, column.arrow_type) for column in table.columns]
    if columns != expected:
        yield f"columns are {columns} instead of {expected}"
        return
    found, invalid, keys = 0, 0, list[pd.Series]()
    for batch in read_rows(path, table=table):
        found += batch.values.num_rows
        invalid += sum(int((~shapely.is_valid(outlines)).sum()) for outlines in batch.geometries.values())
        keys.append(pd.util.hash_pandas_object(batch.values.select(list(table.key)).to_pandas(), index=False))
    if found != rows:
        yield f"{found} rows instead of {rows}"
    if invalid:
        yield f"{invalid} invalid geometries"
    doubled = int(pd.concat(keys).duplicated().sum())
    if doubled:
        yield f"{doubled} rows whose {', '.join(table.key)} another row has too"
