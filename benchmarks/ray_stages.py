"""Stages that do next to nothing, for what Ray itself costs; a module of little weight, since every worker imports it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_nextgen.pipeline.ray_workers import tile_rows, tile_table
from darts_nextgen.pipeline.rows import from_row
from darts_utils.grids import coords_of

SIDE_PX, VARIABLES = 4000, 10  # 10 of float32: 640 MB
_STEP_M = 3.0


def loaded(number: int, *, side_px: int = SIDE_PX) -> xr.Dataset:
    """A tile, of 640 MB if nothing else is said."""
    base = np.arange(side_px * side_px, dtype="float32").reshape(side_px, side_px)
    bands = {f"band{each}": (("y", "x"), base + np.float32(number + each)) for each in range(VARIABLES)}
    return xr.Dataset(bands, coords=coords_of(_grid(side_px)), attrs={"tile_id": str(number), "sum": 0})


def passed(tile: xr.Dataset, stage: str) -> xr.Dataset:
    """A stage that only reads every byte and adds one variable; the sum of what it read goes into the attributes."""
    read = sum(int(np.add.reduce(values.values.reshape(-1).view("uint64"))) for values in tile.data_vars.values())
    total = (int(tile.attrs["sum"]) + read) % 2**62
    return tile.assign({stage: tile["band0"] + np.float32(1)}).assign_attrs(sum=total)


def prepare(table: pa.Table) -> Iterator[pa.Table]:
    """Load and preprocess; a row that is not pending goes through all of this untouched."""
    for row in tile_rows(table):
        yield tile_table(row, passed(loaded(int(row.tile_id)), "preprocess") if row.status == "pending" else None)


class Worker:
    """The model worker."""

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """Pass the tiles on."""
        for index, row in enumerate(tile_rows(table)):
            pending = row.status == "pending"
            yield tile_table(row, passed(from_row(table, index=index), "inference") if pending else None)


def finish(table: pa.Table) -> Iterator[pa.Table]:
    """Postprocess and export."""
    for index, row in enumerate(tile_rows(table)):
        if row.status != "pending":
            yield tile_table(row)
            continue
        tile = passed(passed(from_row(table, index=index), "postprocess"), "export")
        yield tile_table(replace(row, objects=int(tile.attrs["sum"])))


def _grid(side_px: int) -> GeoBox:
    return GeoBox((side_px, side_px), Affine(_STEP_M, 0, 500_000, 0, -_STEP_M, 7_600_000), "EPSG:32608")
