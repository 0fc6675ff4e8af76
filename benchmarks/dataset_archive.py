"""An archive of results made up for the benchmarks: slumps that several images see through overlapping tiles."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray

from darts_export.manifest import Manifest, Origin, WrittenFile, write_manifest

_TILE_M, _OVERLAP_M = 10_000.0, 1_500.0
_VERTICES = 48
_PIXEL_M = 10.0
_ZONES = ("EPSG:32608", "EPSG:32609")
_TRUE_SLUMPS_PER_KM2 = 3.0


@dataclass(frozen=True)
class Size:
    """How large an archive is."""

    columns: int
    """Tiles from west to east."""
    rows: int
    """Tiles from south to north."""
    dates: tuple[str, ...] = ("2020-07-20", "2020-08-15", "2021-07-20", "2021-08-15")
    """Images."""
    slumps_per_km2: float = _TRUE_SLUMPS_PER_KM2
    """Density of the slumps."""


def write_archive(folder: Path, size: Size) -> int:
    """Write folders of tiles as the export does, and return the number of polygons.

    Slumps are ragged outlines of 48 vertices, on the edges of 10 m pixels; each image sees most of them, a little larger or
    smaller; what reaches over the edge of a tile is cut there. The west is in one UTM zone, the east in the next.
    """
    rng = np.random.default_rng(6)
    step = _TILE_M - _OVERLAP_M
    width, height = size.columns * step + _OVERLAP_M, size.rows * step + _OVERLAP_M
    count = int(width * height / 1e6 * size.slumps_per_km2)
    centres = rng.uniform((0, 0), (width, height), (count, 2))
    radii = rng.gamma(2.0, 30.0, count) + 25
    phases = rng.uniform(0, 2 * np.pi, (count, 2))
    written = 0
    for date in size.dates:
        seen = rng.random(count) < 0.8
        scale = rng.normal(1, 0.08, count)
        outlines = _outlines(centres[seen], radii[seen] * scale[seen], phases[seen])
        probability = np.clip(rng.normal(0.75, 0.1, len(outlines)), 0.5, 1)
        tree = shapely.STRtree(outlines)
        for column in range(size.columns):
            for row in range(size.rows):
                tile = shapely.box(column * step, row * step, column * step + _TILE_M, row * step + _TILE_M)
                zone = _ZONES[column >= size.columns // 2]
                inside = np.sort(tree.query(tile, predicate="intersects"))
                name = f"{column:03d}{row:03d}-{date}"
                written += _write_tile(folder / name, tile, outlines[inside], probability[inside], date, zone)
    return written


def _outlines(
    centres: NDArray[np.float64], radii: NDArray[np.float64], phases: NDArray[np.float64]
) -> NDArray[np.object_]:
    angles = np.linspace(0, 2 * np.pi, _VERTICES, endpoint=False)
    reach = 1 + 0.25 * np.sin(3 * angles + phases[:, :1]) + 0.1 * np.sin(7 * angles + phases[:, 1:])
    points = centres[:, None] + (radii[:, None] * reach)[..., None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    outlines: NDArray[np.object_] = shapely.polygons(np.round(points / (_PIXEL_M / 4)) * (_PIXEL_M / 4))
    return outlines[shapely.is_valid(outlines)]


def _write_tile(
    folder: Path,
    tile: shapely.Geometry,
    outlines: NDArray[np.object_],
    probability: NDArray[np.float64],
    date: str,
    crs: str,
) -> int:
    folder.mkdir(parents=True)
    within = shapely.contains_properly(tile, outlines)
    cut = outlines.copy()
    cut[~within] = shapely.intersection(outlines[~within], tile)
    kept = np.isin(shapely.get_type_id(cut), (3, 6)) & (shapely.area(cut) > 32 * _PIXEL_M**2)
    cut, within, probability = cut[kept], within[kept], probability[kept]
    count = len(cut)
    image = {"tile_id": folder.name, "date": date, "sensor": "sentinel2"}
    objects = {
        "segment_id": np.arange(1, count + 1),
        **{name: pa.array([value] * count, pa.string()) for name, value in image.items()},
        "area_m2": shapely.area(cut),
        "perimeter_m": shapely.length(cut),
        "npixel": (shapely.area(cut) / _PIXEL_M**2).astype("int64"),
        **{f"probability_{name}": probability for name in ("min", "max", "mean", "median")},
        "probability_std": np.full(count, 0.05),
        "touches_edge": ~within,
    }
    area = {name: pa.array([value], pa.string()) for name, value in image.items()}
    files = [
        _write_table(folder / "prediction_segments.parquet", objects, cut, crs),
        _write_table(folder / "prediction_extent.parquet", area, np.array([tile], dtype=object), crs),
    ]
    write_manifest(Manifest(folder.name, Origin(models={"full": "ab" * 32}), tuple(files)), folder)
    return count


def _write_table(path: Path, columns: dict[str, object], outlines: NDArray[np.object_], crs: str) -> WrittenFile:
    placed = shapely.transform(outlines, lambda points: points + np.array([650_000.0, 7_550_000.0]))
    table = pa.table({**columns, "geometry": pa.array(shapely.to_wkb(placed), pa.binary())})
    geometry = {"encoding": "WKB", "geometry_types": [], "crs": pyproj.CRS.from_user_input(crs).to_json_dict()}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path, compression="zstd")
    content = path.read_bytes()
    return WrittenFile(path.stem, path.stem, path.name, len(content), hashlib.sha256(content).hexdigest())
