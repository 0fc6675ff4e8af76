"""Level 1: one row per object per image."""

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.grouping import Groups, Pairs, box_pairs, components, groups_of
from darts_export.dataset.images import IMAGE, codes_of, joined_texts
from darts_export.dataset.measuring import measured
from darts_export.dataset.places import place_codes
from darts_export.dataset.uniting import unite
from darts_utils.kernels import kernel

_LEAST_SHARE = 0.5
"""An outline is a duplicate of a whole one that covers at least this share of its area."""

_EDGE_M = 1.0
"""An object that comes nearer than this to the end of what was looked at may go on there. A pixel is larger, and what a
straight edge loses on its way to another map is smaller."""

_STATISTICS = ("min", "max", "mean", "median", "std")


def observe(
    objects: geopandas.GeoDataFrame,
    coverage: geopandas.GeoDataFrame,
    *,
    edge_tolerance_m: float = DatasetConfig.edge_tolerance_m,
    reach_m: float = DatasetConfig.reach_m,
    places: NDArray[np.int64] | None = None,
) -> geopandas.GeoDataFrame:
    """Make one row per object per image: resolve what overlapping tiles saw twice, and join what tile edges cut.

    Args:
        objects: The objects of `read_archive`, in EPSG:3413.
        coverage: The trusted areas of `read_archive`.
        edge_tolerance_m: Objects of two tiles, both cut by an edge and this near to each other, are halves of one; metres
            on the map.
        reach_m: Outlines as near as this to each other stand together in the order of the rows; metres on the map.
        places: ``(N,)`` the place of each of `objects`, where more than they decide what stands together; None: that of
            `darts_export.dataset.places.place_codes`.

    Returns:
        In an order that depends only on the content, neighbours near each other:
            ``object_id``  int64: 1, 2, …;
            ``date`` ``sensor`` ``models``  str: the image; `models` names their versions too, by hash;
            ``tile_ids``  str: the tiles whose outlines it has, which are named after their scenes, separated by blanks;
            ``n_parts``  int64: number of outlines it was joined from;
            ``n_duplicates``  int64: number of outlines that it replaces;
            ``rule``  str: ``"single"``: nothing to resolve; ``"largest whole"``: no edge cuts it, and it replaces outlines
            of other tiles; ``"joined"``: outlines of several tiles, united;
            ``touches_edge``  bool: it may go on where no tile of the image looked;
            ``probability_min`` ``_max`` ``_mean`` ``_median`` ``_std``  float64: those that `objects` has. Of joined
            outlines: the smallest, the largest, the mean weighted by area, the mean of the medians weighted by area, and
            the deviation within and among the outlines, weighted by area;
            ``area_m2`` ``perimeter_m``  float64: of the outline, on the ellipsoid;
            ``geometry``  Polygon or MultiPolygon in EPSG:3413.

    Notes:
        Outlines of the same tile are never joined by themselves and never replace each other. Of outlines of different
        tiles of an image,

        1. those that no edge cuts come first, the larger before the smaller: each replaces the outlines of which it covers
           at least half, and that have not themselves replaced something;
        2. what is left is joined where it shares an area, and where an edge cuts both and they are as near as the
           tolerance. So no area is counted twice within an image, and none is lost but what a replaced outline has beyond
           the one that covers most of it.

        A joined object still touches an edge where it is not inside of what the tiles of the image were trusted with, all
        together; gaps between them that are narrower than the tolerance do not count.
    """
    order = _canonical_order(objects)
    table = objects.iloc[order].reset_index(drop=True)
    outlines, cut = table.geometry.to_numpy(), table["touches_edge"].to_numpy(dtype=bool)
    areas, image = shapely.area(outlines), codes_of(table, IMAGE)
    pairs = box_pairs(outlines, distance_m=edge_tolerance_m, alike=image)
    tile = codes_of(table, (*IMAGE, "tile_id"))
    pairs = pairs[tile[pairs[:, 0]] != tile[pairs[:, 1]]]
    shared = _shared_areas(outlines, pairs)
    replaced_by = _replaced(pairs, shared, cut, areas)
    kept = replaced_by == np.arange(len(table))
    halves = _joined(outlines, pairs[kept[pairs].all(axis=1)], shared[kept[pairs].all(axis=1)], cut, edge_tolerance_m)
    groups = groups_of(np.where(kept, components(len(table), halves), -1))
    groups = groups[kept[groups.firsts]]
    if places is None:
        place = place_codes(shapely.bounds(outlines), reach_m=max(reach_m, edge_tolerance_m))
    else:
        place = places[order]
    groups = groups[np.lexsort((groups.firsts, place[groups.firsts]))]
    duplicates = np.bincount(replaced_by[~kept], minlength=len(table)).astype("float64")
    united = unite(outlines, groups)
    rows = _rows(table, groups, areas, duplicates)
    joined = rows["rule"].to_numpy(dtype=object) == "joined"
    rows.loc[joined, "touches_edge"] = _reach_out(united[joined], rows[joined], coverage, edge_tolerance_m)
    area_m2, perimeter_m = measured(united)
    return geopandas.GeoDataFrame(rows.assign(area_m2=area_m2, perimeter_m=perimeter_m), geometry=united, crs=CRS)


def _canonical_order(objects: geopandas.GeoDataFrame) -> NDArray[np.int64]:
    return np.lexsort((objects["segment_id"].to_numpy(), codes_of(objects, (*IMAGE, "tile_id"))))


def _shared_areas(outlines: NDArray[np.object_], pairs: Pairs) -> NDArray[np.float64]:
    one, other = outlines[pairs[:, 0]], outlines[pairs[:, 1]]
    same = shapely.equals_exact(one, other)  # tiles cut from one scene have the same pixels
    shared = np.where(same, shapely.area(one), 0.0)
    shared[~same] = shapely.area(shapely.intersection(one[~same], other[~same]))
    return shared


def _replaced(
    pairs: Pairs, shared: NDArray[np.float64], cut: NDArray[np.bool_], areas: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Name for each outline the one that replaces it; itself where none does."""
    both_ways = np.concatenate([pairs, pairs[:, ::-1]])
    winner, loser = both_ways.T
    covers = ~cut[winner] & (np.tile(shared, 2) >= _LEAST_SHARE * areas[loser]) & (np.tile(shared, 2) > 0)
    winner, loser = winner[covers], loser[covers]
    rank = np.lexsort((np.arange(len(cut)), -areas, cut)).argsort()
    order = np.lexsort((loser, rank[winner]))
    replaced_by = np.arange(len(cut), dtype="int64")
    _replace(winner[order], loser[order], replaced_by)
    return replaced_by


@kernel
def _replace(winner: NDArray[np.int64], loser: NDArray[np.int64], replaced_by: NDArray[np.int64]) -> None:
    replaces = np.zeros(len(replaced_by), dtype=np.bool_)
    for index in range(len(winner)):
        if replaced_by[winner[index]] != winner[index] or replaces[loser[index]]:
            continue
        if replaced_by[loser[index]] == loser[index]:
            replaces[winner[index]] = True
            replaced_by[loser[index]] = winner[index]


def _joined(
    outlines: NDArray[np.object_], pairs: Pairs, shared: NDArray[np.float64], cut: NDArray[np.bool_], tolerance_m: float
) -> Pairs:
    """Choose the pairs of outlines that are united."""
    joined = shared > 0
    asked = np.flatnonzero(~joined & cut[pairs].all(axis=1))
    joined[asked] = shapely.dwithin(outlines[pairs[asked, 0]], outlines[pairs[asked, 1]], tolerance_m)
    return pairs[joined]


def _rows(
    table: pd.DataFrame, groups: Groups, areas: NDArray[np.float64], duplicates: NDArray[np.float64]
) -> pd.DataFrame:
    first = table.iloc[groups.firsts]
    parts, replaces = groups.sizes, groups.total(duplicates).astype("int64")
    columns = {
        "object_id": np.arange(1, len(parts) + 1, dtype="int64"),
        **{name: first[name].to_numpy(dtype=object) for name in ("date", "sensor", "models")},
        "tile_ids": joined_texts(table["tile_id"].to_numpy(dtype=object), groups),
        "n_parts": parts,
        "n_duplicates": replaces,
        "rule": np.select([parts > 1, replaces > 0], ["joined", "largest whole"], "single").astype(object),
        "touches_edge": first["touches_edge"].to_numpy(dtype=bool),
        **_pooled(table, groups, areas),
    }
    return pd.DataFrame(columns).astype(dict.fromkeys((*IMAGE, "tile_ids", "rule"), "string"))


def _pooled(table: pd.DataFrame, groups: Groups, areas: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Statistics of the united outlines; those of a single outline stay as they are, to the last digit."""
    known = {
        name: table[f"probability_{name}"].to_numpy(dtype="float64")
        for name in _STATISTICS
        if f"probability_{name}" in table
    }
    whole = groups.total(areas)

    def weighted(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return groups.total(areas * values) / whole

    pooled = {name: weighted(values) for name, values in known.items() if name in ("mean", "median")}
    if "min" in known:
        pooled["min"] = -groups.largest(-known["min"])
    if "max" in known:
        pooled["max"] = groups.largest(known["max"])
    if "std" in known and "mean" in known:
        squares = weighted(known["std"] ** 2 + known["mean"] ** 2)
        pooled["std"] = np.sqrt(np.maximum(squares - pooled["mean"] ** 2, 0))
    single = groups.sizes == 1
    return {
        f"probability_{name}": np.where(single, known[name][groups.firsts], pooled[name])
        for name in _STATISTICS
        if name in pooled
    }


def _reach_out(
    united: NDArray[np.object_], rows: pd.DataFrame, coverage: geopandas.GeoDataFrame, tolerance_m: float
) -> NDArray[np.bool_]:
    """Tell which objects are not inside of the trusted areas of their image."""
    reaches_out = np.ones(len(united), dtype=bool)
    if len(united) == 0 or len(coverage) == 0:
        return reaches_out
    coverage = coverage.sort_values([*IMAGE, "tile_id"], kind="stable", ignore_index=True)
    both = pd.concat([rows[list(IMAGE)], coverage[list(IMAGE)]], ignore_index=True)
    image, of_area = np.split(codes_of(both, IMAGE), [len(united)])
    trusted, margin = coverage.geometry.to_numpy(), 2 * tolerance_m + _EDGE_M
    west, south, east, north = shapely.bounds(united).T
    windows = shapely.box(west - margin, south - margin, east + margin, north + margin)
    which, where = shapely.STRtree(trusted).query(windows, predicate="intersects")
    same = image[which] == of_area[where]
    which, where = which[same], where[same]
    order = np.lexsort((where, which))
    which, where = which[order], where[order]
    pieces = shapely.buffer(
        shapely.intersection(trusted[where], windows[which]), tolerance_m / 2, join_style="mitre", quad_segs=1
    )
    groups = groups_of(which)
    looked = shapely.buffer(unite(pieces, groups), -tolerance_m / 2 - _EDGE_M, join_style="mitre", quad_segs=1)
    asked = which[groups.firsts]
    reaches_out[asked] = ~shapely.contains(looked, united[asked])
    return reaches_out
