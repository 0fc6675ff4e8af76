"""GeoPackage and GeoParquet files that are the same, byte for byte, whenever their content is."""

import sqlite3
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import geopandas
import pyogrio

_NO_DATE = "1970-01-01T00:00:00.000Z"
"""What a GeoPackage states as its last change: the time of writing would make equal files differ."""

_CHANGE_COUNTERS = (24, 92)
"""Where SQLite's header counts the changes of a file, in four bytes (https://www.sqlite.org/fileformat2.html#file_change_counter)."""


def write_geopackage(table: geopandas.GeoDataFrame, path: Path, *, layer: str) -> None:
    """Write a table of (multi)polygons as a GeoPackage with one layer, all features as MultiPolygon.

    Args:
        table: The table; without rows, the layer has the full schema and no features.
        path: Where to write.
        layer: Name of the layer.

    Raises:
        OSError: The file cannot be written.
    """
    buffer = BytesIO()  # SQLite reports a full disk only by its own codes; Python's write says what it is
    pyogrio.write_dataframe(
        table, buffer, driver="GPKG", layer=layer, geometry_type="MultiPolygon", promote_to_multi=True
    )
    path.write_bytes(_without_time(buffer.getvalue()))


def write_geoparquet(table: geopandas.GeoDataFrame, path: Path) -> None:
    """Write a table of (multi)polygons as GeoParquet 1.1 with a ``bbox`` column that readers can filter by.

    Args:
        table: The table; without rows, the file has the full schema.
        path: Where to write.

    Raises:
        OSError: The file cannot be written.

    References:
        GeoParquet 1.1.0, https://geoparquet.org/releases/v1.1.0/
    """
    buffer = BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd", schema_version="1.1.0", write_covering_bbox=True)
    path.write_bytes(buffer.getbuffer())


def pin_last_change(database: sqlite3.Connection) -> None:
    """State no time of writing in an open GeoPackage; to be rewritten (VACUUM) afterwards, so that it leaves no trace.

    GDAL has a setting for the time, but it holds for the whole process: for other threads, and for the user's own files.
    """
    database.execute("UPDATE gpkg_contents SET last_change = ?", (_NO_DATE,))


def pin_change_counters(geopackage: BinaryIO) -> None:
    """State one change of a GeoPackage: GDAL changes it once more when a millisecond has passed."""
    for place in _CHANGE_COUNTERS:
        geopackage.seek(place)
        geopackage.write((1).to_bytes(4, "big"))


def _without_time(geopackage: bytes) -> bytes:
    """Take from a GeoPackage what depends on when it was written."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.deserialize(geopackage)
        pin_last_change(database)
        database.execute("PRAGMA temp_store = MEMORY")
        database.execute("VACUUM")
        content = BytesIO(database.serialize())
    pin_change_counters(content)
    return content.getvalue()
