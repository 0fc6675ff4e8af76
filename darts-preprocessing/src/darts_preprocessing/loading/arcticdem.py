"""Elevation from a raster or a folder of tiles: the window that a tile needs, in its own projection."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.io import DatasetReader
from rasterio.windows import Window

from darts_preprocessing.decoding import as_numbers
from darts_preprocessing.heights import foreign_unit, implausible_heights
from darts_preprocessing.loading.rasters import declared_scalings, marked_missing
from darts_preprocessing.loading.sources import source_of
from darts_preprocessing.loading.windows import read_around
from darts_utils.errors import SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable

_NODATA_M = -9999.0
_COMPANIONS = ("_browse", "_count", "_datamask", "_mad", "_maxdate", "_mindate", "_bitmask", "_matchtag")
"""What comes with the heights of an ArcticDEM tile, ``18_23_2_1_2m_v4.1_dem.tif``."""


def load_arcticdem(path: str | os.PathLike[str], *, grid: GeoBox, margin_m: float = 0.0) -> xr.Dataset:
    """Load elevation around a grid.

    Args:
        path: Single-band raster of heights in metres above the WGS84 ellipsoid, such as an ArcticDEM v4.1 mosaic tile;
            also of integers with a scale and an offset that the file declares; a VRT; or a folder of tiles that share one
            CRS and pixel grid, of which those that the tile touches are read. Where tiles overlap, the first by name counts.
        grid: Grid of the tile that needs it.
        margin_m: Margin around the grid, for features that look beyond the border.

    Returns:
        Dataset with ``dem``  (y, x) float32 m in the raster's own CRS and grid (longitudes are those of the tile, see
        `darts_preprocessing.loading.windows.read_around`); NaN where there are no data.

    Raises:
        SceneNotFoundError: There is no such file, or no raster in the folder.
        SceneError: A file is damaged, has no CRS or several bands, is not in metres, or holds heights that are no metres on
            Earth; the tiles of a folder do not fit; nothing overlaps the grid.
    """
    source = source_of(path, ignored_endings=_COMPANIONS)
    heights, part = read_around(source, grid, margin_m=margin_m, decode=_read_heights, gaps=_without_height)
    name = Path(path).absolute()
    return xr.Dataset(coords=coords_of(part), attrs={"tile_id": name.name if name.is_dir() else name.stem}).assign(
        dem=variable("dem", heights[0], source=name.name)
    )


def _read_heights(raster: DatasetReader, window: Window) -> NDArray[np.float32]:
    """``(1, y, x)`` heights in metres, NaN where there are none."""
    if raster.count != 1:
        raise SceneError(
            f"'{raster.name}' must have 1 band of heights, but has {raster.count}: it is no elevation model"
        )
    unit = foreign_unit(raster.units[0], CRS(raster.crs.to_wkt()))
    if unit is not None:
        raise SceneError(
            f"'{raster.name}' must hold metres, but its unit is {unit!r}: convert it to metres first, or, "
            "where its heights are in metres, say so with gdal_edit.py -units m"
        )
    ((scale, offset),) = declared_scalings(raster, [1])
    # Mosaics that lost their nodata tag still mean "nothing" by −9999.
    fills = [_NODATA_M, *(each for each in raster.nodatavals if each is not None)]
    heights = as_numbers(raster.read(1, window=window), fills=fills, scale=scale, offset=offset, in_place=True)
    missing = marked_missing(raster, [1], window=window)
    if missing is not None:
        heights = np.where(missing[0], np.float32(np.nan), heights)
    wrong = implausible_heights(heights)
    if wrong is not None:
        raise SceneError(f"'{raster.name}' {wrong}")
    return heights[None]


def _without_height(heights: NDArray[Any]) -> NDArray[np.bool_]:
    gaps: NDArray[np.bool_] = np.isnan(heights[0])
    return gaps
