"""From folders of tiles to the levels of a data set, by way of part files in a work folder.

`build_levels` leaves in the work folder ``parts/<fingerprint>/<level>.parquet``, and returns a `Levels`, which names the files of
each level in the order of their rows. Rows, their order and their numbers depend on the content of the tiles and on the
options alone; how they are shared among files depends on the size of partitions as well. Read them with `Level.tables`: in
the files, the columns of `NUMBERED_BY` count from 1.
"""

from collections.abc import Sequence
from pathlib import Path

import geopandas
import pandas as pd

from darts_export.dataset.archive import read_archive
from darts_export.dataset.cells import coverage_cells
from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.levels import NUMBERED_BY, Level, Levels, Part, UsedTile
from darts_export.dataset.observations import observe
from darts_export.dataset.yearly import merge_years
from darts_export.vector_files import write_geoparquet
from darts_utils.files import atomic_path, sole_writer


def build_levels(
    paths: Sequence[Path], work: Path, *, config: DatasetConfig | None = None, sizes_only: bool = False
) -> Levels:
    """Make the levels of a data set of the results of many tiles.

    Args:
        paths: Folders of tiles, and folders of results, which hold folders of tiles; in any mixture of CRSs.
        work: Folder for what is made on the way and for the part files; a build that was interrupted goes on from what is
            complete there, and one with other inputs makes again what depends on what has changed.
        config: The options.
        sizes_only: Compare the sizes of the files with the manifest, not their content.

    Returns:
        The levels, and what was used of the archive.

    Raises:
        ConfigError: A path is no folder of results.
        TileContractError: One tile has two different results of the same models, or the models are mixed and may not be.
        OutputError: A folder cannot be read, or the work folder cannot be written, or is in use.
    """
    options = config if config is not None else DatasetConfig()
    with sole_writer(work):
        archive = read_archive(paths, mixed_models=options.mixed_models, sizes_only=sizes_only)
        observed = observe(archive.objects, archive.coverage, edge_tolerance_m=options.edge_tolerance_m)
        tables = {
            "level1": observed,
            "level2": merge_years(observed, archive.coverage, edge_tolerance_m=options.edge_tolerance_m),
            "coverage": coverage_cells(archive.coverage, cell_m=options.cell_m),
        }
        levels = {name: _written(table, name, work / "parts") for name, table in tables.items()}
    tiles = pd.concat([archive.objects, archive.coverage])[["sensor", "date", "models", "tile_id"]].drop_duplicates()
    counts = archive.objects.groupby(["tile_id", "models"]).size()
    used = tuple(
        UsedTile(row.tile_id, row.date, row.sensor, row.models, int(counts.get((row.tile_id, row.models), 0)), "")
        for row in tiles.sort_values(list(tiles)).itertuples()
    )
    models = tuple(sorted({tile.models for tile in used}))
    return Levels(levels, used, archive.unused, archive.repaired, archive.dropped, models)


def _written(table: geopandas.GeoDataFrame, name: str, folder: Path) -> Level:
    with atomic_path(folder / f"{name}.parquet") as temporary:
        write_geoparquet(table, temporary)
    return Level(name, (Part(folder / f"{name}.parquet", len(table), dict.fromkeys(NUMBERED_BY.get(name, ()), 0)),))
