"""TCVIS, the Landsat tasseled-cap trends, from a GeoTIFF: the window that a tile needs, in its own projection."""

import os
from pathlib import Path

import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.loading.rasters import grid_of_raster, open_raster, window_around
from darts_utils.errors import SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable
from darts_utils.variables import TCVIS_BANDS


def load_tcvis(path: str | os.PathLike[str], *, grid: GeoBox, margin_m: float = 0.0) -> xr.Dataset:
    """Load trends around a grid.

    Args:
        path: Raster with three uint8 bands in the order TCB_slope, TCG_slope, TCW_slope.
        grid: Grid of the tile that needs it.
        margin_m: Margin around the grid.

    Returns:
        Dataset with ``tc_brightness``, ``tc_greenness``, ``tc_wetness``  (y, x) uint8 in the raster's own CRS and grid.
        ``attrs["release"]`` is the file's stem: which release it is stands nowhere in the file.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged, has no CRS, not three bands of uint8, or does not overlap the grid.
    """
    with open_raster(path) as raster:
        if raster.count != len(TCVIS_BANDS) or set(raster.dtypes) != {"uint8"}:
            found = f"{raster.count} of {', '.join(sorted(set(raster.dtypes)))}"
            raise SceneError(
                f"'{path}' must have 3 bands of uint8 (TCB_slope, TCG_slope, TCW_slope), but has {found}: it is no TCVIS raster"
            )
        whole = grid_of_raster(raster)
        window = window_around(raster, grid, margin_m=margin_m)
        values = raster.read(window=window)
        rows, columns = (slice(int(start), int(stop)) for start, stop in window.toranges())
    made = {name: variable(name, band, source=Path(path).name) for name, band in zip(TCVIS_BANDS, values, strict=True)}
    return xr.Dataset(coords=coords_of(whole[rows, columns]), attrs={"release": Path(path).stem}).assign(made)
