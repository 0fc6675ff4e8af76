"""What happened to slumps: they split, they merged, or their name was given up."""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS
from darts_export.dataset.links import Links
from darts_export.dataset.measuring import measured

_COLUMNS = {"kind": "string", "year": "int64", "models": "string", "parents": "string", "children": "string"}


@dataclass(frozen=True)
class Event:
    """Something that happened to slumps."""

    kind: str
    """``"split"``, ``"merge"`` or ``"retired"``."""
    year: int
    """When."""
    models: str
    """Who says so."""
    parents: tuple[str, ...]
    """Names of the slumps before."""
    children: tuple[str, ...]
    """Names of the slumps after."""
    ground: shapely.Geometry
    """Where: polygons in EPSG:3413."""


def splits_and_mergers(
    links: Links,
    *,
    outlines: NDArray[np.object_],
    years: NDArray[np.int64],
    models: NDArray[np.object_],
    slump_id: NDArray[np.object_],
) -> list[Event]:
    """Tell where the ground of one outline is that of several slumps in the years around.

    Args:
        links: Direct links between outlines, the earlier first.
        outlines: ``(N,)`` polygons or multipolygons in EPSG:3413.
        years: ``(N,)`` their years.
        models: ``(N,)`` what they were found with.
        slump_id: ``(N,)`` the slump of each.
    """
    earlier, later = links.pairs.T
    events = []
    for kind, wholes, parts in (("split", earlier, later), ("merge", later, earlier)):
        for whole, pieces in _several(wholes, parts, slump_id):
            names = tuple(sorted(set(slump_id[pieces])))
            # A split is seen as soon as two of its parts are.
            year = int(years[whole] if kind == "merge" else np.sort(years[pieces])[1])
            before, after = (names, (slump_id[whole],)) if kind == "merge" else ((slump_id[whole],), names)
            ground = shapely.union_all(shapely.intersection(outlines[whole], outlines[pieces]))
            events.append(Event(kind, year, models[whole], before, after, _areal(ground)))
    return events


def table_of(events: list[Event]) -> geopandas.GeoDataFrame:
    """Make a table of events, in an order that is that of their content: the columns of `Tracks.events`."""
    events = sorted(events, key=lambda event: (event.year, event.kind, event.parents, event.children))
    rows = [(each.kind, each.year, each.models, " ".join(each.parents), " ".join(each.children)) for each in events]
    columns = {
        name: pd.array([row[place] for row in rows], dtype=dtype)
        for place, (name, dtype) in enumerate(_COLUMNS.items())
    }
    ground = np.array([each.ground for each in events], dtype=object)
    return geopandas.GeoDataFrame({**columns, "area_m2": measured(ground)[0]}, geometry=ground, crs=CRS)


def _several(
    wholes: NDArray[np.int64], parts: NDArray[np.int64], slump_id: NDArray[np.object_]
) -> list[tuple[int, NDArray[np.int64]]]:
    """The outlines that are linked with several slumps on one side, and what they are linked with there."""
    order = np.lexsort((parts, wholes))
    ones, begin = np.unique(wholes[order], return_index=True)
    groups = zip(ones.tolist(), np.split(parts[order], begin[1:]), strict=False)
    return [(one, group) for one, group in groups if len(group) > 1 and len(set(slump_id[group])) > 1]


def _areal(geometry: shapely.Geometry) -> shapely.Geometry:
    pieces = shapely.get_parts(geometry)
    united: shapely.Geometry = shapely.normalize(shapely.union_all(pieces[shapely.get_dimensions(pieces) == 2]))
    return united
