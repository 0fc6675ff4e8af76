"""From one edition of the data set to the next: who inherits the name of a slump."""

from dataclasses import dataclass

import geopandas
import numpy as np
from numpy.typing import NDArray

from darts_export.dataset.events import Event
from darts_export.dataset.links import Links, concatenated, matched, near_each_other, overlaps
from darts_export.dataset.slump_ids import Texts, new_ids


@dataclass(frozen=True)
class Outlines:
    """Outlines of slumps, of one edition of the data set."""

    outlines: NDArray[np.object_]
    """``(N,)`` polygons or multipolygons in EPSG:3413."""
    years: NDArray[np.int64]
    """``(N,)`` the years of these."""
    models: Texts
    """``(N,)`` what they were found with."""
    slumps: NDArray[np.int64]
    """``(N,)`` numbers of the slumps that they are of."""


def name_slumps(
    new: Outlines, previous: geopandas.GeoDataFrame | None, *, min_overlap: float, workers: int
) -> tuple[Texts, list[Event]]:
    """Name slumps: by inheritance where there is something to inherit, else by what they are.

    Args:
        new: This edition, the outlines by year.
        previous: Every outline under every name of the last edition, by ``slump_id`` and ``year``; None if there is none.
        min_overlap: Outlines that share less of the smaller one do not count.
        workers: Number of threads.

    Returns:
        The name of each slump, and an event for each name that is given up.
    """
    first = np.unique(new.slumps, return_index=True)[1]
    names = np.full(len(first), "", dtype=object)
    ids, events = np.empty(0, dtype=object), list[Event]()
    if previous is not None:
        ids, number = np.unique(previous["slump_id"].to_numpy(dtype=object), return_inverse=True)
        years, models = previous["year"].to_numpy(dtype="int64"), previous["models"].to_numpy(dtype=object)
        old = Outlines(previous.geometry.to_numpy(), years, models, number)
        inherited = heirs(new, old, min_overlap=min_overlap, workers=workers).pairs
        names[inherited[:, 0]] = ids[inherited[:, 1]]
    nameless = names == ""
    born = first[nameless]
    names[nameless] = new_ids(new.outlines[born], new.years[born], new.models[born], taken=set(ids))
    if previous is not None:
        given_up = np.setdiff1d(np.arange(len(ids)), inherited[:, 1])
        events = _retired(new, old, given_up, names, ids, min_overlap=min_overlap, workers=workers)
    return names, events


def heirs(new: Outlines, old: Outlines, *, min_overlap: float, workers: int) -> Links:
    """Find for each old slump the new one that goes on under its name.

    Those of the same models come first, and of these the outlines of the same year: what they share is added up over the
    years, and the largest sum wins. Whoever has found nobody is then compared by the outlines of different years, and at
    last with what other models have found.

    Args:
        new: This edition.
        old: The last one.
        min_overlap: Outlines that share less of the smaller one do not count.
        workers: Number of threads.

    Returns:
        Pairs of (new slump, old slump), each of them at most once.

    Examples:
        >>> import shapely
        >>> kind = np.array(["full"], dtype=object)
        >>> year, one = np.array([2019]), np.array([0])
        >>> old = Outlines(np.array([shapely.box(0, 0, 9, 9)]), year, kind, one)
        >>> heirs(Outlines(np.array([shapely.box(3, 0, 12, 9)]), year, kind, one), old, min_overlap=0.3, workers=1).pairs
        array([[0, 0]])
    """
    pairs = near_each_other(new.outlines, old.outlines)
    same_year = new.years[pairs[:, 0]] == old.years[pairs[:, 1]]
    same_models = new.models[pairs[:, 0]] == old.models[pairs[:, 1]]
    found = concatenated([])
    for wanted in (same_models & same_year, same_models & ~same_year, ~same_models):
        asked = pairs[wanted]
        asked = asked[
            ~np.isin(new.slumps[asked[:, 0]], found.pairs[:, 0]) & ~np.isin(old.slumps[asked[:, 1]], found.pairs[:, 1])
        ]
        shared = overlaps(new.outlines, old.outlines, asked, min_overlap=min_overlap, workers=workers)
        found = concatenated([found, matched(_of_slumps(shared, new, old))])
    return found


def _retired(
    new: Outlines,
    old: Outlines,
    given_up: NDArray[np.int64],
    names: Texts,
    ids: Texts,
    *,
    min_overlap: float,
    workers: int,
) -> list[Event]:
    """One event for each name that is given up, with the last outline under it."""
    last = np.searchsorted(old.slumps, given_up, side="right") - 1
    pairs = near_each_other(old.outlines[last], new.outlines)
    covered = overlaps(old.outlines[last], new.outlines, pairs, min_overlap=min_overlap, workers=workers).pairs
    children: list[set[str]] = [set() for _ in given_up]
    for index, outline in covered.tolist():
        children[index].add(names[new.slumps[outline]])
    return [
        Event("retired", int(old.years[row]), old.models[row], (ids[slump],), tuple(sorted(after)), old.outlines[row])
        for slump, row, after in zip(given_up.tolist(), last.tolist(), children, strict=True)
    ]


def _of_slumps(links: Links, new: Outlines, old: Outlines) -> Links:
    """Add up what outlines share, by the slumps that they are of."""
    pairs = np.column_stack([new.slumps[links.pairs[:, 0]], old.slumps[links.pairs[:, 1]]])
    unique, where = np.unique(pairs, axis=0, return_inverse=True)
    total = np.bincount(where.ravel(), links.shared, len(unique)).astype("float64")  # without links they are integers
    return Links(unique.reshape(-1, 2), total)
