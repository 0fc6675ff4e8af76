"""Where the terrain faces, seen from true north, and how the sun lights it."""

import math
import warnings
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.elevation import FeatureVariable, elevation_of
from darts_preprocessing.terrain_cuda import terrain_feature
from darts_preprocessing.terrain_kernels import aspect_rows, hillshade_rows
from darts_preprocessing.true_north import north_lattice
from darts_utils.batching import batched
from darts_utils.errors import DartsWarning, TileContractError
from darts_utils.grids import tile_id
from darts_utils.tiles import variable

_HIGHEST_DEG = 90.0


def calculate_aspect(tile: xr.Dataset) -> xr.Dataset:
    """Add the direction in which the terrain falls.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.

    Returns:
        The tile plus ``aspect``  (y, x) float32 in degrees, clockwise from true north, at least 0 and below 360; NaN where
        any of the 3 × 3 cells is not finite, in the outermost row and column, and where the ground is flat: it faces
        nowhere.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: The heights are no metres on Earth; the tile's CRS is not projected in metres, or its pixels are
            not square.

    Notes:
        aspect = atan2(−dz/dx, −dz/dy) with Horn's derivatives to the east and to the north, plus the angle from true north
        to the grid's north at the pixel. Runs on NumPy and CuPy; dask arrays are computed.

    References:
        Horn 1981, Hill shading and the reflectance map, doi:10.1109/PROC.1981.11918.
    """
    heights, grid = elevation_of(tile, consumer="calculate_aspect")
    return tile.assign(aspect=aspect(heights, grid=grid))


calculate_aspect_batched = batched(calculate_aspect)


def calculate_hillshade(tile: xr.Dataset) -> xr.Dataset:
    """Add the light that the terrain gets from the sun at the time of the image.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres, and the attributes ``sun_azimuth_deg`` (clockwise from true
            north) and ``sun_elevation_deg`` of its scene.

    Returns:
        The tile plus ``hillshade``  (y, x) float32: cosine of the angle between the sun and the ground's normal, 0 where the
        ground turns away from the sun, at most 1; NaN where any of the 3 × 3 cells is not finite, and in the outermost row
        and column. Shadows cast from elsewhere are not in it. The angles used stand in its attributes.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        TileContractError: As `calculate_aspect`; or the sun is not between the horizon and the zenith.

    Warns:
        DartsWarning: The tile does not say where the sun was: azimuth 225°, elevation 25°.

    Notes:
        hillshade = sin(elevation)·cos(slope) + cos(elevation)·sin(slope)·cos(azimuth − aspect). Runs on NumPy and CuPy;
        dask arrays are computed.

    References:
        Horn 1981, Hill shading and the reflectance map, doi:10.1109/PROC.1981.11918.
    """
    heights, grid = elevation_of(tile, consumer="calculate_hillshade")
    return tile.assign(hillshade=hillshade(heights, grid=grid, sun_deg=sun_angles_deg(tile)))


calculate_hillshade_batched = batched(calculate_hillshade)


def aspect(heights: Any, *, grid: GeoBox, margin_px: int = 0) -> FeatureVariable:
    """`ElevationFeature` of `calculate_aspect`."""
    values = terrain_feature(aspect_rows, heights, north=north_lattice(grid), margin_px=margin_px)
    return variable("aspect", values, source="dem")


def hillshade(heights: Any, *, grid: GeoBox, sun_deg: tuple[float, float], margin_px: int = 0) -> FeatureVariable:
    """`ElevationFeature` of `calculate_hillshade`, for a sun of an azimuth and an elevation."""
    azimuth_deg, elevation_deg = sun_deg
    light = light_from(azimuth_deg=azimuth_deg, elevation_deg=elevation_deg)
    options = float(grid.affine.a), light
    values = terrain_feature(hillshade_rows, heights, *options, north=north_lattice(grid), margin_px=margin_px)
    attrs = dict(sun_azimuth_deg=azimuth_deg, sun_elevation_deg=elevation_deg)
    return variable("hillshade", values, source="dem, sun", **attrs)


def sun_angles_deg(tile: xr.Dataset) -> tuple[float, float]:
    """Azimuth and elevation of the sun, from the tile's attributes or, with a warning, the defaults.

    Args:
        tile: Any tile.

    Raises:
        TileContractError: An angle is not finite, or the sun is not between the horizon and the zenith.
    """
    names = ("sun_azimuth_deg", "sun_elevation_deg")
    if any(name not in tile.attrs for name in names):
        azimuth_deg, elevation_deg = PreprocessingConfig.sun_azimuth_deg, PreprocessingConfig.sun_elevation_deg
        warnings.warn(
            f"tile {tile_id(tile)!r}: it does not say where the sun was (attributes {' and '.join(names)}), so hillshade "
            f"takes azimuth {azimuth_deg:g}° and elevation {elevation_deg:g}°",
            DartsWarning,
            stacklevel=3,
        )
        return azimuth_deg, elevation_deg
    azimuth_deg, elevation_deg = (float(tile.attrs[name]) for name in names)
    if not (math.isfinite(azimuth_deg) and 0 <= elevation_deg <= _HIGHEST_DEG):
        raise TileContractError(
            f"tile {tile_id(tile)!r} must have a sun at an elevation of 0 to 90 degrees, but got azimuth {azimuth_deg:g}, "
            f"elevation {elevation_deg:g}: correct its attributes {' and '.join(names)}"
        )
    return azimuth_deg, elevation_deg


def light_from(*, azimuth_deg: float, elevation_deg: float) -> NDArray[np.float32]:
    """Unit vector towards the sun: east, north, up.

    Examples:
        >>> light_from(azimuth_deg=90, elevation_deg=0).round(6).tolist()
        [1.0, 0.0, 0.0]
    """
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    level = math.cos(elevation)
    return np.array([level * math.sin(azimuth), level * math.cos(azimuth), math.sin(elevation)], "float32")
