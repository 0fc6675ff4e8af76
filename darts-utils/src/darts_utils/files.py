"""Files that appear under their final name only when they are complete."""

import contextlib
import errno
import fcntl
import glob
import hashlib
import itertools
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts_utils.errors import DartsError, OutputError

TEMPORARY_PREFIX = ".darts-incomplete-"
"""Names that start with this are work in progress or its remains after a kill; they are never results."""

_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_OWNER = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}(?P<host>[0-9a-f]{{8}})-(?P<process>\d+)-")
_LONGEST_NAME_BYTES = 255

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EFBIG: "the file is larger than the file system or a limit allows: choose another folder or raise the limit",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another folder",
    errno.EACCES: "permission denied: choose a folder you may write to",
    errno.EPERM: "permission denied: choose a folder you may write to",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another path",
    errno.EEXIST: "a part of the path is a file, not a folder: choose another path",
    errno.EISDIR: "a folder has this name: choose another path",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.EIO: "the disk reports an error: choose another one",
}
"""What to do about the errors that speak of the place that is written to."""


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well.

    The temporary name keeps the suffix (format drivers look at it). On success the file is synced to disk, then renamed
    over `path`; on any exception it is removed and whatever stood at `path` stays as it was.

    Args:
        path: The final name. Missing parent folders are created. A link of this name is replaced, not followed.

    Yields:
        The path to write to, in the same folder as `path`.

    Raises:
        OutputError: The folder is not writable, the disk is full, or the block wrote nothing. What else the block raises
            (an input that cannot be read, say) comes out as it is.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "result.txt") as temporary:
        ...     _ = temporary.write_text("done")
        >>> [entry.name for entry in folder.iterdir()]
        ['result.txt']
    """
    final = Path(path)
    temporary = final.with_name(_temporary_name(final))
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if not temporary.is_file():
            raise OutputError(
                f"expected a complete file for '{final}', but nothing was written: this is a bug of the writer"
            )
        _sync(temporary)
        temporary.replace(final)
        sync_folder(final.parent)
    except DartsError:
        raise
    except OSError as error:
        if not _is_about(error, final):
            raise
        raise OutputError(f"cannot write '{final}': {_ADVICE.get(error.errno or 0, str(error))}") from error
    finally:
        # GDAL and SQLite leave side files (-journal, .aux.xml) that carry the temporary name.
        _remove(final.parent.glob(f"{glob.escape(temporary.name)}*"))


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside `path`; rename it to `path` when the block ends well.

    On success everything in it is synced to disk, then it takes the place of `path`; on any exception it is removed and
    whatever stood at `path` stays as it was.

    Args:
        path: The final name. Missing parent folders are created; a folder of this name is replaced as a whole.

    Yields:
        A new folder, in the same one as `path`.

    Raises:
        OutputError: The place is not writable, the disk is full, or a file has this name. What else the block raises comes
            out as it is.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_folder(folder / "result") as temporary:
        ...     _ = (temporary / "part.txt").write_text("done")
        >>> [str(entry.relative_to(folder)) for entry in folder.rglob("*")]
        ['result', 'result/part.txt']
    """
    final = Path(path)
    temporary = final.with_name(_temporary_name(final))
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for place, _, names in os.walk(temporary, topdown=False):
            for name in names:
                _sync(Path(place, name))
            sync_folder(place)
        _take_place(temporary, final)
        sync_folder(final.parent)
    except DartsError:
        raise
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename)).absolute()
        if not _is_about(error, final) and temporary.absolute() not in (named.parents if named else ()):
            raise
        raise OutputError(f"cannot write '{final}': {_ADVICE.get(error.errno or 0, str(error))}") from error
    finally:
        _remove(final.parent.glob(f"{glob.escape(temporary.name)}*"))


def remove_folder(path: str | os.PathLike[str]) -> None:
    """Remove a folder with all that is in it; its name is gone first, so that no half of it is ever taken for the whole.

    Args:
        path: The folder; it may be absent.

    Raises:
        OSError: It cannot be renamed.
    """
    final = Path(path)
    temporary = final.with_name(_temporary_name(final))
    with contextlib.suppress(FileNotFoundError):
        final.rename(temporary)
        sync_folder(final.parent)
        _remove(iter([temporary]))


def _take_place(temporary: Path, final: Path) -> None:
    """Rename a folder to a name that another one may have, or get meanwhile; that one is to be removed then."""
    for attempt in itertools.count():
        try:
            temporary.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
        with contextlib.suppress(FileNotFoundError):
            final.rename(final.with_name(f"{temporary.name}-{attempt}"))


@contextmanager
def sole_writer(folder: str | os.PathLike[str]) -> Iterator[bool]:
    """Be the only one who writes into a folder, as long as all its writers ask for this.

    Args:
        folder: The folder; created if missing, with its parents.

    Yields:
        Whether it is certain that nobody else does: False where the file system knows no locks on folders (some network
        file systems). The lock ends with the block, and with the process, however that ends; no file is left.

    Raises:
        OutputError: Another writer is at work, here or on another machine, or the folder cannot be made.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OutputError(f"cannot write into '{place}': {_ADVICE.get(error.errno or 0, str(error))}") from error
    try:
        yield _lock(descriptor, place)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"expected to be the only writer of '{folder}', but another process is writing there: wait for it, or choose "
            "another folder"
        ) from error
    except OSError:
        return False
    return True


def remove_leftovers(folder: str | os.PathLike[str], *, all_writers: bool = False) -> None:
    """Remove what writers that were killed left in a folder.

    Args:
        folder: The folder; it may be absent.
        all_writers: Whose files go. False: those of processes of this machine that are no longer there; others may be at
            work. True, which needs the certainty of `sole_writer`: all.
    """
    found = Path(folder).glob(f"{TEMPORARY_PREFIX}*")
    _remove(path for path in found if all_writers or _is_of_the_dead(path))


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make sure that the names in a folder, those that are gone too, outlast a loss of power."""
    with contextlib.suppress(OSError):  # not every file system can
        _sync(Path(folder))


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether something is at a path; False also where the path cannot be looked at."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a folder above is locked


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is at a path; False also where the path cannot be looked at."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where a folder above is locked


def _temporary_name(final: Path) -> str:
    start = f"{TEMPORARY_PREFIX}{_HOST}-{os.getpid()}-{secrets.token_hex(4)}-"
    room = _LONGEST_NAME_BYTES - len(start.encode()) - len("-journal")
    if len(os.fsencode(final.name)) > room:
        return f"{start}{hashlib.sha256(os.fsencode(final.name)).hexdigest()[:16]}{final.suffix[:32]}"
    return f"{start}{final.name}"


def _is_of_the_dead(path: Path) -> bool:
    owner = _OWNER.match(path.name)
    return owner is not None and not _may_live(owner)


def _may_live(owner: re.Match[str]) -> bool:
    if owner["host"] != _HOST:
        return True
    try:
        os.kill(int(owner["process"]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _is_about(error: OSError, final: Path) -> bool:
    """Whether an error speaks of the place that is written to, and not of something that the block read."""
    if error.filename is None:
        return error.errno is None or error.errno in _ADVICE
    named = Path(os.fsdecode(error.filename)).absolute()
    place = final.absolute()
    return named.parent == place.parent or named == place or named in place.parents


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(paths: Iterator[Path]) -> None:
    with contextlib.suppress(OSError):  # what cannot be removed is still no result
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
