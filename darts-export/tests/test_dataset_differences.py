"""What two editions have in common, against cases whose answer is known."""

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from darts_export.dataset.differences import (
    TableDifference,
    compare,
    compare_tables,
    difference_table,
    write_differences,
)
from darts_export.dataset.publishing.tables import TABLES
from darts_utils.errors import OutputError

LEVEL2, LEVEL3 = TABLES["level2"], TABLES["level3"]


def level2(*outlines: shapely.Geometry, year: int = 2020, **columns: object) -> geopandas.GeoDataFrame:
    count = len(outlines)
    values = {column.name: np.ones(count) for column in LEVEL2.columns if column.dtype == "float64"}
    values |= {column.name: np.ones(count, "int64") for column in LEVEL2.columns if column.dtype == "int64"}
    values |= {column.name: ["full"] * count for column in LEVEL2.columns if column.dtype == "string"}
    values |= {"object_id": np.arange(1, count + 1), "year": np.full(count, year)}
    geometry = geopandas.GeoSeries(list(outlines), crs="EPSG:3413")
    return geopandas.GeoDataFrame(
        {**values, "median_footprint": geometry, **columns, "geometry": geometry}, crs="EPSG:3413"
    )


def level3(names: list[str], *outlines: shapely.Geometry, **columns: object) -> geopandas.GeoDataFrame:
    count = len(outlines)
    kinds = {"float64": np.ones(count), "int64": np.ones(count, "int64"), "string": ["full"] * count}
    values = {column.name: kinds[column.dtype] for column in LEVEL3.columns if column.dtype != "geometry"}
    return geopandas.GeoDataFrame({**values, "slump_id": names, **columns}, geometry=list(outlines), crs="EPSG:3413")


def counts(found: TableDifference) -> tuple[int, int, int, int]:
    return (found.unchanged, found.changed, found.gained, found.lost)


def square(x: float, size: float = 10) -> shapely.Geometry:
    return shapely.box(x, 0, x + size, 10)


def test_numbers_that_are_those_of_an_edition_do_not_matter() -> None:
    old, new = level2(square(0), square(50), square(90)), level2(square(90), square(0), square(50))
    found = compare_tables(old, new, table=LEVEL2)
    assert counts(found) == (3, 0, 0, 0)
    assert found.rows.empty


def test_objects_are_matched_by_ground() -> None:
    old = level2(square(0), square(50), square(200))
    new = level2(square(300), square(52), square(0), probability=[1.0, 1.0, 0.5])
    found = compare_tables(old, new, table=LEVEL2)
    assert counts(found) == (0, 2, 1, 1)
    rows = found.rows.set_index("change")
    assert rows.loc["gained", "new_key"] == "1"
    assert rows.loc["lost", "old_key"] == "3"
    changed = found.rows[found.rows["change"] == "changed"].set_index("old_key")
    assert changed.loc["2", "iou"] == pytest.approx(8 / 12)
    assert changed.loc["2", "columns"] == "median_footprint geometry"
    assert (changed.loc["1", "iou"], changed.loc["1", "columns"]) == (1.0, "probability")
    assert changed.matched_by.tolist() == ["overlap", "overlap"]
    assert changed.loc["2", "old_area_m2"] == pytest.approx(100, rel=0.1)


def test_other_years_are_other_objects() -> None:
    found = compare_tables(level2(square(0)), level2(square(0), year=2021), table=LEVEL2)
    assert counts(found) == (0, 0, 1, 1)
    assert found.rows.n_overlaps.tolist() == [0, 0]


def test_a_split_is_one_change_and_one_gain() -> None:
    found = compare_tables(level2(square(0, 30)), level2(square(0, 18), square(20, 10)), table=LEVEL2)
    assert counts(found) == (0, 1, 1, 0)
    rows = found.rows.set_index("change")
    assert rows.loc["changed", "iou"] == pytest.approx(0.6)
    assert (rows.loc["changed", "n_overlaps"], rows.loc["gained", "n_overlaps"]) == (1, 1)


def test_slumps_are_matched_by_name_and_then_by_ground() -> None:
    old = level3(
        ["a", "b", "c", "d"], square(0), square(50), square(90), square(200), growth_m2_per_year=[1, np.nan, 1, 1]
    )
    new = level3(
        ["a", "b", "e", "f"], square(0), square(54), square(91), square(300), growth_m2_per_year=[2, np.nan, 1, 1]
    )
    found = compare_tables(old, new, table=LEVEL3)
    assert counts(found) == (0, 3, 1, 1)
    changed = found.rows[found.rows["change"] == "changed"].set_index("old_key")
    assert changed.loc["a", ["matched_by", "columns"]].tolist() == ["key", "growth_m2_per_year"]
    assert changed.loc["b", ["matched_by", "columns"]].tolist() == ["key", "geometry"]
    assert changed.loc["b", "iou"] == pytest.approx(6 / 14)
    assert changed.loc["c", ["new_key", "matched_by", "columns"]].tolist() == ["e", "overlap", "slump_id geometry"]


@pytest.mark.parametrize("table", [LEVEL2, LEVEL3])
def test_empty_editions(table: object) -> None:
    make = level2 if table is LEVEL2 else (lambda *outlines: level3(["a"][: len(outlines)], *outlines))
    none, one = make(), make(square(0))
    assert counts(compare_tables(none, none, table=table)) == (0, 0, 0, 0)  # type: ignore[arg-type]
    assert counts(compare_tables(none, one, table=table)) == (0, 0, 1, 0)  # type: ignore[arg-type]
    assert counts(compare_tables(one, none, table=table)) == (0, 0, 0, 1)  # type: ignore[arg-type]


def test_tables_of_differences(tmp_path: Path) -> None:
    found = compare_tables(level2(square(0)), level2(square(100)), table=LEVEL2)
    for rows in (difference_table([found]), difference_table([])):
        write_differences(rows, tmp_path / "rows.csv")
        write_differences(rows, tmp_path / "rows.parquet")
        back = pd.read_csv(tmp_path / "rows.csv"), pd.read_parquet(tmp_path / "rows.parquet")
        assert all(list(each.columns) == list(rows.columns) and len(each) == len(rows) for each in back)


def test_data_sets_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected a data set at"):
        list(compare(tmp_path, tmp_path))
