"""Level 2 and the coverage, against small cases that are known and against a plain dissolve."""

import statistics

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset import observations
from darts_export.dataset.cells import coverage_cells
from darts_export.dataset.yearly import merge_years

Rows = list[tuple[str, shapely.Geometry]]


def images(rows: Rows) -> geopandas.GeoDataFrame:
    """Objects that no edge cuts, each of the image of its date."""
    columns = {
        "tile_id": [f"tile {date}" for date, _ in rows],
        "date": [date for date, _ in rows],
        "segment_id": np.arange(1, len(rows) + 1),
        "touches_edge": np.zeros(len(rows), dtype=bool),
        "probability_median": np.linspace(0.5, 0.9, len(rows)),
        "sensor": "sentinel2",
        "models": "full@1",
    }
    table = geopandas.GeoDataFrame(columns, geometry=[outline for _, outline in rows], crs="EPSG:3413")
    return table.astype({"date": "string"})


def observe(table: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Level 1, where every image looked everywhere."""
    return observations.observe(table, images(EVERYWHERE))


def box(x: float, y: float, size: float = 100.0) -> shapely.Geometry:
    return shapely.box(x, y, x + size, y + size)


EVERYWHERE = [(f"2021-07-0{day}", box(-1000, -1000, 2000)) for day in (1, 2, 3)]


def test_objects_of_a_year_are_merged_and_counted() -> None:
    seen = images([("2021-07-01", box(0, 0)), ("2021-07-02", box(50, 0)), ("2020-07-01", box(0, 0))])
    found = merge_years(observe(seen), images(EVERYWHERE))
    assert found.year.tolist() == [2020, 2021]
    assert found.n_seen.tolist() == [1, 2]
    assert found.n_observations.tolist() == [1, 3]
    assert found.agreement.tolist() == pytest.approx([1, 2 / 3])
    assert (found.first_date[1], found.last_date[1]) == ("2021-07-01", "2021-07-02")
    assert found.geometry[1].equals(shapely.box(0, 0, 150, 100))
    assert found.median_footprint[1].equals(shapely.box(50, 0, 100, 100))


@pytest.mark.parametrize(
    ("area", "would_have_seen_it"),
    [
        (box(-20, -20, 140), True),
        (box(-20, -20, 70), False),  # a cloud over the rest: what leaves the trusted area is dropped whole
        (box(50, 0, 50), False),
        (box(100, 0), False),
        (box(0, 0), False),  # at its border
        (box(-0.5, -0.5, 101), False),
        (box(-20, -20, 140) - box(-20, 110, 1), True),
        (box(-20, -20, 140) - box(100, 100, 9), False),  # a hidden pixel at a corner
    ],
)
def test_only_who_would_have_seen_all_of_it_says_that_it_is_not_there(
    area: shapely.Geometry, would_have_seen_it: bool
) -> None:
    looked = images([("2021-07-01", box(-20, -20, 500)), ("2021-07-02", area)])
    found = merge_years(observe(images([("2021-07-01", box(0, 0))])), looked)
    assert found.n_observations.tolist() == [2 if would_have_seen_it else 1]
    assert found.agreement.tolist() == [0.5 if would_have_seen_it else 1]
    assert found.median_footprint[0].equals(shapely.MultiPolygon() if would_have_seen_it else box(0, 0))


def test_who_sees_a_part_and_not_where_the_rest_ends_does_not_say_that_it_is_not_there() -> None:
    seen = images([("2021-07-01", box(0, 0)), ("2021-07-02", box(0, 0, 30))])
    whole, half = box(-20, -20, 500), shapely.box(-20, -20, 60, 500)
    for area, expected in ((whole, box(0, 0, 30)), (half, box(0, 0))):
        found = merge_years(observe(seen), images([("2021-07-01", whole), ("2021-07-02", area)]))
        assert found.n_observations.tolist() == [2]
        assert found.median_footprint[0].equals(expected)


def test_an_object_that_few_see_has_no_median_footprint() -> None:
    found = merge_years(observe(images([("2021-07-01", box(0, 0))])), images(EVERYWHERE))
    assert found.median_footprint[0].is_empty
    assert found.median_area_m2[0] == 0


def test_models_stay_apart() -> None:
    one = images([("2021-07-01", box(0, 0))])
    both = pd.concat([one, one.assign(models="full@2")], ignore_index=True)
    assert len(merge_years(observe(both), images(EVERYWHERE))) == 2


def test_nothing_to_merge() -> None:
    some = merge_years(observe(images([EVERYWHERE[0]])), images([]))
    none = merge_years(observe(images([])), images([]))
    assert len(none) == len(coverage_cells(images([]))) == 0
    assert none.dtypes.equals(some.dtypes)


CASES = st.lists(
    st.tuples(
        st.sampled_from(["2020-07-01", "2021-07-01", "2021-07-02"]),
        st.builds(box, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 6)),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=25)
@given(rows=CASES, seed=st.integers(0, 99))
def test_equals_a_plain_dissolve_whatever_the_order(rows: Rows, seed: int) -> None:
    seen, looked = images(rows), images(EVERYWHERE)
    expected = merge_years(observe(seen), looked)
    shuffled = observe(seen.sample(frac=1, random_state=seed)).sample(frac=1, random_state=seed)
    found = merge_years(shuffled, looked.sample(frac=1, random_state=seed))
    pd.testing.assert_frame_equal(found.to_wkb(), expected.to_wkb(), check_exact=True)
    for year in (2020, 2021):
        dissolved = seen[seen.date.str.startswith(str(year))].dissolve().buffer(0)
        ours = found[found.year == year].geometry
        assert ours.union_all().symmetric_difference(dissolved.union_all()).area < 1e-9
        for first in range(len(ours)):
            assert ours.iloc[first + 1 :].disjoint(ours.iloc[first]).all()


@settings(deadline=None, max_examples=30)
@given(
    seen=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 3), st.integers(2, 5)), max_size=10),
    looked=st.lists(
        st.tuples(st.integers(1, 5), st.integers(-4, 3), st.integers(-4, 3), st.integers(1, 20)), max_size=8
    ),
    weak=st.booleans(),
)
def test_median_footprints_are_those_of_asking_at_every_place(
    seen: list[tuple[int, int, int, int]], looked: list[tuple[int, int, int, int]], weak: bool
) -> None:
    outlines = images([(f"2021-07-0{day}", box(x, y, size)) for day, x, y, size in seen])
    outlines = outlines.assign(probability_median=np.linspace(0.3 if weak else 0.5, 0.9, len(outlines)))
    areas = images([(f"2021-07-0{day}", box(x, y, size)) for day, x, y, size in looked])
    found = merge_years(observe(outlines), areas)
    for x, y in ((column + 0.5, row + 0.5) for column in range(9) for row in range(9)):
        place = shapely.Point(x, y)
        ground = found.geometry[found.contains(place)]
        holds = [area.contains(each) and area.exterior.distance(each) > 1 for area in areas.geometry for each in ground]
        answers: dict[str, float] = dict.fromkeys(areas.date[np.array(holds, dtype=bool)] if len(ground) else (), 0.0)
        at = outlines[outlines.contains(place)]
        for date, probability in zip(at.date, at.probability_median, strict=True):
            answers[date] = max(answers.get(date, 0.0), probability)
        expected = len(at) > 0 and statistics.median_low(answers.values()) >= 0.5
        assert found.median_footprint.contains(place).any() == expected


def test_cells_count_images_and_area() -> None:
    looked = images([("2021-07-01", box(0, 0, 150)), ("2021-07-02", box(-50, 0, 100)), ("2020-07-01", box(0, 0))])
    found = coverage_cells(looked, cell_m=100)
    assert found[found.year == 2020][["column", "row", "n_observations"]].to_numpy().tolist() == [[0, 0, 1]]
    of_2021 = found[found.year == 2021].set_index(["column", "row"])
    assert of_2021.n_observations.to_dict() == {(-1, 0): 1, (0, 0): 2, (0, 1): 1, (1, 0): 1, (1, 1): 1}
    assert of_2021.geometry.area.to_dict() == pytest.approx(
        {(-1, 0): 5000, (0, 0): 10000, (0, 1): 5000, (1, 0): 5000, (1, 1): 2500}
    )
    # At the pole, the map of EPSG:3413 shrinks lengths to 0.970, because they are true at 70° N.
    assert (of_2021.valid_area_m2 / of_2021.geometry.area).between(1.05, 1.07).all()
