"""Reading rasters: one place that knows rasterio's errors and says them in plain words."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from darts_utils.errors import SceneError, SceneNotFoundError
from darts_utils.kernels import thread_count

Scaling = tuple[float, float]
"""Scale and offset: what is meant = what is stored · scale + offset."""

NO_SCALING: Scaling = (1.0, 0.0)
"""What GDAL reports for a band that declares nothing."""


class RasterBands(NamedTuple):
    """Bands of a raster and what the file says about them."""

    values: NDArray[Any]
    """``(bands, y, x)`` numbers as stored, 0 where the file says that there are no data."""
    grid: GeoBox
    """Grid of the raster."""
    scalings: tuple[Scaling, ...]
    """Scale and offset that the file declares for each band; `NO_SCALING` where it declares none."""
    unmarked_zeros_percent: float
    """Share of pixels that hold 0 in a band though the file marks missing data by something else."""


@contextmanager
def open_raster(path: str | os.PathLike[str]) -> Iterator[DatasetReader]:
    """Open a raster; reading errors inside the block come out as `SceneError` with the file's name.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged or no raster.
    """
    if not Path(path).is_file():
        raise SceneNotFoundError(f"expected a raster at '{path}', but there is none: check the path")
    try:
        with rasterio.Env(GDAL_NUM_THREADS=str(thread_count())), rasterio.open(path) as raster:
            yield raster
    except RasterioError as error:
        cause = error.__cause__ or error
        raise SceneError(
            f"cannot read '{path}' ({cause}): the file is damaged or no raster; copy or download it again"
        ) from error


def grid_of_raster(raster: DatasetReader) -> GeoBox:
    """Grid of an open raster.

    Raises:
        SceneError: The raster has no CRS or one that is not on Earth, or is not north-up.
    """
    if raster.crs is None:
        raise SceneError(
            f"'{raster.name}' must have a CRS, but has none: set it with gdal_edit.py -a_srs or write it anew"
        )
    if not (raster.crs.is_projected or raster.crs.is_geographic):
        raise SceneError(
            f"'{raster.name}' must have a projected or geographic CRS, but has {raster.crs.to_wkt()[:60]!r}: set the right "
            "one with gdal_edit.py -a_srs"
        )
    transform = raster.transform
    if transform.b != 0 or transform.d != 0:
        raise SceneError(f"'{raster.name}' must be north-up, but its grid is rotated: warp it with gdalwarp first")
    if not (transform.a > 0 and transform.e < 0):
        raise SceneError(
            f"'{raster.name}' must be north-up, but its rows go north or its columns west: flip it with gdalwarp first"
        )
    return GeoBox((raster.height, raster.width), Affine(*tuple(transform)[:6]), raster.crs.to_wkt())


def declared_scalings(raster: DatasetReader, indexes: Sequence[int]) -> tuple[Scaling, ...]:
    """Scale and offset that an open raster declares for each band.

    Raises:
        SceneError: A scale is 0, or a number is not finite.
    """
    scalings = tuple((float(raster.scales[index - 1]), float(raster.offsets[index - 1])) for index in indexes)
    for scale, offset in scalings:
        if not (math.isfinite(scale) and scale != 0 and math.isfinite(offset)):
            raise SceneError(
                f"'{raster.name}' must declare a scale other than 0 and a finite offset, but has {scale:g} and {offset:g}: "
                "correct them with gdal_edit.py -scale and -offset"
            )
    return scalings


def read_bands(
    path: str | os.PathLike[str],
    indexes: Sequence[int],
    *,
    dtype: str,
    expected_count: int | None = None,
) -> RasterBands:
    """Read bands of a raster as they are stored, with 0 where there are no data.

    Args:
        path: File name.
        indexes: Band numbers, from 1.
        dtype: What the file must hold.
        expected_count: Exact number of bands that the file must have, if given.

    Returns:
        The bands. Pixels that hold the band's nodata value, or that the file's own mask (internal or ``.msk``) calls
        missing, are 0. What holds 0 in the file stays 0 too.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged, lacks a band or the CRS, has another dtype, declares a scale of 0, or is not
            north-up.
    """
    indexes = list(indexes)
    with open_raster(path) as raster:
        check_bands(raster, indexes, dtype=dtype, expected_count=expected_count)
        grid = grid_of_raster(raster)
        values: NDArray[Any] = raster.read(indexes)
        scalings = declared_scalings(raster, indexes)
        unmarked_zeros_percent = 0.0
        if _marks_nodata_otherwise(raster, indexes):
            missing = raster.read_masks(indexes) == 0
            unmarked_zeros_percent = 100.0 * float(((values == 0) & ~missing).any(axis=0).mean())
            values[missing] = 0
    return RasterBands(values, grid, scalings, unmarked_zeros_percent)


def check_bands(
    raster: DatasetReader, indexes: Sequence[int], *, dtype: str, expected_count: int | None = None
) -> None:
    """Refuse a raster that lacks bands, or holds something else in them.

    Raises:
        SceneError: Says what is expected and what came.
    """
    count = raster.count
    if expected_count is not None and count != expected_count:
        raise SceneError(f"'{raster.name}' must have {expected_count} bands, but has {count}: it is another product")
    if max(indexes) > count:
        raise SceneError(
            f"'{raster.name}' must have at least {max(indexes)} bands, but has {count}: correct the band mapping"
        )
    for found in (raster.dtypes[index - 1] for index in indexes):
        if found != dtype:
            counts = dtype == "uint16" and found.startswith(("float", "int"))
            advice = "convert it to uint16 counts, such as reflectance × 10 000" if counts else "it is another product"
            raise SceneError(f"'{raster.name}' must hold {dtype}, but holds {found}: {advice}")


def marked_missing(
    raster: DatasetReader, indexes: Sequence[int], *, window: Window | None = None
) -> NDArray[np.bool_] | None:
    """Where a mask of the file (internal or ``.msk``) says that there are no data, or None where it has none.

    Args:
        raster: Open raster.
        indexes: Band numbers, from 1.
        window: Part of the raster.

    Returns:
        ``(bands, y, x)``, nodata values not counted.
    """
    if not any(MaskFlags.per_dataset in raster.mask_flag_enums[index - 1] for index in indexes):
        return None
    missing: NDArray[np.bool_] = raster.read_masks(list(indexes), window=window) == 0
    return missing


def _marks_nodata_otherwise(raster: DatasetReader, indexes: Sequence[int]) -> bool:
    """Whether anything but 0 says that there are no data.

    GDAL takes the last of four bands for transparency where the file calls it so: here it is a band like the others.
    """
    for index in indexes:
        flags = raster.mask_flag_enums[index - 1]
        by_zero = flags == [MaskFlags.nodata] and raster.nodatavals[index - 1] == 0
        if not (by_zero or MaskFlags.all_valid in flags or MaskFlags.alpha in flags):
            return True
    return False
