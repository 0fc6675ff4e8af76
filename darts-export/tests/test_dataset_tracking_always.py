"""Level 3 of any outlines: what does not matter, and what always holds."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset.grouping import components
from darts_export.dataset.testing.tables import Rows, assert_equal_tracks, box, level2, told
from darts_export.dataset.tracking import Tracks, closing_outlines, track

BOXES = st.tuples(st.integers(0, 14), st.integers(0, 14), st.integers(1, 6), st.integers(1, 6))

PLACES = st.lists(st.tuples(st.integers(2018, 2022), BOXES), max_size=14)


def disjoint(places: list[tuple[int, tuple[int, int, int, int]]]) -> Rows:
    """Outlines of 10 m cells of which none overlaps or touches another one of its year, as Level 2 has them."""
    rows: Rows = []
    for year, (x, y, width, height) in places:
        outline = box(10 * x, 10 * y, 10 * (x + width), 10 * (y + height))
        if all(other != year or outline.disjoint(there) for other, there in rows):
            rows.append((year, outline))
    return rows


@settings(deadline=None, max_examples=20)
@given(places=PLACES, earlier=PLACES, seed=st.integers(0, 99))
def test_neither_the_order_of_rows_nor_closed_parts_matter(places: list[Any], earlier: list[Any], seed: int) -> None:
    rows, previous = level2(disjoint(places)), track(level2(disjoint(earlier)))
    expected = track(rows, previous=previous)
    assert_equal_tracks(track(rows.sample(frac=1, random_state=seed), previous=previous, workers=2), expected)
    before = closing_outlines(previous)
    outlines = np.array([*rows.geometry, *before.geometry], dtype=object)
    pairs = [
        pair
        for pair in itertools.combinations(range(len(outlines)), 2)
        if outlines[pair[0]].intersects(outlines[pair[1]])
    ]
    names = [None] * len(rows) + before.slump_id.tolist()
    pairs += [(i, j) for i, j in itertools.combinations(range(len(rows), len(outlines)), 2) if names[i] == names[j]]
    part = components(len(outlines), np.array(pairs, dtype="int64").reshape(-1, 2))
    found = []
    for number in np.unique(part):
        ids = before.slump_id[part[len(rows) :] == number]
        mine = Tracks(
            previous.slumps[previous.slumps.slump_id.isin(ids)],
            previous.years[previous.years.slump_id.isin(ids)],
            previous.events[previous.events.parents.isin(ids)],
        )
        found.append(track(rows[part[: len(rows)] == number], previous=mine))
    assert sorted(i for each in found for i in each.years.object_id) == sorted(expected.years.object_id)
    for name in ("slumps", "years"):
        whole = getattr(expected, name)
        keys = ["slump_id", *(["year"] if name == "years" else [])]
        parts = [getattr(each, name) for each in found if len(getattr(each, name))]
        joined = pd.concat(parts, ignore_index=True).sort_values(keys, ignore_index=True) if parts else whole
        pd.testing.assert_frame_equal(joined.to_wkb(), whole.to_wkb(), check_exact=True)
    assert sorted(itertools.chain(*(told(each) for each in found))) == sorted(told(expected))


@settings(deadline=None, max_examples=20)
@given(places=PLACES, more=PLACES)
def test_what_always_holds(places: list[Any], more: list[Any]) -> None:
    rows = level2(disjoint(places))
    first = track(rows)
    assert sorted(first.years.object_id) == sorted(rows.object_id)
    assert first.slumps.slump_id.is_unique
    assert not first.years.duplicated(["slump_id", "year"]).any()
    assert set(first.years.slump_id) == set(first.slumps.slump_id)
    assert first.years.area_m2.sum() == pytest.approx(rows.area_m2.sum())
    assert first.slumps.n_years.sum() == len(rows)
    lived = first.years.groupby("slump_id").year
    by_name = first.slumps.set_index("slump_id")
    assert (lived.min() == by_name.first_year).all()
    assert (lived.max() == by_name.last_year).all()
    second = track(level2(disjoint([*places, *more])), previous=first)
    names, given_up = set(second.slumps.slump_id), set(second.events.parents[second.events.kind == "retired"])
    assert second.slumps.slump_id.is_unique
    assert set(first.slumps.slump_id) <= names | given_up
    assert not names & given_up
