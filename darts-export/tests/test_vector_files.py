"""GeoPackage and GeoParquet, read back by tools that others wrote."""

import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import geopandas
import geopandas.testing
import geoparquet_validator
import numpy as np
import pyarrow.parquet
import pyogrio
import pytest
import xarray as xr

from darts_export import extent_of, segments_of
from darts_export.vector_files import write_geopackage, write_geoparquet


def test_geopackage(tile: xr.Dataset, tmp_path: Path) -> None:
    path, table = tmp_path / "segments.gpkg", segments_of(tile)
    write_geopackage(table, path, layer="prediction_segments")
    info = pyogrio.read_info(path)
    assert (info["layer_name"], info["geometry_type"], info["features"]) == ("prediction_segments", "MultiPolygon", 3)
    assert info["crs"] == "EPSG:32608"
    back = geopandas.read_file(path)
    assert list(back.columns) == list(table.columns)
    assert back.geometry.geom_equals(table.geometry).all()
    for name in table.columns.drop("geometry"):
        np.testing.assert_array_equal(back[name].to_numpy(), table[name].to_numpy())


def test_geoparquet(tile: xr.Dataset, tmp_path: Path) -> None:
    path, table = tmp_path / "segments.parquet", segments_of(tile)
    write_geoparquet(table, path)
    geopandas.testing.assert_geodataframe_equal(geopandas.read_parquet(path), table, check_dtype=False)
    geo = json.loads(pyarrow.parquet.read_schema(path).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] == "geometry"
    column = geo["columns"]["geometry"]
    assert column["encoding"] == "WKB"
    assert set(column["geometry_types"]) == {"Polygon", "MultiPolygon"}
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32608}  # PROJJSON
    assert column["covering"]["bbox"] == {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
    west, south, east, north = table.geometry[1].bounds
    near = geopandas.read_parquet(path, bbox=(west, south, east, north))
    assert near.segment_id.tolist() == [2]


@pytest.mark.parametrize("crs", ["EPSG:32608", "EPSG:3413", "EPSG:4326"])
@pytest.mark.parametrize("make", [segments_of, extent_of])
@pytest.mark.parametrize("name", ["tile", "empty_tile"])
def test_a_validator_finds_nothing_wrong(
    name: str,
    make: Callable[[xr.Dataset], geopandas.GeoDataFrame],
    crs: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    path, table = tmp_path / "table.parquet", make(request.getfixturevalue(name))
    write_geoparquet(table.to_crs(crs), path)
    report = geoparquet_validator.check(str(path))
    assert report["version"] == "1.1.0"
    unmeasured = {"/conf/distribution/geospatial-statistics"} if table.empty else set()  # no rows, no statistics
    assert set(geoparquet_validator.failed(report)) == unmeasured
    passed = {outcome["id"] for outcome in report["outcomes"] if outcome["status"] == "pass"}
    assert passed >= {"/conf/core/crs-projjson", "/conf/covering/bbox-column-structure", "/conf/core/wkb"}


@pytest.mark.parametrize("make", [segments_of, extent_of])
def test_empty_tables_keep_their_schema(
    make: Callable[[xr.Dataset], geopandas.GeoDataFrame], tile: xr.Dataset, empty_tile: xr.Dataset, tmp_path: Path
) -> None:
    full, none = make(tile), make(empty_tile)
    assert (len(full) > 0, len(none)) == (True, 0)
    for name, table in (("full", full), ("none", none)):
        write_geopackage(table, tmp_path / f"{name}.gpkg", layer="layer")
        write_geoparquet(table, tmp_path / f"{name}.parquet")
    infos = [pyogrio.read_info(tmp_path / f"{name}.gpkg") for name in ("full", "none")]
    for key in ("crs", "geometry_type", "ogr_types", "ogr_subtypes"):
        assert infos[0][key] == infos[1][key]
    assert infos[0]["fields"].tolist() == infos[1]["fields"].tolist()
    assert infos[1]["features"] == 0
    schemas = [pyarrow.parquet.read_schema(tmp_path / f"{name}.parquet") for name in ("full", "none")]
    assert schemas[0].equals(schemas[1])
    back = geopandas.read_parquet(tmp_path / "none.parquet")
    assert len(back) == 0
    assert back.crs == full.crs


def test_equal_content_gives_equal_bytes(tile: xr.Dataset, tmp_path: Path) -> None:
    table = segments_of(tile)
    for name in ("first", "second"):
        write_geopackage(table, tmp_path / f"{name}.gpkg", layer="layer")
        write_geoparquet(table, tmp_path / f"{name}.parquet")
        time.sleep(0.05)  # GeoPackages carry milliseconds
    for suffix in ("gpkg", "parquet"):
        assert (tmp_path / f"first.{suffix}").read_bytes() == (tmp_path / f"second.{suffix}").read_bytes()


def test_geopackages_of_many_threads_are_equal(tile: xr.Dataset, tmp_path: Path) -> None:
    table = segments_of(tile)
    paths = [tmp_path / f"{number}.gpkg" for number in range(32)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda path: write_geopackage(table, path, layer="layer"), paths))
    assert len({path.read_bytes() for path in paths}) == 1


@pytest.mark.parametrize("date", [None, "2020-01-01T00:00:00.000Z", "2020-01", "2020-01-01T00:00:00.000000000000Z"])
def test_gdal_settings_are_as_before_and_do_not_matter(date: str | None, tile: xr.Dataset, tmp_path: Path) -> None:
    write_geopackage(segments_of(tile), tmp_path / "usual.gpkg", layer="layer")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": date})
    try:
        write_geopackage(segments_of(tile), tmp_path / "set.gpkg", layer="layer")
        assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") == date
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    assert (tmp_path / "set.gpkg").read_bytes() == (tmp_path / "usual.gpkg").read_bytes()


def test_sqlite_finds_the_geopackage_sound(tile: xr.Dataset, tmp_path: Path) -> None:
    path, table = tmp_path / "segments.gpkg", segments_of(tile)
    write_geopackage(table, path, layer="layer")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"GPKG", "big"),)
        assert database.execute("SELECT last_change FROM gpkg_contents").fetchall() == [("1970-01-01T00:00:00.000Z",)]
    near = geopandas.read_file(path, bbox=table.geometry[1].bounds)  # through the spatial index
    assert near.segment_id.tolist() == [2]


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="ogrinfo (gdal-bin) is not installed")
def test_ogrinfo_reads_the_geopackage(tile: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "segments.gpkg"
    write_geopackage(segments_of(tile), path, layer="prediction_segments")
    answer = subprocess.run(
        ["ogrinfo", "-so", path, "prediction_segments"], capture_output=True, text=True, check=True
    ).stdout
    assert "Feature Count: 3" in answer
    assert "Geometry: Multi Polygon" in answer
