"""Simpler outlines that stay apart."""

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray


def simplify_outlines(outlines: NDArray[np.object_], *, tolerance: float) -> NDArray[np.object_]:
    """Take from outlines the corners that matter least, the steps along the edges of pixels above all.

    Args:
        outlines: ``(N,)`` valid shapely polygons and multipolygons whose interiors do not overlap; they may touch.
        tolerance: Roughly the size of the details that are lost, in units of the coordinates: the square root of the area of the
            largest triangle between three neighbouring corners that may be cut off or filled. 0 changes nothing.

    Returns:
        ``(N,)`` of the same kind: valid, oriented, no two interiors overlap, every polygon has as many parts as before. One for
        which that does not hold keeps its outline.

    References:
        Visvalingam & Whyatt 1993, Line generalisation by repeated elimination of points, doi:10.1179/000870493786962263

    Examples:
        >>> steps = shapely.Polygon([(0, 0), (4, 0), (4, 4), (3, 4), (3, 3), (2, 3), (2, 2), (1, 2), (1, 1), (0, 1)])
        >>> (simple,) = simplify_outlines(np.array([steps], dtype=object), tolerance=1)
        >>> shapely.get_num_coordinates([steps, simple]).tolist()
        [11, 5]
    """
    if tolerance == 0 or not len(outlines):
        return outlines
    simple = shapely.orient_polygons(shapely.coverage_simplify(outlines, tolerance))
    is_simple = _are_whole(simple, like=outlines)
    while True:
        result: NDArray[np.object_] = np.where(is_simple, simple, outlines)
        overlapping = _overlapping(result) & is_simple  # the outlines as they were do not overlap each other
        if not overlapping.any():
            return result
        is_simple &= ~overlapping


def map_units_per_metre(crs: str) -> float:
    """Say how long a metre is in the units of a CRS: 1 for metres; for degrees, as along a meridian.

    Args:
        crs: Anything pyproj understands.

    Examples:
        >>> map_units_per_metre("EPSG:32608"), round(1 / map_units_per_metre("EPSG:4326"))
        (1.0, 111319)
    """
    found = pyproj.CRS.from_user_input(crs)
    unit = float(found.axis_info[0].unit_conversion_factor)  # metres or radians
    if not found.is_geographic or found.ellipsoid is None:
        return 1 / unit
    return 1 / (unit * found.ellipsoid.semi_major_metre)


def _are_whole(simple: NDArray[np.object_], *, like: NDArray[np.object_]) -> NDArray[np.bool_]:
    whole: NDArray[np.bool_] = (
        shapely.is_valid(simple)
        & (shapely.area(simple) > 0)
        & (shapely.get_type_id(simple) == shapely.get_type_id(like))
        & (shapely.get_num_geometries(simple) == shapely.get_num_geometries(like))
    )
    return whole


def _overlapping(polygons: NDArray[np.object_]) -> NDArray[np.bool_]:
    one, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    pairs = one < other
    one, other = one[pairs], other[pairs]
    share_area = shapely.relate_pattern(polygons[one], polygons[other], "T********")
    found = np.zeros(len(polygons), dtype=bool)
    found[one[share_area]] = found[other[share_area]] = True
    return found
