"""Level 1: one row per object per image."""

from collections.abc import Callable

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.grouping import components, members, near_pairs
from darts_export.ellipsoid import areas_and_perimeters_m

IMAGE = ("sensor", "date", "models")
"""What makes an image: all that one sensor saw on one day, as the same models read it."""

_LONGEST_EDGE_M = 1_000.0

Pairs = NDArray[np.int64]


def observe(
    objects: geopandas.GeoDataFrame,
    *,
    edge_tolerance_m: float = DatasetConfig.edge_tolerance_m,
    partition_m: float = DatasetConfig.partition_m,
    workers: int = DatasetConfig.workers,
) -> geopandas.GeoDataFrame:
    """Make one row per object per image: resolve what overlapping tiles saw twice, and join what tile edges cut.

    Args:
        objects: The objects of `read_archive`, in EPSG:3413.
        edge_tolerance_m: Objects of two tiles, both cut by an edge and this near to each other, are halves of one; metres
            on the map.
        partition_m: Edge length of the squares that are searched one by one, metres on the map.
        workers: Number of squares that are searched at a time.

    Returns:
        In an order that depends only on the content:
            ``object_id``  int64: 1, 2, …;
            ``date`` ``sensor`` ``models``  str: the image;
            ``tile_ids``  str: the tiles whose outlines it has, separated by a blank;
            ``n_parts``  int64: number of outlines it was joined from;
            ``n_duplicates``  int64: number of outlines that it replaces;
            ``rule``  str: ``"single"``: nothing to resolve; ``"largest whole"``: it overlaps outlines of other tiles, and is
            the largest among those that no edge cuts; ``"joined"``: outlines that edges cut, united;
            ``touches_edge``  bool: an edge cuts it, and no other half was found;
            ``probability_median``  float64: of the object, the mean of its parts weighted by area where it was joined;
            ``area_m2`` ``perimeter_m``  float64: on the ellipsoid;
            ``geometry``  Polygon or MultiPolygon in EPSG:3413.

    Notes:
        Outlines of the same tile are never joined and never replace each other. Of outlines of different tiles that share
        an area, those that no edge cuts come first, the larger before the smaller, and each replaces what overlaps it and
        has not itself replaced something. What is left of the outlines that edges cut is joined where it shares an area or
        is as near as the tolerance.
    """
    order = _canonical_order(objects)
    table = objects.iloc[order].reset_index(drop=True)
    resolved = [
        _resolve(
            image,
            lambda outlines: near_pairs(
                outlines, distance_m=edge_tolerance_m, partition_m=partition_m, workers=workers
            ),
        )
        for _, image in table.groupby(list(IMAGE), sort=True)
    ]
    return _table(resolved)


def years_of(table: pd.DataFrame) -> pd.Series:
    """The year of each row's date, as a column of that name."""
    return table["date"].str.slice(0, 4).astype("int64").rename("year")


def images_of(table: pd.DataFrame) -> NDArray[np.object_]:
    """The image of each row, as one text."""
    texts = [table[name].to_numpy(dtype=object) for name in IMAGE]
    return np.array([" ".join(values) for values in zip(*texts, strict=True)], dtype=object)


def measured(outlines: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure outlines in EPSG:3413: areas in m² and perimeters in m, on the ellipsoid."""
    return areas_and_perimeters_m(shapely.orient_polygons(outlines), CRS, longest_edge=_LONGEST_EDGE_M)


def union(outlines: NDArray[np.object_]) -> shapely.Geometry:
    """Unite outlines, so that the result depends only on which they are."""
    return outlines[0] if len(outlines) == 1 else shapely.normalize(shapely.union_all(outlines))


def _canonical_order(objects: geopandas.GeoDataFrame) -> NDArray[np.int64]:
    keys = [objects[name].to_numpy(dtype=object) for name in (*IMAGE, "tile_id")]
    codes = [pd.factorize(key, sort=True)[0] for key in keys]
    return np.lexsort((objects["segment_id"].to_numpy(), *codes[::-1]))


def _resolve(image: pd.DataFrame, search: Callable[[NDArray[np.object_]], Pairs]) -> pd.DataFrame:
    outlines = image.geometry.to_numpy()
    cut = image["touches_edge"].to_numpy(dtype=bool)
    tile = pd.factorize(image["tile_id"])[0]
    pairs = search(outlines)
    pairs = pairs[tile[pairs[:, 0]] != tile[pairs[:, 1]]]
    shares = shapely.relate_pattern(outlines[pairs[:, 0]], outlines[pairs[:, 1]], "T********")
    replaced_by = _replaced(pairs[shares], cut, shapely.area(outlines))
    kept = replaced_by == np.arange(len(image))
    halves = kept[pairs].all(axis=1) & cut[pairs].all(axis=1)
    roots = components(len(image), pairs[halves])
    duplicates = np.bincount(replaced_by[~kept], minlength=len(image))
    groups = [group for group in members(roots) if kept[group[0]]]
    return _rows(image, groups, duplicates)


def _replaced(pairs: Pairs, cut: NDArray[np.bool_], areas: NDArray[np.float64]) -> NDArray[np.int64]:
    """Name for each outline the one that replaces it; itself where none does."""
    replaced_by = np.arange(len(cut), dtype="int64")
    rank = np.lexsort((replaced_by, -areas, cut)).argsort()
    neighbours: dict[int, list[int]] = {}
    for first, second in pairs.tolist():
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    decided = np.zeros(len(cut), dtype=bool)
    for winner in sorted(neighbours, key=lambda index: int(rank[index])):
        if decided[winner] or cut[winner]:
            continue
        decided[winner] = True
        losers = [index for index in neighbours[winner] if not decided[index]]
        replaced_by[losers], decided[losers] = winner, True
    return replaced_by


def _rows(image: pd.DataFrame, groups: list[NDArray[np.int64]], duplicates: NDArray[np.int64]) -> pd.DataFrame:
    outlines, tiles = image.geometry.to_numpy(), image["tile_id"].to_numpy(dtype=object)
    probability, cut = image["probability_median"].to_numpy(), image["touches_edge"].to_numpy(dtype=bool)
    areas = shapely.area(outlines)
    firsts = np.array([group[0] for group in groups], dtype="int64")
    parts = np.array([len(group) for group in groups], dtype="int64")
    replaces = duplicates[firsts]
    return pd.DataFrame(
        {
            **{name: image[name].to_numpy(dtype=object)[firsts] for name in IMAGE},
            "tile_ids": [" ".join(sorted(set(tiles[group]))) for group in groups],
            "n_parts": parts,
            "n_duplicates": replaces,
            "rule": np.select([parts > 1, replaces > 0], ["joined", "largest whole"], "single"),
            "touches_edge": (parts == 1) & cut[firsts],
            "probability_median": [float(np.average(probability[group], weights=areas[group])) for group in groups],
            "geometry": [union(outlines[group]) for group in groups],
        }
    )


def _table(images: list[pd.DataFrame]) -> geopandas.GeoDataFrame:
    empty = {name: np.empty(0, object) for name in (*IMAGE, "tile_ids", "rule", "geometry")} | {
        "n_parts": np.empty(0, "int64"),
        "n_duplicates": np.empty(0, "int64"),
        "touches_edge": np.empty(0, bool),
        "probability_median": np.empty(0),
    }
    rows = pd.concat(images, ignore_index=True) if images else pd.DataFrame(empty)
    outlines = np.array(rows["geometry"], dtype=object)
    area_m2, perimeter_m = measured(outlines)
    columns = {
        "object_id": np.arange(1, len(rows) + 1, dtype="int64"),
        **{name: rows[name] for name in ("date", "sensor", "models", "tile_ids")},
        **{name: rows[name] for name in ("n_parts", "n_duplicates", "rule", "touches_edge", "probability_median")},
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
    }
    table = geopandas.GeoDataFrame(columns, geometry=outlines, crs=CRS)
    return table.astype(dict.fromkeys(("date", "sensor", "models", "tile_ids", "rule"), "string"))
