"""From the map to longitude and latitude: straight edges stay where they are, and nothing crosses the antimeridian."""

from functools import cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from darts_export.dataset.archive import repair
from darts_export.dataset.config import CRS

GEOGRAPHIC_CRS = "EPSG:4326"
"""The CRS of the results, with longitude before latitude as GeoJSON, GeoParquet and GeoPackage have it."""

_TOLERANCE_M = 0.01
"""A straight edge of the map is a curve in longitude and latitude: how far the edges of the result may be off."""

_ON_LINE_M = 1e-6
"""What is this near to the line of the meridians 0 and 180 is on it."""

_FAR_M = 3e7
"""Beyond everything that the map shows."""

_GRID_DEG = 1e-9
"""Two halves that meet at Greenwich are joined where they agree within 0.1 mm."""

_ANTIMERIDIAN = shapely.LineString([(0, 0), (-_FAR_M, _FAR_M)])
"""On the map of EPSG:3413, from the pole; its other half is the meridian of Greenwich."""

_EAST, _WEST = shapely.box(0, -_FAR_M, _FAR_M, _FAR_M), shapely.box(-_FAR_M, -_FAR_M, 0, _FAR_M)
"""The hemispheres on the map turned by 45°, on which the meridians 0 and 180 are the line u = 0."""

Points = NDArray[np.float64]


def to_geographic(outlines: NDArray[np.object_]) -> NDArray[np.object_]:
    """Transform polygons from EPSG:3413 to EPSG:4326.

    Args:
        outlines: ``(N,)`` valid polygons and multipolygons in EPSG:3413, some perhaps empty.

    Returns:
        ``(N,)`` valid polygons and multipolygons with counter-clockwise exteriors, longitudes within ±180. What crosses the
        antimeridian is cut there; what holds the pole reaches from -180 to 180 and up to 90.

    Notes:
        Points are put on long edges until these are within 1 cm of the straight ones of the map. An edge that the pole sees
        under the angle Δθ, and whose length is L, is off by at most Δθ·L/4. Cuts are made on the map, where the antimeridian is
        a straight line and the pole an ordinary point.

    References:
        RFC 7946, section 3.1.9, https://www.rfc-editor.org/rfc/rfc7946#section-3.1.9

    Examples:
        >>> at_the_pole = shapely.box(-1000, -1000, 1000, 1000)
        >>> [round(degrees, 2) for degrees in to_geographic(np.array([at_the_pole]))[0].bounds]
        [-180.0, 89.99, 180.0, 90.0]
    """
    result = np.full(len(outlines), shapely.MultiPolygon(), dtype=object)
    filled = ~shapely.is_empty(outlines)
    crossing = filled & shapely.intersects(outlines, _ANTIMERIDIAN)
    plain = filled & ~crossing
    result[plain] = _transformed(outlines[plain])
    result[crossing] = [_cut(outline) for outline in outlines[crossing]]
    return np.asarray(shapely.orient_polygons(repair(result)[0]), dtype=object)


def _transformed(outlines: NDArray[np.object_]) -> NDArray[np.object_]:
    if len(outlines) == 0:
        return outlines
    parts, owners = shapely.get_parts(outlines, return_index=True)
    _, points, (rings, polygons, wholes) = shapely.to_ragged_array(shapely.multipolygons(parts, indices=owners))
    points, rings = _densified(points, rings)
    several = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, _degrees(points), (rings, polygons, wholes))
    single = shapely.get_type_id(outlines) == shapely.GeometryType.POLYGON
    return np.asarray(np.where(single, shapely.get_geometry(several, 0), several), dtype=object)


def _densified(points: Points, offsets: NDArray[np.int64]) -> tuple[Points, NDArray[np.int64]]:
    """Halve edges, until each is straight in degrees too.

    Args:
        points: ``(M, 2)`` of closed rings, one after the other.
        offsets: ``(R + 1,)`` where rings begin; the last one is M.
    """
    points, offsets = np.asarray(points), np.asarray(offsets, dtype="int64")
    while True:
        begin, end = points[:-1], points[1:]
        cross = begin[:, 0] * end[:, 1] - begin[:, 1] * end[:, 0]
        angle = np.abs(np.arctan2(cross, (begin * end).sum(axis=1)))
        angle[~(begin.any(axis=1) & end.any(axis=1))] = 0  # edges that begin or end at the pole are meridians
        curved = angle * np.hypot(*(end - begin).T) > 4 * _TOLERANCE_M
        curved[offsets[1:-1] - 1] = False  # from ring to ring there is no edge
        where = np.flatnonzero(curved) + 1
        if len(where) == 0:
            return points, offsets
        points = np.insert(points, where, (points[where - 1] + points[where]) / 2, axis=0)
        offsets = offsets + np.searchsorted(where, offsets)


def _degrees(points: Points) -> Points:
    return np.column_stack(_to_degrees().transform(points[:, 0], points[:, 1]))


@cache
def _to_degrees() -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(CRS, GEOGRAPHIC_CRS, always_xy=True)


def _cut(outline: shapely.Geometry) -> shapely.Geometry:
    """Transform one outline that the antimeridian meets."""
    turned = shapely.transform(outline, lambda points: _turned(points))
    pieces = []
    for side, half in ((1, _EAST), (-1, _WEST)):
        parts = shapely.get_parts(shapely.intersection(turned, half))
        for part in parts[shapely.get_dimensions(parts) == 2]:
            rings = [_ring(shapely.get_coordinates(ring), side) for ring in shapely.get_rings(part)]
            pieces.append(shapely.Polygon(rings[0], rings[1:]))
    valid, _ = repair(np.array(pieces, dtype=object))
    return shapely.union_all(valid, grid_size=_GRID_DEG)


def _turned(points: Points) -> Points:
    """Turn the map, so that the antimeridian points up and east is to the right of it; twice is not at all."""
    x, y = points.T
    return np.asarray(np.column_stack([x + y, y - x]) * np.sqrt(0.5))


def _turned_back(points: Points) -> Points:
    u, v = points.T
    return np.asarray(np.column_stack([u - v, u + v]) * np.sqrt(0.5))


def _ring(points: Points, side: int) -> Points:
    """Transform a ring that lies in one hemisphere of the turned map: 1 the eastern, -1 the western one."""
    points[np.abs(points[:, 0]) < _ON_LINE_M, 0] = 0
    points[np.abs(points).max(axis=1) < _ON_LINE_M] = 0
    through = (points[:-1, 0] == 0) & (points[1:, 0] == 0) & (points[:-1, 1] * points[1:, 1] < 0)
    points = np.insert(points, np.flatnonzero(through) + 1, 0, axis=0)
    dense, _ = _densified(points, np.array([0, len(points)]))
    degrees = _degrees(_turned_back(dense))
    on_line = dense[:, 0] == 0
    degrees[on_line, 0] = np.where(dense[on_line, 1] > 0, 180.0 * side, 0.0)
    return _with_pole(degrees, (dense == 0).all(axis=1))


def _with_pole(degrees: Points, is_pole: NDArray[np.bool_]) -> Points:
    """Let a ring run along the pole from the meridian on which it comes to that on which it goes."""
    if not is_pole.any():
        return degrees
    start = int(np.flatnonzero(~is_pole)[0])
    order = np.roll(np.arange(len(degrees) - 1), -start)  # the ring opened, to begin away from the pole
    degrees, is_pole = degrees[:-1][order], is_pole[:-1][order]
    where = np.flatnonzero(is_pole)
    before, after = degrees[where - 1, 0], degrees[(where + 1) % len(degrees), 0]
    degrees[where] = np.column_stack([before, np.full(len(where), 90.0)])
    degrees = np.insert(degrees, where + 1, np.column_stack([after, np.full(len(where), 90.0)]), axis=0)
    return np.vstack([degrees, degrees[:1]])
