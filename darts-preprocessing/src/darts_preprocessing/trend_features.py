"""Trends on the grid of a tile: gaps are missing data when they are warped, and 0 afterwards."""

from collections.abc import Collection

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.alignment import align
from darts_preprocessing.decoding import decoded
from darts_utils.variables import TCVIS_BANDS


def trend_features(tcvis: xr.Dataset, *, grid: GeoBox, wanted: Collection[str]) -> xr.Dataset:
    """Warp trends onto a grid.

    Args:
        tcvis: ``tc_brightness``, ``tc_greenness``, ``tc_wetness`` uint8 in their own CRS and grid. Where each of them is 0
            or its fill value there are no data.
        grid: Grid of the tile.
        wanted: Some of the three.

    Returns:
        Dataset on `grid` with those of `wanted`, uint8, 0 where there are no data; ``missing_percent`` in the attributes of
        each is the share of such pixels.
    """
    gap = np.logical_and.reduce([np.nan_to_num(decoded(tcvis[name]), nan=0.0) == 0 for name in TCVIS_BANDS])
    return align(tcvis[[name for name in TCVIS_BANDS if name in wanted]], grid=grid, missing=gap)
