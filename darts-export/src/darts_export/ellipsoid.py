"""True areas and lengths: on the ellipsoid, not on the map."""

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from darts_utils.errors import TileContractError


def areas_and_perimeters_m(
    geometries: NDArray[np.object_], crs: str, *, longest_edge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure polygons on the ellipsoid of their CRS.

    Args:
        geometries: ``(N,)`` shapely polygons or multipolygons, with counter-clockwise exteriors.
        crs: Their CRS, anything pyproj understands.
        longest_edge: Edges are cut into pieces no longer than this, in units of the CRS, before they are measured as
            geodesics: a straight line on the map is a curve on the ellipsoid.

    Returns:
        ``(N,)`` areas in m², holes subtracted, and ``(N,)`` perimeters in m, outlines of holes included.

    Raises:
        TileContractError: The CRS is tied to no ellipsoid.

    References:
        Karney 2013, Algorithms for geodesics, doi:10.1007/s00190-012-0578-z

    Examples:
        >>> square = np.array([shapely.box(500_000, 7_550_000, 501_000, 7_551_000)], dtype=object)
        >>> area_m2, perimeter_m = areas_and_perimeters_m(square, "EPSG:32608", longest_edge=1000)
        >>> round(float(area_m2[0])), round(float(perimeter_m[0]), 1)  # UTM shrinks by 0.9996 at its central meridian
        (1000800, 4001.6)
    """
    to_lonlat, geod = to_ellipsoid(crs, consumer="areas")
    lonlat = shapely.transform(
        shapely.segmentize(geometries, longest_edge), lambda x, y: to_lonlat.transform(x, y), interleaved=False
    )
    areas = np.array([abs(geod.geometry_area_perimeter(each)[0]) for each in lonlat], dtype="float64")
    perimeters = np.array([geod.geometry_length(each.boundary) for each in lonlat], dtype="float64")
    return areas, perimeters


def to_ellipsoid(crs: str, *, consumer: str) -> tuple[pyproj.Transformer, pyproj.Geod]:
    """Return the way from a map to longitude and latitude on its ellipsoid, and the ellipsoid.

    Args:
        crs: Any CRS that pyproj understands.
        consumer: What needs it, in the plural, for the message.

    Raises:
        TileContractError: The CRS is tied to no ellipsoid.
    """
    projected = pyproj.CRS.from_user_input(crs)
    geod, geographic = projected.get_geod(), projected.geodetic_crs
    if geod is None or geographic is None:
        raise TileContractError(
            f"{consumer} need a CRS tied to an ellipsoid, but got {projected.name!r}: write the tile's true CRS with .rio.write_crs"
        )
    return pyproj.Transformer.from_crs(projected, geographic, always_xy=True), geod
