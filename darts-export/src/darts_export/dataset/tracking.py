"""Level 3: the same slump over the years, under one name.

The rules, in the order in which they are applied:

1. **Same ground.** Two outlines of different years and the same models are of the same ground if they share at least
   `min_overlap` of the smaller one. Each is linked to the nearest years in which its ground is seen again
   (`darts_export.dataset.links.direct_links`): a year without images is bridged, and so is a cloud over one slump.
2. **Same slump.** Among the links, an outline is handed on to at most one of a later year, and takes over from at most one of
   an earlier year; the largest shared area comes first. So where a slump *splits*, the part that shares most keeps the name
   and the others are new slumps; where slumps *merge*, the one that brings most ground keeps its name and the others end.
3. **Seen again.** A slump that ended goes on in one that seems to begin later, if their outlines are of the same ground: two
   slumps that one bad image had merged for a year are the same two slumps afterwards.
4. **Names.** A slump of the last edition hands its name to the one with which it shares most
   (`darts_export.dataset.inheritance.heirs`), whatever years or scenes were added. Who inherits none gets one that is made of
   its earliest outline (`darts_export.dataset.slump_ids.new_ids`), so the same scenes give the same names.
5. **No name twice.** A name that nobody inherits is *retired*: an event says so and keeps its last outline. It comes back
   only for a slump on that ground, and no other one is ever given it.

Every row of Level 2 belongs to one slump, and a slump has at most one row a year.

**What must be passed together.** `track` may be called on a part of the data set if the part is closed: rows whose outlines
intersect are in the same part, whatever their years and models. The outlines of the last edition (`closing_outlines`) take
part in that as if they were rows, and so do the places that its names speak of
(`darts_export.dataset.slump_ids.places_named`); all of one of its slumps is in one part
(`darts_export.dataset.editions.OldSlumps`). The tables of all parts, put under each other and sorted anew, are those of one call
on everything.
"""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.events import splits_and_mergers, table_of
from darts_export.dataset.grouping import components
from darts_export.dataset.inheritance import Outlines, name_slumps
from darts_export.dataset.links import Links, concatenated, direct_links, matched, near_each_other, overlaps
from darts_export.dataset.slump_tables import slumps_table, years_table
from darts_utils.errors import TileContractError

_LEVEL_2 = {
    *("object_id", "year", "models", "n_seen", "n_observations", "agreement", "probability", "first_date", "last_date"),
    *("area_m2", "perimeter_m", "median_area_m2", "median_footprint"),
}
_OUTLINES = {"slump_id", "year", "models"}
_EVENTS = {"kind", "year", "models", "parents"}


@dataclass(frozen=True)
class Tracks:
    """Level 3, in an order that is that of the content; all geometries in EPSG:3413."""

    slumps: geopandas.GeoDataFrame
    """One row per slump:
    ``slump_id``  str; ``models``  str;
    ``first_year`` ``last_year`` ``n_years``  int64: of the years in which it was seen;
    ``n_seen`` ``n_observations``  int64: images of these years; ``agreement``  float64: seen / observed;
    ``probability``  float64: median over the years;
    ``first_area_m2`` ``last_area_m2`` ``max_area_m2``  float64: of its years;
    ``growth_m2_per_year`` ``growth_std_m2_per_year`` ``growth_low_m2_per_year`` ``growth_high_m2_per_year``  float64:
    rate, its standard deviation and its 95 % interval (`darts_export.dataset.growth.fit_growth`), NaN where no two years can
    be compared; ``n_growth_years``  int64: how many years these rest on;
    ``geometry``  its latest footprint."""
    years: geopandas.GeoDataFrame
    """One row per slump and year, which is one row of Level 2:
    ``slump_id``  str; ``year``  int64; ``models``  str; ``object_id``: that of Level 2;
    ``n_seen`` ``n_observations`` ``agreement`` ``probability`` ``first_date`` ``last_date``: those of Level 2;
    ``footprint``  str: ``"median"``, or ``"union"`` where that is asked for or the median is empty;
    ``area_m2`` ``perimeter_m``  float64: of the footprint, on the ellipsoid;
    ``area_std_m2``  float64: standard deviation of the area (`darts_export.dataset.growth.area_std_m2`);
    ``geometry``  the footprint."""
    events: geopandas.GeoDataFrame
    """One row per event:
    ``kind``  str: ``"split"``, ``"merge"``, or ``"retired"``: a name of an earlier edition that no slump has any more;
    ``year``  int64: the first year in which two parts, or the whole, are seen; of a retired name the last year of its slump;
    ``models``  str; ``parents`` ``children``  str: ``slump_id``, separated by a blank; the children of a retired name are the
    slumps that now cover its ground;
    ``area_m2``  float64: ground that parents and children share; of a retired name its last area; ``geometry``  that ground."""


def track(
    yearly: geopandas.GeoDataFrame,
    *,
    previous: Tracks | geopandas.GeoDataFrame | None = None,
    min_overlap: float = DatasetConfig.min_overlap,
    footprint: str = DatasetConfig.footprint,
    outline_error_m: float = DatasetConfig.outline_error_m,
    workers: int = DatasetConfig.workers,
) -> Tracks:
    """Follow slumps over the years.

    Args:
        yearly: Level 2, from `merge_years`, of any number of places, years and models, in any order; closed (see above).
        previous: Level 3 of the last edition, whose names are inherited, or its `closing_outlines`; None for a first edition.
        min_overlap: Outlines that share this much of the smaller one are of the same ground; above 0, at most 1.
        footprint: Whether areas are those of the ``"median"`` footprint or of the ``"union"``.
        outline_error_m: Standard deviation of the distance by which outlines are off.
        workers: Number of threads; no result depends on it.

    Returns:
        The slumps, their years, and what happened to them.

    Raises:
        ConfigError: An option makes no sense.
        TileContractError: A table lacks columns, or is not in EPSG:3413.
    """
    DatasetConfig(min_overlap=min_overlap, footprint=footprint, outline_error_m=outline_error_m, workers=workers)  # type: ignore[arg-type]
    _check(yearly, _LEVEL_2, "Level 2")
    table = yearly.iloc[_canonical_order(yearly)].reset_index(drop=True)
    outlines, years = table.geometry.to_numpy(), table["year"].to_numpy(dtype="int64")
    models = table["models"].to_numpy(dtype=object)
    links, lines = _follow(outlines, years, models, min_overlap=min_overlap, workers=workers)
    new = Outlines(outlines, years, models, lines)
    old = closing_outlines(previous) if isinstance(previous, Tracks) else previous
    names, retired = name_slumps(new, old, min_overlap=min_overlap, workers=workers)
    seen = years_table(table, names[lines], footprint=footprint, outline_error_m=outline_error_m)
    slumps = slumps_table(seen, lines, links)
    events = splits_and_mergers(links, outlines=outlines, years=years, models=models, slump_id=names[lines])
    return Tracks(
        slumps.sort_values("slump_id", ignore_index=True),
        seen.sort_values(["slump_id", "year"], ignore_index=True),
        table_of(events + retired),
    )


def closing_outlines(previous: Tracks) -> geopandas.GeoDataFrame:
    """List the outlines of an edition that say which rows of the next one must be passed together.

    Returns:
        ``slump_id``  str; ``year``  int64; ``models``  str; ``geometry``: every outline of every slump, and the last one of
        every retired name; by name and year.

    Raises:
        TileContractError: A table lacks columns, or is not in EPSG:3413.
    """
    _check(previous.years, _OUTLINES, "Level 3, years,")
    _check(previous.events, _EVENTS, "Level 3, events,")
    gone = previous.events[previous.events["kind"] == "retired"].rename(columns={"parents": "slump_id"})
    columns = [*sorted(_OUTLINES), "geometry"]
    tables = [table[columns] for table in (previous.years, gone) if len(table)] or [previous.years[columns]]
    return pd.concat(tables, ignore_index=True).sort_values(["slump_id", "year"], ignore_index=True)


def _check(table: geopandas.GeoDataFrame, columns: set[str], what: str) -> None:
    if missing := sorted(columns - {*table.columns}):
        raise TileContractError(f"expected a table of {what} but it lacks {', '.join(missing)}: build it anew")
    if table.crs != CRS:
        raise TileContractError(f"expected a table of {what} in {CRS}, but got {table.crs}: transform it with .to_crs")


def _canonical_order(yearly: geopandas.GeoDataFrame) -> NDArray[np.int64]:
    """By year, models and place: what has the same year and models does not overlap, so its inner points differ."""
    points = shapely.get_coordinates(shapely.point_on_surface(yearly.geometry.to_numpy()))
    models = pd.factorize(yearly["models"].to_numpy(dtype=object), sort=True)[0]
    return np.lexsort((points[:, 1], points[:, 0], models, yearly["year"].to_numpy(dtype="int64")))


def _follow(
    outlines: NDArray[np.object_],
    years: NDArray[np.int64],
    models: NDArray[np.object_],
    *,
    min_overlap: float,
    workers: int,
) -> tuple[Links, NDArray[np.int64]]:
    """Link outlines, and number the slumps that they are of: 0, 1, …, in the order of their first outlines."""
    pairs = near_each_other(outlines, outlines)
    pairs = pairs[(years[pairs[:, 0]] < years[pairs[:, 1]]) & (models[pairs[:, 0]] == models[pairs[:, 1]])]
    links = direct_links(outlines, years, pairs, min_overlap=min_overlap, workers=workers)
    handed_on = matched(links)
    goes_on, began = np.zeros(len(outlines), dtype=bool), np.zeros(len(outlines), dtype=bool)
    goes_on[handed_on.pairs[:, 0]], began[handed_on.pairs[:, 1]] = True, True
    asked = pairs[~goes_on[pairs[:, 0]] & ~began[pairs[:, 1]]]
    again = matched(overlaps(outlines, outlines, asked, min_overlap=min_overlap, workers=workers))
    roots = components(len(outlines), concatenated([handed_on, again]).pairs)
    return links, np.unique(roots, return_inverse=True)[1].ravel()
