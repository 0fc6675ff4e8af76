"""Which scenes a run maps, and under which tile id."""

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from darts_export.naming import safe_name
from darts_nextgen.pipeline.config import RunConfig
from darts_utils.errors import ConfigError, TileContractError
from darts_utils.files import TEMPORARY_PREFIX, exists, is_file
from darts_utils.logging import get_logger

_logger = get_logger(__name__)

LIST_SUFFIX = ".txt"
"""An entry of ``scenes`` is a list of paths if it ends so, else a glob pattern."""

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt")
"""Of what a pattern matches, folders and files with these endings are scenes."""


@dataclass(frozen=True)
class SceneTask:
    """One scene to map; cheap to send to another process."""

    path: Path
    """Scene folder or GeoTIFF, absolute."""
    tile_id: str
    """Name of the tile and of its folder of results."""


def scene_tasks(config: RunConfig) -> list[SceneTask]:
    """Find the scenes of a run.

    Args:
        config: Its ``scene`` are taken as they are; its ``scenes`` are glob patterns, and ``.txt`` files with one path per
            line (empty lines and lines that start with ``#`` do not count, relative paths start at the file's folder).

    Returns:
        One task per scene, each path once: first ``scene`` in their order, then ``scenes``, a pattern's matches by name. A
        tile's id is the name of the scene's folder, or of its file without the suffix. The folder of the results, and
        files that are no rasters, are no scenes where a pattern matches them.

    Raises:
        ConfigError: A scene of ``scene`` or the list does not exist, nothing matches, two scenes have the same tile id, or
            a name cannot be a tile id.

    Notes:
        A path in a list that does not exist is a task like any other: it fails for itself, and the others go on.
    """
    for path in config.scene:
        if not exists(path):
            raise ConfigError(f"expected a scene at '{path}', but there is nothing that can be read: check the path")
    listed = [path for entry in config.scenes for path in _scenes_of(entry, out=config.out)]
    paths = dict.fromkeys(_plain_path(path) for path in (*config.scene, *listed))
    tasks = [SceneTask(path, _tile_id(path)) for path in paths]
    _check_unique(tasks)
    return tasks


def _plain_path(path: Path) -> Path:
    """The absolute path, without ``..``; links keep their names."""
    return path.resolve() if ".." in path.parts else path.absolute()


def _tile_id(path: Path) -> str:
    name = path.stem if is_file(path) else path.name
    try:
        return safe_name(name, what="the name of a scene")
    except TileContractError as error:
        raise ConfigError(f"'{path!s}': {error}".encode(errors="backslashreplace").decode()) from error


def _scenes_of(entry: str, *, out: Path) -> Iterator[Path]:
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


def _check_unique(tasks: Iterable[SceneTask]) -> None:
    seen: dict[str, Path] = {}
    for task in tasks:
        if task.tile_id in seen:
            raise ConfigError(
                f"expected a tile id of its own for each scene, but '{seen[task.tile_id]}' and '{task.path}' are both "
                f"{task.tile_id!r}, and the second would overwrite the first: rename one, or map them apart"
            )
        seen[task.tile_id] = task.path
