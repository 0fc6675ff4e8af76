"""What two editions of a data set have in common, and what not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS
from darts_export.dataset.published import read_published, require_published
from darts_export.dataset.publishing.columns import Table
from darts_export.dataset.publishing.tables import TABLES
from darts_export.ellipsoid import areas_and_perimeters_m
from darts_utils.files import atomic_path

_COLUMNS = {
    "table": "string",
    "change": "string",
    "old_key": "string",
    "new_key": "string",
    "matched_by": "string",
    "iou": "float64",
    "old_area_m2": "float64",
    "new_area_m2": "float64",
    "n_overlaps": "int64",
    "columns": "string",
}


@dataclass(frozen=True)
class TableDifference:
    """How a table of the new edition differs from that of the old one."""

    table: str
    """Its name."""
    unchanged: int
    """Rows that are in both, with the same geometry and the same values."""
    changed: int
    """Objects that are in both, and not the same."""
    gained: int
    """Objects of the new edition that the old one has not."""
    lost: int
    """Objects of the old edition that the new one has not."""
    rows: pd.DataFrame
    """One row per object that is not unchanged:
    ``table``  str; ``change``  str: ``"changed"``, ``"gained"``, ``"lost"``; ``old_key`` ``new_key``  str: the values of the key,
    separated by a blank, missing where there is none; ``matched_by``  str: ``"key"`` or ``"overlap"``, missing without match;
    ``iou``  float64: intersection over union of what was matched; ``old_area_m2`` ``new_area_m2``  float64: on the ellipsoid;
    ``n_overlaps``  int64: objects of the other edition, of the same year and models, that share ground with it; of a changed
    one only those that were gained or lost;
    ``columns``  str: names of the columns that differ, separated by a blank."""


def compare(
    old: Path, new: Path, *, tables: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None
) -> Iterator[TableDifference]:
    """Compare two published data sets, table by table.

    Args:
        old: The edition before.
        new: The edition after.
        tables: Names of the tables; None for those that both have.
        progress: Called with the number of tables that are compared, and of all.

    Yields:
        The differences of each table.

    Raises:
        OutputError: One of the data sets is not complete, or cannot be read.

    Notes:
        Where names outlast an edition (Level 3, coverage) rows of the same key are the same object. All others are matched by
        ground: rows of the same image, or of the same year and models, that share some; the largest intersection over union
        first, each at most once. So of a slump that is in two parts now one is changed and the other is gained, with
        ``n_overlaps`` above 0.
    """
    both = [set(require_published(folder).rows) for folder in (old, new)]
    chosen = [name for name in TABLES if name in both[0] & both[1] and (tables is None or name in tables)]
    for number, name in enumerate(chosen, start=1):
        yield compare_tables(*(read_published(folder, name, crs=CRS) for folder in (old, new)), table=TABLES[name])
        if progress is not None:
            progress(number, len(chosen))


def compare_tables(old: geopandas.GeoDataFrame, new: geopandas.GeoDataFrame, *, table: Table) -> TableDifference:
    """Compare two editions of a table.

    Args:
        old: The edition before, in EPSG:3413.
        new: The edition after.
        table: What the registry says of it.
    """
    before, after = _Edition(old, table), _Edition(new, table)
    by_key = _equal(before.key, after.key) if table.has_stable_key else _equal(before.ground, after.ground)
    left, right = before.without(by_key[:, 0]), after.without(by_key[:, 1])
    near = _overlapping(before, after, left, right)
    alone = np.isin(near.pairs[:, 0], left) & np.isin(near.pairs[:, 1], right)
    by_ground = _best(_Matches(near.pairs[alone], near.iou[alone]))
    pairs = np.vstack([by_key, by_ground.pairs])
    names = np.repeat([("key" if table.has_stable_key else "overlap"), "overlap"], [len(by_key), len(by_ground.pairs)])
    differing = _differing(before, after, pairs, table)
    iou = np.concatenate([_iou(before, after, by_key), by_ground.iou])
    is_changed = differing != ""
    gained = after.without(pairs[:, 1])
    lost = before.without(pairs[:, 0])
    overlaps = np.bincount(near.pairs[:, 0], minlength=len(old)), np.bincount(near.pairs[:, 1], minlength=len(new))
    changed = pairs[is_changed]
    rows = pd.concat(
        [
            _rows(table, "changed", before, after, changed[:, 0], changed[:, 1]).assign(
                matched_by=pd.array(names[is_changed], dtype="string"),
                iou=iou[is_changed],
                columns=pd.array(differing[is_changed], dtype="string"),
                n_overlaps=_lonely_neighbours(near, changed, gained=gained, lost=lost),
            ),
            _rows(table, "gained", before, after, None, gained).assign(n_overlaps=overlaps[1][gained]),
            _rows(table, "lost", before, after, lost, None).assign(n_overlaps=overlaps[0][lost]),
        ],
        ignore_index=True,
    )
    counts = (int((~is_changed).sum()), int(is_changed.sum()), len(gained), len(lost))
    return TableDifference(table.name, *counts, rows[list(_COLUMNS)])


def difference_table(differences: Sequence[TableDifference]) -> pd.DataFrame:
    """Put the rows of several tables under each other; without rows, the columns are there."""
    empty = pd.DataFrame({name: pd.array([], dtype=dtype) for name, dtype in _COLUMNS.items()})
    filled = [each.rows for each in differences if len(each.rows)]
    return pd.concat(filled, ignore_index=True) if filled else empty


def write_differences(rows: pd.DataFrame, path: Path) -> None:
    """Write rows of differences as CSV, or as Parquet where the path ends so.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            rows.to_parquet(temporary, index=False)
        else:
            rows.to_csv(temporary, index=False, lineterminator="\n")


@dataclass(frozen=True)
class _Matches:
    pairs: NDArray[np.int64]
    iou: NDArray[np.float64]


class _Edition:
    """An edition of a table, with what is compared of it."""

    def __init__(self, frame: geopandas.GeoDataFrame, table: Table) -> None:
        self.frame = frame
        self.outlines = np.asarray(frame.geometry, dtype=object)
        self.areas = shapely.area(self.outlines)
        self.key = _texts(frame, table.key)
        self.group = _texts(frame, table.group)
        wkb = pd.Series(shapely.to_wkb(shapely.normalize(self.outlines)), dtype=object)
        hashes = pd.util.hash_pandas_object(wkb, index=False).astype(str)
        # Rows of the same group whose outlines are the same are the same object, whatever their numbers.
        self.ground = (pd.Series(self.group, dtype=object) + "\0" + hashes.astype(object)).to_numpy(dtype=object)

    def without(self, matched: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows that are not among some."""
        return np.setdiff1d(np.arange(len(self.frame)), matched)


def _lonely_neighbours(
    near: _Matches, changed: NDArray[np.int64], *, gained: NDArray[np.int64], lost: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Count the objects without a partner that share ground with one side of each pair."""
    old, new = near.pairs.T
    splits = np.bincount(old[np.isin(new, gained)], minlength=1 + changed[:, 0].max(initial=0))
    mergers = np.bincount(new[np.isin(old, lost)], minlength=1 + changed[:, 1].max(initial=0))
    return np.asarray(splits[changed[:, 0]] + mergers[changed[:, 1]])


def _texts(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.object_]:
    texts = [frame[name].astype("string").to_numpy(dtype=object, na_value="") for name in columns]
    joined = texts[0]
    for each in texts[1:]:
        joined = joined + " " + each
    return np.asarray(joined, dtype=object)


def _equal(old: NDArray[np.object_], new: NDArray[np.object_]) -> NDArray[np.int64]:
    """Pairs of rows with equal texts, each row at most once."""
    left = pd.DataFrame({"text": old, "old": np.arange(len(old))}).drop_duplicates("text")
    right = pd.DataFrame({"text": new, "new": np.arange(len(new))}).drop_duplicates("text")
    return np.asarray(left.merge(right, on="text")[["old", "new"]].to_numpy(dtype="int64"))


def _overlapping(before: _Edition, after: _Edition, left: NDArray[np.int64], right: NDArray[np.int64]) -> _Matches:
    """Pairs that share ground and group, of which at least one has no partner yet."""
    asked = [(left, np.arange(len(after.frame))), (before.without(left), right)]
    found = [_intersecting(before, after, rows, others) for rows, others in asked]
    pairs = np.vstack([np.empty((0, 2), dtype="int64"), *found])
    iou = _iou(before, after, pairs)
    return _Matches(pairs[iou > 0], iou[iou > 0])


def _intersecting(
    before: _Edition, after: _Edition, rows: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.int64]:
    if len(rows) == 0 or len(others) == 0:
        return np.empty((0, 2), dtype="int64")
    tree = shapely.STRtree(after.outlines[others])
    first, second = tree.query(before.outlines[rows], predicate="intersects")
    pairs = np.column_stack([rows[first], others[second]])
    return np.asarray(pairs[before.group[pairs[:, 0]] == after.group[pairs[:, 1]]])


def _iou(before: _Edition, after: _Edition, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    old, new = pairs.T
    same = before.ground[old] == after.ground[new]
    shared = before.areas[old].copy()
    shared[~same] = shapely.area(shapely.intersection(before.outlines[old[~same]], after.outlines[new[~same]]))
    union = before.areas[old] + after.areas[new] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros(len(pairs)), where=union > 0))


def _best(near: _Matches) -> _Matches:
    """Match one to one, the largest intersection over union first; only rows that have no partner yet may match."""
    order = np.lexsort((near.pairs[:, 1], near.pairs[:, 0], -near.iou))
    olds, news, chosen = set[int](), set[int](), []
    for index in order.tolist():
        old, new = near.pairs[index].tolist()
        if old not in olds and new not in news:
            olds.add(old)
            news.add(new)
            chosen.append(index)
    return _Matches(near.pairs[chosen].reshape(-1, 2), near.iou[chosen])


def _differing(before: _Edition, after: _Edition, pairs: NDArray[np.int64], table: Table) -> NDArray[np.object_]:
    """Names of the columns that differ, for each pair; numbers that count rows are none of them."""
    old, new = pairs.T
    counters = set() if table.has_stable_key else set(table.key)
    names = np.full(len(pairs), "", dtype=object)
    for column in table.columns:
        if column.name in counters or column.name in _ROW_NUMBERS:
            continue
        if column.name == "geometry":
            differs = before.ground[old] != after.ground[new]
        elif column.dtype == "geometry":
            sides = (np.asarray(each.frame[column.name], dtype=object) for each in (before, after))
            first, second = (shapely.normalize(side[rows]) for side, rows in zip(sides, (old, new), strict=True))
            differs = ~shapely.equals_identical(first, second)
        else:
            first, second = (
                each.frame[column.name].take(rows).reset_index(drop=True)
                for each, rows in ((before, old), (after, new))
            )
            differs = ~((first == second) | (first.isna() & second.isna())).fillna(value=False).to_numpy(dtype=bool)
        names[differs] = names[differs] + f"{column.name} "
    return np.array([each.rstrip() for each in names], dtype=object)


_ROW_NUMBERS = ("object_id",)

_LONGEST_EDGE_M = 1_000.0


def _area_m2(outlines: NDArray[np.object_]) -> NDArray[np.float64]:
    area_m2, _ = areas_and_perimeters_m(shapely.orient_polygons(outlines), CRS, longest_edge=_LONGEST_EDGE_M)
    return area_m2


def _rows(
    table: Table,
    change: str,
    before: _Edition,
    after: _Edition,
    old: NDArray[np.int64] | None,
    new: NDArray[np.int64] | None,
) -> pd.DataFrame:
    count = len(old) if old is not None else 0 if new is None else len(new)
    nothing = pd.array([None] * count, dtype="string")
    columns = {
        "table": pd.array([table.name] * count, dtype="string"),
        "change": pd.array([change] * count, dtype="string"),
        "old_key": nothing if old is None else pd.array(before.key[old], dtype="string"),
        "new_key": nothing if new is None else pd.array(after.key[new], dtype="string"),
        "matched_by": nothing,
        "iou": np.full(count, np.nan),
        "old_area_m2": np.full(count, np.nan) if old is None else _area_m2(before.outlines[old]),
        "new_area_m2": np.full(count, np.nan) if new is None else _area_m2(after.outlines[new]),
        "n_overlaps": np.zeros(count, dtype="int64"),
        "columns": pd.array([""] * count, dtype="string"),
    }
    return pd.DataFrame(columns)
