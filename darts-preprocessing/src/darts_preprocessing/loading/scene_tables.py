"""Lists of scenes as tables: ``.csv``, and ``.parquet`` where pyarrow is installed."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from darts_utils.errors import ConfigError

PATH_COLUMN = "scene"
"""Column with the path of a scene."""

ID_COLUMN = "tile_id"
"""Column with the id of its tile, which may be absent or empty."""

TABLE_SUFFIXES = (".csv", ".parquet")
"""A file is a table of scenes if its name ends so."""

_ROWS = 1000


def table_scenes(file: Path) -> Iterator[tuple[Path, str | None]]:
    """Read the scenes of a table.

    Args:
        file: ``.csv`` or ``.parquet`` file with the column ``scene`` and, if wanted, ``tile_id``.

    Yields:
        Path of each scene, relative ones from the file's folder; and the id of its tile where the table says it.

    Raises:
        ConfigError: The table cannot be read, has no column ``scene``, a row without a path, or no row; or it is a Parquet
            file, and pyarrow is not installed.
    """
    found = 0
    try:
        for row in _csv_rows(file) if file.suffix.lower() == ".csv" else _parquet_rows(file):
            if not row.get(PATH_COLUMN):
                raise ConfigError(
                    f"expected a path in the column {PATH_COLUMN!r} of row {found + 1} of '{file}', but there is none: fill it in"
                )
            found += 1
            yield file.absolute().parent / str(row[PATH_COLUMN]), str(row[ID_COLUMN]) if row.get(ID_COLUMN) else None
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"expected a list of scenes at '{file}', but it cannot be read: {reason}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(file, error) from error
    if not found:
        raise ConfigError(f"expected one scene per row in '{file}', but it names no scene")


def _csv_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.DictReader(opened)
        _check_columns(file, reader.fieldnames or ())
        yield from reader


def _parquet_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError(
            f"expected pyarrow for the list of scenes '{file}', but it is not installed: install darts-preprocessing[parquet], "
            "or write the list as .csv"
        ) from error
    try:
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            _check_columns(file, names)
            wanted = [name for name in (PATH_COLUMN, ID_COLUMN) if name in names]
            for batch in table.iter_batches(columns=wanted, batch_size=_ROWS):
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise _unreadable(file, error) from error


def _check_columns(file: Path, names: Any) -> None:
    if PATH_COLUMN not in names:
        raise ConfigError(
            f"expected the column {PATH_COLUMN!r} in '{file}', but it has {', '.join(map(str, names)) or 'none'}: name the "
            "column with the paths so"
        )


def _unreadable(file: Path, error: Exception) -> ConfigError:
    return ConfigError(f"expected a list of scenes at '{file}', but it cannot be read: {error}")
