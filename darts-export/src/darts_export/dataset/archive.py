"""Reading the results of many tiles: only what is complete, and everything that was not used by name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa

from darts_export.checking import tile_folders
from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.results import models_of
from darts_export.dataset.tiles import AREA, OBJECTS, Tile, TileFacts, UnusableTileError, read_tile, repair
from darts_utils.errors import TileContractError

__all__ = ["Archive", "Unused", "models_of", "read_archive", "repair"]


@dataclass(frozen=True)
class Unused:
    """A folder that was not used."""

    folder: Path
    """The folder."""
    reason: str
    """Why, in one line."""


@dataclass(frozen=True)
class Archive:
    """What `read_archive` found, in an order that depends on neither the order nor the places of the folders."""

    objects: geopandas.GeoDataFrame
    """One row per object and tile, in EPSG:3413: ``tile_id`` ``date`` ``sensor``  str;
    ``models``  str: names and hashes of the models, in the order of the ensemble; ``tile_crs``  str: that of the tile;
    ``segment_id`` ``npixel`` ``area_m2`` ``probability_min`` ``_max`` ``_mean`` ``_median`` ``_std``: as in
    `darts_export.segments_of`; ``touches_edge``  bool: it is at the edge of the trusted area, or of the tile."""
    coverage: geopandas.GeoDataFrame
    """One row per tile with a trusted area, in EPSG:3413: ``tile_id``, ``date``, ``sensor``, ``models``, ``geometry``."""
    unused: tuple[Unused, ...]
    """Folders that are incomplete, damaged, undated or doubled."""
    repaired: int
    """Number of geometries, of objects and of trusted areas, that were invalid and have been made valid."""
    dropped: int
    """Number of geometries that hold no area, even when made valid, and are left out."""


def read_archive(
    paths: Sequence[Path],
    *,
    mixed_models: str = DatasetConfig.mixed_models,
    sizes_only: bool = False,
) -> Archive:
    """Read the objects and trusted areas of exported tiles into memory.

    Args:
        paths: Folders of tiles, and folders of results, which hold folders of tiles; in any mixture of CRSs.
        mixed_models: ``"apart"`` keeps the results of different models apart; ``"refuse"`` refuses them.
        sizes_only: Compare the sizes of the files with the manifest, not their content.

    Returns:
        The objects, the trusted areas, and what was not used.

    Raises:
        ConfigError: A path is no folder of results, or `mixed_models` is unknown.
        TileContractError: One tile has two different results of the same models, or the models are mixed and may not be.
        OutputError: A folder cannot be looked into.
    """
    DatasetConfig(mixed_models=mixed_models)  # type: ignore[arg-type]  # it refuses what is unknown
    read: list[tuple[Path, Tile]] = []
    unused = []
    for folder in sorted(tile_folders(paths)):
        try:
            read.append((folder, read_tile(folder, sizes_only=sizes_only)))
        except UnusableTileError as error:
            unused.append(Unused(folder, str(error)))
    chosen, doubled = choose_tiles([(folder, tile.facts) for folder, tile in read], mixed_models=mixed_models)
    tiles = [read[number][1] for number in chosen]
    return Archive(
        table_of([(tile.facts, tile.objects) for tile in tiles], OBJECTS),
        table_of([(tile.facts, tile.area) for tile in tiles], AREA),
        tuple(sorted([*unused, *doubled], key=lambda each: each.folder)),
        sum(tile.facts.repaired for tile in tiles),
        sum(tile.facts.dropped for tile in tiles),
    )


def choose_tiles(found: Sequence[tuple[Path, TileFacts]], *, mixed_models: str) -> tuple[list[int], list[Unused]]:
    """Choose each tile once, and put them in the order of sensor, date, models and name.

    Args:
        found: Folders, sorted, and what was found there.
        mixed_models: As in `read_archive`.

    Returns:
        Indices into `found`; the folders that hold the same as another one.

    Raises:
        TileContractError: As for `read_archive`.
    """
    models = sorted({facts.models for _, facts in found})
    if mixed_models == "refuse" and len(models) > 1:
        raise TileContractError(
            f"expected tiles of one set of models, but got {len(models)}: {'; '.join(models)}: name the folders of one, "
            "or keep them apart with mixed_models='apart'"
        )
    chosen: dict[tuple[str, str], int] = {}
    doubled = []
    for number, (folder, facts) in enumerate(found):
        key = (facts.tile_id, facts.models)
        if key not in chosen:
            chosen[key] = number
        elif found[chosen[key]][1].sha256 == facts.sha256:
            doubled.append(Unused(folder, f"doubled: '{found[chosen[key]][0]}' holds the same"))
        else:
            raise TileContractError(
                f"expected one result of tile {facts.tile_id!r} and models {facts.models}, but '{found[chosen[key]][0]}' and "
                f"'{folder}' differ: leave one of them out"
            )
    return sorted(chosen.values(), key=lambda number: _rank(found[number][1])), doubled


def table_of(rows: Iterable[tuple[TileFacts, pa.Table]], schema: pa.Schema) -> geopandas.GeoDataFrame:
    """Put rows of several tiles under each other, with what they have of their tiles.

    Args:
        rows: Tiles and rows of theirs.
        schema: `OBJECTS` or `AREA`.
    """
    facts, tables = zip(*rows, strict=True) if (rows := list(rows)) else ((), ())
    joined = pa.concat_tables([schema.empty_table(), *tables]).to_pandas()
    which = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    columns = {"tile_id": "tile_id", "date": "date", "sensor": "sensor", "models": "models"}
    if schema is OBJECTS:
        columns["tile_crs"] = "crs"
    of_tile = {
        name: pd.array([getattr(each, field) for each in facts], dtype="string").take(which)
        for name, field in columns.items()
    }
    outlines = geopandas.GeoSeries.from_wkb(joined.pop("geometry"), crs=CRS)
    return geopandas.GeoDataFrame(pd.DataFrame(of_tile).join(joined), geometry=outlines, crs=CRS)


def _rank(facts: TileFacts) -> tuple[str, str, str, str]:
    return (facts.sensor, facts.date, facts.models, facts.tile_id)
