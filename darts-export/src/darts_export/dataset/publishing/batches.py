"""Tables larger than memory, a fixed number of rows at a time, checked against the registry."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from darts_export.dataset.publishing.columns import Column, Table
from darts_utils.errors import TileContractError

ROWS = 65_536
"""Rows that are held at a time, and those of a row group of a Parquet file."""


@dataclass(frozen=True)
class Batch:
    """Some rows of a table."""

    values: pa.Table
    """The columns that are no geometries."""
    geometries: Mapping[str, NDArray[np.object_]]
    """Name → polygons and multipolygons, perhaps empty."""


def batches_of(frames: Iterable[pd.DataFrame], table: Table, *, rows: int = ROWS) -> Iterator[Batch]:
    """Share the rows of a table anew, so that nothing depends on how they came.

    Args:
        frames: The table in pieces of any size; all have the columns of the registry.
        table: What the registry says of it.
        rows: Rows of each batch but the last one.

    Yields:
        Batches, at least one, which may be without rows.

    Raises:
        TileContractError: A piece has other columns than the registry names.
    """
    waiting: list[pd.DataFrame] = []
    count = 0
    for frame in frames:
        _check_columns(frame, table)
        start = 0
        while count + len(frame) - start > rows:  # what is left after the last piece is a batch too
            stop = start + rows - count
            yield _batch([*waiting, frame.iloc[start:stop]], table)
            waiting, count, start = [], 0, stop
        waiting.append(frame.iloc[start:])
        count += len(frame) - start
    yield _batch(waiting, table)


def _check_columns(frame: pd.DataFrame, table: Table) -> None:
    known, got = {column.name for column in table.columns}, {str(name) for name in frame.columns}
    needed = {column.name for column in table.columns if not column.may_lack}
    missing, unknown = sorted(needed - got), sorted(got - known)
    if missing or unknown:
        raise TileContractError(
            f"expected the columns of {table.name} in the registry, but got a table without {missing} and with {unknown}: "
            "state them in darts_export.dataset.publishing.tables"
        )


def _batch(frames: list[pd.DataFrame], table: Table) -> Batch:
    filled = [frame for frame in frames if len(frame)]
    arrays, fields = [], []
    geometries = {}
    for column in table.columns:
        pieces = (
            [np.asarray(frame[column.name], dtype=object) for frame in filled] if column.dtype == "geometry" else []
        )
        if column.dtype == "geometry":
            geometries[column.name] = _polygons(np.concatenate([np.empty(0, dtype=object), *pieces]))
            continue
        chunks = [_values(frame, column) for frame in filled]
        arrays.append(pa.chunked_array(chunks, type=column.arrow_type).combine_chunks())
        fields.append(pa.field(column.name, column.arrow_type))
    return Batch(pa.table(arrays, schema=pa.schema(fields)), geometries)


def _values(frame: pd.DataFrame, column: Column) -> pa.Array:
    if column.may_lack and column.name not in frame:
        return pa.nulls(len(frame), column.arrow_type)
    return pa.array(frame[column.name], type=column.arrow_type, from_pandas=True)


def _polygons(outlines: NDArray[np.object_]) -> NDArray[np.object_]:
    """Let whatever is empty be an empty multipolygon, and exteriors run counter-clockwise."""
    outlines[shapely.is_empty(outlines)] = shapely.MultiPolygon()
    return np.asarray(shapely.orient_polygons(outlines), dtype=object)
