"""GeoPackages of any size, the same bytes whenever the rows are the same."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray

from darts_export.dataset.publishing.columns import Table
from darts_export.dataset.publishing.geoparquet import read_rows
from darts_export.vector_files import pin_change_counters, pin_last_change

_SETTINGS = {"OGR_GPKG_MAX_RAM_USAGE_RTREE": "268435456"}
"""GDAL shares the memory of the machine out to spatial indices, and builds them in another way where it does not suffice."""

_settings_lock = threading.Lock()
_settings_users = 0


@dataclass(frozen=True)
class Layer:
    """A layer of a GeoPackage."""

    name: str
    """Its name."""
    table: Table
    """What the registry says of its rows."""
    rows: Path
    """The GeoParquet file whose rows it has."""
    geometry: str = "geometry"
    """Which of the columns of geometries it has; where that is not the main one, it has only the key beside, and only the
    rows in which it is not empty."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns but the geometry."""
        if self.geometry != "geometry":
            return self.table.key
        return tuple(column.name for column in self.table.columns if column.dtype != "geometry")


def layers_of(table: Table, rows: Path) -> tuple[Layer, ...]:
    """The layers that a table becomes: a GeoPackage's layer has one geometry."""
    others = (name for name in table.geometries if name != "geometry")
    return (Layer(table.name, table, rows), *(Layer(f"{table.name}_{name}", table, rows, name) for name in others))


def write_layers(layers: tuple[Layer, ...], path: Path, *, crs: str) -> None:
    """Write layers of multipolygons as a GeoPackage.

    Args:
        layers: What to write, in order.
        path: Where to write; beside it, as much space again is used while it is written.
        crs: CRS of the geometries.

    Raises:
        OSError: The file cannot be written.
    """
    draft = path.with_name(f"{path.name}-draft.gpkg")
    draft.unlink(missing_ok=True)
    try:
        with _settings():
            for layer in layers:
                _write_layer(layer, draft, crs=crs)
        with closing(sqlite3.connect(draft, isolation_level=None)) as database:
            pin_last_change(database)
            database.execute("VACUUM INTO ?", (str(path),))
    except (sqlite3.Error, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise OSError(f"the GeoPackage '{path}' cannot be written ({error})") from error
    finally:
        draft.unlink(missing_ok=True)
    with path.open("r+b") as file:
        pin_change_counters(file)


def _write_layer(layer: Layer, path: Path, *, crs: str) -> None:
    types = {column.name: column.arrow_type for column in layer.table.columns}
    schema = pa.schema([*((name, types[name]) for name in layer.columns), ("geometry", pa.binary())])
    reader = pa.RecordBatchReader.from_batches(schema, _record_batches(layer, schema))
    pyogrio.write_arrow(
        reader,
        path,
        layer=layer.name,
        driver="GPKG",
        geometry_name="geometry",
        geometry_type="MultiPolygon",
        crs=crs,
    )


def _record_batches(layer: Layer, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in read_rows(layer.rows, table=layer.table):
        outlines = batch.geometries[layer.geometry]
        kept = np.ones(len(outlines), dtype=bool) if layer.geometry == "geometry" else ~shapely.is_empty(outlines)
        values: Mapping[str, pa.ChunkedArray] = {
            name: batch.values[name].filter(pa.array(kept)) for name in layer.columns
        }
        geometry = pa.array(shapely.to_wkb(_promoted(outlines[kept])), pa.binary())
        yield from pa.table([*values.values(), geometry], schema=schema).to_batches()


def _promoted(outlines: NDArray[np.object_]) -> NDArray[np.object_]:
    single = shapely.get_type_id(outlines) == shapely.GeometryType.POLYGON
    promoted = outlines.copy()
    promoted[single] = shapely.multipolygons(outlines[single], indices=np.arange(int(single.sum())))
    return promoted


@contextmanager
def _settings() -> Iterator[None]:
    """Hold GDAL's settings for as long as one of the threads writes; they are the process's, and as before afterwards."""
    global _settings_users
    with _settings_lock:
        if _settings_users == 0:
            _before.update({name: pyogrio.get_gdal_config_option(name) for name in _SETTINGS})
            pyogrio.set_gdal_config_options(_SETTINGS)
        _settings_users += 1
    try:
        yield
    finally:
        with _settings_lock:
            _settings_users -= 1
            if _settings_users == 0:
                pyogrio.set_gdal_config_options(_before)


_before: dict[str, str | None] = {}
