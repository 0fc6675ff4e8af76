"""From folders of tiles to the levels of a data set, by way of part files in a work folder.

1. Tiles are read in batches, in parallel, repaired, brought on the one map, and stored (`darts_export.dataset.ingesting`).
2. Outlines whose boxes are near each other are connected, whatever their image, year and models; so are those that a slump of
   the last edition is near to (`darts_export.dataset.editions`). What is not connected has nothing to do with each other on any
   level. A set of connected outlines has one place: the Morton code of its lower left corner; partitions are ranges of places
   (`darts_export.dataset.places`).
3. All levels of a partition are made in one go, the partitions in parallel (`darts_export.dataset.partitions`), by the verbs that
   work on tables in memory: `observe`, `merge_years`, `track`, `coverage_cells`.

`build_levels` leaves in the work folder ``parts/<kind>/<fingerprint>/<level>.parquet``, and returns a `Levels`, which names the
files of each level in the order of their rows. Rows, their order and their numbers depend on the content of the tiles, on that
of the last edition and on the options alone; how they are shared among files depends on the size of partitions as well. Read
them with `Level.tables`: in the files, the columns of `NUMBERED_BY` count from 1.

Every file has a fingerprint of what it is made from as its name, and appears when it is complete. So a build that was killed goes
on from what is there, one with other tiles makes what depends on them, and what nobody needs any more is removed at the end.
"""

import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from darts_export.checking import tile_folders
from darts_export.dataset.archive import Unused, choose_tiles
from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.editions import OldSlumps, old_slumps
from darts_export.dataset.ingesting import StoredTile, batch_tasks, bounds_of, gather
from darts_export.dataset.levels import LEVELS, NUMBERED_BY, Level, Levels, Part, UsedTile
from darts_export.dataset.partitions import PartTask, coverage_tasks, make_parts, object_tasks
from darts_export.dataset.processes import in_processes
from darts_export.dataset.tracking import Tracks, closing_outlines
from darts_utils.files import remove_leftovers, sole_writer

_LOGGER = logging.getLogger(__name__)


def build_levels(
    paths: Sequence[Path],
    work: Path,
    *,
    config: DatasetConfig | None = None,
    previous: Tracks | None = None,
    sizes_only: bool = False,
) -> Levels:
    """Make the levels of a data set of the results of many tiles.

    Args:
        paths: Folders of tiles, and folders of results, which hold folders of tiles; in any mixture of CRSs.
        work: Folder for what is made on the way and for the part files; a build that was interrupted goes on from what is
            complete there, and one with other inputs makes again what depends on what has changed.
        config: The options.
        previous: Level 3 of the last edition, whose names are inherited; None for a first edition. Its outlines are held in
            memory.
        sizes_only: Compare the sizes of the files with the manifest, not their content.

    Returns:
        The levels, and what was used of the archive.

    Raises:
        ConfigError: A path is no folder of results.
        TileContractError: One tile has two different results of the same models, or the models are mixed and may not be; or the tables of the
            last edition lack columns, or are not in EPSG:3413.
        OutputError: A folder cannot be looked into, or the work folder cannot be written, or is in use.
    """
    options = config if config is not None else DatasetConfig()
    folders = tile_folders(paths, without=work)
    old = None if previous is None else old_slumps(closing_outlines(previous))
    with sole_writer(work):
        tiles, unused = _gathered(folders, work / "tiles", options, sizes_only=sizes_only)
        _LOGGER.info("%d tiles are used, %d are not", len(tiles), len(unused))
        levels = _made(tiles, work / "parts", options, old)
    facts = [tile.facts for tile in tiles]
    used = tuple(
        UsedTile(each.tile_id, each.date, each.sensor, each.models, tile.objects, each.sha256)
        for tile, each in zip(tiles, facts, strict=True)
    )
    return Levels(
        levels,
        used,
        tuple(unused),
        sum(each.repaired for each in facts),
        sum(each.dropped for each in facts),
        tuple(sorted({each.models for each in facts})),
    )


def _gathered(
    folders: Sequence[Path], place: Path, config: DatasetConfig, *, sizes_only: bool
) -> tuple[list[StoredTile], list[Unused]]:
    tasks = batch_tasks(folders, place, sizes_only=sizes_only)
    found: list[StoredTile] = []
    unused: list[Unused] = []
    for tiles, others in in_processes(gather, tasks, workers=config.workers):
        found += tiles
        unused += others
    _keep_only(place, (path for task in tasks for path in place.glob(f"{task.batch.name}.*")))
    found.sort(key=lambda tile: tile.folder)
    chosen, doubled = choose_tiles([(tile.folder, tile.facts) for tile in found], mixed_models=config.mixed_models)
    return [found[number] for number in chosen], sorted([*unused, *doubled], key=lambda each: each.folder)


def _made(
    tiles: Sequence[StoredTile], place: Path, config: DatasetConfig, previous: OldSlumps | None
) -> dict[str, Level]:
    nowhere = np.full((1, 4), np.nan)
    areas = [bounds if len(bounds) else nowhere for bounds in bounds_of(tiles, "areas")]
    area_bounds = np.concatenate([np.empty((0, 4)), *areas])
    objects = np.concatenate([np.empty((0, 4)), *bounds_of(tiles, "objects")])
    tasks = object_tasks(tiles, objects, area_bounds, place, config, previous=previous)
    del objects, previous
    tasks += coverage_tasks(tiles, area_bounds, place, config)
    parts: dict[str, list[Part]] = {name: [] for name in LEVELS}
    begun = dict.fromkeys(LEVELS, 0)
    for task, rows in zip(tasks, in_processes(make_parts, tasks, workers=config.workers), strict=True):
        for name, count in rows.items():
            first = {column: begun[counted] for column, counted in NUMBERED_BY.get(name, {}).items()}
            parts[name].append(Part(task.folder / f"{name}.parquet", count, first))
        for name, count in rows.items():
            begun[name] += count
    _keep_only_parts(place, tasks)
    return {name: Level(name, tuple(files)) for name, files in parts.items()}


def _keep_only_parts(place: Path, tasks: Iterable[PartTask]) -> None:
    wanted = {task.folder for task in tasks}
    for kind in {folder.parent for folder in wanted}:
        _keep_only(kind, wanted)
    for folder in wanted:
        remove_leftovers(folder, all_writers=True)


def _keep_only(place: Path, wanted: Iterable[Path]) -> None:
    """Remove what an earlier build has left in a folder, and what was never finished."""
    kept = set(wanted)
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path not in kept:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
