"""Finding scenes: what patterns and lists name."""

import glob
from collections.abc import Iterator
from pathlib import Path

from darts_preprocessing.loading.safe import SUFFIX as SAFE_SUFFIX
from darts_preprocessing.loading.sources import RASTER_SUFFIXES
from darts_utils.errors import ConfigError
from darts_utils.files import TEMPORARY_PREFIX, is_file
from darts_utils.logging import get_logger

_logger = get_logger(__name__)

LIST_SUFFIX = ".txt"
"""An entry is a list of paths if it ends so, else a glob pattern."""


def scenes_of(entry: str, *, out: Path) -> Iterator[Path]:
    """Find the scenes that a pattern or a list names.

    Args:
        entry: Glob pattern, or name of a ``.txt`` file with one path per line (empty lines and lines that start with ``#`` do
            not count, relative paths start at the file's folder).
        out: Folder of the results, which is no scene where the pattern matches it.

    Yields:
        Paths; a pattern's matches by name. Files that are no rasters are no scenes.

    Raises:
        ConfigError: Nothing matches, or the list cannot be read or names nothing.

    Notes:
        A path in a list that does not exist is a scene like any other: it fails for itself, and the others go on.
    """
    if entry.endswith(LIST_SUFFIX):
        yield from _read_list(Path(entry))
        return
    results = out.absolute()
    found = False
    for name in sorted(glob.iglob(entry, recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute pattern
        path = Path(name)
        if path.name.startswith(TEMPORARY_PREFIX) or path.absolute() == results or results in path.absolute().parents:
            continue
        if is_file(path) and path.suffix.lower() not in RASTER_SUFFIXES:
            _logger.info("'%s' is no scene: it is a file, and none of %s", path, ", ".join(RASTER_SUFFIXES))
            continue
        found = True
        yield path
    if not found:
        raise ConfigError(
            f"expected scenes (folders, {', '.join(RASTER_SUFFIXES)}) that match '{entry}', but there are none: check the "
            "pattern, and quote it"
        )


def plain_path(path: Path) -> Path:
    """The absolute path, without ``..``; links keep their names."""
    return path.resolve() if ".." in path.parts else path.absolute()


def tile_id_of(path: Path) -> str:
    """Name of the tile that a scene becomes: that of its folder without ``.SAFE``, or of its file without the suffix.

    Examples:
        >>> tile_id_of(Path("/data/S2A_MSIL2A_20210821T210021_N0500_R100_T08WMA_20230115T031530.SAFE"))
        'S2A_MSIL2A_20210821T210021_N0500_R100_T08WMA_20230115T031530'
    """
    if is_file(path):
        return path.stem
    return path.stem if path.suffix.upper() == SAFE_SUFFIX else path.name


def _read_list(path: Path) -> list[Path]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise ConfigError(f"expected a list of scenes at '{path}', but it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"expected a list of scenes at '{path}', but it is no text: name a glob pattern instead"
        ) from error
    found = [path.absolute().parent / line for line in lines if line and not line.startswith("#")]
    if not found:
        raise ConfigError(f"expected one path per line in '{path}', but it names no scene")
    return found
