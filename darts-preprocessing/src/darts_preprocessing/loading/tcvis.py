"""TCVIS, the Landsat tasseled-cap trends, from a GeoTIFF: the window that a tile needs, in its own projection."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.loading.rasters import open_raster
from darts_preprocessing.loading.windows import read_around
from darts_utils.errors import SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable
from darts_utils.variables import TCVIS_BANDS

_FILE_BANDS = ("TCB", "TCG", "TCW")
"""How the files' band descriptions begin, in order."""


def load_tcvis(
    path: str | os.PathLike[str], *, grid: GeoBox, margin_m: float = 0.0, release: str | None = None
) -> xr.Dataset:
    """Load trends around a grid.

    Args:
        path: Raster with three uint8 bands in the order TCB_slope, TCG_slope, TCW_slope.
        grid: Grid of the tile that needs it.
        margin_m: Margin around the grid.
        release: Which release it is, for example ``"2022"``: the file does not say it.

    Returns:
        Dataset with ``tc_brightness``, ``tc_greenness``, ``tc_wetness``  (y, x) uint8 in the raster's own CRS and grid
        (longitudes are those of the tile, see `darts_preprocessing.loading.windows.read_around`). All three are 0 where
        the file says that there are no data, by the nodata value in all bands or by a mask. ``attrs["release"]`` is there
        if `release` is given.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged, has no CRS, not three bands of uint8 or bands in another order, or does not
            overlap the grid.
    """
    with open_raster(path) as raster:
        if raster.count != len(TCVIS_BANDS) or set(raster.dtypes) != {"uint8"}:
            found = f"{raster.count} of {', '.join(sorted(set(raster.dtypes)))}"
            raise SceneError(
                f"'{path}' must have 3 bands of uint8 (TCB_slope, TCG_slope, TCW_slope), but has {found}: it is no TCVIS raster"
            )
        _check_order(path, raster.descriptions)
        stored, part = read_around(raster, grid, margin_m=margin_m)
    missing = np.ma.getmaskarray(stored).all(axis=0)
    values = np.where(missing, np.uint8(0), stored.data)
    made = {name: variable(name, band, source=Path(path).name) for name, band in zip(TCVIS_BANDS, values, strict=True)}
    attrs = {} if release is None else {"release": release}
    return xr.Dataset(coords=coords_of(part), attrs=attrs).assign(made)


def _check_order(path: str | os.PathLike[str], descriptions: Sequence[str | None]) -> None:
    """Refuse bands that say of themselves that they are others."""
    for begin, name, said in zip(_FILE_BANDS, TCVIS_BANDS, descriptions, strict=True):
        if said and not (said.upper().startswith(begin) or said == name):
            found = ", ".join(text or "none" for text in descriptions)
            raise SceneError(
                f"'{path}' must have the bands TCB_slope, TCG_slope, TCW_slope in this order, but they are described as "
                f"{found}: reorder them (gdal_translate -b), or correct the descriptions"
            )
