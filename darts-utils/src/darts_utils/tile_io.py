"""Tile ↔ NetCDF: lossless and atomic."""

import os
from pathlib import Path

import xarray as xr

from darts_utils.attributes import pack_attributes, unpack_attributes
from darts_utils.device import move_tile
from darts_utils.encoding import netcdf_encoding
from darts_utils.errors import SceneError, SceneNotFoundError, TileContractError
from darts_utils.files import atomic_path
from darts_utils.tiles import check_tile

_DAMAGE = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)
"""What h5netcdf and xarray raise, depending on where a damaged file breaks."""


def write_tile(tile: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a tile as NetCDF-4; the file appears under `path` only when it is complete.

    Args:
        tile: Tile to write; dask arrays are computed, arrays on a GPU are brought to host memory. Values, dtypes, NaN,
            coordinates and attributes survive bit for bit. Attributes may be text, numbers, truth values, None, lists,
            tuples, tables with text as keys, NumPy scalars and arrays.
        path: File name, by convention ending in ``.nc``.

    Returns:
        The path written.

    Raises:
        TileContractError: `tile` does not keep the tile contract, or an attribute is of another kind.
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
    unusable = [name for name in map(str, tile.data_vars) if not name or "/" in name or "\0" in name]
    if unusable:
        raise TileContractError(
            f"variables of a tile file must have names without '/', but got {unusable}: rename them"
        )
    stored = _with_packed_attrs(move_tile(tile, device="cpu"))
    for name in stored.variables:
        stored[name].encoding = {}  # what a former file used must not decide about this one
    with atomic_path(path) as temporary:
        stored.to_netcdf(temporary, engine="h5netcdf", encoding=netcdf_encoding(stored))
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
        with xr.open_dataset(
            path,
            engine="h5netcdf",
            mask_and_scale=False,
            decode_times=False,
            decode_timedelta=False,
            decode_coords="all",
        ) as opened:
            tile = _with_unpacked_attrs(opened.load())
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise SceneError(
            f"cannot read tile '{path}' ({reason}): the file is damaged or no NetCDF-4 tile; write it anew"
        ) from error
    check_tile(tile)
    return tile


def _with_packed_attrs(tile: xr.Dataset) -> xr.Dataset:
    tile = tile.copy()  # shallow: pixels are shared, attributes are not
    tile.attrs = pack_attributes(tile.attrs, owner="the tile")
    for name, variable in tile.variables.items():
        variable.attrs = pack_attributes(variable.attrs, owner=f"variable {name!r}")
    return tile


def _with_unpacked_attrs(tile: xr.Dataset) -> xr.Dataset:
    tile.attrs = unpack_attributes(tile.attrs)
    for variable in tile.variables.values():
        variable.attrs.pop("_FillValue", None)  # what the encoding wrote; an attribute of this name is packed
        variable.attrs = unpack_attributes(variable.attrs)
        variable.encoding = {}
    tile.encoding = {}
    return tile
