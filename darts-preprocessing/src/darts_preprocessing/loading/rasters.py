"""Reading rasters: one place that knows rasterio's errors and says them in plain words."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from darts_utils.errors import SceneError, SceneNotFoundError


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
        with rasterio.open(path) as raster:
            yield raster
    except RasterioError as error:
        cause = error.__cause__ or error
        raise SceneError(
            f"cannot read '{path}' ({cause}): the file is damaged or no raster; copy or download it again"
        ) from error


def grid_of_raster(raster: DatasetReader) -> GeoBox:
    """Grid of an open raster.

    Raises:
        SceneError: The raster has no CRS, or is not north-up.
    """
    if raster.crs is None:
        raise SceneError(
            f"'{raster.name}' must have a CRS, but has none: set it with gdal_edit.py -a_srs or write it anew"
        )
    transform = raster.transform
    if transform.b != 0 or transform.d != 0:
        raise SceneError(f"'{raster.name}' must be north-up, but its grid is rotated: warp it with gdalwarp first")
    if not (transform.a > 0 and transform.e < 0):
        raise SceneError(
            f"'{raster.name}' must be north-up, but its rows go north or its columns west: flip it with gdalwarp first"
        )
    return GeoBox((raster.height, raster.width), Affine(*tuple(transform)[:6]), raster.crs.to_wkt())


def read_bands(
    path: str | os.PathLike[str], indexes: Sequence[int], *, dtype: str, expected_count: int | None = None
) -> tuple[NDArray[Any], GeoBox]:
    """Read bands of a raster as they are stored.

    Args:
        path: File name.
        indexes: Band numbers, from 1.
        dtype: What the file must hold.
        expected_count: Exact number of bands that the file must have, if given.

    Returns:
        ``(bands, y, x)`` array and the grid.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged, lacks a band or the CRS, has another dtype, or is not north-up.
    """
    with open_raster(path) as raster:
        count = raster.count
        if expected_count is not None and count != expected_count:
            raise SceneError(f"'{path}' must have {expected_count} bands, but has {count}: it is another product")
        if max(indexes) > count:
            raise SceneError(
                f"'{path}' must have at least {max(indexes)} bands, but has {count}: correct the band mapping"
            )
        if any(raster.dtypes[index - 1] != dtype for index in indexes):
            raise SceneError(
                f"'{path}' must hold {dtype}, but holds {raster.dtypes[indexes[0] - 1]}: it is another product"
            )
        grid = grid_of_raster(raster)
        values: NDArray[Any] = raster.read(list(indexes))
    return values, grid


def window_around(raster: DatasetReader, grid: GeoBox, *, margin_m: float) -> Window:
    """The smallest window of a raster that covers a grid and a margin, with room for the resampling kernel.

    Raises:
        SceneError: Raster and grid do not overlap; names both extents.
    """
    bounds = grid.boundingbox
    reach_m = margin_m + 3 * abs(grid.affine.a)
    transformer = Transformer.from_crs(str(grid.crs), raster.crs.to_wkt(), always_xy=True)
    wanted_left, wanted_bottom, wanted_right, wanted_top = transformer.transform_bounds(
        bounds.left - reach_m, bounds.bottom - reach_m, bounds.right + reach_m, bounds.top + reach_m, densify_pts=21
    )
    if wanted_right < wanted_left:  # across the antimeridian: the tile needs both ends of the raster
        wanted_left, wanted_right = raster.bounds.left, raster.bounds.right
    inverse = ~raster.transform
    left, top = inverse * (wanted_left, wanted_top)
    right, bottom = inverse * (wanted_right, wanted_bottom)
    room = 4 + 3 * int(abs(grid.affine.a / raster.transform.a) if not raster.crs.is_geographic else 1)
    window = Window.from_slices(
        (max(0, int(top) - room), min(raster.height, int(bottom) + room + 1)),
        (max(0, int(left) - room), min(raster.width, int(right) + room + 1)),
        boundless=True,
    )
    if window.width <= 0 or window.height <= 0:
        covered = tuple(round(value, 5) for value in raster.bounds)
        wanted = tuple(round(value, 5) for value in (wanted_left, wanted_bottom, wanted_right, wanted_top))
        raise SceneError(
            f"'{raster.name}' covers {covered}, but the tile needs {wanted} (in the raster's CRS): give one that overlaps"
        )
    return window
