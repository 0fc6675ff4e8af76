"""Partitions: places whose rows have nothing to do with those of any other, and what their part files are made from."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from darts_export.dataset.archive import table_of
from darts_export.dataset.cells import cell_codes, cells_of, coverage_cells
from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.editions import OldSlumps, old_slumps
from darts_export.dataset.ingesting import StoredTile, read_rows
from darts_export.dataset.observations import observe
from darts_export.dataset.places import leaves, place_codes
from darts_export.dataset.tiles import AREA, OBJECTS
from darts_export.dataset.tracking import Tracks, track
from darts_export.dataset.yearly import merge_years
from darts_export.fingerprints import sha256_of
from darts_export.vector_files import write_geoparquet
from darts_utils.files import atomic_path

FORMAT = 2
"""Version of the rules by which rows are made; to be raised when they change. It is part of all fingerprints."""

_DONE = "done.json"

_CELLS_AT_A_TIME = 2_000
"""Pairs of a cell and a trusted area that reaches it."""


@dataclass(frozen=True)
class PartTask:
    """What the files of a partition are made from."""

    folder: Path
    """Where they will be; its name is a fingerprint of everything else here."""
    config: DatasetConfig
    objects: tuple[StoredTile, ...]
    """Tiles whose objects are in the partition."""
    rows: tuple[NDArray[np.int64], ...]
    """Which of their objects."""
    areas: tuple[StoredTile, ...]
    """Tiles whose trusted areas may reach there."""
    cells: NDArray[np.int64]
    """``(C, 2)`` the cells of the coverage that are asked for; none where objects are."""
    previous: geopandas.GeoDataFrame | None = None
    """All outlines of the slumps of the last edition that are in the partition; None where none is."""


def object_tasks(
    tiles: Sequence[StoredTile],
    bounds: NDArray[np.float64],
    area_bounds: NDArray[np.float64],
    place: Path,
    config: DatasetConfig,
    *,
    previous: OldSlumps | None = None,
) -> list[PartTask]:
    """Share the objects of tiles among partitions.

    Args:
        tiles: The tiles, in order.
        bounds: ``(N, 4)`` the boxes of their objects, tile after tile.
        area_bounds: ``(A, 4)`` the box of the trusted area of each tile, NaN where nothing is trusted.
        place: Where the folders of part files are.
        config: The options.
        previous: The slumps of the last edition. Each takes part as if its box were an object's, so it is in the partition
            of all that can inherit its name.
    """
    old = np.empty((0, 4)) if previous is None else previous.bounds
    codes = place_codes(np.concatenate([bounds, old]), reach_m=config.reach_m)
    order = np.argsort(codes, kind="stable")
    begins = np.cumsum([0, *(tile.objects for tile in tiles)])
    tasks = []
    for leaf in leaves(codes[order], most=config.partition_objects) or [slice(0, 0)]:
        both = np.sort(order[leaf])
        inside, slumps = np.split(both, [np.searchsorted(both, len(bounds))])
        owners = np.searchsorted(begins, inside, side="right") - 1
        numbers, firsts = np.unique(owners, return_index=True)
        rows = tuple(
            each - begins[number]
            for number, each in zip(numbers, np.split(inside, firsts[1:]), strict=bool(len(numbers)))
        )
        tasks.append(
            _task(
                place,
                config,
                objects=tuple(tiles[number] for number in numbers.tolist()),
                rows=rows[: len(numbers)],
                areas=_reaching(tiles, area_bounds, bounds[inside], margin_m=3 * config.reach_m),
                previous=previous.only(slumps - len(bounds)) if previous is not None and len(slumps) else None,
            )
        )
    return tasks


def coverage_tasks(
    tiles: Sequence[StoredTile], area_bounds: NDArray[np.float64], place: Path, config: DatasetConfig
) -> list[PartTask]:
    """Share the cells of the coverage among partitions."""
    looking = np.flatnonzero(np.isfinite(area_bounds).all(axis=1))
    whose, cells = cells_of(area_bounds[looking], cell_m=config.cell_m)
    codes = cell_codes(cells)
    order = np.lexsort((whose, codes))
    tasks = []
    for leaf in leaves(codes[order], most=_CELLS_AT_A_TIME) or [slice(0, 0)]:
        inside = order[leaf]
        areas = tuple(tiles[number] for number in looking[np.unique(whose[inside])].tolist())
        tasks.append(_task(place, config, areas=areas, cells=np.unique(cells[inside], axis=0)))
    return tasks


def make_parts(task: PartTask) -> dict[str, int]:
    """Make the part files of a partition, unless they are there.

    Returns:
        Name of each level of the partition → number of rows.
    """
    known = _done(task.folder)
    if known is not None:
        return known
    is_coverage = len(task.cells) > 0 or (not task.objects and task.folder.parent.name == "coverage")
    tables = _coverage_tables(task) if is_coverage else _object_tables(task)
    noted = {}
    for name, table in tables:
        path = task.folder / f"{name}.parquet"
        with atomic_path(path) as temporary:
            write_geoparquet(table, temporary)
        noted[name] = {"rows": len(table), "sha256": sha256_of(path)}
    with atomic_path(task.folder / _DONE) as temporary:
        temporary.write_text(json.dumps(noted), encoding="utf-8")
    return {name: int(each["rows"]) for name, each in noted.items()}  # type: ignore[call-overload]


def _object_tables(task: PartTask) -> Iterator[tuple[str, geopandas.GeoDataFrame]]:
    config = task.config
    objects = table_of(read_rows(task.objects, task.rows, "objects"), OBJECTS)
    coverage = _areas(task)
    # What slumps of the last edition connect stands together, too: its place is that of all of it.
    boxes, inside = _boxes(objects, task.previous), len(objects)
    places = place_codes(boxes, reach_m=config.reach_m)
    observed = observe(
        objects,
        coverage,
        edge_tolerance_m=config.edge_tolerance_m,
        reach_m=config.reach_m,
        places=places[:inside],
    )
    del objects
    yield "level1", observed
    yearly = merge_years(observed, coverage, edge_tolerance_m=config.edge_tolerance_m)
    del observed, coverage
    yield "level2", yearly
    tracks = track(
        yearly,
        previous=task.previous,
        min_overlap=config.min_overlap,
        footprint=config.footprint,
        outline_error_m=config.outline_error_m,
        workers=1,
    )
    yield from _in_place(tracks, boxes, places).items()


def _boxes(objects: geopandas.GeoDataFrame, previous: geopandas.GeoDataFrame | None) -> NDArray[np.float64]:
    bounds = shapely.bounds(objects.geometry.to_numpy())
    return bounds if previous is None else np.concatenate([bounds, old_slumps(previous).bounds])


def _in_place(
    tracks: Tracks, boxes: NDArray[np.float64], places: NDArray[np.int64]
) -> Mapping[str, geopandas.GeoDataFrame]:
    """Put the rows of Level 3 in the order of the objects of Level 2, which is that of places.

    A retired name has no object in Level 2. It comes before the events of the objects of its place.
    """
    first = tracks.years.groupby("slump_id")["object_id"].min()
    slumps = tracks.slumps.iloc[np.argsort(tracks.slumps["slump_id"].map(first), kind="stable")]
    years = tracks.years.iloc[np.lexsort((tracks.years["year"], tracks.years["slump_id"].map(first)))]
    parents = tracks.events["parents"].str.split(" ")
    earliest = np.array([min(int(first.get(name, 0)) for name in names) for names in parents], dtype="int64")
    place = _places_of(tracks.events.geometry.to_numpy(), boxes, places)
    events = tracks.events.iloc[np.lexsort((earliest, place))]
    named = {"level3": slumps, "level3_years": years, "level3_events": events}
    return {name: table.reset_index(drop=True) for name, table in named.items()}


def _places_of(
    outlines: NDArray[np.object_], boxes: NDArray[np.float64], places: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find the places of outlines by a corner of each, which is within a box, and only within boxes of its place."""
    if len(outlines) == 0:
        return np.empty(0, dtype="int64")
    coordinates, owners = shapely.get_coordinates(outlines, return_index=True)
    corners = shapely.points(coordinates[np.searchsorted(owners, np.arange(len(outlines)))])
    return np.asarray(places[shapely.STRtree(shapely.box(*boxes.T)).nearest(corners)])


def _coverage_tables(task: PartTask) -> Iterator[tuple[str, geopandas.GeoDataFrame]]:
    yield "coverage", coverage_cells(_areas(task), cell_m=task.config.cell_m, chosen=task.cells)


def _areas(task: PartTask) -> geopandas.GeoDataFrame:
    return table_of(read_rows(task.areas, [None] * len(task.areas), "areas"), AREA)


def _reaching(
    tiles: Sequence[StoredTile], area_bounds: NDArray[np.float64], inside: NDArray[np.float64], *, margin_m: float
) -> tuple[StoredTile, ...]:
    if len(inside) == 0:
        return ()
    low, high = inside[:, :2].min(axis=0) - margin_m, inside[:, 2:].max(axis=0) + margin_m
    reaches = (area_bounds[:, :2] <= high).all(axis=1) & (area_bounds[:, 2:] >= low).all(axis=1)
    return tuple(tiles[number] for number in np.flatnonzero(reaches).tolist())


def _task(
    place: Path,
    config: DatasetConfig,
    *,
    areas: tuple[StoredTile, ...],
    objects: tuple[StoredTile, ...] = (),
    rows: tuple[NDArray[np.int64], ...] = (),
    cells: NDArray[np.int64] | None = None,
    previous: geopandas.GeoDataFrame | None = None,
) -> PartTask:
    kind = "objects" if cells is None else "coverage"
    chosen = np.empty((0, 2), dtype="int64") if cells is None else cells
    options = dataclasses.asdict(config)
    for name in ("workers", "partition_objects", "mixed_models"):  # they decide no row
        del options[name]
    digest = hashlib.sha256(json.dumps([FORMAT, kind, options], sort_keys=True).encode())
    for tile, each in zip(objects, rows, strict=True):
        digest.update(f"object {tile.facts.sha256} {tile.facts.date} {tile.facts.sensor} {len(each)}".encode())
        digest.update(each.astype("<i8").tobytes())
    for tile in areas:
        digest.update(f"area {tile.facts.sha256}".encode())
    digest.update(chosen.astype("<i8").tobytes())
    if previous is not None:
        digest.update(_content_of(previous))
    return PartTask(place / kind / digest.hexdigest()[:32], config, objects, rows, areas, chosen, previous)


def _content_of(previous: geopandas.GeoDataFrame) -> bytes:
    """Hash of the outlines of old slumps."""
    digest = hashlib.sha256()
    rows = previous[["slump_id", "year", "models"]].itertuples(index=False, name=None)
    for row, outline in zip(rows, shapely.to_wkb(previous.geometry.to_numpy(), byte_order=1), strict=True):
        digest.update(f"{json.dumps(row)} {len(outline)} ".encode() + outline)
    return digest.digest()


def _done(folder: Path) -> dict[str, int] | None:
    """The rows of the files of a partition, where all of them are complete."""
    try:
        noted = json.loads((folder / _DONE).read_text(encoding="utf-8"))
        if all(sha256_of(folder / f"{name}.parquet") == each["sha256"] for name, each in noted.items()):
            return {name: int(each["rows"]) for name, each in noted.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass
    return None
