"""The levels of a data set against the truth."""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import shapely

from darts_export.dataset.growth import fit_growth, years_since_1970
from darts_export.dataset.observations import measured
from darts_export.dataset.tracking import Tracks
from darts_postprocessing import PostprocessingConfig

MATCH_IOU = 0.5
SMALLEST_PX = PostprocessingConfig.min_object_px


@dataclass(frozen=True)
class Truth:
    """What is known."""

    outlines: geopandas.GeoDataFrame
    """``year``, ``slump``, ``npixel``, ``geometry``."""
    split: tuple[int, int]
    """The slump that splits in the last year, and its other part."""
    merger: tuple[int, int]
    """The slump that takes in another one in the last year, and that one."""


def best_matches(found: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each outline found, the index of the true one with the largest IoU, and that IoU; −1 and 0 without any."""
    index, iou = np.full(len(found), -1), np.zeros(len(found))
    left, right = shapely.STRtree(true).query(found, predicate="intersects")
    shared = shapely.area(shapely.intersection(found[left], true[right]))
    ratio = shared / (shapely.area(found)[left] + shapely.area(true)[right] - shared)
    for place in np.argsort(ratio, kind="stable"):
        index[left[place]], iou[left[place]] = right[place], ratio[place]
    return index, iou


def seen_in_full(true: geopandas.GeoDataFrame, areas: np.ndarray) -> np.ndarray:
    """True where an outline is large enough to be kept, and one of the trusted areas holds all of it."""
    seen = np.zeros(len(true), dtype=bool)
    which, _ = shapely.STRtree(areas).query(true.geometry.to_numpy(), predicate="covered_by")
    seen[which] = True
    return seen & (true["npixel"].to_numpy() >= SMALLEST_PX)


def objects(found: np.ndarray, true: geopandas.GeoDataFrame, expected: np.ndarray) -> np.ndarray:
    """Objects found and right, objects found, slumps found that were to be found, slumps that were to be found."""
    index, iou = best_matches(found, true.geometry.to_numpy())
    right = iou >= MATCH_IOU
    hit = np.isin(np.arange(len(true)), index[right])
    return np.array([right.sum(), len(found), (hit & expected).sum(), expected.sum()])


def precision_and_recall(counts: np.ndarray) -> dict[str, float]:
    """From `objects`."""
    right, found, hit, known = (int(count) for count in counts)
    return {"precision": right / max(found, 1), "recall": hit / max(known, 1), "found": found, "expected": known}


def level_1(observed: geopandas.GeoDataFrame, coverage: geopandas.GeoDataFrame, truth: Truth) -> dict[str, float]:
    """Every image by itself."""
    counts = np.zeros(4, dtype=int)
    for date, areas in coverage.groupby("date"):
        true = truth.outlines[truth.outlines["year"] == int(date[:4])]
        found = observed.geometry[observed["date"] == date].to_numpy()
        counts += objects(found, true, seen_in_full(true, areas.geometry.to_numpy()))
    return precision_and_recall(counts)


def level_2(yearly: geopandas.GeoDataFrame, coverage: geopandas.GeoDataFrame, truth: Truth) -> dict[str, float]:
    """Every year by itself: a slump is to be found if one image at least sees all of it."""
    counts = np.zeros(4, dtype=int)
    for year, true in truth.outlines.groupby("year"):
        areas = coverage.geometry[coverage["date"].str.startswith(str(year))].to_numpy()
        counts += objects(yearly.geometry[yearly["year"] == year].to_numpy(), true, seen_in_full(true, areas))
    return precision_and_recall(counts)


def with_truth(tracks: Tracks, truth: Truth) -> pd.DataFrame:
    """The slump-years that are right: those of Level 3 with ``slump`` and ``true_area_m2`` beside them."""
    tables = []
    for year, true in truth.outlines.groupby("year"):
        rows = tracks.years[tracks.years["year"] == year]
        index, iou = best_matches(rows.geometry.to_numpy(), true.geometry.to_numpy())
        right = iou >= MATCH_IOU
        chosen = true.iloc[index[right]]
        area_m2, _ = measured(chosen.geometry.to_numpy())
        columns = {"slump": chosen["slump"].to_numpy(), "true_area_m2": area_m2, "iou": iou[right]}
        tables.append(rows[right].assign(**columns).sort_values("iou").drop_duplicates("slump", keep="last"))
    return pd.concat(tables, ignore_index=True)


def level_3(tracks: Tracks, right: pd.DataFrame, coverage: geopandas.GeoDataFrame, truth: Truth) -> dict[str, float]:
    """Slumps of all years, and their ids."""
    expected = set()
    for year, true in truth.outlines.groupby("year"):
        areas = coverage.geometry[coverage["date"].str.startswith(str(year))].to_numpy()
        expected |= set(true["slump"][seen_in_full(true, areas)])
    hit = expected & set(right["slump"])
    good = tracks.slumps["slump_id"].isin(right["slump_id"])
    ids = right.sort_values("year").groupby("slump")["slump_id"]
    followed, mixed = right.groupby("slump")["year"].nunique(), right.groupby("slump_id")["slump"].nunique()
    return {
        "precision": float(good.mean()),
        "recall": len(hit) / len(expected),
        "found": len(tracks.slumps),
        "expected": len(expected),
        "slumps_seen_twice_or_more": int((followed > 1).sum()),
        "id_switches": int(ids.apply(lambda names: (names.to_numpy()[1:] != names.to_numpy()[:-1]).sum()).sum()),
        "ids_of_two_slumps": len(mixed[mixed > 1]),
    }


def events(tracks: Tracks, right: pd.DataFrame, truth: Truth) -> dict[str, float]:
    """Whether the split and the merger are told as they were, and how many others are told."""
    last = int(truth.outlines["year"].max())
    name = {(row.slump, row.year): row.slump_id for row in right.itertuples()}

    def before(slump: int) -> str | None:
        years = [year for number, year in name if number == slump and year < last]
        return name[slump, max(years)] if years else None

    split, merger = {name.get((slump, last)) for slump in truth.split}, {before(slump) for slump in truth.merger}
    told = list(tracks.events[["kind", "year", "parents", "children"]].itertuples(index=False, name=None))
    wanted = [
        ("split", last, {before(truth.split[0])}, split),
        ("merge", last, merger, {name.get((truth.merger[0], last))}),
    ]
    known = [(kind, year, set(parents.split()), set(children.split())) for kind, year, parents, children in told]
    return {
        "split_found": int(wanted[0] in known),
        "merger_found": int(wanted[1] in known),
        "larger_part_keeps_the_id": int(before(truth.split[0]) == name.get((truth.split[0], last), "")),
        "larger_one_keeps_the_id": int(before(truth.merger[0]) == name.get((truth.merger[0], last), "")),
        "other_events": sum(event not in wanted for event in known),
    }


def areas(right: pd.DataFrame) -> dict[str, float]:
    """Errors of the areas of slumps by year."""
    error = right["area_m2"] / right["true_area_m2"] - 1
    off = (right["area_m2"] - right["true_area_m2"]).abs() / right["area_std_m2"]
    return {
        "slump_years": len(right),
        "median_iou": float(right["iou"].median()),
        "median_error_percent": 100 * float(error.median()),
        "median_absolute_error_percent": 100 * float(error.abs().median()),
        "p90_absolute_error_percent": 100 * float(error.abs().quantile(0.9)),
        "truth_within_95_percent_interval": float((off <= 1.96).mean()),
    }


def growth(tracks: Tracks, right: pd.DataFrame, truth: Truth) -> dict[str, float]:
    """Errors of the growth rates of the slumps that neither split nor merge and bear one id."""
    ordinary = right[~right["slump"].isin([*truth.split, *truth.merger])]
    rates = tracks.slumps.set_index("slump_id")
    rows = []
    for slump, mine in ordinary.groupby("slump"):
        name = mine["slump_id"].mode()[0]
        mine = mine[mine["slump_id"] == name]
        if len(mine) < 2 or not np.isfinite(rates["growth_m2_per_year"][name]):
            continue
        time = years_since_1970(mine["first_date"].to_numpy(dtype="datetime64[D]"))
        zeros = np.zeros(len(mine), dtype="int64")
        true = fit_growth(
            time, mine["true_area_m2"].to_numpy(), np.ones(len(mine)), stretch=zeros, slump_of_stretch=zeros[:1]
        ).rate[0]
        rows.append(
            (slump, true, *rates.loc[name][["growth_m2_per_year", "growth_low_m2_per_year", "growth_high_m2_per_year"]])
        )
    table = pd.DataFrame(rows, columns=["slump", "true", "rate", "low", "high"]).astype(float)
    error = table["rate"] - table["true"]
    return {
        "slumps": len(table),
        "median_true_m2_per_year": float(table["true"].median()),
        "median_error_m2_per_year": float(error.median()),
        "median_absolute_error_m2_per_year": float(error.abs().median()),
        "correlation": float(np.corrcoef(table["rate"], table["true"])[0, 1]),
        "truth_within_95_percent_interval": float(
            ((table["low"] <= table["true"]) & (table["true"] <= table["high"])).mean()
        ),
    }
