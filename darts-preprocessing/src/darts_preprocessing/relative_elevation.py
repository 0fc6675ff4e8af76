"""Height above the mean of the surroundings (topographic position)."""

import math

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_preprocessing.config import PreprocessingConfig
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed, scipy_namespace
from darts_utils.grids import resolution_m
from darts_utils.tiles import require_variables, variable

_ROUNDING_PX = 1e-6
"""A radius this little above a whole number of pixels is that number: the pixel size has rounding errors."""


def check_radii(*, outer_radius_m: float, inner_radius_m: float) -> None:
    """Raise if the radii of a neighbourhood make no sense.

    Raises:
        ValueError: A radius is negative or not finite, or the inner one is not smaller than the outer one.
    """
    for radius_m in (outer_radius_m, inner_radius_m):
        if not (math.isfinite(radius_m) and radius_m >= 0):
            raise ValueError(f"expected a radius of at least 0 m, but got {radius_m}")
    if inner_radius_m >= outer_radius_m and inner_radius_m > 0:
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


def reach_px(outer_radius_m: float, *, resolution_m: float) -> int:
    """How far features of an elevation model look beyond a pixel: the radius, and one more for the slope."""
    return radius_px(outer_radius_m, resolution_m=resolution_m) + 1


def neighbourhood(*, outer_px: int, inner_px: int = 0) -> NDArray[np.float64]:
    """Footprint of a disc (``inner_px`` 0, centre included) or an annulus, as 0 and 1.

    A pixel belongs to it if ``inner² ≤ dx² + dy² ≤ outer²``.

    Raises:
        ValueError: The inner radius is not smaller than the outer one.

    Examples:
        >>> neighbourhood(outer_px=1)
        array([[0., 1., 0.],
               [1., 1., 1.],
               [0., 1., 0.]])
    """
    if not (0 <= inner_px < outer_px or inner_px == outer_px == 0):
        raise ValueError(f"expected an inner radius below the outer one, but got {inner_px} px and {outer_px} px")
    offsets = np.arange(-outer_px, outer_px + 1)
    squared = offsets[:, None] ** 2 + offsets[None, :] ** 2
    return ((squared <= outer_px**2) & (squared >= inner_px**2)).astype("float64")


def footprint_of(outer_radius_m: float, inner_radius_m: float, *, resolution_m: float) -> NDArray[np.float64]:
    """Footprint of the neighbourhood between two radii in metres, see `neighbourhood`."""
    outer_px, inner_px = (radius_px(radius, resolution_m=resolution_m) for radius in (outer_radius_m, inner_radius_m))
    return neighbourhood(outer_px=outer_px, inner_px=inner_px)


def calculate_relative_elevation(
    tile: xr.Dataset,
    *,
    outer_radius_m: float = PreprocessingConfig.tpi_outer_radius_m,
    inner_radius_m: float = PreprocessingConfig.tpi_inner_radius_m,
) -> xr.Dataset:
    """Add the elevation relative to the mean of the surroundings.

    Args:
        tile: Tile with ``dem``  (y, x) float32 in metres.
        outer_radius_m: Radius of the surroundings; rounded up to whole pixels.
        inner_radius_m: 0 for a disc that includes the centre, above 0 for an annulus.

    Returns:
        The tile plus ``relative_elevation``  (y, x) float32 in metres: dem − mean of the finite pixels around; NaN where
        the centre is NaN or the surroundings hold no finite pixel. Beyond the tile's edge there are no pixels.

    Raises:
        MissingVariableError: The tile has no ``dem``.
        ValueError: A radius is negative or not finite, or the inner one is not smaller than the outer one.
        TileContractError: The tile's CRS is not projected in metres, or its pixels are not square.

    Notes:
        The two sums (heights, counts) are FFT convolutions in float64 of heights minus their mean; the error is far
        below 1e-5 of the relief.

    References:
        Weiss 2001, Topographic position and landforms analysis, ESRI user conference.
    """
    require_variables(tile, ["dem"], consumer="calculate_relative_elevation", hint="align an elevation model first")
    check_radii(outer_radius_m=outer_radius_m, inner_radius_m=inner_radius_m)
    footprint = footprint_of(outer_radius_m, inner_radius_m, resolution_m=resolution_m(tile))
    values = relative_to_mean(computed(tile["dem"].data), footprint)
    source = f"dem, mean within {outer_radius_m:g} m" + (f" beyond {inner_radius_m:g} m" if inner_radius_m else "")
    return tile.assign(relative_elevation=variable("relative_elevation", values, source=source))


calculate_relative_elevation_batched = batched(calculate_relative_elevation)


def relative_to_mean(dem: NDArray[np.float32], footprint: NDArray[np.float64]) -> NDArray[np.float32]:
    """``(y, x)`` heights minus the mean of the finite heights under the footprint, float32."""
    xp = array_namespace(dem)
    signal = scipy_namespace("signal", dem)
    finite = xp.isfinite(dem)
    if not bool(finite.any()):
        return xp.full(dem.shape, xp.float32("nan"), dtype="float32")  # type: ignore[no-any-return]
    heights = xp.where(finite, dem, xp.float32(0)).astype("float64")
    heights -= heights.sum() / finite.sum()
    heights[~finite] = 0.0
    kernel = xp.asarray(footprint)
    sums = signal.fftconvolve(heights, kernel, mode="same")
    counts = xp.rint(signal.fftconvolve(finite.astype("float64"), kernel, mode="same"))
    known = finite & (counts > 0)
    return xp.where(known, heights - sums / xp.maximum(counts, 1), xp.nan).astype("float32")  # type: ignore[no-any-return]


def looks_at_gaps(known: NDArray[np.bool_], footprint: NDArray[np.float64]) -> NDArray[np.bool_]:
    """``(y, x)`` True where a pixel under the footprint is not known; pixels beyond the array count as known."""
    if bool(known.all()):
        return known & False
    xp = array_namespace(known)
    signal = scipy_namespace("signal", known)
    gaps = signal.fftconvolve((~known).astype("float64"), xp.asarray(footprint), mode="same")
    return gaps > 0.5  # type: ignore[no-any-return]
