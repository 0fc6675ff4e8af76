"""What a column and a table of the data set are: from here come schemas, dictionary, collection and checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

DType = Literal["int64", "float64", "string", "bool", "geometry"]

_ARROW: Mapping[str, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "geometry": pa.binary(),
}


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    """Its name in every format."""
    dtype: DType
    """Kind of its values; a ``geometry`` is a polygon or multipolygon."""
    unit: str
    """Unit, as UCUM writes it (``m2``); empty where there is none."""
    description: str
    """What it says, in one line."""
    may_lack: bool = False
    """Whether tiles may lack what it is made of; then it is null throughout."""

    @property
    def arrow_type(self) -> pa.DataType:
        """How Arrow and Parquet hold it; geometries as well-known binary."""
        return _ARROW[self.dtype]


@dataclass(frozen=True)
class Table:
    """A table of the data set."""

    name: str
    """Name of its files and of its layers."""
    title: str
    """What a row is, for readers."""
    description: str
    """What the table holds, in one or two sentences."""
    columns: tuple[Column, ...]
    """Its columns, in order; the last one is the geometry."""
    key: tuple[str, ...]
    """Columns that together name a row; no two rows share them."""
    group: tuple[str, ...]
    """Columns that rows of two editions share if they can be the same object."""
    dates: tuple[str, str]
    """Columns of the first and the last day of a row, or of its years."""
    has_stable_key: bool = False
    """Whether a row keeps its key in the next edition."""

    @property
    def geometries(self) -> tuple[str, ...]:
        """Names of the columns of geometries, the main one first."""
        names = [column.name for column in self.columns if column.dtype == "geometry"]
        return tuple(sorted(names, key=lambda name: name != "geometry"))

    @property
    def schema(self) -> pa.Schema:
        """The table in Arrow, without what file formats add."""
        return pa.schema([(column.name, column.arrow_type) for column in self.columns])
