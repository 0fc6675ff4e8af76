"""Level 3 on small cases whose answer is known, and against editions of the data set with more in them."""

import itertools
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset.grouping import components
from darts_export.dataset.observations import measured
from darts_export.dataset.slump_ids import new_ids, places_named
from darts_export.dataset.tracking import Tracks, closing_outlines, track
from darts_utils.errors import ConfigError, TileContractError

Rows = list[tuple[int, shapely.Geometry]]


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


def name_of(tracks: Tracks, outline: shapely.Geometry, year: int) -> str:
    """The slump whose outline of that year is the one given."""
    rows = tracks.years[tracks.years.year == year]
    (name,) = rows.slump_id[rows.geometry.geom_equals(outline)]
    return str(name)


def told(tracks: Tracks) -> list[tuple[str, int, str, str]]:
    return list(tracks.events[["kind", "year", "parents", "children"]].itertuples(index=False, name=None))


def equal(first: Tracks, second: Tracks) -> None:
    for name in ("slumps", "years", "events"):
        one, other = (getattr(each, name).to_wkb() for each in (first, second))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


SMALL, LARGE = box(0, 0, 100, 100), box(0, 0, 140, 100)
WEST, EAST, BOTH = box(0, 0, 60, 100), box(60, 0, 100, 100), box(0, 0, 100, 100)


def test_a_slump_that_grows() -> None:
    found = track(level2([(2019, SMALL), (2020, LARGE), (2021, box(0, 0, 180, 100)), (2021, box(900, 0, 950, 50))]))
    assert (len(found.slumps), len(found.years), len(found.events)) == (2, 4, 0)
    grown = found.slumps[found.slumps.n_years == 3].iloc[0]
    assert (grown.first_year, grown.last_year, grown.n_growth_years) == (2019, 2021, 3)
    assert (grown.n_seen, grown.n_observations, grown.agreement) == (3, 6, 0.5)
    scale = grown.first_area_m2 / 10_000
    assert grown.last_area_m2 == grown.max_area_m2 == pytest.approx(18_000 * scale, rel=1e-6)
    assert grown.growth_m2_per_year == pytest.approx(4_000 * scale, rel=2e-3)  # 2020 has a day more
    assert grown.growth_low_m2_per_year < grown.growth_m2_per_year < grown.growth_high_m2_per_year
    assert grown.geometry.equals(box(0, 0, 180, 100))
    new = found.slumps[found.slumps.n_years == 1].iloc[0]
    assert np.isnan(new[["growth_m2_per_year", "growth_std_m2_per_year", "growth_low_m2_per_year"]].astype(float)).all()
    assert new.n_growth_years == 0


def test_a_year_that_nobody_saw_is_bridged_where_it_is_missing() -> None:
    elsewhere = box(500, 0, 600, 100)
    found = track(level2([(2015, SMALL), (2020, LARGE), (2015, elsewhere), (2017, elsewhere), (2020, elsewhere)]))
    assert sorted(found.slumps.n_years) == [2, 3]
    assert len(found.events) == 0


@pytest.mark.parametrize(("shift", "slumps"), [(69, 1), (70, 1), (71, 2)])
def test_how_much_outlines_must_share(shift: int, slumps: int) -> None:
    moved = box(shift, 0, 100 + shift, 100)
    assert len(track(level2([(2019, SMALL), (2020, moved)]), min_overlap=0.3).slumps) == slumps


def test_of_the_parts_the_one_that_shares_most_keeps_the_name() -> None:
    found = track(level2([(2019, BOTH), (2020, WEST), (2020, EAST), (2021, WEST), (2021, EAST)]))
    name, new = name_of(found, BOTH, 2019), name_of(found, EAST, 2020)
    assert name_of(found, WEST, 2020) == name_of(found, WEST, 2021) == name
    assert name_of(found, EAST, 2021) == new
    assert told(found) == [("split", 2020, name, " ".join(sorted([name, new])))]
    assert found.events.geometry[0].equals(BOTH)
    assert found.events.area_m2[0] == pytest.approx(found.years.area_m2.max())


def test_of_those_that_merge_the_one_that_brings_most_keeps_its_name() -> None:
    found = track(level2([(2019, WEST), (2019, EAST), (2020, box(-5, 0, 105, 100))]))
    west, east = name_of(found, WEST, 2019), name_of(found, EAST, 2019)
    assert name_of(found, box(-5, 0, 105, 100), 2020) == west
    assert told(found) == [("merge", 2020, " ".join(sorted([west, east])), west)]
    assert found.events.geometry[0].equals(BOTH)


def test_a_cloud_over_one_part_delays_only_that_part() -> None:
    found = track(level2([(2019, BOTH), (2020, WEST), (2021, WEST), (2021, EAST)]))
    name, new = name_of(found, BOTH, 2019), name_of(found, EAST, 2021)
    assert name_of(found, WEST, 2020) == name_of(found, WEST, 2021) == name
    assert told(found) == [("split", 2021, name, " ".join(sorted([name, new])))]


def test_slumps_that_one_year_shows_as_one_are_the_same_two_afterwards() -> None:
    found = track(level2([(2019, WEST), (2019, EAST), (2020, BOTH), (2021, WEST), (2021, EAST)]))
    assert len(found.slumps) == 2
    for part in (WEST, EAST):
        assert name_of(found, part, 2019) == name_of(found, part, 2021)
    assert [kind for kind, *_ in told(found)] == ["merge", "split"]


def test_areas_jump_where_slumps_merge_and_growth_leaves_that_out() -> None:
    rows = [(2018, WEST), (2019, box(0, 0, 63, 100)), (2018, EAST), (2019, box(63, 0, 100, 100))]
    rows += [(2020, box(0, 0, 103, 100)), (2021, box(0, 0, 106, 100))]
    found = track(level2(rows))
    kept = found.slumps.set_index("slump_id").loc[name_of(found, WEST, 2018)]
    scale = kept.first_area_m2 / 6_000
    assert (kept.n_years, kept.n_growth_years) == (4, 4)
    assert kept.growth_m2_per_year == pytest.approx(300 * scale, rel=3e-3)


def test_a_splinter_too_small_to_matter_does_not_break_the_growth() -> None:
    rows = [(2018, SMALL), (2019, SMALL), (2019, box(101, 0, 104, 9)), (2020, box(0, 0, 110, 100))]
    found = track(level2(rows))
    kept = found.slumps.set_index("slump_id").loc[name_of(found, SMALL, 2018)]
    assert [kind for kind, *_ in told(found)] == ["merge"]
    assert kept.n_growth_years == 3


def test_areas_are_those_of_the_footprint_asked_for() -> None:
    rows = level2([(2019, LARGE), (2020, LARGE)])
    medians = geopandas.GeoSeries([SMALL, shapely.MultiPolygon()], crs="EPSG:3413")
    rows = rows.assign(median_footprint=medians, median_area_m2=measured(medians.to_numpy())[0])
    median, union = track(rows), track(rows, footprint="union")
    assert median.years.footprint.tolist() == ["median", "union"]
    assert median.years.geometry[0].equals(SMALL)
    assert median.years.perimeter_m[0] == pytest.approx(measured(np.array([SMALL]))[1][0])
    assert union.years.footprint.tolist() == ["union", "union"]
    assert union.years.area_m2.tolist() == rows.area_m2.tolist()


def test_models_have_slumps_of_their_own() -> None:
    rows = pd.concat([level2([(2019, SMALL)]), level2([(2020, SMALL)], models="full@2")], ignore_index=True)
    found = track(rows)
    assert found.slumps.n_years.tolist() == [1, 1]
    assert found.slumps.slump_id.is_unique


def test_nothing_to_follow() -> None:
    some, none = track(level2([(2019, SMALL)])), track(level2([]))
    assert (len(none.slumps), len(none.years), len(none.events)) == (0, 0, 0)
    assert none.slumps.dtypes.equals(some.slumps.dtypes)
    assert none.years.dtypes.equals(some.years.dtypes)
    equal(track(level2([]), previous=none), none)


FIRST: Rows = [(2018, SMALL), (2020, LARGE), (2018, box(500, 0, 560, 100)), (2020, box(500, 0, 580, 100))]


@pytest.mark.parametrize(
    "more",
    [
        pytest.param([(2021, box(0, 0, 150, 100)), (2021, box(500, 0, 590, 100))], id="a year later"),
        pytest.param([(2017, box(0, 0, 90, 100)), (2016, box(500, 0, 550, 100))], id="years before"),
        pytest.param([(2019, box(0, 0, 120, 100)), (2019, box(500, 0, 570, 100))], id="a year between"),
        pytest.param([(2021, box(0, 0, 80, 100)), (2021, box(81, 0, 140, 100))], id="a split later"),
        pytest.param([(2017, box(0, 0, 560, 100))], id="one slump before the split"),
        pytest.param([(2021, box(0, 0, 580, 100))], id="a merger later"),
        pytest.param([(2017, box(300, 0, 400, 100)), (2021, box(300, 0, 400, 100))], id="another slump"),
    ],
)
def test_names_survive_more_years(more: Rows) -> None:
    first = track(level2(FIRST))
    second = track(level2([*more, *FIRST]), previous=first)
    for year, outline in FIRST:
        assert name_of(second, outline, year) == name_of(first, outline, year)
    assert second.slumps.slump_id.is_unique
    assert "retired" not in set(second.events.kind)


def test_names_survive_more_scenes() -> None:
    first = track(level2(FIRST))
    wider = [(year, outline.buffer(6, join_style="mitre")) for year, outline in FIRST]
    second = track(level2(wider), previous=first)
    for (year, before), (_, after) in zip(FIRST, wider, strict=True):
        assert name_of(second, after, year) == name_of(first, before, year)


def test_names_survive_when_all_years_are_others() -> None:
    first = track(level2(FIRST))
    second = track(level2([(2022, LARGE), (2023, LARGE)]), previous=first)
    assert name_of(second, LARGE, 2022) == name_of(first, LARGE, 2020)
    assert [kind for kind, *_ in told(second)] == ["retired"]


def test_names_survive_other_models_but_those_of_the_same_come_first() -> None:
    first = track(level2(FIRST))
    again = track(level2(FIRST, models="full@2"), previous=first)
    assert set(again.slumps.slump_id) == set(first.slumps.slump_id)
    both = track(pd.concat([level2(FIRST, models="full@0"), level2(FIRST)], ignore_index=True), previous=first)
    kept = both.slumps[both.slumps.models == "full@1"]
    assert set(kept.slump_id) == set(first.slumps.slump_id)
    assert both.slumps.slump_id.is_unique


def test_when_scenes_join_two_slumps_the_larger_name_stays_and_the_other_is_retired() -> None:
    first = track(level2([(2019, WEST), (2019, EAST)]))
    west, east = name_of(first, WEST, 2019), name_of(first, EAST, 2019)
    second = track(level2([(2019, BOTH)]), previous=first)
    assert second.slumps.slump_id.tolist() == [west]
    assert told(second) == [("retired", 2019, east, west)]
    assert second.events.geometry[0].equals(EAST)


def test_a_retired_name_waits_for_its_ground_and_is_given_to_nobody_else() -> None:
    first = track(level2([(2019, SMALL), (2020, LARGE)]))
    (name,) = first.slumps.slump_id
    far = box(5_000, 0, 5_100, 100)
    gone = track(level2([(2021, far)]), previous=first)
    still_gone = track(level2([(2021, far)]), previous=gone)
    assert told(gone) == told(still_gone) == [("retired", 2020, name, "")]
    assert name not in set(still_gone.slumps.slump_id)
    back = track(level2([(2021, far), (2022, box(0, 0, 150, 100))]), previous=still_gone)
    assert name_of(back, box(0, 0, 150, 100), 2022) == name
    assert name_of(back, far, 2021) == name_of(gone, far, 2021)
    assert told(back) == []


def test_a_name_is_not_made_twice_though_its_outline_comes_again() -> None:
    # The name was made of the outline of 2019; later the slump's other years weigh more, and that outline is another slump.
    first = track(level2([(2019, WEST), (2020, box(0, 0, 100, 100)), (2021, box(55, 0, 155, 100))]))
    (name,) = first.slumps.slump_id
    second = track(level2([(2019, WEST), (2020, box(61, 0, 161, 100)), (2021, box(55, 0, 155, 100))]), previous=first)
    assert name_of(second, box(55, 0, 155, 100), 2021) == name
    assert name_of(second, WEST, 2019) not in {name, ""}
    assert second.slumps.slump_id.is_unique


def test_the_same_scenes_give_the_same_names_without_the_last_edition() -> None:
    equal(track(level2(FIRST)), track(level2(FIRST)))
    first = track(level2(FIRST))
    equal(track(level2(FIRST), previous=first), first)


def test_a_name_that_is_taken_is_drawn_anew() -> None:
    outlines, years = np.array([SMALL, SMALL]), np.array([2019, 2019])
    models = np.array(["full", "full"], dtype=object)
    one, two = new_ids(outlines, years, models, taken=set())
    assert one[:9] == two[:9]
    assert one != two
    (three,) = new_ids(outlines[:1], years[:1], models[:1], taken={one, two})
    assert three not in {one, two}


def test_what_is_no_level_2_or_3() -> None:
    rows, tracks = level2(FIRST), track(level2(FIRST))
    with pytest.raises(TileContractError, match="expected a table of Level 2 but it lacks agreement, year"):
        track(rows.drop(columns=["year", "agreement"]))
    with pytest.raises(TileContractError, match="expected a table of Level 2 in EPSG:3413, but got EPSG:4326"):
        track(rows.to_crs("EPSG:4326"))
    lacking = Tracks(tracks.slumps, tracks.years.drop(columns="slump_id"), tracks.events)
    with pytest.raises(TileContractError, match="expected a table of Level 3, years, but it lacks slump_id"):
        track(rows, previous=lacking)
    with pytest.raises(ConfigError, match="expected min_overlap to be above 0"):
        track(rows, min_overlap=0)
    with pytest.raises(ConfigError, match="expected footprint to be 'median' or 'union'"):
        track(rows, footprint="mean")
    with pytest.raises(ConfigError, match="expected outline_error_m to be a finite number above 0"):
        track(rows, outline_error_m=0)


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
    equal(track(rows.sample(frac=1, random_state=seed), previous=previous, workers=2), expected)
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


def test_names_speak_of_places_everywhere() -> None:
    rng = np.random.default_rng(5)
    points = rng.uniform(-3e6, 3e6, (300, 2))
    points[0], points[1:20, 0] = 0, 0.0  # the pole, and where meridians are straight
    points[20:40] = np.outer(rng.uniform(0, 3e6, 20), [-np.sqrt(0.5), np.sqrt(0.5)])  # the antimeridian
    outlines = shapely.buffer(shapely.points(points), 0.5)
    names = new_ids(outlines, np.full(300, 2019), np.full(300, "full", dtype=object), taken=set())
    bounds = places_named(names)
    assert shapely.intersects(shapely.box(*bounds.T), outlines).all()
    assert (bounds[:, 2:] - bounds[:, :2]).max() < 60
    assert np.isnan(places_named(np.array(["a" * 17, "gh8pb495", "gh8pb49-5"], dtype=object))).all()
