"""How rough the terrain is."""

from typing import Any

import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.elevation import FeatureVariable, elevation_of
from darts_preprocessing.relative_elevation import check_radius, radius_px
from darts_preprocessing.terrain_cuda import terrain_feature
from darts_preprocessing.terrain_kernels import roughness_rows
from darts_preprocessing.window_kernels import dissection_rows, ruggedness_rows
from darts_utils.batching import batched
from darts_utils.tiles import variable


def calculate_terrain_ruggedness(tile: xr.Dataset) -> xr.Dataset:
    """Add the terrain ruggedness index: how much a pixel's height differs from that of its eight neighbours.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.

    Returns:
        The tile plus ``terrain_ruggedness``  (y, x) float32 in metres; NaN where any of the 3 × 3 cells is not finite, and in
        the outermost row and column.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: The heights are no metres on Earth; the tile's CRS is not projected in metres, or its pixels are
            not square.

    Notes:
        Root of the sum of the eight squared differences. It grows with the pixel size and, unlike vector ruggedness, with
        the slope. Runs on NumPy and CuPy; dask arrays are computed.

    References:
        Riley, DeGloria and Elliot 1999, A terrain ruggedness index that quantifies topographic heterogeneity,
        Intermountain Journal of Sciences 5, 23-27.
    """
    heights, grid = elevation_of(tile, consumer="calculate_terrain_ruggedness")
    return tile.assign(terrain_ruggedness=terrain_ruggedness(heights, grid=grid))


calculate_terrain_ruggedness_batched = batched(calculate_terrain_ruggedness)


def calculate_vector_ruggedness(
    tile: xr.Dataset, *, radius_m: float = PreprocessingConfig.vector_ruggedness_radius_m
) -> xr.Dataset:
    """Add the vector ruggedness measure: how much the ground's normals differ around a pixel, whatever the slope.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.
        radius_m: Half the side of the square window around the pixel's centre; rounded up to whole pixels, at least one.

    Returns:
        The tile plus ``vector_ruggedness``  (y, x) float32, 0 (all normals are parallel) … 1; NaN where a normal of the window
        is unknown: the window and the cells around it hold a height that is not finite, or reach beyond the tile.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: As `calculate_terrain_ruggedness`.
        ValueError: The radius is negative or not finite.

    Notes:
        1 − |Σ n| / N over the N unit normals n of the window, by Horn's derivatives. Runs on NumPy and CuPy; dask arrays
        are computed.

    References:
        Sappington, Longshore and Thompson 2007, Quantifying landscape ruggedness for animal habitat analysis,
        doi:10.2193/2005-723.
    """
    check_radius(radius_m)
    heights, grid = elevation_of(tile, consumer="calculate_vector_ruggedness")
    return tile.assign(vector_ruggedness=vector_ruggedness(heights, grid=grid, radius_m=radius_m))


calculate_vector_ruggedness_batched = batched(calculate_vector_ruggedness)


def calculate_dissection(tile: xr.Dataset, *, radius_m: float = PreprocessingConfig.dissection_radius_m) -> xr.Dataset:
    """Add the dissection index: where a pixel lies between the lowest and the highest height around it.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.
        radius_m: Half the side of the square window around the pixel's centre; rounded up to whole pixels, at least one.

    Returns:
        The tile plus ``dissection``  (y, x) float32, 0 (lowest) … 1 (highest); NaN where the window holds a height that is not
        finite or reaches beyond the tile, and where it is level.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: As `calculate_terrain_ruggedness`.
        ValueError: The radius is negative or not finite.

    Notes:
        (z − min) / (max − min) of the window. Runs on NumPy and CuPy; dask arrays are computed.

    References:
        Evans 1972, General geomorphometry, derivatives of altitude, and descriptive statistics, in Chorley (ed.), Spatial
        Analysis in Geomorphology, 17-90.
    """
    check_radius(radius_m)
    heights, grid = elevation_of(tile, consumer="calculate_dissection")
    return tile.assign(dissection=dissection(heights, grid=grid, radius_m=radius_m))


calculate_dissection_batched = batched(calculate_dissection)


def terrain_ruggedness(heights: Any, *, grid: GeoBox, margin_px: int = 0) -> FeatureVariable:
    """`ElevationFeature` of `calculate_terrain_ruggedness`."""
    return variable("terrain_ruggedness", terrain_feature(roughness_rows, heights, margin_px=margin_px), source="dem")


def vector_ruggedness(
    heights: Any,
    *,
    grid: GeoBox,
    margin_px: int = 0,
    radius_m: float = PreprocessingConfig.vector_ruggedness_radius_m,
) -> FeatureVariable:
    """`ElevationFeature` of `calculate_vector_ruggedness`."""
    step_m = float(grid.affine.a)
    options = step_m, window_px(radius_m, resolution_m=step_m)
    values = terrain_feature(ruggedness_rows, heights, *options, margin_px=margin_px)
    return variable("vector_ruggedness", values, source=f"dem, within {radius_m:g} m")


def dissection(
    heights: Any, *, grid: GeoBox, margin_px: int = 0, radius_m: float = PreprocessingConfig.dissection_radius_m
) -> FeatureVariable:
    """`ElevationFeature` of `calculate_dissection`."""
    options = (window_px(radius_m, resolution_m=float(grid.affine.a)),)
    values = terrain_feature(dissection_rows, heights, *options, margin_px=margin_px)
    return variable("dissection", values, source=f"dem, within {radius_m:g} m")


def window_px(radius_m: float, *, resolution_m: float) -> int:
    """Radius of a square window in pixels: rounded up, at least one."""
    return max(1, radius_px(radius_m, resolution_m=resolution_m))
