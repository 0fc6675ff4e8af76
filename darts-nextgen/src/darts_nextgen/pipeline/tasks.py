"""Which scenes a run maps, and under which tile id."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from darts_export.naming import safe_name
from darts_nextgen.pipeline.layout import ERRORS_FOLDER, RESULTS_FILE
from darts_nextgen.pipeline.scene_lists import is_stream, listed_scenes, streamed_scenes
from darts_nextgen.pipeline.scene_options import SceneOptions
from darts_preprocessing.loading.finding import plain_path, tile_id_of
from darts_utils.errors import ConfigError, TileContractError
from darts_utils.files import exists
from darts_utils.logging import get_logger

_logger = get_logger(__name__)


@dataclass(frozen=True)
class SceneTask:
    """One scene to map; cheap to send to another process."""

    path: Path
    """Scene folder or GeoTIFF, absolute."""
    tile_id: str
    """Name of the tile and of its folder of results."""


def scene_tasks(config: SceneOptions) -> list[SceneTask]:
    """Find the scenes of a run that are known before it starts.

    Args:
        config: Its ``scene`` are taken as they are; its ``scenes`` are glob patterns, folders of scenes, and lists, see
            `darts_nextgen.pipeline.scene_lists.listed_scenes`. Streams among them are left to `streamed_tasks`.

    Returns:
        One task per scene, each path once: first ``scene`` in their order, then ``scenes``, a pattern's matches by name. A
        tile's id is what the list says, else the name of the scene's folder without ``.SAFE``, or of its file without the
        suffix. The folder of the results, and files that are no rasters, are no scenes where a pattern matches them.

    Raises:
        ConfigError: A scene of ``scene`` or the list does not exist, nothing matches, two scenes have the same tile id, or
            a name cannot be a tile id.

    Notes:
        A path in a list that does not exist is a task like any other: it fails for itself, and the others go on.
    """
    for path in config.scene:
        if not exists(path):
            raise ConfigError(f"expected a scene at '{path}', but there is nothing that can be read: check the path")
    entries = [entry for entry in config.scenes if not is_stream(entry)]
    found: dict[Path, str | None] = {plain_path(path): None for path in config.scene}
    for entry in entries:
        for path, name in listed_scenes(entry, out=config.out):
            found.setdefault(plain_path(path), name)
    tasks = [task_of(path, tile_id=name) for path, name in found.items()]
    _check_unique(tasks)
    return tasks


def streamed_tasks(config: SceneOptions) -> Iterator[SceneTask] | None:
    """The scenes of a run that arrive while it goes on; None where there are no such lists.

    Notes:
        A line whose name cannot be a tile id is left out with a warning in the log.
    """
    entries = [entry for entry in config.scenes if is_stream(entry)]
    return _arriving(entries) if entries else None


def _arriving(entries: Iterable[str]) -> Iterator[SceneTask]:
    for entry in entries:
        for path in streamed_scenes(entry):
            try:
                yield task_of(plain_path(path))
            except ConfigError as error:
                _logger.warning("left out: %s", error)


def task_of(path: Path, *, tile_id: str | None = None) -> SceneTask:
    """Make the task of a scene.

    Args:
        path: Where the scene is, absolute.
        tile_id: Name of its tile; None: by the name of the folder or file.

    Raises:
        ConfigError: The name cannot be a tile id.
    """
    try:
        name = safe_name(tile_id_of(path) if tile_id is None else tile_id, what="the name of a scene")
    except TileContractError as error:
        raise ConfigError(f"'{path!s}': {error}".encode(errors="backslashreplace").decode()) from error
    if name in (RESULTS_FILE, ERRORS_FOLDER):
        raise ConfigError(
            f"'{path!s}': expected a scene of another name than {name!r}, which belongs to the run: rename it"
        )
    return SceneTask(path, name)


def _check_unique(tasks: Iterable[SceneTask]) -> None:
    seen: dict[str, Path] = {}
    for task in tasks:
        if task.tile_id in seen:
            raise ConfigError(
                f"expected a tile id of its own for each scene, but '{seen[task.tile_id]}' and '{task.path}' are both "
                f"{task.tile_id!r}, and the second would overwrite the first: rename one, or map them apart"
            )
        seen[task.tile_id] = task.path
