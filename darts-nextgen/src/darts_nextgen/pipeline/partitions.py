"""The results table of a run, kept on disk while the run goes on: in parts, so that a run of any length needs little memory."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts_nextgen.pipeline.layout import RESULTS_FILE
from darts_nextgen.pipeline.report import RunReport, StoredRows, TileRow, is_table, write_rows
from darts_utils.errors import OutputError
from darts_utils.files import is_file

ROWS_PER_PART = 1000
"""Scenes in one file of the table."""

WRITE_EVERY_SECONDS = 5.0
"""A file of the table is brought up to date when it is older than this."""


class KeptTable:
    """A results table that is being written.

    A scene belongs to the part in whose turn it was taken up, so that a part is complete when its scenes have ended, and is
    forgotten then. Every file is valid at any moment; what has not ended stands in it as pending.

    Args:
        folder: Folder of the table; what another run has left in it goes.
        rows_per_part: Scenes in one file.
        write_every_seconds: A part that has changed is written again when this long has passed since the last writing.

    Raises:
        OutputError: The folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rows_per_part: int = ROWS_PER_PART,
        write_every_seconds: float = WRITE_EVERY_SECONDS,
    ) -> None:
        self._folder = folder
        self._rows_per_part = rows_per_part
        self._write_every_seconds = write_every_seconds
        self._written = time.monotonic()
        self._lock = threading.Lock()  # scenes may be added by one thread while they end in another
        self._count = 0
        self._open: dict[int, list[TileRow]] = {}
        self._changed: set[int] = set()
        _clear(folder)

    def add(self, row: TileRow) -> int:
        """Add one scene that is going to be mapped, and return its number, by which `end` knows it."""
        with self._lock:
            number = self._count
            part = number // self._rows_per_part
            self._open.setdefault(part, []).append(row)
            self._changed.add(part)
            self._count += 1
            return number

    def end(self, number: int, row: TileRow) -> None:
        """Say what has become of a scene.

        Args:
            number: Its number, from 0, in the order in which scenes were added.
            row: What has become of it.
        """
        part, index = divmod(number, self._rows_per_part)
        with self._lock:
            self._open[part][index] = row
            self._changed.add(part)
        if time.monotonic() - self._written > self._write_every_seconds:
            self.write()

    def write(self) -> None:
        """Bring the files up to date, and forget the parts that are complete."""
        with self._lock:
            for part in sorted(self._changed):
                rows = self._open[part]
                write_rows(rows, self._folder / f"part-{part:05d}.parquet")
                self._changed.discard(part)  # now: where a later part cannot be written, this one is not due again
                if len(rows) == self._rows_per_part and all(row.status != "pending" for row in rows):
                    del self._open[part]
            self._written = time.monotonic()

    @property
    def parts(self) -> list[Path]:
        """The files, in order."""
        return sorted(self._folder.glob("part-*.parquet"))

    def report(self) -> RunReport:
        """What the run did, as it stands on disk."""
        return RunReport(StoredRows(self.parts), self._folder)


@contextmanager
def kept_table(out: Path) -> Iterator[KeptTable]:
    """Keep the table of a run on disk; at the end, however that comes, it is up to date.

    Args:
        out: Folder of the results.
    """
    table = KeptTable(out / RESULTS_FILE)
    try:
        yield table
    finally:
        table.write()


def _clear(folder: Path) -> None:
    """Remove the table of an earlier run, also one that is a single file, of whatever version."""
    is_single = is_file(folder)
    if is_single and not is_table(folder):
        raise OutputError(
            f"expected to write the results table into '{folder}', but a file of another origin is there: rename it, or choose "
            "another folder"
        )
    try:
        if is_single:
            folder.unlink()
        for part in folder.glob("part-*.parquet"):
            part.unlink()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected to write the results table into '{folder}', but cannot ({error.strerror}): check what is there"
        ) from error
