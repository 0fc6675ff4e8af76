"""Reading the results of many tiles: only what is complete, and everything that was not used by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.checking import tile_folders
from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.manifest import MANIFEST_FILE, Manifest, read_manifest
from darts_export.staleness import damage_of, other_tile
from darts_utils.dates import parse_date
from darts_utils.errors import OutputError, TileContractError

_OBJECTS, _COVERAGE = "prediction_segments.parquet", "prediction_extent.parquet"

_COMMON = ("tile_id", "date", "sensor", "models")

_LONGEST_EDGE_M = 1_000.0
"""A straight line on one map is a curve on another: areas are cut into edges of this length before they change maps."""


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
    """One row per object and tile, in EPSG:3413: the columns of `darts_export.segments_of`, and
    ``models``  str: names and hashes of the models, in the order of the ensemble; ``tile_crs``  str: that of the tile."""
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
    """Read the objects and trusted areas of exported tiles.

    Args:
        paths: Folders of tiles, and folders of results, which hold folders of tiles; in any mixture of CRSs.
        mixed_models: ``"apart"`` keeps the results of different models apart; ``"refuse"`` refuses them.
        sizes_only: Compare the sizes of the files with the manifest, not their content.

    Returns:
        The objects, the trusted areas, and what was not used.

    Raises:
        ConfigError: A path is no folder of results, or `mixed_models` is unknown.
        TileContractError: A table has no CRS, lacks a column, one tile has two different results of the same models, or the
            models are mixed and may not be.
        OutputError: A folder or a table cannot be read.
    """
    DatasetConfig(mixed_models=mixed_models)  # type: ignore[arg-type]  # it refuses what is unknown
    used, unused = _complete(tile_folders(paths), sizes_only=sizes_only)
    models = sorted({models_of(manifest) for _, manifest in used})
    if mixed_models == "refuse" and len(models) > 1:
        raise TileContractError(
            f"expected tiles of one set of models, but got {len(models)}: {'; '.join(models)}: name the folders of one, "
            "or keep them apart with mixed_models='apart'"
        )
    tables: dict[str, list[geopandas.GeoDataFrame]] = {_OBJECTS: [], _COVERAGE: []}
    repaired = dropped = 0
    for folder, manifest in used:
        for name, found in tables.items():
            table, mended, lost = _table(folder / name, models_of(manifest))
            found.append(table)
            repaired, dropped = repaired + mended, dropped + lost
    coverage = _joined(tables[_COVERAGE], [])[[*_COMMON, "geometry"]]
    return Archive(_joined(tables[_OBJECTS], ["segment_id", "tile_crs"]), coverage, tuple(unused), repaired, dropped)


def models_of(manifest: Manifest) -> str:
    """Name the models that a tile was made with; ``"unknown"`` where its manifest names none.

    Examples:
        >>> from darts_export.manifest import Origin
        >>> models_of(Manifest("a", Origin(models={"full": "12" * 32}), ()))
        'full@121212121212'
    """
    origin = manifest.origin
    used = [f"{name}@{sha256[:12]}" for name, sha256 in origin.models.items() if name not in origin.left_out]
    return " + ".join(used) or "unknown"


def _complete(folders: Sequence[Path], *, sizes_only: bool) -> tuple[list[tuple[Path, Manifest]], list[Unused]]:
    used: dict[tuple[str, str], tuple[Path, Manifest]] = {}
    unused = []
    for folder in sorted(folders):
        try:
            manifest = read_manifest(folder)
        except OutputError as error:
            unused.append(Unused(folder, f"manifest: {error}"))
            continue
        if manifest is None:
            unused.append(Unused(folder, f"not finished: there is no {MANIFEST_FILE}"))
            continue
        if (problem := _problem(manifest, folder, sizes_only=sizes_only)) is not None:
            unused.append(Unused(folder, problem))
            continue
        key = (manifest.tile_id, models_of(manifest))
        if key not in used:
            used[key] = (folder, manifest)
        elif _hashes(used[key][1]) == _hashes(manifest):
            unused.append(Unused(folder, f"doubled: '{used[key][0]}' holds the same"))
        else:
            raise TileContractError(
                f"expected one result of tile {manifest.tile_id!r} and models {key[1]}, but '{used[key][0]}' and '{folder}' "
                "differ: leave one of them out"
            )
    return [used[key] for key in sorted(used)], unused


def _problem(manifest: Manifest, folder: Path, *, sizes_only: bool) -> str | None:
    if (stranger := other_tile(manifest, folder)) is not None:
        return stranger
    for name in (_OBJECTS, _COVERAGE):
        if name not in {file.name for file in manifest.files}:
            return f"incomplete: {name} was not exported"
    for file in manifest.files:
        if (damage := damage_of(file, folder, sizes_only=sizes_only)) is not None:
            return damage
    dates = set(pd.concat(geopandas.read_parquet(folder / name)["date"] for name in (_OBJECTS, _COVERAGE)))
    for date in sorted(dates):
        try:
            parse_date(date)
        except ValueError:
            return f"undated: its date is {date!r}"
    return None


def _hashes(manifest: Manifest) -> list[str]:
    return [file.sha256 for file in manifest.files if file.name in (_OBJECTS, _COVERAGE)]


def _table(path: Path, models: str) -> tuple[geopandas.GeoDataFrame, int, int]:
    try:
        table = geopandas.read_parquet(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot read '{path}' ({error}): export the tile again") from error
    if table.crs is None:
        raise TileContractError(f"expected a table with a CRS at '{path}', but it has none: export the tile again")
    valid, repaired = repair(table.geometry.to_numpy())
    areas = geopandas.GeoSeries(shapely.segmentize(valid, _LONGEST_EDGE_M), crs=table.crs).to_crs(CRS)
    on_map, broken = repair(areas.to_numpy())
    code = table.crs.to_string()
    table = table.assign(models=pd.array([models] * len(table), dtype="string"), tile_crs=code).astype(
        {"tile_crs": "string"}
    )
    table = table.set_geometry(geopandas.GeoSeries(on_map, index=table.index, crs=CRS))
    lost = shapely.is_empty(on_map)
    return table[~lost], int((repaired | broken).sum()), int(lost.sum())


def repair(geometries: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Make (multi)polygons valid, and keep of them what has an area.

    Returns:
        ``(N,)`` valid polygons or multipolygons, empty where nothing has an area; ``(N,)`` True where one was invalid.

    Examples:
        >>> bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
        >>> valid, was_invalid = repair(np.array([bow_tie, shapely.box(0, 0, 1, 1)], dtype=object))
        >>> valid[0].geom_type, float(valid[0].area), was_invalid.tolist()
        ('MultiPolygon', 2.0, [True, False])
    """
    invalid = ~shapely.is_valid(geometries)
    result = geometries.copy()
    result[invalid] = [
        _areal(each) for each in shapely.make_valid(geometries[invalid], method="structure", keep_collapsed=False)
    ]
    return result, invalid


def _areal(geometry: shapely.Geometry) -> shapely.Geometry:
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts = shapely.get_parts(geometry)
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def _joined(tables: list[geopandas.GeoDataFrame], then_by: list[str]) -> geopandas.GeoDataFrame:
    """Put tables under each other, in an order that is that of their content."""
    if not tables:
        columns = {name: pd.array([], dtype="string") for name in _COMMON}
        if then_by:
            columns |= {"segment_id": np.empty(0, "int64"), "tile_crs": pd.array([], dtype="string")}
            columns |= {name: np.empty(0) for name in ("probability_median",)} | {"touches_edge": np.empty(0, bool)}
        return geopandas.GeoDataFrame(columns, geometry=[], crs=CRS)
    full = [table for table in tables if len(table)] or tables[:1]
    joined = pd.concat(full, ignore_index=True)
    return joined.sort_values([*_COMMON, *then_by], kind="stable", ignore_index=True)
