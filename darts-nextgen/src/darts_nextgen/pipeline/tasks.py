"""Which scenes a run maps, and under which tile id."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from darts_export.naming import safe_name
from darts_nextgen.pipeline.config import RunConfig
from darts_preprocessing.loading.finding import plain_path, scenes_of, tile_id_of
from darts_utils.errors import ConfigError, TileContractError
from darts_utils.files import exists


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
        tile's id is the name of the scene's folder without ``.SAFE``, or of its file without the suffix. The folder of the
        results, and files that are no rasters, are no scenes where a pattern matches them.

    Raises:
        ConfigError: A scene of ``scene`` or the list does not exist, nothing matches, two scenes have the same tile id, or
            a name cannot be a tile id.

    Notes:
        A path in a list that does not exist is a task like any other: it fails for itself, and the others go on.
    """
    for path in config.scene:
        if not exists(path):
            raise ConfigError(f"expected a scene at '{path}', but there is nothing that can be read: check the path")
    listed = [path for entry in config.scenes for path in scenes_of(entry, out=config.out)]
    paths = dict.fromkeys(plain_path(path) for path in (*config.scene, *listed))
    tasks = [SceneTask(path, _tile_id(path)) for path in paths]
    _check_unique(tasks)
    return tasks


def _tile_id(path: Path) -> str:
    name = tile_id_of(path)
    try:
        return safe_name(name, what="the name of a scene")
    except TileContractError as error:
        raise ConfigError(f"'{path!s}': {error}".encode(errors="backslashreplace").decode()) from error


def _check_unique(tasks: Iterable[SceneTask]) -> None:
    seen: dict[str, Path] = {}
    for task in tasks:
        if task.tile_id in seen:
            raise ConfigError(
                f"expected a tile id of its own for each scene, but '{seen[task.tile_id]}' and '{task.path}' are both "
                f"{task.tile_id!r}, and the second would overwrite the first: rename one, or map them apart"
            )
        seen[task.tile_id] = task.path
