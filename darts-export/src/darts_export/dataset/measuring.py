"""Areas and perimeters on the ellipsoid of polygons on the map of EPSG:3413, in one pass over their vertices."""

import math
from functools import lru_cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS
from darts_export.ellipsoid import areas_and_perimeters_m
from darts_utils.kernels import kernel, over_rows

_REACH_M = 8_000_000.0
"""Distance from the pole on the map, metres, up to which the scale of the map is known here; about 21° N."""
_LARGEST_M = 300_000.0
"""Polygons with longer sides of their box are measured edge by edge as geodesics."""
_LONGEST_EDGE_M = 1_000.0
_DEGREE = 16
_GAUSS = (0.5 - math.sqrt(1 / 12), 0.5 + math.sqrt(1 / 12))
_LEAST_RINGS = 1024


def measured(outlines: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure what straight lines on the map enclose.

    Args:
        outlines: ``(N,)`` polygons or multipolygons in EPSG:3413; empty ones measure 0.

    Returns:
        ``(N,)`` areas in m² on the ellipsoid, holes subtracted, and ``(N,)`` perimeters in m, those of holes included.

    Notes:
        The map is conformal with the scale k, so an area is ∬ k⁻² dx dy, which Green's theorem turns into an integral along
        the outline, and a length is ∫ k⁻¹ ds. k⁻² is a smooth function of the squared distance from the pole; a
        polynomial gives it within 1e-12. The integrals are those of Gauss with two points each way.

    References:
        Snyder 1987, Map Projections: A Working Manual, doi:10.3133/pp1395, equations 15-9, 21-32, 21-33, 21-34.

    Examples:
        >>> area_m2, perimeter_m = measured(np.array([shapely.box(0, 0, 1000, 1000)], dtype=object))
        >>> round(float(area_m2[0])), round(float(perimeter_m[0]))  # at the pole, the map shrinks to 0.9698
        (1063123, 4124)
    """
    totals = np.zeros((len(outlines), 2))
    bounds = shapely.bounds(outlines)
    with np.errstate(invalid="ignore"):  # empty outlines have no bounds
        large = ((bounds[:, 2:] - bounds[:, :2]) > _LARGEST_M).any(axis=1) | (np.abs(bounds) > 0.7 * _REACH_M).any(
            axis=1
        )
    for_kernel = outlines.copy()
    for_kernel[large] = None
    parts, owner = shapely.get_parts(for_kernel, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    ends = np.cumsum(np.bincount(ring, minlength=len(rings)))
    each = np.zeros((len(rings), 2))
    if len(rings):
        over_rows(_measure, len(rings), ends, points, _scale_polynomial(), each, least_rows=_LEAST_RINGS)
    is_hole = np.diff(part, prepend=-1) == 0
    each[is_hole, 0] *= -1
    for column in (0, 1):
        totals[:, column] = np.bincount(owner[part], weights=each[:, column], minlength=len(outlines))
    if large.any():
        oriented = shapely.orient_polygons(outlines[large])
        totals[large] = np.column_stack(areas_and_perimeters_m(oriented, CRS, longest_edge=_LONGEST_EDGE_M))
    return totals[:, 0], totals[:, 1]


@lru_cache(maxsize=1)
def _scale_polynomial() -> NDArray[np.float64]:
    """Coefficients of k⁻², highest first, in z = 2·(x² + y²)/reach² − 1."""
    crs = pyproj.CRS.from_user_input(CRS)
    geod = crs.get_geod()
    if geod is None or crs.coordinate_operation is None:
        raise ValueError(f"expected a projected CRS on an ellipsoid, but got {CRS}")
    true_at = {each.name: each.value for each in crs.coordinate_operation.params}["Latitude of standard parallel"]
    squared, standard = geod.es, math.radians(float(true_at))
    eccentricity = math.sqrt(squared)

    def conformal(latitude: NDArray[np.float64] | float) -> NDArray[np.float64]:
        sine = eccentricity * np.sin(latitude)
        return np.asarray(((1 - sine) / (1 + sine)) ** (eccentricity / 2))

    def parallel(latitude: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(np.cos(latitude) / np.sqrt(1 - squared * np.sin(latitude) ** 2))

    at_standard = math.tan(math.pi / 4 - standard / 2) / conformal(standard)
    z = np.cos((np.arange(4 * _DEGREE) + 0.5) * np.pi / (4 * _DEGREE))
    radius = np.sqrt((z + 1) / 2) * _REACH_M
    t = radius * at_standard / (geod.a * parallel(standard))
    latitude = np.pi / 2 - 2 * np.arctan(t)
    for _ in range(12):
        latitude = np.pi / 2 - 2 * np.arctan(t * conformal(latitude))
    inverse_scale = geod.a * parallel(latitude) / radius
    fitted = np.polynomial.Chebyshev.fit(z, inverse_scale**2, _DEGREE, domain=[-1, 1])
    return np.ascontiguousarray(fitted.convert(kind=np.polynomial.Polynomial).coef[::-1])


@kernel
def _inverse_area_scale(x: float, y: float, coefficients: NDArray[np.float64]) -> float:
    z = 2 * (x * x + y * y) / (_REACH_M * _REACH_M) - 1
    value = 0.0
    for coefficient in coefficients:
        value = value * z + coefficient
    return value


@kernel
def _measure(
    first: int,
    last: int,
    ends: NDArray[np.int64],
    points: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    measured: NDArray[np.float64],
) -> None:
    for ring in range(first, last):
        begin = ends[ring - 1] if ring > 0 else 0
        origin = points[begin, 0]
        area = length = 0.0
        for index in range(begin, ends[ring] - 1):
            x, y = points[index]
            dx, dy = points[index + 1, 0] - x, points[index + 1, 1] - y
            along = inside = 0.0
            for step in _GAUSS:
                here_x, here_y = x + step * dx, y + step * dy
                along += math.sqrt(_inverse_area_scale(here_x, here_y, coefficients))
                for share in _GAUSS:
                    place = origin + share * (here_x - origin)
                    inside += (here_x - origin) * _inverse_area_scale(place, here_y, coefficients)
            length += along / 2 * math.hypot(dx, dy)
            area += inside / 4 * dy
        measured[ring, 0], measured[ring, 1] = abs(area), length
