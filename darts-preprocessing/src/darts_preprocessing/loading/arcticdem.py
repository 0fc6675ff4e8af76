"""ArcticDEM from a GeoTIFF: the window that a tile needs, in its own projection."""

import os
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.loading.rasters import grid_of_raster, open_raster, window_around
from darts_utils.errors import SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable

_NODATA_M = -9999.0
_PLAUSIBLE_M = (-500.0, 9000.0)
_FOOT_UNITS = ("foot", "feet", "ft", "us survey foot", "us_survey_foot")


def load_arcticdem(path: str | os.PathLike[str], *, grid: GeoBox, margin_m: float = 0.0) -> xr.Dataset:
    """Load elevation around a grid.

    Args:
        path: Single-band raster of heights in metres above the WGS84 ellipsoid, such as an ArcticDEM v4.1 mosaic tile.
        grid: Grid of the tile that needs it.
        margin_m: Margin around the grid, for features that look beyond the border.

    Returns:
        Dataset with ``dem``  (y, x) float32 m in the raster's own CRS and grid; NaN where there are no data.

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
        whole = grid_of_raster(raster)
        window = window_around(raster, grid, margin_m=margin_m)
        values = raster.read(1, window=window).astype("float32")
        nodata = raster.nodata
        rows, columns = (slice(int(start), int(stop)) for start, stop in window.toranges())
    if nodata is not None:
        values[values == np.float32(nodata)] = np.nan
    # Mosaics that lost their nodata tag still mean "nothing" by −9999, and infinities mean it everywhere.
    values[(values == np.float32(_NODATA_M)) | ~np.isfinite(values)] = np.nan
    _check_plausible(values, path)
    attrs = {"tile_id": Path(path).stem}
    return xr.Dataset(coords=coords_of(whole[rows, columns]), attrs=attrs).assign(
        dem=variable("dem", values, source=Path(path).name)
    )


def _check_plausible(values: NDArray[np.float32], path: str | os.PathLike[str]) -> None:
    known = values[np.isfinite(values)]
    if known.size and not (_PLAUSIBLE_M[0] <= known.min() and known.max() <= _PLAUSIBLE_M[1]):
        raise SceneError(
            f"'{path}' must hold heights of {_PLAUSIBLE_M[0]:g} to {_PLAUSIBLE_M[1]:g} m, but they go from {known.min():g} to "
            f"{known.max():g}: check its unit and its nodata value"
        )
