"""Level 2: one row per object per year, and how often it was looked at."""

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.grouping import components, members, near_pairs
from darts_export.dataset.observations import IMAGE, images_of, measured, union, years_of


def merge_years(
    observed: geopandas.GeoDataFrame,
    coverage: geopandas.GeoDataFrame,
    *,
    edge_tolerance_m: float = DatasetConfig.edge_tolerance_m,
    partition_m: float = DatasetConfig.partition_m,
    workers: int = DatasetConfig.workers,
) -> geopandas.GeoDataFrame:
    """Merge the objects of all images of a year where they overlap or touch.

    Args:
        observed: Level 1, from `observe`.
        coverage: The trusted areas of `read_archive`.
        edge_tolerance_m: Objects that edges cut are merged when they are this near, metres on the map.
        partition_m: Edge length of the squares that are searched one by one, metres on the map.
        workers: Number of squares that are searched at a time.

    Returns:
        In an order that depends only on the content:
            ``object_id``  int64: 1, 2, …;
            ``year``  int64; ``models``  str: results of different models are never merged;
            ``n_seen``  int64: images that see a part of it;
            ``n_observations``  int64: images that see it, or whose trusted area overlaps it;
            ``agreement``  float64, 0 … 1: seen / observed;
            ``probability``  float64: median, over the images that see it, of the mean of their objects' medians weighted by area;
            ``first_date`` ``last_date``  str: of the images that see it;
            ``area_m2`` ``perimeter_m`` ``median_area_m2``  float64: on the ellipsoid;
            ``geometry``  Polygon or MultiPolygon in EPSG:3413: the union of its outlines;
            ``median_footprint``  Polygon or MultiPolygon, perhaps empty: where at least half of the images that observe a
            place see the object there, which is where the median of their answers is not below one half.

    Notes:
        An image is what one sensor saw on one day. A place that is in an outline counts as observed by that image, also
        where outlines reach beyond the trusted area.
    """
    observed = observed.sort_values("object_id", ignore_index=True)
    coverage = coverage.sort_values([*IMAGE, "tile_id"], kind="stable", ignore_index=True)
    years = years_of(observed)
    looked = coverage.assign(year=years_of(coverage))
    rows: list[dict[str, object]] = []
    for (year, models), table in observed.groupby([years, observed["models"]], sort=True):
        of_year = looked[(looked["year"] == year) & (looked["models"] == models)]
        groups = _grouped(table, edge_tolerance_m=edge_tolerance_m, partition_m=partition_m, workers=workers)
        rows += _rows(table, groups, of_year, year=int(year), models=str(models))
    return _table(rows)


def _grouped(
    table: pd.DataFrame, *, edge_tolerance_m: float, partition_m: float, workers: int
) -> list[NDArray[np.int64]]:
    outlines, cut = table.geometry.to_numpy(), table["touches_edge"].to_numpy(dtype=bool)
    near = near_pairs(outlines, distance_m=edge_tolerance_m, partition_m=partition_m, workers=workers)
    left, right = near.T
    merged = shapely.intersects(outlines[left], outlines[right]) | (cut[left] & cut[right])
    return members(components(len(outlines), near[merged]))


def _rows(
    table: pd.DataFrame, groups: list[NDArray[np.int64]], coverage: pd.DataFrame, *, year: int, models: str
) -> list[dict[str, object]]:
    outlines, probability = table.geometry.to_numpy(), table["probability_median"].to_numpy()
    image_of, seen_on = images_of(table), table["date"].to_numpy(dtype=object)
    areas, trusted, watching = shapely.area(outlines), coverage.geometry.to_numpy(), images_of(coverage)
    unions = np.array([union(outlines[group]) for group in groups], dtype=object)
    whose, where = shapely.STRtree(trusted).query(unions, predicate="intersects")
    inside = shapely.relate_pattern(unions[whose], trusted[where], "T********")
    watchers: list[list[int]] = [[] for _ in groups]
    for index, area in zip(whose[inside].tolist(), sorted_within(whose[inside], where[inside]), strict=True):
        watchers[index].append(area)
    rows = []
    for group, outline, watched_by in zip(groups, unions, watchers, strict=True):
        seen = sorted(set(image_of[group]))
        by_image = [group[image_of[group] == image] for image in seen]
        observing: dict[str, list[shapely.Geometry]] = {
            image: list(outlines[own]) for image, own in zip(seen, by_image, strict=True)
        }
        for area in watched_by:
            observing.setdefault(watching[area], []).append(trusted[area])
        rows.append(
            {
                "year": year,
                "models": models,
                "n_seen": len(seen),
                "n_observations": len(observing),
                "agreement": len(seen) / len(observing),
                "probability": float(np.median([np.average(probability[own], weights=areas[own]) for own in by_image])),
                "first_date": min(seen_on[group]),
                "last_date": max(seen_on[group]),
                "geometry": outline,
                "median_footprint": _median_footprint([outlines[own] for own in by_image], list(observing.values())),
            }
        )
    return rows


def sorted_within(keys: NDArray[np.int64], values: NDArray[np.int64]) -> list[int]:
    """Sort values among those of the same key, and leave the keys where they are; equal keys stand together.

    Examples:
        >>> sorted_within(np.array([0, 0, 1]), np.array([5, 3, 1]))
        [3, 5, 1]
    """
    ordered: list[int] = values[np.lexsort((values, keys))].tolist()
    return ordered


def _median_footprint(seen: list[NDArray[np.object_]], observing: list[list[shapely.Geometry]]) -> shapely.Geometry:
    if len(observing) == 1:
        return union(seen[0])
    by_image = [union(outlines) for outlines in seen]
    window = shapely.box(*shapely.total_bounds(np.array(by_image, dtype=object)))
    everywhere = [bool(shapely.covers(np.array(areas, dtype=object), window).any()) for areas in observing]
    if all(everywhere) and len(by_image) == 1:  # the most frequent case needs no faces
        return by_image[0] if len(observing) == 2 else shapely.MultiPolygon()
    partly = [areas for areas, full in zip(observing, everywhere, strict=True) if not full]
    near = [shapely.union_all(shapely.intersection(np.array(areas, dtype=object), window)) for areas in partly]
    lines = shapely.union_all(shapely.boundary(np.array([*by_image, *near], dtype=object)))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    places = shapely.point_on_surface(faces)
    seeing = np.sum([shapely.intersects(outline, places) for outline in by_image], axis=0)
    looking = sum(everywhere) + np.sum([shapely.intersects(area, places) for area in near], axis=0)
    chosen = faces[(seeing > 0) & (2 * seeing >= looking)]
    return union(chosen) if len(chosen) else shapely.MultiPolygon()


_COLUMNS = {
    "year": "int64",
    "models": "string",
    "n_seen": "int64",
    "n_observations": "int64",
    "agreement": "float64",
    "probability": "float64",
    "first_date": "string",
    "last_date": "string",
}


def _table(rows: list[dict[str, object]]) -> geopandas.GeoDataFrame:
    outlines = np.array([row["geometry"] for row in rows], dtype=object)
    medians = np.array([row["median_footprint"] for row in rows], dtype=object)
    area_m2, perimeter_m = measured(outlines)
    columns = {
        "object_id": np.arange(1, len(rows) + 1, dtype="int64"),
        **{name: pd.array([row[name] for row in rows], dtype=dtype) for name, dtype in _COLUMNS.items()},
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
        "median_area_m2": measured(medians)[0],
        "median_footprint": geopandas.GeoSeries(medians, crs=CRS),
    }
    return geopandas.GeoDataFrame(columns, geometry=outlines, crs=CRS)
