"""Reading what the export has left of one tile: its objects and its trusted area, on the one map; or why not."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS
from darts_export.dataset.results import AREA_FILE, OBJECTS_FILE, content_of, models_of
from darts_export.dataset.uniting import areal
from darts_export.manifest import MANIFEST_FILE, Manifest, WrittenFile, read_manifest
from darts_export.staleness import damage_of, other_tile
from darts_utils.dates import parse_date
from darts_utils.errors import OutputError

_STATISTICS = ("min", "max", "mean", "median", "std")

OBJECTS = pa.schema(
    [
        ("segment_id", pa.int64()),
        ("npixel", pa.int64()),
        ("area_m2", pa.float64()),
        *((f"probability_{name}", pa.float64()) for name in _STATISTICS),
        ("touches_edge", pa.bool_()),
        ("geometry", pa.binary()),
    ]
)
"""What is kept of each object: columns of `darts_export.segments_of`, outlines as WKB in EPSG:3413."""

AREA = pa.schema([("geometry", pa.binary())])
"""What is kept of a trusted area."""

_LONGEST_EDGE_M = 1_000.0
"""A straight line on one map is a curve on another: outlines are cut into edges of this length before they change maps."""

_AT_THE_END_M = 1e-3
"""Outlines that come this near to the outermost edge of the trusted area lie at it; map units, of which a pixel is many."""


class UnusableTileError(Exception):
    """A tile cannot be used; the message is the reason, in one line."""


@dataclass(frozen=True)
class TileFacts:
    """What a tile is, without its polygons."""

    tile_id: str
    date: str
    """Empty where the tile has neither objects nor a trusted area."""
    sensor: str
    models: str
    crs: str
    sha256: str
    """Hash of the content that was read."""
    repaired: int
    """Number of its geometries that were invalid and have been made valid."""
    dropped: int
    """Number of its geometries that hold no area, even when made valid."""


@dataclass(frozen=True)
class Tile:
    """The results of a tile."""

    facts: TileFacts
    objects: pa.Table
    """Rows as in `OBJECTS`, by ``segment_id``."""
    area: pa.Table
    """One row as in `AREA`, none where nothing is trusted."""


def read_tile(folder: Path, *, sizes_only: bool = False) -> Tile:
    """Read the results of a tile.

    Args:
        folder: Its folder.
        sizes_only: Do not compare the content of the files with the manifest.

    Raises:
        UnusableTileError: It is incomplete, damaged, undated or the like.
    """
    manifest = _manifest_of(folder)
    written = {file.name: file for file in manifest.files}
    sha256 = content_of(manifest)
    if sha256 is None:
        lacking = next(name for name in (OBJECTS_FILE, AREA_FILE) if name not in written)
        raise UnusableTileError(f"incomplete: {lacking} was not exported")
    for file in manifest.files:
        if (damage := damage_of(file, folder, sizes_only=True)) is not None:
            raise UnusableTileError(damage)
    objects, area = (_table(folder, written[name], sizes_only=sizes_only) for name in (OBJECTS_FILE, AREA_FILE))
    date, sensor = _image_of(objects, area)
    outlines, trusted = _outlines_of(objects, OBJECTS_FILE), _outlines_of(area, AREA_FILE)
    crs = _crs_of(objects, OBJECTS_FILE)
    objects = _without_geometry(objects)
    ends = _at_the_end(outlines, trusted)
    objects = objects.set_column(
        objects.schema.get_field_index("touches_edge"),
        "touches_edge",
        pa.array(ends | objects["touches_edge"].to_numpy(zero_copy_only=False)),
    )
    on_map, mended, lost = _on_map(outlines, crs)
    area_on_map, area_mended, area_lost = _on_map(trusted, _crs_of(area, AREA_FILE))
    objects = objects.append_column("geometry", pa.array(shapely.to_wkb(on_map), pa.binary()))
    objects = objects.select(OBJECTS.names).filter(pa.array(~lost)).sort_by("segment_id")
    facts = TileFacts(
        manifest.tile_id,
        date,
        sensor,
        models_of(manifest),
        _named(crs),
        sha256,
        int(mended.sum() + area_mended.sum()),
        int(lost.sum() + area_lost.sum()),
    )
    kept = pa.table({"geometry": pa.array(shapely.to_wkb(area_on_map[~area_lost]), pa.binary())}, schema=AREA)
    return Tile(facts, objects, kept)


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
    if invalid.any():
        made = shapely.make_valid(geometries[invalid], method="structure", keep_collapsed=False)
        result[invalid] = areal(made)
    return result, invalid


def _manifest_of(folder: Path) -> Manifest:
    try:
        manifest = read_manifest(folder)
    except OutputError as error:
        raise UnusableTileError(f"manifest: {error}") from error
    if manifest is None:
        raise UnusableTileError(f"not finished: there is no {MANIFEST_FILE}")
    if (stranger := other_tile(manifest, folder)) is not None:
        raise UnusableTileError(stranger)
    return manifest


def _table(folder: Path, file: WrittenFile, *, sizes_only: bool) -> pa.Table:
    try:
        content = (folder / file.name).read_bytes()
        if not sizes_only and hashlib.sha256(content).hexdigest() != file.sha256:
            raise UnusableTileError(f"damaged: {file.name} has another content than was written")
        return pq.read_table(pa.BufferReader(content), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise UnusableTileError(f"damaged: {file.name} cannot be read ({_first_line(error)})") from error


def _image_of(*tables: pa.Table) -> tuple[str, str]:
    dates, sensors = ({value for table in tables for value in _texts(table, name)} for name in ("date", "sensor"))
    if len(dates) > 1 or len(sensors) > 1:
        raise UnusableTileError(
            f"ambiguous: it names the dates {', '.join(sorted(dates))} and the sensors {', '.join(sorted(sensors))}"
        )
    for date in dates:
        try:
            parse_date(date)
        except ValueError as error:
            raise UnusableTileError(f"undated: its date is {date!r}") from error
    return next(iter(dates), ""), next(iter(sensors), "")


def _texts(table: pa.Table, name: str) -> Iterator[str]:
    if name not in table.column_names:
        raise UnusableTileError(f"incomplete: a table lacks the column {name}")
    return (str(value) for value in table[name].unique().to_pylist())


def _geo_of(table: pa.Table, name: str) -> dict[str, object]:
    try:
        geo = json.loads(table.schema.metadata[b"geo"])
        column: dict[str, object] = geo["columns"]["geometry"]
    except (LookupError, TypeError, ValueError) as error:
        raise UnusableTileError(f"damaged: {name} is no GeoParquet with a column geometry") from error
    return column


def _crs_of(table: pa.Table, name: str) -> str:
    crs = _geo_of(table, name).get("crs", "OGC:CRS84")  # as the format says
    if crs is None:
        raise UnusableTileError(f"without CRS: {name} does not say where its polygons are")
    return crs if isinstance(crs, str) else json.dumps(crs, sort_keys=True)


def _outlines_of(table: pa.Table, name: str) -> NDArray[np.object_]:
    try:
        outlines: NDArray[np.object_] = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    except (shapely.GEOSException, TypeError) as error:
        raise UnusableTileError(f"damaged: the polygons of {name} cannot be read ({_first_line(error)})") from error
    if not np.isin(shapely.get_type_id(outlines), (3, 6)).all():
        raise UnusableTileError(f"damaged: {name} holds other geometries than polygons")
    return outlines


def _without_geometry(objects: pa.Table) -> pa.Table:
    names = [name for name in OBJECTS.names if name != "geometry"]
    if missing := [name for name in names if name not in objects.column_names]:
        raise UnusableTileError(f"incomplete: {OBJECTS_FILE} lacks {', '.join(missing)}")
    try:
        return objects.select(names).cast(pa.schema([OBJECTS.field(name) for name in names]))
    except pa.ArrowException as error:
        raise UnusableTileError(f"damaged: {OBJECTS_FILE} has other types ({_first_line(error)})") from error


def _at_the_end(outlines: NDArray[np.object_], trusted: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Tell which outlines reach the outermost row or column of the trusted area, where the tile may end.

    The export marks outlines at the edge of the trusted area, but cannot look beyond the pixels of the tile.
    """
    if len(trusted) == 0 or len(outlines) == 0:
        return np.zeros(len(outlines), dtype=bool)
    bounds, outermost = shapely.bounds(outlines), shapely.total_bounds(trusted)
    unit = _AT_THE_END_M if np.abs(outermost).max() > 360 else _AT_THE_END_M * 1e-5
    return np.asarray(
        (bounds[:, :2] <= outermost[:2] + unit).any(axis=1) | (bounds[:, 2:] >= outermost[2:] - unit).any(axis=1)
    )


def _on_map(
    outlines: NDArray[np.object_], crs: str
) -> tuple[NDArray[np.object_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Outlines in EPSG:3413; which were invalid; which hold no area."""
    valid, repaired = repair(outlines)
    transformer = _way_to_map(crs)
    if transformer is None:
        return valid, repaired, shapely.is_empty(valid)

    def transform(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(*points.T))

    degrees = 1e-5 if transformer.source_crs is not None and transformer.source_crs.is_geographic else 1.0
    moved = shapely.transform(shapely.segmentize(valid, _LONGEST_EDGE_M * degrees), transform)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise UnusableTileError(f"misplaced: its polygons lie where {CRS} has no place for them")
    on_map, broken = repair(moved)
    return on_map, repaired | broken, shapely.is_empty(on_map)


@lru_cache(maxsize=256)
def _way_to_map(crs: str) -> pyproj.Transformer | None:
    source = _parsed(crs)
    if source == pyproj.CRS.from_user_input(CRS):
        return None
    return pyproj.Transformer.from_crs(source, CRS, always_xy=True)


@lru_cache(maxsize=256)
def _named(crs: str) -> str:
    return str(_parsed(crs).to_string())


@lru_cache(maxsize=256)
def _parsed(crs: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise UnusableTileError(f"without CRS: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
