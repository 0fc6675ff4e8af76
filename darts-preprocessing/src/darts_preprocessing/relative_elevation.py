"""Height above the mean of the surroundings (topographic position)."""

import math
from typing import Any

import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.disc_kernels import minus_mean_around
from darts_preprocessing.elevation import FeatureVariable, elevation_of
from darts_utils.batching import batched
from darts_utils.tiles import variable

_ROUNDING_PX = 1e-6
"""A radius this little above a whole number of pixels is that number: the pixel size has rounding errors."""


def check_radius(radius_m: float) -> None:
    """Raise if a radius makes no sense.

    Raises:
        ValueError: It is negative or not finite.
    """
    if not (math.isfinite(radius_m) and radius_m >= 0):
        raise ValueError(f"expected a radius of at least 0 m, but got {radius_m}")


def check_radii(*, outer_radius_m: float, inner_radius_m: float) -> None:
    """Raise if the radii of a neighbourhood make no sense.

    Raises:
        ValueError: A radius is negative or not finite, or the inner one is not smaller than the outer one; so an outer radius
            of 0, around which there is nothing to compare with, is refused.
    """
    check_radius(outer_radius_m)
    check_radius(inner_radius_m)
    if inner_radius_m >= outer_radius_m:
        raise ValueError(
            f"expected an inner radius below the outer one, but got {inner_radius_m:g} m and {outer_radius_m:g} m"
        )


def radius_px(radius_m: float, *, resolution_m: float) -> int:
    """Radius in pixels, rounded up.

    Examples:
        >>> radius_px(100, resolution_m=3.0), radius_px(100, resolution_m=9.999999999999998)
        (34, 10)
    """
    return math.ceil(radius_m / resolution_m - _ROUNDING_PX)


def calculate_relative_elevation(
    tile: xr.Dataset,
    *,
    outer_radius_m: float = PreprocessingConfig.tpi_outer_radius_m,
    inner_radius_m: float = PreprocessingConfig.tpi_inner_radius_m,
) -> xr.Dataset:
    """Add the elevation relative to the mean of the surroundings.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.
        outer_radius_m: Radius of the surroundings, above 0; rounded up to whole pixels.
        inner_radius_m: 0 for a disc that includes the centre, above 0 for an annulus.

    Returns:
        The tile plus ``relative_elevation``  (y, x) float32 in metres: dem − mean of the finite pixels around; NaN where
        the centre is NaN or the surroundings hold no finite pixel. Beyond the tile's edge there are no pixels. Its
        attributes ``outer_radius_m`` and ``inner_radius_m`` are the radii; models compare them with their own.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        ValueError: A radius is negative or not finite, or the inner one is not smaller than the outer one.
        TileContractError: The heights are no metres on Earth; the tile's CRS is not projected in metres, or its pixels are
            not square.

    Notes:
        A pixel belongs to the surroundings if ``inner² ≤ dx² + dy² ≤ outer²``. Means are exact (whole numbers of 2⁻²⁰ m), so the
        result is the same in every window that holds the surroundings, and does not depend on the number of threads. The
        radius may exceed the tile: then all of the tile is around every pixel. Time grows with the radius, not its square.
        Runs on NumPy and CuPy; dask arrays are computed.

    References:
        Weiss 2001, Topographic position and landforms analysis, ESRI user conference.
    """
    check_radii(outer_radius_m=outer_radius_m, inner_radius_m=inner_radius_m)
    heights, grid = elevation_of(tile, consumer="calculate_relative_elevation")
    made = relative_elevation(heights, grid=grid, outer_radius_m=outer_radius_m, inner_radius_m=inner_radius_m)
    return tile.assign(relative_elevation=made)


calculate_relative_elevation_batched = batched(calculate_relative_elevation)


def relative_elevation(
    heights: Any, *, grid: GeoBox, outer_radius_m: float, inner_radius_m: float, margin_px: int = 0
) -> FeatureVariable:
    """`ElevationFeature` of `calculate_relative_elevation`.

    ``partial_percent`` in its attributes is the share of values whose surroundings are not known as a whole;
    ``outer_radius_m`` and ``inner_radius_m`` tell models what it is relative to.
    """
    outer_px, inner_px = (
        radius_px(each, resolution_m=float(grid.affine.a)) for each in (outer_radius_m, inner_radius_m)
    )
    if inner_px >= outer_px and inner_px > 0:
        raise ValueError(f"expected an inner radius below the outer one, but got {inner_px} px and {outer_px} px")
    values, partial = minus_mean_around(heights, outer_px=outer_px, inner_px=inner_px, margin_px=margin_px)
    source = f"dem, mean within {outer_radius_m:g} m" + (f" beyond {inner_radius_m:g} m" if inner_radius_m else "")
    percent = round(100.0 * partial / values.size, 4)
    radii_m = {"outer_radius_m": float(outer_radius_m), "inner_radius_m": float(inner_radius_m)}
    return variable("relative_elevation", values, source=source, partial_percent=percent, **radii_m)
