"""Tile ↔ NetCDF: lossless and atomic."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_utils.attributes import pack_attributes, unpack_attributes
from darts_utils.device import move_tile
from darts_utils.encoding import netcdf_encoding
from darts_utils.errors import SceneError, SceneNotFoundError, TileContractError
from darts_utils.files import atomic_path
from darts_utils.grids import geobox_of
from darts_utils.tiles import check_tile

_CHECKSUM = "darts_checksum"
"""Attribute of a tile file: SHA-256 over all values and attributes. HDF5 does not notice every damage by itself."""

_DTYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
)
"""What a tile file holds, bit for bit."""

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
        TileContractError: `tile` does not keep the tile contract, or an attribute or a dtype is of another kind.
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
    _check_storable(tile)
    tile = move_tile(tile, device="cpu")
    stored = _with_packed_attrs(tile)
    stored.attrs[_CHECKSUM] = tile_checksum(tile)
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
        SceneError: The file is damaged (its checksum tells), not NetCDF, or not written by `write_tile`.
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
    noted = tile.attrs.pop(_CHECKSUM, None)
    check_tile(tile)
    if noted != tile_checksum(tile):
        found = "has another" if noted is not None else "has none"
        raise SceneError(
            f"cannot trust tile '{path}': expected the checksum that write_tile notes, but it {found}: the file is damaged, or "
            "something else wrote it; write it anew"
        )
    return tile


@dataclass(frozen=True)
class TileHeader:
    """What a tile file says about itself without its pixels."""

    grid: GeoBox
    """Of the tile."""
    attrs: Mapping[str, object]
    """Of the tile."""
    checksum: str
    """What `tile_checksum` said when it was written."""


def read_header(path: str | os.PathLike[str]) -> TileHeader:
    """Read what a tile file says about itself; its pixels are neither read nor checked.

    Args:
        path: File name.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged, not NetCDF, or not written by `write_tile`.
        TileContractError: The file holds something else than a tile.
    """
    path = Path(path)
    if not path.is_file():
        raise SceneNotFoundError(f"expected a tile file at '{path}', but there is none: check the path")
    try:
        with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False, decode_coords="all") as opened:
            attrs = unpack_attributes(opened.attrs)
            return TileHeader(geobox_of(opened), attrs, str(attrs.pop(_CHECKSUM)))
    except TileContractError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise SceneError(
            f"cannot read tile '{path}' ({reason}): the file is damaged or no NetCDF-4 tile; write it anew"
        ) from error


def _check_storable(tile: xr.Dataset) -> None:
    for name, variable in tile.variables.items():
        if not str(name) or "/" in str(name) or "\0" in str(name):
            raise TileContractError(
                f"variables of a tile file must have names without '/', but got {name!r}: rename it"
            )
        if str(variable.dtype) not in _DTYPES:
            raise TileContractError(
                f"variables of a tile file must hold whole numbers, single or double precision, or truth values, but {name!r} "
                f"holds {variable.dtype}: drop or convert it"
            )
    if _CHECKSUM in tile.attrs:
        raise TileContractError(f"attribute {_CHECKSUM!r} of a tile is kept for its file: remove it")


def tile_checksum(tile: xr.Dataset) -> str:
    """SHA-256 over all values, coordinates and attributes of a tile, as its file notes it."""
    digest = hashlib.sha256()
    digest.update(_line(tile.attrs, owner="the tile"))
    for name in sorted(map(str, tile.variables)):
        variable = tile[name].variable
        digest.update(_line(variable.attrs, owner=f"variable {name!r}"))
        digest.update(repr((name, variable.dims, variable.dtype.str, variable.shape)).encode())
        digest.update(np.ascontiguousarray(variable.values).data)
    return digest.hexdigest()


def _line(attrs: dict[str, object], *, owner: str) -> bytes:
    return json.dumps(pack_attributes(attrs, owner=owner), sort_keys=True).encode()


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
