"""True areas and lengths: on the ellipsoid, not on the map."""

from itertools import pairwise

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_utils.errors import TileContractError


def areas_and_perimeters_m(
    geometries: NDArray[np.object_], crs: str, *, longest_edge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure polygons on the ellipsoid of their CRS.

    Args:
        geometries: ``(N,)`` shapely polygons or multipolygons, with counter-clockwise exteriors and clockwise holes.
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
    parts, owners = shapely.get_parts(shapely.segmentize(geometries, longest_edge), return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    points, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    longitude, latitude = to_lonlat.transform(*points.T)
    ends = np.cumsum(np.bincount(ring_of_point, minlength=len(rings)))
    measured = np.zeros((len(rings), 2))
    for index, (begin, end) in enumerate(pairwise([0, *ends])):
        measured[index] = geod.polygon_area_perimeter(longitude[begin:end], latitude[begin:end])
    totals = np.zeros((len(geometries), 2))
    np.add.at(totals, owners[part_of_ring], measured)
    return np.abs(totals[:, 0]), totals[:, 1]


def pixel_size_m(grid: GeoBox) -> tuple[float, float]:
    """Measure the pixel in the middle of a grid on the ellipsoid, whatever the units and the distortion of its CRS.

    Args:
        grid: North-up grid.

    Returns:
        Width and height in m.

    Raises:
        TileContractError: The CRS is tied to no ellipsoid.

    Examples:
        >>> from odc.geo.geobox import GeoBox
        >>> degrees = GeoBox.from_bbox((-139, 69, -138, 71), "EPSG:4326", shape=(200, 100))
        >>> [round(float(edge)) for edge in pixel_size_m(degrees)]  # the cosine of 70° is 0.34
        [382, 1116]
    """
    to_lonlat, geod = to_ellipsoid(str(grid.crs), consumer="sizes of pixels")
    row, column = grid.shape[0] / 2, grid.shape[1] / 2
    ends = [(column - 0.5, row), (column + 0.5, row), (column, row - 0.5), (column, row + 0.5)]
    left, right, top, bottom = (to_lonlat.transform(*(grid.affine * end)) for end in ends)
    (_, _, width_m), (_, _, height_m) = geod.inv(*left, *right), geod.inv(*top, *bottom)
    return float(width_m), float(height_m)


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
