"""Errors that may pass: of the network or of the file system, also where GDAL has dropped the system's error number."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from rasterio.errors import RasterioError

_TRANSIENT = frozenset(
    [errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED,
     errno.ECONNABORTED, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.EREMOTEIO]
)  # fmt: skip
"""Errors of the system that may pass."""

_TOLD = re.compile(
    "|".join(
        [
            *(re.escape(os.strerror(number)) for number in sorted(_TRANSIENT)),
            r"HTTP response code: (?:408|429|5\d\d)",
            r"CURL error: (?:Failed|Could not) (?:to )?(?:connect|resolve)",
            r"CURL error: .*(?:timed out|reset)",
        ]
    ),
    re.IGNORECASE,
)
"""How GDAL and curl say the same in their messages."""

_PATH = re.compile(r"(?:^|['`\"(:\s])(/[^'\"`\n]+?)(?=['\"`]|: |$)", re.MULTILINE)
"""An absolute path in a message of GDAL, with or without quotes around it."""

_CHUNK_BYTES = 1 << 23


def is_transient(error: BaseException) -> bool:
    """Whether an error, or one that it came from, is one of the network or the file system that may pass.

    Notes:
        GDAL hands on a text, but no number. Where it says what the system or a server said, that counts. Where it does not ("not
        recognized as being in a supported file format" is what it makes of a stale handle), the files that the text names
        are read once more, and the number that the system then gives counts: a file that can be read is broken, and stays so.

    Examples:
        >>> is_transient(OSError(errno.ESTALE, "stale file handle")), is_transient(OSError(errno.ENOSPC, "disk full"))
        (True, False)
    """
    chain = list(_chain(error))
    if any(_is_told(each) for each in chain):
        return True
    texts = [str(each) for each in chain if isinstance(each, RasterioError)]
    return any(_trouble_with(path) in _TRANSIENT for path in dict.fromkeys(_paths_in(texts)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_told(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _TRANSIENT
    is_of_gdal = isinstance(error, RasterioError) or type(error).__module__.startswith("rasterio")
    return is_of_gdal and _TOLD.search(str(error)) is not None


def _paths_in(texts: list[str]) -> Iterator[Path]:
    for text in texts:
        yield from (Path(found) for found in _PATH.findall(text) if not found.startswith("/vsi"))


def _trouble_with(path: Path) -> int | None:
    """Read a file to its end; the number of the error that the system gives, None where it gives none."""
    try:
        with path.open("rb", buffering=0) as file:
            while file.read(_CHUNK_BYTES):
                pass
    except OSError as error:
        return error.errno
    except ValueError:  # no path at all
        return None
    return None
