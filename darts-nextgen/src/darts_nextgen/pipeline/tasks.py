"""Which scenes a run maps, and under which tile id."""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from darts_nextgen.pipeline.config import RunConfig
from darts_utils.errors import ConfigError
from darts_utils.files import TEMPORARY_PREFIX

LIST_SUFFIX = ".txt"
"""``scenes`` is a list of paths if it ends so, else a glob pattern."""


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
        config: Its ``scene`` are taken as they are; its ``scenes`` is a glob pattern, or a ``.txt`` file with one path per
            line (empty lines and lines that start with ``#`` do not count, relative paths start at the file's folder).

    Returns:
        One task per scene, each path once: first ``scene`` in their order, then ``scenes``, a pattern's matches by name. A
        tile's id is the name of the scene's folder, or of its file without the suffix.

    Raises:
        ConfigError: A scene of ``scene`` or the list does not exist, nothing matches, or two scenes have the same tile id.

    Notes:
        A path in a list that does not exist is a task like any other: it fails for itself, and the others go on.
    """
    for path in config.scene:
        if not path.exists():
            raise ConfigError(f"expected a scene at '{path}', but there is nothing: check the path")
    listed = _scenes_of(config.scenes) if config.scenes is not None else []
    paths = dict.fromkeys(path.absolute() for path in (*config.scene, *listed))
    tasks = [SceneTask(path, _tile_id(path)) for path in paths]
    _check_unique(tasks)
    return tasks


def _tile_id(path: Path) -> str:
    return path.stem if path.is_file() else path.name


def _scenes_of(scenes: str) -> list[Path]:
    if scenes.endswith(LIST_SUFFIX):
        return _read_list(Path(scenes))
    found = [Path(name) for name in sorted(glob.glob(scenes, recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = [path for path in found if not path.name.startswith(TEMPORARY_PREFIX)]
    if not found:
        raise ConfigError(f"expected scenes that match '{scenes}', but there are none: check the pattern, and quote it")
    return found


def _read_list(path: Path) -> list[Path]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
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
