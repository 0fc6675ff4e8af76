"""Tables of Level 2 from a few outlines, and how editions of Level 3 are compared."""

from typing import Any

import geopandas
import numpy as np
import pandas as pd
import shapely

from darts_export.dataset.measuring import measured
from darts_export.dataset.tracking import Tracks

Rows = list[tuple[int, shapely.Geometry]]
"""Year and outline of each row."""


def level2(rows: Rows, **common: Any) -> geopandas.GeoDataFrame:
    """Rows of Level 2, each seen once: (year, outline)."""
    outlines = np.array([outline for _, outline in rows], dtype=object)
    area_m2, perimeter_m = measured(outlines)
    dates = pd.array([f"{year}-07-01" for year, _ in rows], dtype="string")
    columns = {
        "object_id": np.arange(1, len(rows) + 1),
        "year": np.array([year for year, _ in rows], dtype="int64"),
        "models": pd.array(["full@1"] * len(rows), dtype="string"),
        "n_seen": np.ones(len(rows), dtype="int64"),
        "n_observations": np.full(len(rows), 2),
        "agreement": np.full(len(rows), 0.5),
        "probability": np.full(len(rows), 0.75),
        "first_date": dates,
        "last_date": dates,
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
        "median_area_m2": area_m2,
        "median_footprint": geopandas.GeoSeries(outlines, crs="EPSG:3413"),
        **common,
    }
    return geopandas.GeoDataFrame(columns, geometry=outlines, crs="EPSG:3413")


def box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    """A box some way from the pole, in metres on the map."""
    return shapely.box(west, south - 2_000_000, east, north - 2_000_000)


def told(tracks: Tracks) -> list[tuple[str, int, str, str]]:
    """The events as plain rows: kind, year, parents, children."""
    return list(tracks.events[["kind", "year", "parents", "children"]].itertuples(index=False, name=None))


def assert_equal_tracks(first: Tracks, second: Tracks) -> None:
    """Raise if two editions of Level 3 differ in any bit."""
    for name in ("slumps", "years", "events"):
        one, other = (getattr(each, name).to_wkb() for each in (first, second))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def name_of(tracks: Tracks, outline: shapely.Geometry, year: int) -> str:
    """The slump whose outline of that year is the one given."""
    rows = tracks.years[tracks.years.year == year]
    (name,) = rows.slump_id[rows.geometry.geom_equals(outline)]
    return str(name)
