"""Fingerprints of files: by size, time and content, with as little reading as is sound."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_REMEMBERED_FILES = 100_000


@dataclass(frozen=True)
class Fingerprint:
    """What a file was when it was looked at."""

    name: str
    """Name, relative to a place that may be elsewhere the next time."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Time of the last change, nanoseconds since 1970; programs may set it."""
    ctime_ns: int
    """Time at which the system last changed anything about the file; programs cannot set it."""
    sha256: str | None
    """Hash of the content; None where the file is known by size and time alone."""


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hash the content of a file.

    Raises:
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: str | os.PathLike[str], *, name: str, largest_hashed: int | None = None) -> Fingerprint:
    """Look at a file.

    Args:
        path: The file.
        name: What to call it.
        largest_hashed: Files of more bytes are known by size and time alone; None hashes every file.

    Raises:
        OSError: The file cannot be read.

    Notes:
        The file is looked at before it is read. Take a fingerprint before you use a file: whatever changes it afterwards,
        changes what the next look sees. Within a process the content of a file is read once for each size and times.
    """
    found = Path(path).stat()
    is_hashed = largest_hashed is None or found.st_size <= largest_hashed
    sha256 = _sha256_as_found(path, found) if is_hashed else None
    return Fingerprint(name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, sha256)


def changes_of(known: Sequence[Fingerprint], files: Mapping[str, Path]) -> list[str]:
    """Say what is no longer as it was.

    Args:
        known: The files as they were.
        files: Name → where the file is now.

    Returns:
        One line for each file that was changed, is new, or is gone; empty where all is as it was.

    Notes:
        A file of the same size and the same two times is taken for the same, without reading it: a change that escapes
        must keep the size and come within the same tick of the file system's clock (milliseconds; seconds on some), or the
        system's clock was set back. Where a time differs (another file that was given the old time, a copy, new
        permissions), the content decides, if its hash is known; if it is not, size and ``mtime_ns`` do.
    """
    before = {each.name: each for each in known}
    gone = [f"{name} is gone" for name in before if name not in files]
    new = [f"{name} is new" for name in files if name not in before]
    changed = [change for name, path in files.items() if name in before and (change := _change_of(before[name], path))]
    return [*gone, *new, *changed]


def _change_of(before: Fingerprint, path: Path) -> str | None:
    try:
        now = path.stat()
        if now.st_size != before.size:
            return f"{before.name} has {now.st_size} bytes instead of {before.size}"
        if before.sha256 is None:
            return None if now.st_mtime_ns == before.mtime_ns else f"{before.name} has another time"
        if (now.st_mtime_ns, now.st_ctime_ns) == (before.mtime_ns, before.ctime_ns):
            return None
        if _sha256_as_found(path, now) != before.sha256:
            return f"{before.name} has another content"
    except OSError as error:
        return f"{before.name} cannot be read ({error.strerror})"
    return None


def _sha256_as_found(path: str | os.PathLike[str], found: os.stat_result) -> str:
    return _remembered_sha256(os.fspath(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=_REMEMBERED_FILES)
def _remembered_sha256(path: str, _size: int, _mtime_ns: int, _ctime_ns: int) -> str:
    return sha256_of(path)
