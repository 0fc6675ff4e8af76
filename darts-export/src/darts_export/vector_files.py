"""GeoPackage and GeoParquet files that are the same, byte for byte, whenever their content is."""

from io import BytesIO
from pathlib import Path

import geopandas
import pyogrio

_NO_DATE = "1970-01-01T00:00:00.000Z"
"""What a GeoPackage states as its last change: the time of writing would make equal files differ."""


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
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _NO_DATE})
    try:
        pyogrio.write_dataframe(
            table, buffer, driver="GPKG", layer=layer, geometry_type="MultiPolygon", promote_to_multi=True
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    path.write_bytes(buffer.getbuffer())


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
