"""Cloud-optimised GeoTIFFs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile

from darts_export.arrays import numpy_values
from darts_export.bands import Band, bands_of
from darts_export.config import ExportConfig
from darts_utils.errors import TileContractError
from darts_utils.kernels import thread_count

_ZSTD_LEVEL = 1
"""On probabilities, masks and reflectance as small as GDAL's own choice (9) within a few percent, in a fraction of the time."""

_UNKNOWN_TO_LERC = frozenset(["int64", "uint64"])
"""GDAL writes such files without an error, but nobody can read them."""


def check_compression(bands: Sequence[Band], compression: str) -> None:
    """Raise if bands cannot be compressed so.

    Raises:
        TileContractError: LERC cannot hold the dtype.
    """
    for band in bands:
        if compression == "LERC" and band.dtype in _UNKNOWN_TO_LERC:
            raise TileContractError(
                f"LERC cannot hold variable {band.name!r}, which is {band.dtype}: choose another compression, or convert it"
            )


def write_cog(
    tile: xr.Dataset,
    names: Sequence[str],
    path: Path,
    *,
    grid: GeoBox,
    valid: NDArray[np.bool_] | None,
    tags: Mapping[str, str],
    options: ExportConfig,
) -> None:
    """Write variables of a tile as the bands of one cloud-optimised GeoTIFF.

    Args:
        tile: The tile.
        names: Its variables, all of one dtype and nodata.
        path: Where to write.
        grid: Grid of the tile.
        valid: ``(y, x)`` bool: becomes the file's mask where no value can mean "no data"; None writes no mask.
        tags: Metadata of the whole file.
        options: Compression, blocks and overviews.

    Raises:
        OSError: The file cannot be written.
        TileContractError: The variables cannot be bands of one GeoTIFF, or not with this compression.

    Notes:
        GDAL's COG driver lays the file out in memory; Python then writes it. GDAL does not report every failed write
        (a disk that fills up while a file is closed), Python does.
    """
    bands = bands_of(tile, names, file_name=path.name)
    check_compression(bands, options.compression)
    with MemoryFile(ext=".tif") as memory:
        with memory.open(**_profile(bands, grid), **_creation_options(bands, options)) as raster:
            raster.update_tags(**tags)
            for index, band in enumerate(bands, start=1):
                raster.write(numpy_values(tile, band.name).astype(band.dtype, copy=False), index)
                raster.set_band_description(index, band.name)
                raster.update_tags(index, **band.tags)
            raster.units = tuple(band.units for band in bands)
            if any((band.scale, band.offset) != (1.0, 0.0) for band in bands):
                raster.scales = tuple(band.scale for band in bands)
                raster.offsets = tuple(band.offset for band in bands)
            if valid is not None:
                raster.write_mask(valid)
        path.write_bytes(memory.getbuffer())


def _profile(bands: Sequence[Band], grid: GeoBox) -> dict[str, Any]:
    return {
        "driver": "COG",
        "height": grid.shape[0],
        "width": grid.shape[1],
        "count": len(bands),
        "dtype": bands[0].dtype,
        "crs": rasterio.CRS.from_wkt(str(grid.crs.to_wkt())) if grid.crs is not None else None,
        "transform": grid.affine,
        "nodata": bands[0].nodata,
    }


def _creation_options(bands: Sequence[Band], options: ExportConfig) -> dict[str, Any]:
    """The options of GDAL's COG driver."""
    chosen: dict[str, Any] = {
        "compress": options.compression,
        "blocksize": options.block_px,
        "num_threads": thread_count(),
        "overviews": "AUTO" if options.overviews else "NONE",
        "overview_resampling": "nearest" if any(band.is_class for band in bands) else "average",
    }
    if options.compression == "LERC":
        exact = any(band.is_class or (band.nodata is not None and not math.isnan(band.nodata)) for band in bands)
        return chosen | {
            "max_z_error": 0 if exact else options.lerc_max_error
        }  # a moved class or nodata is another one
    if options.compression == "ZSTD":
        chosen["level"] = _ZSTD_LEVEL
    return chosen | {"predictor": "YES"}
