"""Tile ↔ NetCDF: lossless and atomic."""

import json
import os
from pathlib import Path

import numpy as np
import xarray as xr

from darts_utils.encoding import netcdf_encoding
from darts_utils.errors import SceneError, SceneNotFoundError
from darts_utils.files import atomic_path
from darts_utils.tiles import check_tile

_JSON_ATTR = "darts_json_attrs"
"""Holds, as JSON, the attributes that NetCDF has no type for (bool, None, lists of strings, dicts)."""


def write_tile(tile: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a tile as NetCDF-4; the file appears under `path` only when it is complete.

    Args:
        tile: Tile to write. Values, dtypes, NaN, coordinates and attributes survive bit for bit.
        path: File name, by convention ending in ``.nc``.

    Returns:
        The path written.

    Raises:
        TileContractError: `tile` does not keep the tile contract.
        OutputError: The file cannot be written.

    Examples:
        >>> import tempfile
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["red", "ndvi"], shape=(4, 5))
        >>> path = write_tile(tile, Path(tempfile.mkdtemp()) / "tile.nc")
        >>> read_tile(path).identical(tile)
        True
    """
    check_tile(tile)
    stored = _with_plain_attrs(tile)
    for name in stored.variables:
        stored[name].encoding = {}  # what a former file used must not decide about this one
    with atomic_path(path) as temporary:
        stored.to_netcdf(temporary, engine="h5netcdf", encoding=netcdf_encoding(tile))
    return Path(path)


def read_tile(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a tile that `write_tile` wrote, fully into memory.

    Args:
        path: File name.

    Returns:
        The tile, identical to the one written.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged or not NetCDF.
        TileContractError: The file holds something else than a tile.
    """
    path = Path(path)
    if not path.is_file():
        raise SceneNotFoundError(f"expected a tile file at '{path}', but there is none: check the path")
    try:
        with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False, decode_coords="all") as opened:
            tile = opened.load()
    except (OSError, ValueError, KeyError) as error:
        raise SceneError(
            f"cannot read tile '{path}' ({error}): the file is damaged or no NetCDF-4 tile; write it anew"
        ) from error
    tile = _with_rich_attrs(tile)
    check_tile(tile)
    return tile


def _with_plain_attrs(tile: xr.Dataset) -> xr.Dataset:
    tile = tile.copy()  # shallow: pixels are shared, attributes are not
    tile.attrs = _packed(tile.attrs)
    for variable in tile.variables.values():
        variable.attrs = _packed(variable.attrs)
    return tile


def _with_rich_attrs(tile: xr.Dataset) -> xr.Dataset:
    tile.attrs = _unpacked(tile.attrs)
    for variable in tile.variables.values():
        variable.attrs = _unpacked(variable.attrs)
        variable.attrs.pop("_FillValue", None)
        variable.attrs.pop("grid_mapping", None)
        variable.encoding = {}
    tile.encoding = {}
    return tile


def _packed(attrs: dict[str, object]) -> dict[str, object]:
    plain = {name: value for name, value in attrs.items() if _is_plain(value)}
    rich = {name: value for name, value in attrs.items() if name not in plain}
    return {**plain, _JSON_ATTR: json.dumps(rich)} if rich else plain


def _unpacked(attrs: dict[str, object]) -> dict[str, object]:
    rich = json.loads(str(attrs[_JSON_ATTR])) if _JSON_ATTR in attrs else {}
    plain = {name: _python(value) for name, value in attrs.items() if name != _JSON_ATTR}
    return {**plain, **rich}


def _is_plain(value: object) -> bool:
    # Empty strings are left to JSON: HDF5 stores them as nothing.
    return (isinstance(value, str) and value != "") or (
        isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
    )


def _python(value: object) -> object:
    return value.item() if isinstance(value, np.number) else value
