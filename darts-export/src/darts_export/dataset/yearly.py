"""Level 2: one row per object per year, and how often it was looked at."""

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.grouping import Groups, box_pairs, components, groups_of
from darts_export.dataset.images import IMAGE, codes_of, years_of
from darts_export.dataset.measuring import measured
from darts_export.dataset.median_footprints import LEAST_PROBABILITY, median_footprints
from darts_export.dataset.uniting import Outlines, unite
from darts_export.dataset.watching import Sights, TrustedAreas, watch


def merge_years(
    observed: geopandas.GeoDataFrame,
    coverage: geopandas.GeoDataFrame,
    *,
    edge_tolerance_m: float = DatasetConfig.edge_tolerance_m,
) -> geopandas.GeoDataFrame:
    """Merge the objects of all images of a year where they overlap or touch.

    Args:
        observed: Level 1, from `observe`.
        coverage: The trusted areas of `read_archive`.
        edge_tolerance_m: Objects that edges cut are merged when they are this near, metres on the map.

    Returns:
        In the order of the first objects of Level 1 that they are made of:
            ``object_id``  int64: 1, 2, …;
            ``year``  int64; ``models``  str: results of different models are never merged;
            ``n_seen``  int64: images that see a part of it;
            ``n_observations``  int64: images that see it, or would have seen it: a tile of theirs holds all of it;
            ``agreement``  float64, 0 … 1: seen / observed;
            ``probability``  float64: median, over the images that see it, of the mean of their objects' medians weighted by area;
            ``first_date`` ``last_date``  str: of the images that see it;
            ``area_m2`` ``perimeter_m`` ``median_area_m2``  float64: on the ellipsoid;
            ``geometry``  Polygon or MultiPolygon in EPSG:3413: the union of its outlines;
            ``median_footprint``  Polygon or MultiPolygon, perhaps empty: where the median probability is at least one half, see
            `darts_export.dataset.median_footprints`.

    Notes:
        An image is what one sensor saw on one day. Who can say that an object is not there: `darts_export.dataset.watching`.
    """
    table = observed.sort_values("object_id", ignore_index=True)
    looked = coverage.sort_values([*IMAGE, "tile_id"], kind="stable", ignore_index=True)
    everything = pd.concat([table[list(IMAGE)], looked[list(IMAGE)]], ignore_index=True)
    everything = everything.assign(year=years_of(everything))
    alike, of_area = np.split(codes_of(everything, ("year", "models")), [len(table)])
    image, image_of_area = np.split(codes_of(everything, IMAGE), [len(table)])
    outlines, probability = table.geometry.to_numpy(), table["probability_median"].to_numpy(dtype="float64")
    groups = _merged(outlines, alike, table["touches_edge"].to_numpy(dtype=bool), edge_tolerance_m)
    object_of = np.empty(len(table), dtype="int64")
    object_of[groups.members] = groups.owners
    united = unite(outlines, groups)
    by_image = groups_of(object_of * (int(image.max(initial=0)) + 1) + image)
    sights = _sights(outlines, by_image, object_of, image)
    trusted = TrustedAreas(looked.geometry.to_numpy(), image_of_area, of_area)
    watched = watch(united, alike[groups.firsts], sights, trusted)
    enough = probability >= LEAST_PROBABILITY  # usually all: that is where objects begin
    strong = sights if enough.all() else _sights(outlines, by_image.only(enough), object_of, image)
    medians = median_footprints(united, strong, watched)
    areas = shapely.area(outlines)
    answers = by_image.total(areas * probability) / by_image.total(areas)
    seen_by = groups_of(sights.objects)
    days, dates = pd.factorize(table["date"].to_numpy(dtype=object), sort=True)
    area_m2, perimeter_m = measured(united)
    columns = {
        "object_id": np.arange(1, len(united) + 1, dtype="int64"),
        "year": everything["year"].to_numpy()[groups.firsts],
        "models": table["models"].to_numpy(dtype=object)[groups.firsts],
        "n_seen": seen_by.sizes,
        "n_observations": watched.n_images,
        "agreement": seen_by.sizes / watched.n_images,
        "probability": _medians(answers, seen_by),
        "first_date": dates[-groups.largest(-days)],
        "last_date": dates[groups.largest(days)],
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
        "median_area_m2": measured(medians)[0],
        "median_footprint": geopandas.GeoSeries(medians, crs=CRS),
    }
    merged = geopandas.GeoDataFrame(columns, geometry=united, crs=CRS)
    return merged.astype(dict.fromkeys(("models", "first_date", "last_date"), "string"))


def _sights(outlines: Outlines, by_image: Groups, object_of: NDArray[np.int64], image: NDArray[np.int64]) -> Sights:
    return Sights(unite(outlines, by_image), object_of[by_image.firsts], image[by_image.firsts])


def _merged(outlines: Outlines, alike: NDArray[np.int64], cut: NDArray[np.bool_], tolerance_m: float) -> Groups:
    pairs = box_pairs(outlines, distance_m=tolerance_m, alike=alike)
    merged = shapely.intersects(outlines[pairs[:, 0]], outlines[pairs[:, 1]])
    asked = np.flatnonzero(~merged & cut[pairs].all(axis=1))
    merged[asked] = shapely.dwithin(outlines[pairs[asked, 0]], outlines[pairs[asked, 1]], tolerance_m)
    return groups_of(components(len(outlines), pairs[merged]))


def _medians(values: NDArray[np.float64], groups: Groups) -> NDArray[np.float64]:
    order = np.lexsort((values[groups.members], groups.owners))
    inside, sizes = values[groups.members][order], groups.sizes
    return np.asarray((inside[groups.starts + (sizes - 1) // 2] + inside[groups.starts + sizes // 2]) / 2)
