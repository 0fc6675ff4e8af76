"""Where scenes come from: patterns, folders, lists in files, and lists that arrive while the run goes on."""

import csv
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from darts_preprocessing.loading.finding import LIST_SUFFIX, scenes_of
from darts_preprocessing.loading.safe import SUFFIX as SAFE_SUFFIX
from darts_utils.errors import ConfigError
from darts_utils.files import exists

STANDARD_INPUT = "-"
"""The entry that means standard input."""

PATH_COLUMN = "scene"
"""Column of a CSV or Parquet list with the path of a scene."""

ID_COLUMN = "tile_id"
"""Column with the id of its tile, which may be absent or empty."""

_TABLES = (".csv", ".parquet")

LIST_SUFFIXES = (LIST_SUFFIX, *_TABLES)
"""An entry is the name of a list, not a pattern, if it ends so."""


def is_stream(entry: str) -> bool:
    """Whether an entry is a list that arrives while the run goes on: standard input, or a named pipe."""
    if entry == STANDARD_INPUT:
        return True
    try:
        return stat.S_ISFIFO(Path(entry).stat().st_mode)
    except (OSError, ValueError):
        return False


def listed_scenes(entry: str, *, out: Path) -> Iterator[tuple[Path, str | None]]:
    """Find the scenes of an entry that is no stream.

    Args:
        entry: Glob pattern; folder of scenes; ``.txt`` file with a path per line; ``.csv`` or ``.parquet`` file with the
            column ``scene`` and, if wanted, ``tile_id``. Relative paths in a file start at the file's folder.
        out: Folder of the results, which is no scene.

    Yields:
        Path of each scene, and the id of its tile where the list says it.

    Raises:
        ConfigError: Nothing matches, or the list cannot be read, has no column ``scene``, or names nothing.
    """
    place = Path(entry)
    if entry.endswith(_TABLES):
        yield from _of_table(place)
    elif _is_folder_of_scenes(place):
        yield from ((path, None) for path in scenes_of(os.path.join(_escaped(entry), "*"), out=out))  # noqa: PTH118
    else:  # what is there by that very name is no pattern
        pattern = _escaped(entry) if exists(place) else entry
        yield from ((path, None) for path in scenes_of(pattern, out=out))


def streamed_scenes(entry: str, *, standard_input: TextIO | None = None) -> Iterator[Path]:
    """Read the paths of a stream, a line each, as they come; empty lines and lines that start with ``#`` do not count.

    Args:
        entry: ``"-"``, or the path of a named pipe.
        standard_input: What to read for ``"-"``; None: that of the process.
    """
    if entry == STANDARD_INPUT:
        yield from _paths(sys.stdin if standard_input is None else standard_input, folder=Path.cwd())
        return
    with Path(entry).open(encoding="utf-8") as pipe:
        yield from _paths(pipe, folder=Path(entry).absolute().parent)


def _paths(lines: TextIO, *, folder: Path) -> Iterator[Path]:
    for line in iter(lines.readline, ""):  # as soon as a line is there; iterating over a file reads ahead
        name = line.strip()
        if name and not name.startswith("#"):
            yield folder / name


def _of_table(file: Path) -> Iterator[tuple[Path, str | None]]:
    found = 0
    try:
        for row in _rows(file):
            if not row.get(PATH_COLUMN):
                raise ConfigError(
                    f"expected a path in the column {PATH_COLUMN!r} of row {found + 1} of '{file}', but there is none: fill it in"
                )
            found += 1
            yield file.absolute().parent / str(row[PATH_COLUMN]), str(row[ID_COLUMN]) if row.get(ID_COLUMN) else None
    except OSError as error:
        raise ConfigError(f"expected a list of scenes at '{file}', but it cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise ConfigError(f"expected a list of scenes at '{file}', but it cannot be read: {error}") from error
    if not found:
        raise ConfigError(f"expected one scene per row in '{file}', but it names no scene")


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix.lower() == ".csv":
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            _check_columns(file, reader.fieldnames or ())
            yield from reader
        return
    with pq.ParquetFile(file) as table:
        names = table.schema_arrow.names
        _check_columns(file, names)
        wanted = [name for name in (PATH_COLUMN, ID_COLUMN) if name in names]
        for batch in table.iter_batches(columns=wanted, batch_size=1000):
            yield from batch.to_pylist()


def _check_columns(file: Path, names: Any) -> None:
    if PATH_COLUMN not in names:
        raise ConfigError(
            f"expected the column {PATH_COLUMN!r} in '{file}', but it has {', '.join(map(str, names)) or 'none'}: name the "
            "column with the paths so"
        )


def _is_folder_of_scenes(place: Path) -> bool:
    """A folder that holds folders, but no file, is one of scenes; a scene holds files, or is called ``.SAFE``."""
    if place.suffix.upper() == SAFE_SUFFIX:
        return False
    try:
        inside = [entry for entry in os.scandir(place) if not entry.name.startswith(".")]
    except (OSError, ValueError):
        return False
    return bool(inside) and all(entry.is_dir() for entry in inside)


def _escaped(entry: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in entry)
