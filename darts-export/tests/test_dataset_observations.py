"""Level 1, on small cases whose answer is known."""

from collections.abc import Sequence
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset import observations
from darts_export.dataset.grouping import box_components
from darts_export.dataset.places import place_codes


def observe(table: geopandas.GeoDataFrame, **options: Any) -> geopandas.GeoDataFrame:
    """Level 1, where every tile was trusted with a large area around everything."""
    area = objects([("a", box(-1e5, -1e5, 2e5), False)])
    return observations.observe(table, area, **options)


def objects(rows: Sequence[tuple[str, shapely.Geometry, bool]], **common: Any) -> geopandas.GeoDataFrame:
    """A table of objects of one image: (tile, outline, whether an edge cuts it)."""
    columns = {
        "tile_id": [tile for tile, _, _ in rows],
        "segment_id": np.arange(1, len(rows) + 1),
        "touches_edge": np.array([cut for _, _, cut in rows], dtype=bool),
        "probability_median": np.linspace(0.5, 0.9, len(rows)),
        "sensor": "sentinel2",
        "date": "2021-07-01",
        "models": "full@1",
        **common,
    }
    return geopandas.GeoDataFrame(columns, geometry=[outline for _, outline, _ in rows], crs="EPSG:3413")


def box(x: float, y: float, size: float = 100.0) -> shapely.Geometry:
    return shapely.box(x, y, x + size, y + size)


def test_the_largest_whole_outline_replaces_what_overlaps_it() -> None:
    found = observe(objects([("a", box(0, 0), False), ("b", box(5, 0, 120), False), ("c", box(0, 0, 50), True)]))
    assert found.rule.tolist() == ["largest whole"]
    assert (found.tile_ids[0], found.n_duplicates[0], found.n_parts[0], len(found)) == ("b", 2, 1, 1)
    assert found.geometry[0].equals(box(5, 0, 120))


def test_what_only_a_replaced_outline_overlaps_stays() -> None:
    found = observe(objects([("a", box(0, 0), False), ("b", box(40, 0, 200), False), ("b", box(-40, 0, 60), False)]))
    assert sorted(found.geometry.bounds.minx) == [-40, 40]


def test_an_outline_that_is_covered_by_less_than_half_is_joined_and_loses_nothing() -> None:
    large, small = shapely.box(0, 0, 300, 100), box(260, 0)
    for cut in (True, False):
        found = observe(objects([("a", large, cut), ("b", small, False)]))
        assert (found.rule.tolist(), found.n_parts.tolist()) == (["joined"], [2])
        assert found.geometry[0].equals(large | small)
    half = observe(objects([("a", shapely.box(0, 0, 300, 100), True), ("b", shapely.box(150, 0, 350, 100), False)]))
    assert (half.rule.tolist(), half.n_duplicates.tolist()) == (["largest whole"], [1])


def test_a_joined_object_touches_an_edge_where_no_tile_of_the_image_looked_on() -> None:
    table = objects([("a", box(0, 0), True), ("b", box(105, 0), True)])
    around = box(-50, -50, 153), shapely.box(106, -50, 400, 150)  # a gap of 3 m between them, which the halves bridge
    whole = objects([("a", around[0], False), ("b", around[1], False)])
    assert observations.observe(table, whole).touches_edge.tolist() == [False]
    short = objects([("a", around[0], False), ("b", shapely.box(106, -50, 205, 150), False)])
    assert observations.observe(table, short).touches_edge.tolist() == [True]
    assert observations.observe(table, short.assign(date="2021-07-02")).touches_edge.tolist() == [True]
    assert observations.observe(table, whole.iloc[:0]).touches_edge.tolist() == [True]


def test_statistics_of_joined_outlines() -> None:
    pixels = [np.array([0.6, 0.8, 0.9]), np.array([0.7])]
    names = {"min": np.min, "max": np.max, "mean": np.mean, "std": np.std}
    table = objects([("a", box(0, 0, 30), True), ("b", shapely.box(30, 0, 40, 30), True)])
    table = table.assign(**{f"probability_{name}": [float(of(each)) for each in pixels] for name, of in names.items()})
    found = observe(table).iloc[0]
    for name, of in names.items():
        assert found[f"probability_{name}"] == pytest.approx(float(of(np.concatenate(pixels))))
    assert found.probability_median == pytest.approx(0.75 * 0.5 + 0.25 * 0.9)
    alone = observe(table.iloc[:1]).iloc[0]
    assert [alone[f"probability_{name}"] for name in names] == [table[f"probability_{name}"][0] for name in names]


def test_halves_at_a_tile_edge_are_joined() -> None:
    table = objects([("a", box(0, 0), True), ("b", box(105, 0), True)])
    found = observe(table, edge_tolerance_m=10)
    assert (found.rule.tolist(), found.n_parts.tolist(), found.tile_ids.tolist()) == (["joined"], [2], ["a b"])
    assert found.probability_median.tolist() == pytest.approx([0.7])
    assert not found.touches_edge.any()
    assert observe(table, edge_tolerance_m=1).touches_edge.tolist() == [True, True]


def test_neighbours_that_no_edge_cuts_stay_apart() -> None:
    assert len(observe(objects([("a", box(0, 0), False), ("b", box(100, 0), False)]))) == 2
    assert len(observe(objects([("a", box(0, 0), True), ("a", box(100, 0), True)]))) == 2


def test_other_images_and_models_stay_apart() -> None:
    one = objects([("a", box(0, 0), False)])
    others = [one.assign(date="2021-07-02"), one.assign(sensor="planetscope"), one.assign(models="full@2")]
    assert len(observe(pd.concat([one, *others], ignore_index=True))) == 4


def test_areas_are_those_of_the_ellipsoid_also_around_the_pole() -> None:
    found = observe(objects([("a", box(-500, -500, 1000), False)]))
    geod, to_lonlat = pyproj.Geod(ellps="WGS84"), pyproj.Transformer.from_crs(3413, 4326, always_xy=True)
    x, y = np.asarray(shapely.segmentize(box(-500, -500, 1000), 10).exterior.coords).T
    expected = abs(geod.polygon_area_perimeter(*to_lonlat.transform(x, y))[0])
    assert found.area_m2[0] == pytest.approx(expected, rel=1e-6)


def test_nothing_to_observe() -> None:
    some, none = observe(objects([("a", box(0, 0), False)])), observe(objects([]))
    assert len(none) == 0
    assert none.dtypes.equals(some.dtypes)


TABLES = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.builds(box, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 6)), st.booleans()
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=50)
@given(rows=TABLES, seed=st.integers(0, 99))
def test_the_order_does_not_matter_and_no_area_is_lost_or_counted_twice(
    rows: list[tuple[str, shapely.Geometry, bool]], seed: int
) -> None:
    table = objects(rows)
    expected = observe(table, edge_tolerance_m=1)
    found = observe(table.sample(frac=1, random_state=seed), edge_tolerance_m=1)
    pd.testing.assert_frame_equal(found.to_wkb(), expected.to_wkb(), check_exact=True)
    assert found.n_parts.sum() + found.n_duplicates.sum() == len(table)
    everything, kept = table.geometry.union_all(), found.geometry.union_all()
    assert kept.difference(everything).area < 1e-9
    for outline in table.geometry:  # what replaces an outline covers at least half of it
        assert kept.intersection(outline).area >= outline.area / 2 - 1e-9
    tiles = found.tile_ids.to_list()
    for first in range(len(found)):
        for second in range(first + 1, len(found)):
            if tiles[first] != tiles[second] and not {*tiles[first].split()} & {*tiles[second].split()}:
                assert found.geometry[first].intersection(found.geometry[second]).area == 0


@settings(deadline=None, max_examples=50)
@given(rows=TABLES)
def test_sets_that_are_far_from_each_other_can_be_done_apart(
    rows: list[tuple[str, shapely.Geometry, bool]],
) -> None:
    table = objects(rows)
    sets = box_components(table.bounds.to_numpy(), distance_m=1)
    together = observe(table, edge_tolerance_m=1, reach_m=1).drop(columns="object_id")
    order = sorted(set(sets.tolist()), key=lambda root: (place_codes(table.bounds.to_numpy(), reach_m=1)[root], root))
    apart = [observe(table[sets == root], edge_tolerance_m=1, reach_m=1) for root in order]
    if apart:
        one = pd.concat(apart, ignore_index=True).drop(columns="object_id").to_wkb()
        key = ["geometry", "tile_ids", "probability_median"]
        pd.testing.assert_frame_equal(
            one.sort_values(key, ignore_index=True), together.to_wkb().sort_values(key, ignore_index=True)
        )
