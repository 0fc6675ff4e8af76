"""Files that appear under their final name only when they are complete."""

import errno
import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts_utils.errors import OutputError

TEMPORARY_PREFIX = ".darts-incomplete-"
"""Names that start with this are work in progress or its remains after a kill; they are never results."""


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well.

    The temporary name keeps the suffix (format drivers look at it). On success the file is synced to disk, then renamed
    over `path`; on any exception it is removed and whatever stood at `path` stays as it was.

    Args:
        path: The final name. Missing parent folders are created.

    Yields:
        The path to write to, in the same folder as `path`.

    Raises:
        OutputError: The folder is not writable, the disk is full, or the block wrote nothing.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "result.txt") as temporary:
        ...     _ = temporary.write_text("done")
        >>> [entry.name for entry in folder.iterdir()]
        ['result.txt']
    """
    final = Path(path)
    temporary = final.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{final.name}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if not temporary.is_file():
            raise OutputError(
                f"expected a complete file for '{final}', but nothing was written: this is a bug of the writer"
            )
        _sync(temporary)
        temporary.replace(final)
        _sync(final.parent)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write '{final}': {_reason(error)}") from error
    finally:
        # GDAL and SQLite leave side files (-journal, .aux.xml) that carry the temporary name.
        for leftover in final.parent.glob(f"{glob.escape(temporary.name)}*") if final.parent.is_dir() else ():
            leftover.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    advice = {
        errno.ENOSPC: "the disk is full: free some space or choose another folder",
        errno.EFBIG: "the file is larger than the file system or a limit allows: choose another folder or raise the limit",
        errno.EDQUOT: "the disk quota is used up: free some space or choose another folder",
        errno.EACCES: "permission denied: choose a folder you may write to",
        errno.EROFS: "the file system is read-only: choose another folder",
        errno.ENOTDIR: "a part of the path is a file, not a folder: choose another path",
        errno.EEXIST: "a part of the path is a file, not a folder: choose another path",
        errno.EISDIR: "a folder has this name: choose another path",
    }
    if error.errno in advice:
        return advice[error.errno]
    return str(error)
