"""The manifest of a published data set: what it was made from, and what its files must be."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_export.dataset_folders import DATASET_KIND
from darts_export.manifest import MANIFEST_FILE
from darts_utils.errors import OutputError

RECORD_FILE = MANIFEST_FILE
"""Name of the manifest; it is the last file that a build writes, so a folder that has it is complete."""

FORMAT = 1
"""Version of the manifest's format."""


@dataclass(frozen=True)
class PublishedFile:
    """A file of the data set."""

    name: str
    """Path in the folder, with slashes."""
    size: int
    """Bytes."""
    sha256: str
    """Hash of its content."""


@dataclass(frozen=True)
class Record:
    """The manifest of a data set."""

    origin: Mapping[str, Any]
    """What decides the content: ``inputs`` as a hash, ``options``, ``publication``, ``software``; ``previous``, the
    hash of the manifest of the edition whose names are inherited, if there is one."""
    rows: Mapping[str, int]
    """Table → number of its rows."""
    counts: Mapping[str, int]
    """Tiles that were used; geometries that were repaired, and those dropped because they hold no area."""
    files: tuple[PublishedFile, ...]
    """All files but the manifest, sorted by name."""


def record_json(record: Record) -> str:
    """The text of the file."""
    content = {
        "kind": DATASET_KIND,
        "format": FORMAT,
        **dataclasses.asdict(record),
        "origin": dict(record.origin),
    }
    return json.dumps({**content, "checksum": _checksum(content)}, indent=1, allow_nan=False) + "\n"


def read_record(folder: Path) -> Record | None:
    """Read the manifest of a published data set.

    Returns:
        The manifest; None where there is none.

    Raises:
        OutputError: It cannot be read, is damaged, is not that of a data set, or has another format.
    """
    path = folder / RECORD_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(
            f"expected the manifest of a data set at '{path}', but it cannot be read ({error})"
        ) from error
    try:
        content = json.loads(text)
        kind, version = content.get("kind"), content.get("format")
        if (kind, version) == (DATASET_KIND, FORMAT):
            return _verified(content)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"expected the manifest of a data set at '{path}', but it is damaged, or was changed by hand: build the data set anew"
        ) from error
    if kind != DATASET_KIND:
        raise OutputError(f"expected the manifest of a data set at '{path}', but it is that of something else")
    raise OutputError(
        f"expected the manifest of a data set of format {FORMAT} at '{path}', but got {version!r}: build the data set anew, or use "
        "the version of DARTS that wrote it"
    )


def _verified(content: Mapping[str, Any]) -> Record:
    noted = {name: value for name, value in content.items() if name != "checksum"}
    if content["checksum"] != _checksum(noted):
        raise ValueError("the checksum is that of another content")
    files = tuple(PublishedFile(**file) for file in content["files"])
    return Record(content["origin"], content["rows"], content["counts"], files)


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
