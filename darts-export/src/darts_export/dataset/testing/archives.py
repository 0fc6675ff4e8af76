"""Archives of results: tiles with squares, and tiles as an export writes them."""

from collections.abc import Sequence
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from darts_export import export_tile
from darts_export.fingerprints import sha256_of
from darts_export.manifest import Manifest, Origin, WrittenFile, write_manifest
from darts_utils.testing import example_tile

Outline = tuple[float, float, float]
"""Corner and size of a square, in metres on the map."""


def write_tile(
    out_dir: Path,
    name: str,
    corner: tuple[float, float],
    outlines: Sequence[Outline],
    *,
    date: str = "2021-07-01",
    model: str = "ab",
) -> Path:
    """Write the results of a tile of 100 × 100 m as an export does; what reaches over its border is cut."""
    tile = shapely.box(*corner, corner[0] + 100, corner[1] + 100)
    whole = [shapely.box(x, y, x + size, y + size) for x, y, size in outlines]
    cut = [outline & tile for outline in whole if (outline & tile).area > 0]
    image = {"tile_id": name, "date": date, "sensor": "sentinel2"}
    objects = geopandas.GeoDataFrame(
        {
            "segment_id": np.arange(1, len(cut) + 1),
            **{column: pd.array([value] * len(cut), dtype="string") for column, value in image.items()},
            "area_m2": shapely.area(cut),
            "npixel": np.ones(len(cut), dtype="int64"),
            **{f"probability_{each}": np.linspace(0.6, 0.9, len(cut)) for each in ("min", "max", "mean", "median")},
            "probability_std": np.full(len(cut), 0.1),
            "touches_edge": np.array([not tile.contains_properly(outline) for outline in cut], dtype=bool),
        },
        geometry=np.array(cut, dtype=object),
        crs="EPSG:3413",
    )
    area = geopandas.GeoDataFrame({key: [value] for key, value in image.items()}, geometry=[tile], crs="EPSG:3413")
    folder = out_dir / name
    folder.mkdir(parents=True)
    files = []
    for product, table in (("prediction_segments", objects), ("prediction_extent", area)):
        path = folder / f"{product}.parquet"
        table.to_parquet(path)
        files.append(WrittenFile(product, f"{product}_parquet", path.name, path.stat().st_size, sha256_of(path)))
    write_manifest(Manifest(name, Origin(models={"full": model * 32}), tuple(files)), folder)
    return folder


def random_archive(out_dir: Path, *, seed: int, tiles: int = 9) -> Path:
    """Overlapping tiles of four images that see the same squares, more or less."""
    rng = np.random.default_rng(seed)
    squares = np.column_stack([rng.integers(-20, 280, (25, 2)), rng.integers(5, 40, 25)])
    for date in ("2020-07-01", "2020-08-01", "2021-07-01", "2021-08-01"):
        for number in range(tiles):
            seen = squares[rng.random(len(squares)) < 0.8] + np.array([0, 0, 1]) * rng.integers(-2, 3)
            corner = 80.0 * (number % 3), 80.0 * (number // 3)
            write_tile(out_dir, f"{number}-{date}", corner, [tuple(each) for each in seen.tolist()], date=date)
    return out_dir


def export_example(
    out_dir: Path,
    name: str,
    *,
    year: int = 2020,
    size_px: int = 8,
    model: str = "full",
    x: float = 0,
    date: str | None = None,
) -> Path:
    """Export a tile of 30 × 30 pixels of 10 m, in which a slump of 10 × `size_px` pixels lies; 0: none."""
    tile: xr.Dataset = example_tile(
        ("probabilities", "binarized_segmentation", "extent"), shape=(30, 30), crs="EPSG:3413"
    )
    centre = (np.arange(30) + 0.5) * 10
    left, top = -1_000_000.0 + x, 1_500_000.0
    tile = tile.assign_coords(x=left + centre, y=top - centre)
    tile.spatial_ref.attrs["GeoTransform"] = f"{left!r} 10 0 {top!r} 0 -10"
    tile.probabilities[:], tile.extent[:], tile.binarized_segmentation[:] = 0.75, False, 0
    tile.extent[1:-1, 1:-1] = True
    tile.binarized_segmentation[10:20, 5 : 5 + size_px] = 1
    tile = tile.assign_attrs(tile_id=name, date=f"{year}-07-01" if date is None else date, sensor="sentinel2")
    export_tile(
        tile,
        out_dir,
        products=("prediction_segments", "prediction_extent"),
        origin=Origin(models={model: f"{len(model):064d}"}),
    )
    return out_dir / name


def files_in(folder: Path) -> dict[str, bytes]:
    """The content of each file below a folder, by its path there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
