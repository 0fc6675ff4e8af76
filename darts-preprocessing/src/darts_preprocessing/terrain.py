"""Form of the terrain in 3 × 3 pixels: slope and curvature."""

from typing import Any

import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.elevation import FeatureVariable, elevation_of
from darts_preprocessing.terrain_cuda import terrain_feature
from darts_preprocessing.terrain_kernels import curvature_rows, slope_rows
from darts_utils.batching import batched
from darts_utils.tiles import variable


def calculate_slope(tile: xr.Dataset) -> xr.Dataset:
    """Add the slope of the terrain.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.

    Returns:
        The tile plus ``slope``  (y, x) float32 in degrees, 0 … 90; NaN where any of the 3 × 3 cells is not finite (the
        formula does not read the centre, but a missing centre has no slope), and in the outermost row and column.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: The heights are no metres on Earth; the tile's CRS is not projected in metres, or its pixels are
            not square.

    Notes:
        With the cells a b c / d e f / g h i: dz/dx = ((c + 2f + i) − (a + 2d + g)) / 8·res, dz/dy likewise,
        slope = atan(hypot(dz/dx, dz/dy)). In float32, within 1e-4 degrees of float64. Runs on NumPy and CuPy; dask arrays
        are computed.

    References:
        Horn 1981, Hill shading and the reflectance map, doi:10.1109/PROC.1981.11918.
    """
    heights, grid = elevation_of(tile, consumer="calculate_slope")
    return tile.assign(slope=slope(heights, grid=grid))


calculate_slope_batched = batched(calculate_slope)


def calculate_curvature(tile: xr.Dataset) -> xr.Dataset:
    """Add the curvature of the terrain: positive on ridges and edges, negative in hollows, 0 on any plane.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.

    Returns:
        The tile plus ``curvature``  (y, x) float32 in 1/m; NaN where any of the 3 × 3 cells is not finite, and in the
        outermost row and column.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: As `calculate_slope`.

    Notes:
        curvature = −∇²z = (4e − b − d − f − h) / res², which is −2(D + E) of Zevenbergen and Thorne, the "standard
        curvature" of GIS software; some of it multiplies by 100. Runs on NumPy and CuPy; dask arrays are computed.

    References:
        Zevenbergen and Thorne 1987, Quantitative analysis of land surface topography, doi:10.1002/esp.3290120107.
    """
    heights, grid = elevation_of(tile, consumer="calculate_curvature")
    return tile.assign(curvature=curvature(heights, grid=grid))


calculate_curvature_batched = batched(calculate_curvature)


def slope(heights: Any, *, grid: GeoBox, margin_px: int = 0) -> FeatureVariable:
    """`ElevationFeature` of `calculate_slope`."""
    values = terrain_feature(slope_rows, heights, float(grid.affine.a), margin_px=margin_px)
    return variable("slope", values, source="dem")


def curvature(heights: Any, *, grid: GeoBox, margin_px: int = 0) -> FeatureVariable:
    """`ElevationFeature` of `calculate_curvature`."""
    values = terrain_feature(curvature_rows, heights, float(grid.affine.a), margin_px=margin_px)
    return variable("curvature", values, source="dem")
