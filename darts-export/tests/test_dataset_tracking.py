"""Level 3 on small cases whose answer is known."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from darts_export.dataset.observations import measured
from darts_export.dataset.testing.tables import assert_equal_tracks, box, level2, name_of, told
from darts_export.dataset.tracking import Tracks, track
from darts_utils.errors import ConfigError, TileContractError

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
    assert_equal_tracks(track(level2([]), previous=none), none)


def test_what_is_no_level_2_or_3() -> None:
    rows, tracks = level2([(2019, SMALL), (2020, LARGE)]), track(level2([(2019, SMALL), (2020, LARGE)]))
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
