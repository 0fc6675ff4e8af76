"""GeoParquet of any size, row group by row group, the same bytes whenever the rows are the same."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray

from darts_export.dataset.publishing.batches import Batch
from darts_export.dataset.publishing.columns import Table

_SIDES = ("xmin", "ymin", "xmax", "ymax")

_BBOX = pa.struct([(side, pa.float64()) for side in _SIDES])


def write_rows(batches: Iterable[Batch], path: Path, *, table: Table, crs: str) -> int:
    """Write a table as GeoParquet 1.1 with a ``bbox`` column for each geometry, which readers can filter by.

    Args:
        batches: The rows; each batch becomes a row group.
        path: Where to write.
        table: What the registry says of it.
        crs: CRS of the geometries.

    Returns:
        Number of rows.

    Raises:
        OSError: The file cannot be written.

    References:
        GeoParquet 1.1.0, https://geoparquet.org/releases/v1.1.0/
    """
    extents = {name: np.array([np.inf, np.inf, -np.inf, -np.inf]) for name in table.geometries}
    kinds: dict[str, set[str]] = {name: set() for name in table.geometries}
    rows = 0
    schema = _schema(table)
    # Without the schema of Arrow, the metadata that are known at last are where every reader looks for them.
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for batch in batches:
            bounds = {name: shapely.bounds(outlines) for name, outlines in batch.geometries.items()}
            for name, extent in extents.items():
                extent[:2] = np.fmin.reduce(np.vstack([extent[:2], bounds[name][:, :2]]))
                extent[2:] = np.fmax.reduce(np.vstack([extent[2:], bounds[name][:, 2:]]))
                found = np.unique(shapely.get_type_id(batch.geometries[name])).tolist()
                kinds[name] |= {_KINDS[each] for each in found}
            rows += batch.values.num_rows
            writer.write_table(_arrow(batch, schema, bounds), row_group_size=max(1, batch.values.num_rows))
        writer.add_key_value_metadata({"geo": json.dumps(_geo(kinds, extents, crs))})
    return rows


def bbox_column(geometry: str) -> str:
    """Name of the column with the boxes of a column of geometries.

    Examples:
        >>> bbox_column("geometry"), bbox_column("median_footprint")
        ('bbox', 'median_footprint_bbox')
    """
    return "bbox" if geometry == "geometry" else f"{geometry}_bbox"


def read_rows(path: Path, *, table: Table) -> Iterator[Batch]:
    """Read a file that `write_rows` has written, row group by row group; at least one batch.

    Raises:
        OSError: The file cannot be read.
    """
    names = [column.name for column in table.columns]
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups) or [None]:
            found = file.schema_arrow.empty_table() if group is None else file.read_row_group(group, columns=names)
            geometries = {
                name: np.asarray(shapely.from_wkb(found[name].to_numpy()), dtype=object) for name in table.geometries
            }
            yield Batch(found.select([name for name in names if name not in geometries]), geometries)


_KINDS = {shapely.GeometryType.POLYGON: "Polygon", shapely.GeometryType.MULTIPOLYGON: "MultiPolygon"}


def _schema(table: Table) -> pa.Schema:
    return pa.schema([*table.schema, *(pa.field(bbox_column(name), _BBOX) for name in table.geometries)])


def _arrow(batch: Batch, schema: pa.Schema, bounds: Mapping[str, NDArray[np.float64]]) -> pa.Table:
    columns = {name: pa.array(shapely.to_wkb(outlines), pa.binary()) for name, outlines in batch.geometries.items()}
    columns |= {name: batch.values[name] for name in batch.values.column_names}
    columns |= {bbox_column(name): _boxes(each) for name, each in bounds.items()}
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _boxes(bounds: NDArray[np.float64]) -> pa.StructArray:
    """An empty outline has a box, as every outline must, whose sides are null."""
    sides = [pa.array(side, pa.float64(), from_pandas=True) for side in bounds.T]
    return pa.StructArray.from_arrays(sides, fields=list(_BBOX))


@cache
def _projjson(crs: str) -> dict[str, Any]:
    return dict(pyproj.CRS.from_user_input(crs).to_json_dict())


def _geo(kinds: Mapping[str, set[str]], extents: Mapping[str, NDArray[np.float64]], crs: str) -> dict[str, Any]:
    columns = {
        name: {
            "encoding": "WKB",
            "geometry_types": sorted(found),
            "crs": _projjson(crs),
            "orientation": "counterclockwise",
            "covering": {"bbox": {side: [bbox_column(name), side] for side in _SIDES}},
            **({"bbox": extents[name].tolist()} if np.isfinite(extents[name]).all() else {}),
        }
        for name, found in kinds.items()
    }
    return {"version": "1.1.0", "primary_column": "geometry", "columns": columns}
