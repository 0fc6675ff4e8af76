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

from darts_export.dataset.observations import observe


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
    found = observe(objects([("a", box(0, 0), False), ("b", box(90, 0, 200), False), ("b", box(-40, 0, 60), False)]))
    assert sorted(found.geometry.bounds.minx) == [-40, 90]


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
@given(rows=TABLES, partition_m=st.sampled_from([2.0, 9.0]), workers=st.sampled_from([1, 3]), seed=st.integers(0, 99))
def test_order_partitions_and_workers_do_not_matter(
    rows: list[tuple[str, shapely.Geometry, bool]], partition_m: float, workers: int, seed: int
) -> None:
    table = objects(rows)
    shuffled = table.sample(frac=1, random_state=seed)
    expected = observe(table, edge_tolerance_m=1)
    found = observe(shuffled, edge_tolerance_m=1, partition_m=partition_m, workers=workers)
    pd.testing.assert_frame_equal(found.to_wkb(), expected.to_wkb(), check_exact=True)
    covered = found.geometry.union_all().area
    assert covered <= table.geometry.union_all().area + 1e-9
