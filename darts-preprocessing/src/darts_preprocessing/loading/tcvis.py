"""TCVIS, the Landsat tasseled-cap trends, from a raster or a folder of tiles: the window that a tile needs, in its own projection."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader
from rasterio.windows import Window

from darts_preprocessing.loading.releases import ReleaseRule, chosen_release, releases_in
from darts_preprocessing.loading.sources import source_of_tiles
from darts_preprocessing.loading.windows import read_around
from darts_utils.dates import UNKNOWN_DATE
from darts_utils.errors import SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable
from darts_utils.variables import TCVIS_BANDS, USUAL_TCVIS_RULE

_FILE_BANDS = ("TCB", "TCG", "TCW")
"""How the files' band descriptions begin, in order."""


def load_tcvis(
    path: str | os.PathLike[str],
    *,
    grid: GeoBox,
    margin_m: float = 0.0,
    release: str | None = None,
    date: str = UNKNOWN_DATE,
    rule: ReleaseRule = USUAL_TCVIS_RULE,
) -> xr.Dataset:
    """Load trends around a grid.

    Args:
        path: Raster with three uint8 bands in the order TCB_slope, TCG_slope, TCW_slope, or a folder of such tiles that share
            one CRS and pixel grid. A folder may hold several releases: the release of a tile is the last year in the
            innermost part of its path below the folder that has one, such as ``TCTrend_SR_2000-2019_TCVIS/0001.tif``.
        grid: Grid of the tile that needs it.
        margin_m: Margin around the grid.
        release: Which release it is, for example ``"2022"``, where the files do not say it; where they do, the one to take.
        date: Date of the image, by which `rule` chooses among several releases.
        rule: See `darts_preprocessing.loading.releases.chosen_release`.

    Returns:
        Dataset with ``tc_brightness``, ``tc_greenness``, ``tc_wetness``  (y, x) uint8 in the raster's own CRS and grid
        (longitudes are those of the tile, see `darts_preprocessing.loading.windows.read_around`). All three are 0 where
        the file says that there are no data, by the nodata value in all bands or by a mask. ``attrs["release"]`` is there
        if it is known.

    Raises:
        SceneNotFoundError: There is no such file, or no raster in the folder.
        SceneError: A file is damaged, has no CRS, not three bands of uint8 or bands in another order; the tiles of a folder do
            not fit, or it lacks the release; nothing overlaps the grid.
        ValueError: There is no such rule.
    """
    path = Path(path)
    releases = releases_in(path)
    chosen = chosen_release(releases, release=release, date=date, rule=rule, name=str(path))
    source = source_of_tiles(releases[chosen], name=str(path))
    values, part = read_around(source, grid, margin_m=margin_m, decode=_read_trends, gaps=_without_trend)
    made = {name: variable(name, band, source=path.name) for name, band in zip(TCVIS_BANDS, values, strict=True)}
    known = release if chosen is None else chosen
    attrs = {} if known is None else {"release": known}
    return xr.Dataset(coords=coords_of(part), attrs=attrs).assign(made)


def _read_trends(raster: DatasetReader, window: Window) -> NDArray[np.uint8]:
    """``(3, y, x)`` counts, 0 where there are none."""
    if raster.count != len(TCVIS_BANDS) or set(raster.dtypes) != {"uint8"}:
        found = f"{raster.count} of {', '.join(sorted(set(raster.dtypes)))}"
        raise SceneError(
            f"'{raster.name}' must have 3 bands of uint8 (TCB_slope, TCG_slope, TCW_slope), but has {found}: it is no TCVIS "
            "raster"
        )
    _check_order(raster.name, raster.descriptions)
    values: NDArray[np.uint8] = raster.read(window=window)
    missing = raster.read_masks(window=window) == 0
    values[:, missing.all(axis=0)] = 0
    return values


def _without_trend(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.logical_not(values.any(axis=0))


def _check_order(path: str | os.PathLike[str], descriptions: Sequence[str | None]) -> None:
    """Refuse bands that say of themselves that they are others."""
    for begin, name, said in zip(_FILE_BANDS, TCVIS_BANDS, descriptions, strict=True):
        if said and not (said.upper().startswith(begin) or said == name):
            found = ", ".join(text or "none" for text in descriptions)
            raise SceneError(
                f"'{path}' must have the bands TCB_slope, TCG_slope, TCW_slope in this order, but they are described as "
                f"{found}: reorder them (gdal_translate -b), or correct the descriptions"
            )
