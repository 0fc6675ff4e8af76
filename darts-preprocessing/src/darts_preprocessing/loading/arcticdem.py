"""ArcticDEM from a GeoTIFF: the window that a tile needs, in its own projection."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.heights import implausible_heights
from darts_preprocessing.loading.rasters import NO_SCALING, Scaling, declared_scalings, open_raster
from darts_preprocessing.loading.windows import read_around
from darts_utils.errors import SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable

_NODATA_M = -9999.0
_FOOT_UNITS = ("foot", "feet", "ft", "us survey foot", "us_survey_foot")


def load_arcticdem(path: str | os.PathLike[str], *, grid: GeoBox, margin_m: float = 0.0) -> xr.Dataset:
    """Load elevation around a grid.

    Args:
        path: Single-band raster of heights in metres above the WGS84 ellipsoid, such as an ArcticDEM v4.1 mosaic tile;
            also of integers with a scale and an offset that the file declares.
        grid: Grid of the tile that needs it.
        margin_m: Margin around the grid, for features that look beyond the border.

    Returns:
        Dataset with ``dem``  (y, x) float32 m in the raster's own CRS and grid (longitudes are those of the tile, see
        `darts_preprocessing.loading.windows.read_around`); NaN where there are no data.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged, has no CRS or several bands, is in feet, holds heights that are no metres on
            Earth, or does not overlap the grid.
    """
    with open_raster(path) as raster:
        if raster.count != 1:
            raise SceneError(f"'{path}' must have 1 band of heights, but has {raster.count}: it is no elevation model")
        unit = (raster.units[0] or "").lower()
        if unit in _FOOT_UNITS:
            raise SceneError(
                f"'{path}' must hold metres, but its unit is {raster.units[0]!r}: convert it to metres first"
            )
        (scaling,) = declared_scalings(raster, [1])
        stored, part = read_around(raster, grid, margin_m=margin_m)
    heights = _heights(stored[0], scaling)
    wrong = implausible_heights(heights)
    if wrong is not None:
        raise SceneError(f"'{path}' {wrong}")
    attrs = {"tile_id": Path(path).stem}
    return xr.Dataset(coords=coords_of(part), attrs=attrs).assign(dem=variable("dem", heights, source=Path(path).name))


def _heights(stored: "np.ma.MaskedArray[Any, Any]", scaling: Scaling) -> NDArray[np.float32]:
    """Heights in metres of numbers as stored; NaN where there are none."""
    numbers: NDArray[np.floating[Any]] = stored.data.astype(np.result_type(stored.dtype, np.float32))
    # Mosaics that lost their nodata tag still mean "nothing" by −9999.
    numbers[np.ma.getmaskarray(stored) | (numbers == _NODATA_M)] = np.nan
    if scaling != NO_SCALING:
        numbers = numbers.astype("float64") * scaling[0] + scaling[1]
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and infinities are no heights
        heights: NDArray[np.float32] = numbers.astype("float32")
    heights[np.isinf(heights)] = np.nan
    return heights
