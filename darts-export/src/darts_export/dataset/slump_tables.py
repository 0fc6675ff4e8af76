"""The tables of Level 3: slumps by year, and slumps."""

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS
from darts_export.dataset.growth import area_std_m2, fit_growth, years_since_1970
from darts_export.dataset.links import Links
from darts_export.dataset.measuring import measured

_KEPT = ("n_seen", "n_observations", "agreement", "probability", "first_date", "last_date")


def years_table(
    yearly: geopandas.GeoDataFrame, slump_id: NDArray[np.object_], *, footprint: str, outline_error_m: float
) -> geopandas.GeoDataFrame:
    """Make one row per slump and year, in the order of Level 2: the columns of `Tracks.years`.

    Args:
        yearly: Level 2.
        slump_id: ``(N,)`` the slump of each row.
        footprint: ``"median"`` or ``"union"``.
        outline_error_m: Standard deviation of the distance by which outlines are off.
    """
    outlines = yearly.geometry.to_numpy().copy()
    area_m2, perimeter_m = (yearly[name].to_numpy(dtype="float64").copy() for name in ("area_m2", "perimeter_m"))
    medians = np.asarray(yearly["median_footprint"], dtype=object)
    has_median = (footprint == "median") & ~shapely.is_empty(medians)
    other = has_median & (yearly["median_area_m2"].to_numpy() != area_m2)
    outlines[has_median] = medians[has_median]
    area_m2[other], perimeter_m[other] = measured(medians[other])
    columns = {
        "slump_id": pd.array(slump_id, dtype="string"),
        "year": yearly["year"].to_numpy(dtype="int64"),
        "models": pd.array(yearly["models"], dtype="string"),
        "object_id": yearly["object_id"].array,
        **{name: yearly[name].array for name in _KEPT},
        "footprint": pd.array(np.where(has_median, "median", "union"), dtype="string"),
        "area_m2": area_m2,
        "area_std_m2": area_std_m2(perimeter_m, outline_error_m=outline_error_m),
        "perimeter_m": perimeter_m,
    }
    return geopandas.GeoDataFrame(columns, geometry=outlines, crs=CRS)


def slumps_table(years: geopandas.GeoDataFrame, lines: NDArray[np.int64], links: Links) -> geopandas.GeoDataFrame:
    """Make one row per slump: the columns of `Tracks.slumps`.

    Args:
        years: From `years_table`, by year.
        lines: ``(N,)`` the number of the slump of each row: 0, 1, ….
        links: Direct links between rows, the earlier first.
    """
    order = np.argsort(lines, kind="stable")
    table, line = years.iloc[order], lines[order]
    first = np.flatnonzero(np.diff(line, prepend=-1))
    last = np.append(first[1:], len(line))[: len(first)] - 1
    area_m2 = table["area_m2"].to_numpy()
    seen, looked = (np.add.reduceat(table[name].to_numpy(), first) if len(first) else first for name in _KEPT[:2])
    year, ids = table["year"].to_numpy(), table["slump_id"].array
    stretch = _stretches(years, lines, links)[order]
    growth = fit_growth(
        _middle_years(table),
        area_m2,
        table["area_std_m2"].to_numpy(),
        stretch=stretch,
        slump_of_stretch=line[np.flatnonzero(np.diff(stretch, prepend=-1))],
    )
    columns = {
        "slump_id": ids[first],
        "models": table["models"].array[first],
        "first_year": year[first],
        "last_year": year[last],
        "n_years": last - first + 1,
        "n_seen": seen,
        "n_observations": looked,
        "agreement": seen / looked,
        "probability": table["probability"].groupby(line).median().to_numpy(),
        "first_area_m2": area_m2[first],
        "last_area_m2": area_m2[last],
        "max_area_m2": np.maximum.reduceat(area_m2, first) if len(first) else area_m2,
        "growth_m2_per_year": growth.rate,
        "growth_std_m2_per_year": growth.std,
        "growth_low_m2_per_year": growth.low,
        "growth_high_m2_per_year": growth.high,
        "n_growth_years": growth.n_years,
    }
    return geopandas.GeoDataFrame(columns, geometry=table.geometry.to_numpy()[last], crs=CRS)


def _middle_years(table: pd.DataFrame) -> NDArray[np.float64]:
    """The middle of the days on which a slump was seen in a year."""
    first, last = (
        years_since_1970(table[name].to_numpy(dtype="datetime64[D]")) for name in ("first_date", "last_date")
    )
    return (first + last) / 2


def _stretches(years: geopandas.GeoDataFrame, lines: NDArray[np.int64], links: Links) -> NDArray[np.int64]:
    """Number the stretches of time over which areas can be compared: 0, 1, …, in the order of slumps and years.

    A stretch ends where a slump splits or merges and the area of the others is more than what its own is known to, and
    where it comes back after it had ended.
    """
    order = np.argsort(lines, kind="stable")
    earlier, later = links.pairs.T
    area_m2, std_m2 = years["area_m2"].to_numpy(), years["area_std_m2"].to_numpy()
    others = lines[earlier] != lines[later]
    lost = np.bincount(earlier[others], area_m2[later[others]], len(lines))
    gained = np.bincount(later[others], area_m2[earlier[others]], len(lines))
    before, after = order[:-1], order[1:]
    linked = np.isin(before * len(lines) + after, earlier * len(lines) + later)
    jumps = (lost > std_m2)[before] | (gained > std_m2)[after]
    begins = (lines[before] != lines[after]) | ~linked | jumps
    stretch = np.zeros(len(lines), dtype="int64")
    stretch[after] = np.cumsum(begins)
    return stretch
