"""Where the files of a data set wait until all are there."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from darts_export.dataset.publishing.record import RECORD_FILE, PublishedFile, Record, record_json
from darts_export.fingerprints import sha256_of
from darts_utils.files import atomic_path, remove_leftovers, sync_folder

_NOTES = "notes"
_OBSOLETE = "obsolete.json"


class Staging:
    """Files that are made one by one, survive a kill, and are handed over together.

    Args:
        place: Folder of the stages of a data set; stages of other builds in it are removed.
        key: Fingerprint of everything that decides the content of the files.
        out: Folder of the data set.
    """

    def __init__(self, place: Path, *, key: str, out: Path) -> None:
        self._folder = place / key
        self._out = out
        if place.is_dir():
            for other in place.iterdir():
                if other != self._folder:
                    shutil.rmtree(other, ignore_errors=True)
        for folder in (self._folder, *self._folder.rglob("*/")):
            remove_leftovers(folder, all_writers=True)

    def path(self, name: str) -> Path:
        """Where a file that has been made is: still here, or handed over already."""
        staged = self._folder / name
        return staged if staged.exists() else self._out / name

    def make(self, name: str, write: Callable[[Path], object]) -> PublishedFile:
        """Make a file, unless an earlier attempt has made it.

        Args:
            name: Path of the file in the data set.
            write: Writes it to a path.

        Raises:
            OutputError: It cannot be written.
        """
        known = self._known(name)
        if known is not None:
            return known
        path = self._folder / name
        with atomic_path(path) as temporary:
            write(temporary)
        made = PublishedFile(name, path.stat().st_size, sha256_of(path))
        with atomic_path(self._note(name)) as temporary:
            temporary.write_text(json.dumps(asdict(made)), encoding="utf-8")
        return made

    def make_text(self, name: str, text: str) -> PublishedFile:
        """Make a text file."""
        return self.make(name, lambda path: path.write_text(text, encoding="utf-8", newline="\n"))

    def hand_over(self, record: Record, *, before: Record | None) -> None:
        """Put all files in their places, the manifest last.

        Args:
            record: The manifest.
            before: The manifest of the data set that stands there, whose files go.

        Raises:
            OutputError: Something cannot be written.
        """
        obsolete = self._obsolete(record, before)
        (self._out / RECORD_FILE).unlink(missing_ok=True)  # from here on until the end, the data set is not complete
        sync_folder(self._out)
        for name in obsolete:
            (self._out / name).unlink(missing_ok=True)
        for file in record.files:
            staged, final = self._folder / file.name, self._out / file.name
            if staged.exists():
                final.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(final)
        for folder in {(self._out / file.name).parent for file in record.files}:
            sync_folder(folder)
        with atomic_path(self._out / RECORD_FILE) as temporary:
            temporary.write_text(record_json(record), encoding="utf-8")

    def _obsolete(self, record: Record, before: Record | None) -> list[str]:
        """Names of the files that go; noted, because the manifest that knows them goes first."""
        note = self._folder / _OBSOLETE
        if before is not None:
            names = sorted({file.name for file in before.files} - {file.name for file in record.files})
            with atomic_path(note) as temporary:
                temporary.write_text(json.dumps(names), encoding="utf-8")
        return list(json.loads(note.read_text(encoding="utf-8"))) if note.exists() else []

    def _note(self, name: str) -> Path:
        return self._folder / _NOTES / f"{name}.json"

    def _known(self, name: str) -> PublishedFile | None:
        try:
            made = PublishedFile(**json.loads(self._note(name).read_text(encoding="utf-8")))
            staged, final = self._folder / name, self._out / name
            if staged.exists():
                return made if staged.stat().st_size == made.size else None
            is_there = final.stat().st_size == made.size and sha256_of(final) == made.sha256
        except (OSError, ValueError, TypeError):
            return None
        return made if is_there else None
