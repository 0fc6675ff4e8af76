"""Where a tile lies on the globe, as GeoJSON wants it."""

import numpy as np
import pyproj
import shapely
import shapely.affinity
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_export.ellipsoid import to_ellipsoid
from darts_utils.errors import TileContractError

_DECIMALS = 7  # a centimetre
_TOLERANCE_DEG = 1e-5  # a metre
_POINTS_PER_SIDE = 21  # straight sides on the map are curves in longitude and latitude


def footprint_of(grid: GeoBox) -> tuple[shapely.Geometry, list[float]]:
    """Outline a grid in longitude and latitude.

    Args:
        grid: Grid with a CRS.

    Returns:
        A valid Polygon in EPSG:4326, or a MultiPolygon cut at the antimeridian where the grid crosses it; and the box
        ``[west, south, east, north]`` in degrees, with west > east where it crosses (RFC 7946, section 5.2). A grid
        that holds a pole reaches from -180 to 180 and up (or down) to it.

    Raises:
        TileContractError: The CRS is tied to no ellipsoid, or to that of another planet, or the grid reaches out of what
            the CRS can describe.

    References:
        RFC 7946, section 3.1.9, https://www.rfc-editor.org/rfc/rfc7946#section-3.1.9

    Examples:
        >>> from affine import Affine
        >>> grid = GeoBox((100, 100), Affine(10, 0, 500_000, 0, -10, 7_550_000), "EPSG:32608")
        >>> outline, box = footprint_of(grid)
        >>> outline.geom_type, [round(degrees, 2) for degrees in box]
        ('Polygon', [-135.0, 68.06, -134.98, 68.06])
    """
    longitude, latitude = _ring(grid)
    # Along the ring, longitude goes on beyond ±180 instead of jumping.
    longitude = np.unwrap(longitude, period=360)
    holds_pole = abs(longitude[-1] - longitude[0]) > 180
    if holds_pole:
        pole = 90.0 if latitude.mean() > 0 else -90.0
        longitude = np.append(longitude, [longitude[-1], longitude[0]])
        latitude = np.append(latitude, [pole, pole])
    outline = shapely.Polygon(np.column_stack([longitude, latitude]).round(_DECIMALS))
    unwrapped = shapely.simplify(outline, _TOLERANCE_DEG)
    west, south, east, north = unwrapped.bounds
    pieces = _cut_at_antimeridian(unwrapped)
    if holds_pole:
        return pieces, [-180.0, south, 180.0, north]
    return pieces, [_wrapped(west), south, _wrapped(east), north]


def _ring(grid: GeoBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    height, width = grid.shape
    along = np.linspace(0, 1, _POINTS_PER_SIDE)
    back = along[::-1]
    # Counter-clockwise from the lower left corner, closed.
    columns = np.concatenate([along, np.ones_like(along), back, np.zeros_like(along)]) * width
    rows = np.concatenate([np.ones_like(along), back, np.zeros_like(along), along]) * height
    x = grid.affine.c + grid.affine.a * columns
    y = grid.affine.f + grid.affine.e * rows
    longitude, latitude = _to_wgs84(str(grid.crs)).transform(x, y)
    if not np.isfinite([longitude, latitude]).all():
        raise TileContractError(
            f"footprints need a grid within what its CRS can describe, but got x {x.min():.6g} to {x.max():.6g}, y "
            f"{y.min():.6g} to {y.max():.6g}: write the tile's true CRS and transform with .rio.write_crs and .rio.write_transform"
        )
    return np.asarray(longitude), np.asarray(latitude)


def _to_wgs84(crs: str) -> pyproj.Transformer:
    to_ellipsoid(crs, consumer="footprints")
    try:
        return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise TileContractError(
            f"footprints need a CRS on Earth, but got one that has no way to EPSG:4326 ({error}): write the tile's true CRS "
            "with .rio.write_crs"
        ) from error


def _cut_at_antimeridian(unwrapped: shapely.Geometry) -> shapely.Geometry:
    west, _, east, _ = unwrapped.bounds
    first, last = int((west + 180) // 360), int((east + 180) // 360)
    pieces = []
    for turn in range(first, last + 1):
        window = shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)
        piece = shapely.affinity.translate(unwrapped.intersection(window), xoff=-360 * turn)
        pieces += [part for part in shapely.get_parts(piece) if part.geom_type == "Polygon"]
    joined: shapely.Geometry = shapely.orient_polygons(shapely.union_all(pieces))
    return joined


def _wrapped(longitude: float) -> float:
    return longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180
