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


def test_who_did_not_look_does_not_disagree() -> None:
    looked = images([("2021-07-01", box(0, 0, 500)), ("2021-07-02", box(50, 0, 50)), ("2021-07-03", box(100, 0))])
    found = merge_years(observe(images([("2021-07-01", box(0, 0))])), looked)
    assert found.n_observations.tolist() == [2]  # the third only touches it
    assert found.median_footprint[0].equals(box(0, 0) - box(50, 0, 50))  # there, one sees it and one does not


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


@settings(deadline=None, max_examples=40)
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


@settings(deadline=None, max_examples=60)
@given(
    seen=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 3), st.integers(2, 5)), max_size=10),
    looked=st.lists(
        st.tuples(st.integers(1, 5), st.integers(-1, 3), st.integers(-1, 3), st.integers(1, 9)), max_size=8
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
        answers: dict[str, float] = dict.fromkeys(areas.date[areas.contains(place)], 0.0)
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
