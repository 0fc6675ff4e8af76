"""What every verb on elevation asks of its tile, and what features of elevation have in common.

A feature is a function of heights and the grid of its result; the heights may reach beyond that by a margin on each side. The
verbs call it for a tile, `darts_preprocessing.preprocess` for heights that were aligned with a margin.
"""

from typing import Any, Protocol

import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.heights import HIGHEST_M, LOWEST_M, implausible_heights
from darts_preprocessing.terrain_kernels import count_outside
from darts_utils.device import array_namespace, computed, is_cupy, to_numpy
from darts_utils.errors import TileContractError
from darts_utils.grids import geobox_of, resolution_m, tile_id
from darts_utils.kernels import over_rows
from darts_utils.tiles import require_variables

FeatureVariable = tuple[tuple[str, str], Any, dict[str, Any]]
"""Dims, ``(y, x)`` float32 and attributes, as `darts_utils.tiles.variable` makes them."""


class ElevationFeature(Protocol):
    """A feature of heights."""

    def __call__(self, heights: Any, *, grid: GeoBox, margin_px: int = 0) -> FeatureVariable:
        """Make the feature.

        Args:
            heights: ``(y + 2·margin, x + 2·margin)`` float32 metres, not finite where unknown; NumPy or CuPy.
            grid: Grid of the result, ``(y, x)``.
            margin_px: How far `heights` reach beyond it, on each side.
        """
        ...


def elevation_of(tile: xr.Dataset, *, consumer: str) -> tuple[Any, GeoBox]:
    """Take the heights of a tile, and its grid.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.
        consumer: The verb, for messages.

    Returns:
        ``(y, x)`` heights, NumPy or CuPy; their grid, in metres with square pixels.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: The heights are no metres on Earth; the tile's CRS is not projected in metres, or its pixels are
            not square.
    """
    require_variables(tile, ["dem"], consumer=consumer, hint="align an elevation model first")
    resolution_m(tile)  # raises where the grid is not in metres, or pixels are not square
    dem = computed(tile["dem"].data)
    if _outside(dem) > 0:
        finite = to_numpy(dem)
        xp = array_namespace(finite)
        wrong = implausible_heights(xp.where(xp.isfinite(finite), finite, xp.nan))
        raise TileContractError(f"'dem' of tile {tile_id(tile)!r} {wrong}")
    return dem, geobox_of(tile)


def _outside(dem: Any) -> int:
    if is_cupy(dem):
        xp = array_namespace(dem)
        return int((xp.isfinite(dem) & ((dem < LOWEST_M) | (dem > HIGHEST_M))).sum())
    return sum(over_rows(count_outside, dem.shape[0], dem, LOWEST_M, HIGHEST_M))
