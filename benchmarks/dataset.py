"""The data set: Levels 1 and 2 of many overlapping tiles against geopandas, and the memory that many more need."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import scipy.sparse
import scipy.sparse.csgraph
from numpy.typing import NDArray

from benchmarks.dataset_archive import Size, write_archive
from benchmarks.harness import Row, as_megabytes, as_seconds, benchmark
from darts_export.dataset import DatasetConfig
from darts_export.dataset.building import build_levels
from darts_export.dataset.levels import Levels

_WHOLE = Size(25, 20, slumps_per_km2=6.2)
"""1 million polygons in 2,000 tiles."""
_PARTS = (Size(5, 5, slumps_per_km2=6.2), Size(10, 5, slumps_per_km2=6.2))
"""What geopandas is timed on: a twentieth and a tenth of it."""
_LARGE = Size(72, 70, slumps_per_km2=6.2)
"""10 million polygons in 20,000 tiles."""
_TOLERANCE_M = 10.0
_GIGABYTES = 4.0
_SAMPLE_SECONDS = 0.25
"""Between two looks at the memory; one look takes a hundredth of a second."""


def ours(folder: Path, *, workers: int = 2) -> Levels:
    """All levels and the coverage, from folders of tiles, without anything from an earlier build."""
    work = folder.with_name(f"{folder.name}-work")
    shutil.rmtree(work, ignore_errors=True)
    return build_levels([folder], work, config=DatasetConfig(workers=workers))


def theirs(folder: Path) -> tuple[geopandas.GeoDataFrame, geopandas.GeoDataFrame]:
    """Levels 1 and 2 as one writes them with geopandas: sjoin, overlay and dissolve on whole tables."""
    objects, areas = (
        pd.concat([geopandas.read_parquet(path).to_crs("EPSG:3413") for path in sorted(folder.glob(f"*/{name}"))])
        for name in ("prediction_segments.parquet", "prediction_extent.parquet")
    )
    images = [_observe(image.reset_index(drop=True)) for _, image in objects.groupby("date")]
    level1 = pd.concat(images, ignore_index=True)
    years = [
        _merge(table.reset_index(drop=True), areas[areas.date.str.startswith(year)])
        for year, table in level1.groupby(level1.date.str[:4])
    ]
    return level1, pd.concat(years, ignore_index=True)


def _observe(image: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Level 1 of an image: a larger whole outline replaces what it covers by half, the rest is dissolved."""
    pairs = _pairs(image, image, predicate="intersects")
    pairs = pairs[pairs.left < pairs.right]
    left, right = image.iloc[pairs.left].reset_index(), image.iloc[pairs.right].reset_index()
    other_tile = (left.tile_id != right.tile_id).to_numpy()
    left, right, pairs = left[other_tile], right[other_tile], pairs[other_tile]
    shared = left.geometry.intersection(right.geometry).area.to_numpy()
    area, cut = image.area.to_numpy(), image.touches_edge.to_numpy()
    rank = np.lexsort((-area, cut)).argsort()
    both = np.concatenate([pairs[["left", "right"]].to_numpy(), pairs[["right", "left"]].to_numpy()])
    covers = ~cut[both[:, 0]] & (np.tile(shared, 2) >= area[both[:, 1]] / 2) & (np.tile(shared, 2) > 0)
    replaces, gone = np.zeros(len(image), dtype=bool), np.zeros(len(image), dtype=bool)
    chosen = both[covers]
    for winner, loser in chosen[np.argsort(rank[chosen[:, 0]], kind="stable")].tolist():
        if not gone[winner] and not gone[loser] and not replaces[loser]:
            replaces[winner] = gone[loser] = True
    near = _pairs(image[cut], image[cut], predicate="dwithin", distance=_TOLERANCE_M)
    at = np.flatnonzero(cut)
    halves = np.column_stack([at[near.left], at[near.right]])
    tile = image.tile_id.to_numpy()
    halves = halves[tile[halves[:, 0]] != tile[halves[:, 1]]]
    joined = np.concatenate([pairs[["left", "right"]].to_numpy()[shared > 0], halves])
    joined = joined[~gone[joined].any(axis=1)]
    label = _components(len(image), joined)
    kept = image.assign(object=label, weight=image.area)[~gone]
    kept = kept.assign(weighted=kept.probability_median * kept.weight)
    columns = {"date": "first", "touches_edge": "max", "weighted": "sum", "weight": "sum"}
    dissolved = kept.dissolve(by="object", aggfunc=columns).reset_index(drop=True)
    return dissolved.assign(probability_median=dissolved.weighted / dissolved.weight)


def _merge(table: geopandas.GeoDataFrame, areas: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Level 2 of a year: dissolved where objects meet, counted by image, and the median footprint of two images."""
    pairs = _pairs(table, table, predicate="intersects")
    cut = np.flatnonzero(table.touches_edge.to_numpy())
    near = _pairs(table.iloc[cut], table.iloc[cut], predicate="dwithin", distance=_TOLERANCE_M)
    edges = np.concatenate([pairs.to_numpy(), np.column_stack([cut[near.left], cut[near.right]])])
    table = table.assign(object=_components(len(table), edges))
    columns = {"date": ["min", "max", "nunique"], "probability_median": "median"}
    merged = table[["object", "date", "probability_median", "geometry"]].dissolve(by="object", aggfunc=columns)
    merged.columns = ["geometry", "first_date", "last_date", "n_seen", "probability"]
    merged = merged.reset_index()
    held = _held(merged, areas)
    looked = pd.concat([held, table[["object", "date"]]]).drop_duplicates()
    merged = merged.assign(n_observations=merged.object.map(looked.groupby("object").size()))
    medians = _medians(table, held, dates=sorted(table.date.unique()))
    equal_area = merged.to_crs("EPSG:6931").area, medians.to_crs("EPSG:6931").area
    return merged.assign(area_m2=equal_area[0], median_area_m2=merged.object.map(equal_area[1]).fillna(0.0))


def _held(merged: geopandas.GeoDataFrame, areas: geopandas.GeoDataFrame) -> pd.DataFrame:
    """Objects, and the days on which one tile had all of them within its trusted area."""
    within = areas[["date", "geometry"]].set_geometry(areas.buffer(-1.0))
    found = geopandas.sjoin(merged[["object", "geometry"]], within, predicate="within")
    return found[["object", "date"]].drop_duplicates()


def _medians(table: geopandas.GeoDataFrame, held: pd.DataFrame, *, dates: list[str]) -> geopandas.GeoDataFrame:
    """Median footprints of two images, object by object.

    An image that holds all of an object says yes or no everywhere, another one only yes. So two that hold it leave what both
    see, and one that does leaves what it sees; of those that do not, the union is left.
    """
    sights = [table[table.date == date][["object", "geometry"]] for date in dates]
    holds = [held.object[held.date == date] for date in dates]
    both = set(holds[0]) & set(holds[1])
    footprints = [geopandas.overlay(*(sight[sight.object.isin(both)] for sight in sights), keep_geom_type=True)]
    footprints[0] = footprints[0].rename(columns={"object_1": "object"})[["object", "geometry"]]
    for sight, mine, other in zip(sights, holds, holds[::-1], strict=True):
        alone = sight.object.isin(mine) & ~sight.object.isin(other)
        by_nobody = ~sight.object.isin(mine) & ~sight.object.isin(other)
        footprints.append(sight[alone | by_nobody])
    return pd.concat(footprints).dissolve(by="object")


def _pairs(
    left: geopandas.GeoDataFrame, right: geopandas.GeoDataFrame, *, predicate: str, distance: float | None = None
) -> pd.DataFrame:
    one, other = (table[["geometry"]].reset_index(drop=True) for table in (left, right))
    found = geopandas.sjoin(one, other, predicate=predicate, distance=distance)
    return pd.DataFrame({"left": found.index.to_numpy(), "right": found["index_right"].to_numpy()})


def _components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    graph = scipy.sparse.coo_array((np.ones(len(pairs), dtype=bool), pairs.T), shape=(count, count))
    return np.asarray(scipy.sparse.csgraph.connected_components(graph, directed=False)[1])


def same_levels(mine: Levels, other: tuple[geopandas.GeoDataFrame, geopandas.GeoDataFrame]) -> str:
    """Compare numbers of objects, and the objects of a year one by one in the order of their areas."""
    level1, level2 = other
    ours = pd.concat(list(mine["level2"].tables()), ignore_index=True)
    if (mine["level1"].rows, len(ours)) != (len(level1), len(level2)):
        raise ValueError(
            f"expected {len(level1)} and {len(level2)} objects on Levels 1 and 2, but got {mine['level1'].rows} and {len(ours)}"
        )
    order, their_order = np.argsort(ours.area_m2), np.argsort(level2.area_m2)
    np.testing.assert_allclose(ours.area_m2.iloc[order], level2.area_m2.iloc[their_order], rtol=1e-5)
    for name in ("n_seen", "n_observations"):
        if int(ours[name].sum()) != int(level2[name].sum()):
            raise ValueError(f"expected the same {name} in total")
    np.testing.assert_allclose(ours.median_area_m2.sum(), level2.median_area_m2.sum(), rtol=1e-5)
    return f"{len(level1)} objects per image and {len(level2)} per year, the same areas, counts and median footprints"


def _timed(folder: Path) -> tuple[float, float, str]:
    started = time.perf_counter()
    mine = ours(folder)
    middle = time.perf_counter()
    other = theirs(folder)
    ended = time.perf_counter()
    return middle - started, ended - middle, same_levels(mine, other)


@benchmark("dataset-levels")
def levels() -> Row:
    """Levels 1 and 2 of a million polygons; geopandas on a twentieth and a tenth of them."""
    place = Path(tempfile.mkdtemp(prefix="darts-benchmark-"))
    seconds, counts = [], []
    note = ""
    for number, size in enumerate(_PARTS):
        counts.append(write_archive(place / str(number), size))
        _, slow, note = _timed(place / str(number))
        seconds.append(slow)
    growth = np.log(seconds[1] / seconds[0]) / np.log(counts[1] / counts[0])
    polygons = write_archive(place / "whole", _WHOLE)
    started = time.perf_counter()
    ours(place / "whole")
    mine = time.perf_counter() - started
    expected = seconds[1] * polygons / counts[1]
    shutil.rmtree(place)
    return Row(
        f"Levels 1, 2, 3 and coverage of {polygons:,} polygons in 2,000 overlapping tiles, from folders, two processes",
        f"geopandas sjoin, overlay, dissolve (Levels 1 and 2) on {counts[1]:,} of them, {as_seconds(seconds[1])}, times {polygons / counts[1]:.1f}",
        as_seconds(mine),
        as_seconds(expected),
        expected / mine,
        10.0,
        note=f"on {counts[1]:,}: {note}; the seconds of geopandas grow with the number of polygons to the power of {growth:.2f}",
    )


@benchmark("dataset-memory")
def memory() -> Row:
    """Memory of all processes of a build of ten million polygons."""
    place = Path(tempfile.mkdtemp(prefix="darts-benchmark-"))
    polygons = write_archive(place / "large", _LARGE)
    started, peak = time.perf_counter(), 0
    script = place / "build.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom benchmarks.dataset import ours\n"
        "if __name__ == '__main__':\n    ours(Path(sys.argv[1]))\n"
    )
    command = [sys.executable, str(script), str(place / "large")]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    while process.poll() is None:
        peak = max(peak, _family_bytes(process.pid))
        time.sleep(_SAMPLE_SECONDS)
    seconds = time.perf_counter() - started
    shutil.rmtree(place)
    if process.returncode != 0:
        raise RuntimeError(f"the build of {polygons} polygons failed")
    return Row(
        f"memory of a build of {polygons:,} polygons in 20,000 tiles, all processes together",
        f"{_GIGABYTES:g} GB",
        as_megabytes(peak),
        as_megabytes(_GIGABYTES * 1e9),
        peak / (_GIGABYTES * 1e9),
        1.0,
        at_most=True,
        note=f"proportional set size, every {as_seconds(_SAMPLE_SECONDS)}; {as_seconds(seconds)}",
    )


def _family_bytes(pid: int) -> int:
    """Memory of a process and all that it started; pages that several share count once."""
    total = 0
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n")
        total += 1024 * sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(_family_bytes(int(child)) for child in children.read_text().split())
    except (OSError, ValueError):
        return total  # it has ended meanwhile
    return total
