"""Tile ↔ row of an Arrow table: the only place where xarray and Ray meet.

A row has one tensor column per variable and one JSON column for all that is small: names and dtypes, the affine transform, the
CRS as WKT, attributes. The pixels are neither pickled nor copied: `from_row` gives read-only views of the buffers that Ray keeps
in its object store, and the size of a table is the size that Ray's back-pressure counts.

Columns are Ray's tensors of variable shape, so tiles of different shape fit into one table, and their offsets have 64 bits,
so a variable may be larger than 2 GB.
"""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio import Affine
from ray.data.extensions import ArrowVariableShapedTensorArray

from darts_utils.attributes import pack_attributes, unpack_attributes
from darts_utils.device import move_tile
from darts_utils.errors import TileContractError
from darts_utils.grids import coords_of, geobox_of, tile_id

TILE_COLUMN = "darts_tile"
"""The JSON column; null in a row without a tile."""

_DTYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
)
"""What a column holds, bit for bit."""


def to_row(tile: xr.Dataset) -> pa.Table:
    """Make a table of one row from a tile.

    Args:
        tile: Tile with variables on ``(y, x)``; dask arrays are computed, arrays on a GPU are brought to host memory.

    Returns:
        Table of one row, with a tensor column for each variable and the column ``darts_tile``. Contiguous arrays are shared
        with the tile, not copied: it must not be changed as long as the table lives.

    Raises:
        TileContractError: The tile has no proper grid, a variable or a coordinate that a row cannot hold, or an attribute of a
            kind that `darts_utils.attributes.pack_attributes` does not know.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["red", "ndvi"], shape=(4, 5))
        >>> row = to_row(tile)
        >>> row.column_names, row.num_rows
        (['darts_tile', 'red', 'ndvi'], 1)
        >>> from_row(row).identical(tile)
        True
    """
    _check(tile)
    tile = move_tile(tile, device="cpu")
    arrays = {str(name): np.ascontiguousarray(variable.values) for name, variable in tile.data_vars.items()}
    columns = {name: _tensor(array) for name, array in arrays.items()}
    return pa.table({TILE_COLUMN: pa.array([json.dumps(_description(tile))], pa.large_string()), **columns})


def from_row(table: pa.Table, *, index: int = 0) -> xr.Dataset:
    """Make a tile from a row of a table.

    Args:
        table: Table of `to_row`, or several of them one below the other: a row has the variables that its tile had,
            whatever columns others brought.
        index: Number of the row.

    Returns:
        The tile, identical to the one given to `to_row`. Its arrays are read-only views of the table's buffers.

    Raises:
        TileContractError: The table has no column ``darts_tile``, or the row holds no tile.
    """
    text = table[TILE_COLUMN][index].as_py() if TILE_COLUMN in table.column_names else None
    if text is None:
        raise TileContractError(
            f"expected a tile in row {index}, in column {TILE_COLUMN!r} among others, but there is none: make it with to_row"
        )
    described = json.loads(text)
    grid = GeoBox(described["shape"], Affine(*described["affine"]), described["crs"])
    coords: dict[str, Any] = {**coords_of(grid)}
    for name, stored in described["coords"].items():
        coords[name] = _variable(stored, unpack_attributes(stored["values"])["values"])
    variables = {
        name: _variable(stored, _array(table[name][index], dtype=stored["dtype"]))
        for name, stored in described["variables"].items()
    }
    return xr.Dataset(variables, coords=coords, attrs=unpack_attributes(described["attrs"]))


def _check(tile: xr.Dataset) -> None:
    for name, variable in tile.data_vars.items():
        if not isinstance(name, str) or name == TILE_COLUMN:
            raise TileContractError(
                f"expected text other than {TILE_COLUMN!r} as name of a variable, but got {name!r}: rename it"
            )
        if variable.dims != ("y", "x") or str(variable.dtype) not in _DTYPES:
            raise TileContractError(
                f"a row holds numbers and truth values on ('y', 'x'), but {name!r} of tile {tile_id(tile)!r} is "
                f"{variable.dtype} on {variable.dims}: drop or convert it"
            )
    strange = [str(name) for name in tile.coords if name not in ("y", "x", "spatial_ref")]
    if strange:
        raise TileContractError(
            f"a row holds the coordinates y, x and spatial_ref, but tile {tile_id(tile)!r} also has {', '.join(strange)}: "
            "drop them, for example with .drop_vars"
        )


def _description(tile: xr.Dataset) -> dict[str, Any]:
    """All of a tile but its pixels, as JSON has it."""
    grid = geobox_of(tile)
    crs = tile["spatial_ref"].attrs
    made = coords_of(GeoBox(grid.shape, grid.affine, str(grid.crs.to_wkt()))) if grid.crs is not None else {}
    return {
        "shape": list(grid.shape),
        "affine": [float(number) for number in tuple(grid.affine)[:6]],
        "crs": str(grid.crs.to_wkt()) if grid.crs is not None else str(crs.get("crs_wkt")),
        "coords": {  # those that the transform would not give bit for bit
            str(name): _described(coordinate.variable, owner=f"coordinate {name!r}")
            | {"values": pack_attributes({"values": coordinate.values}, owner=f"coordinate {name!r}")}
            for name, coordinate in tile.coords.items()
            if not _same(coordinate.variable, made[str(name)].variable)
        },
        "variables": {
            str(name): _described(variable.variable, owner=f"variable {name!r}")
            for name, variable in tile.data_vars.items()
        },
        "attrs": pack_attributes(tile.attrs, owner="the tile"),
    }


def _described(variable: xr.Variable, *, owner: str) -> dict[str, Any]:
    return {
        "dims": list(variable.dims),
        "dtype": str(variable.dtype),
        "attrs": pack_attributes(variable.attrs, owner=owner),
    }


def _same(first: xr.Variable, second: xr.Variable) -> bool:
    # Attributes are compared as they are stored: identical() finds 1 and True, or an int and a NumPy scalar, equal.
    same_attrs = json.dumps(_described(first, owner="")) == json.dumps(_described(second, owner=""))
    return same_attrs and first.values.tobytes() == second.values.tobytes()


def _variable(stored: dict[str, Any], values: Any) -> xr.Variable:
    return xr.Variable(stored["dims"], values, attrs=unpack_attributes(stored["attrs"]))


def _tensor(array: np.ndarray[Any, Any]) -> pa.Array:
    """A tensor column of one row; truth values go as bytes, since Arrow would pack them into bits."""
    return ArrowVariableShapedTensorArray.from_numpy([array.view("uint8") if array.dtype == bool else array])


def _array(scalar: Any, *, dtype: str) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = scalar.as_py().view(dtype)
    array.flags.writeable = False
    return array
