"""Finding scenes: what paths, patterns, folders and lists name, and what the tiles are called that they become."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from darts_preprocessing.loading.safe import SUFFIX as SAFE_SUFFIX
from darts_preprocessing.loading.scene_tables import TABLE_SUFFIXES, table_scenes
from darts_preprocessing.loading.sources import RASTER_SUFFIXES
from darts_utils.errors import ConfigError, TileContractError
from darts_utils.files import TEMPORARY_PREFIX, exists, is_file
from darts_utils.logging import get_logger
from darts_utils.names import safe_name

_logger = get_logger(__name__)

_LINES_SUFFIX = ".txt"

LIST_SUFFIXES = (_LINES_SUFFIX, *TABLE_SUFFIXES)
"""An entry is the name of a list, not a pattern, if it ends so."""

_KINDS = f"folders, {', '.join(RASTER_SUFFIXES)}"


def listed_scenes(entry: str, *, out: Path) -> Iterator[tuple[Path, str | None]]:
    """Find the scenes that an entry names.

    Args:
        entry: Scene folder or raster; folder of scenes (one that holds folders, and no files); glob pattern; ``.txt`` file with
            a path per line (empty lines and lines that start with ``#`` do not count); ``.csv`` or ``.parquet`` file with the
            column ``scene`` and, if wanted, ``tile_id``. Relative paths in a file start at the file's folder.
        out: Folder of the results: neither it nor what is in it is a scene where a pattern matches it.

    Yields:
        Path of each scene, a pattern's matches by name, and the id of its tile where the list says it. Files that are no
        rasters are no scenes.

    Raises:
        ConfigError: Nothing matches, or the list cannot be read, has no column ``scene``, or names nothing; or the entry names
            the folder of the results itself, or a file of another kind.

    Notes:
        A path in a list that does not exist is a scene like any other: it fails for itself, and the others go on.
    """
    place = Path(entry)
    if entry.endswith(_LINES_SUFFIX):
        yield from ((path, None) for path in _read_lines(place))
    elif entry.endswith(TABLE_SUFFIXES):
        yield from table_scenes(place)
    elif _is_folder_of_scenes(place):
        yield from ((path, None) for path in _matches(os.path.join(glob.escape(entry), "*"), out=out))  # noqa: PTH118
    elif exists(place):  # what is there by that very name is no pattern
        _check_named(place, out=out)
        yield place, None
    else:
        yield from ((path, None) for path in _matches(entry, out=out))


def named_scenes(found: Iterable[tuple[Path, str | None]]) -> dict[str, Path]:
    """Say under which tile id each scene goes.

    Args:
        found: Path of each scene, and the id of its tile, or None.

    Returns:
        Tile id → absolute path, each path once, in order.

    Raises:
        ConfigError: A name cannot be a tile id, or two scenes have the same.
    """
    ids: dict[Path, str | None] = {}
    for path, name in found:
        ids.setdefault(plain_path(path), name)
    scenes: dict[str, Path] = {}
    for path, name in ids.items():
        tile_id = tile_id_for(path, name)
        if tile_id in scenes:
            raise ConfigError(
                f"expected a tile id of its own for each scene, but '{scenes[tile_id]}' and '{path}' are both {tile_id!r}, and "
                "the second would overwrite the first: rename one, or give them folders of results of their own"
            )
        scenes[tile_id] = path
    return scenes


def tile_id_for(path: Path, name: str | None = None) -> str:
    """The id of a scene's tile, after checking that it can be the name of a folder.

    Args:
        path: Where the scene is.
        name: The id; None: by the name of the scene, see `tile_id_of`.

    Raises:
        ConfigError: It cannot.
    """
    try:
        return safe_name(tile_id_of(path) if name is None else name, what="the name of a scene")
    except TileContractError as error:
        raise ConfigError(f"'{path!s}': {error}".encode(errors="backslashreplace").decode()) from error


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


def _matches(pattern: str, *, out: Path) -> Iterator[Path]:
    results = out.absolute()
    found = False
    for name in sorted(glob.iglob(pattern, recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute pattern
        path = Path(name)
        if path.name.startswith(TEMPORARY_PREFIX) or path.absolute() == results or results in path.absolute().parents:
            continue
        if _is_other_file(path):
            _logger.info("'%s' is no scene: it is a file, and none of %s", path, ", ".join(RASTER_SUFFIXES))
            continue
        found = True
        yield path
    if not found:
        raise ConfigError(
            f"expected scenes ({_KINDS}) that match '{pattern}', but there are none: check the pattern, and quote it"
        )


def _check_named(place: Path, *, out: Path) -> None:
    if plain_path(place) == plain_path(out):
        raise ConfigError(
            f"expected a scene at '{place}', but that is the folder of the results: leave it out, or quote the pattern"
        )
    if _is_other_file(place):
        raise ConfigError(
            f"expected a scene ({_KINDS}) at '{place}', but that is another file: leave it out, or quote the pattern"
        )


def _is_other_file(path: Path) -> bool:
    return is_file(path) and path.suffix.lower() not in RASTER_SUFFIXES


def _is_folder_of_scenes(place: Path) -> bool:
    """A folder that holds folders, but no file, is one of scenes; a scene holds files, or is called ``.SAFE``."""
    if place.suffix.upper() == SAFE_SUFFIX:
        return False
    try:
        inside = [entry for entry in os.scandir(place) if not entry.name.startswith(".")]
    except (OSError, ValueError):
        return False
    return bool(inside) and all(entry.is_dir() for entry in inside)


def _read_lines(path: Path) -> list[Path]:
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
