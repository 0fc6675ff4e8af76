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
    """Write a table as GeoParquet 1.1 with a ``bbox`` column that readers can filter by.

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
    extent = np.array([np.inf, np.inf, -np.inf, -np.inf])
    kinds: dict[str, set[str]] = {name: set() for name in table.geometries}
    rows = 0
    schema = table.schema.append(pa.field("bbox", _BBOX))
    # Without the schema of Arrow, the metadata that are known at last are where every reader looks for them.
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for batch in batches:
            bounds = shapely.bounds(batch.geometries["geometry"])
            if len(bounds) and not np.isnan(bounds).all():
                extent[:2] = np.fmin(extent[:2], np.nanmin(bounds[:, :2], axis=0))
                extent[2:] = np.fmax(extent[2:], np.nanmax(bounds[:, 2:], axis=0))
            for name, found in kinds.items():
                found |= {_KINDS[each] for each in np.unique(shapely.get_type_id(batch.geometries[name])).tolist()}
            rows += batch.values.num_rows
            writer.write_table(_arrow(batch, table, bounds), row_group_size=max(1, batch.values.num_rows))
        box = extent.tolist() if np.isfinite(extent).all() else None
        writer.add_key_value_metadata({"geo": json.dumps(_geo(table, kinds, box, crs))})
    return rows


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


def _arrow(batch: Batch, table: Table, bounds: NDArray[np.float64]) -> pa.Table:
    columns = {name: pa.array(shapely.to_wkb(outlines), pa.binary()) for name, outlines in batch.geometries.items()}
    columns |= {name: batch.values[name] for name in batch.values.column_names}
    missing = np.isnan(bounds).any(axis=1)
    sides = [pa.array(side, pa.float64()) for side in bounds.T]
    columns["bbox"] = pa.StructArray.from_arrays(sides, fields=list(_BBOX), mask=pa.array(missing))
    return pa.table(
        [columns[name] for name in (*table.schema.names, "bbox")], schema=table.schema.append(pa.field("bbox", _BBOX))
    )


@cache
def _projjson(crs: str) -> dict[str, Any]:
    return dict(pyproj.CRS.from_user_input(crs).to_json_dict())


def _geo(table: Table, kinds: Mapping[str, set[str]], box: list[float] | None, crs: str) -> dict[str, Any]:
    columns: dict[str, dict[str, Any]] = {
        name: {
            "encoding": "WKB",
            "geometry_types": sorted(kinds[name]),
            "crs": _projjson(crs),
            "orientation": "counterclockwise",
        }
        for name in table.geometries
    }
    main = columns["geometry"]
    main["covering"] = {"bbox": {side: ["bbox", side] for side in _SIDES}}
    if box is not None:
        main["bbox"] = box
    return {"version": "1.1.0", "primary_column": "geometry", "columns": columns}
