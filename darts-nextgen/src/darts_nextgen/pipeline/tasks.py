"""Which scenes a run maps, and under which tile id."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from darts_nextgen.pipeline.layout import ERRORS_FOLDER, RESULTS_FILE
from darts_nextgen.pipeline.scene_options import SceneOptions
from darts_nextgen.pipeline.streams import is_stream, streamed_scenes
from darts_preprocessing.loading.finding import listed_scenes, named_scenes, plain_path, tile_id_for
from darts_utils.errors import ConfigError
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
            `darts_preprocessing.loading.finding.listed_scenes`. Streams among them are left to `streamed_tasks`.

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
    one_by_one = ((path, None) for path in config.scene)
    listed = (scene for entry in entries for scene in listed_scenes(entry, out=config.out))
    return [task_of(path, tile_id=name) for name, path in named_scenes(chain(one_by_one, listed)).items()]


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
    name = tile_id_for(path, tile_id)
    if name in (RESULTS_FILE, ERRORS_FOLDER):
        raise ConfigError(
            f"'{path!s}': expected a scene of another name than {name!r}, which belongs to the run: rename it"
        )
    return SceneTask(path, name)
