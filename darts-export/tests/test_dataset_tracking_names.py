"""Names of Level 3 against editions of the data set with more in them."""

import numpy as np
import pandas as pd
import pytest
import shapely

from darts_export.dataset.slump_ids import new_ids, places_named
from darts_export.dataset.testing.tables import Rows, assert_equal_tracks, box, level2, name_of, told
from darts_export.dataset.tracking import track

SMALL, LARGE = box(0, 0, 100, 100), box(0, 0, 140, 100)
WEST, EAST, BOTH = box(0, 0, 60, 100), box(60, 0, 100, 100), box(0, 0, 100, 100)
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
    assert_equal_tracks(track(level2(FIRST)), track(level2(FIRST)))
    first = track(level2(FIRST))
    assert_equal_tracks(track(level2(FIRST), previous=first), first)


def test_a_name_that_is_taken_is_drawn_anew() -> None:
    outlines, years = np.array([SMALL, SMALL]), np.array([2019, 2019])
    models = np.array(["full", "full"], dtype=object)
    one, two = new_ids(outlines, years, models, taken=set())
    assert one[:9] == two[:9]
    assert one != two
    (three,) = new_ids(outlines[:1], years[:1], models[:1], taken={one, two})
    assert three not in {one, two}


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
