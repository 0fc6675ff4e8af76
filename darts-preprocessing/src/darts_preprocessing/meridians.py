"""Grids whose longitudes go on beyond ±180°.

The transformation from a tile to longitudes ends at ±180°, so what lies beyond would not be found. Counted from a meridian
in the middle of such a grid, all its longitudes are within ±180°.
"""

import copy
import math
from typing import Any

import pyproj
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

_HALF_TURN_DEG = 180.0
_MERIDIANS_DEG = 45.0
"""Meridians to count from: few, so that windows of one raster count from the same one."""


def counted_from_inside(grid: GeoBox) -> GeoBox:
    """Return the same grid in a CRS in which no longitude is beyond ±180°.

    Args:
        grid: Any grid.

    Returns:
        `grid` itself, unless it is in degrees and reaches beyond ±180°: then the grid counted from a meridian near its
        middle. No pixel moves.
    """
    if grid.crs is None or not grid.crs.geographic or grid.crs.proj.axis_info[0].unit_name != "degree":
        return grid
    left, right = grid.boundingbox.left, grid.boundingbox.right
    shift = _MERIDIANS_DEG * round((left + right) / 2 / _MERIDIANS_DEG)
    if max(-left, right) <= _HALF_TURN_DEG or shift == 0:
        return grid
    affine = grid.affine
    moved = Affine(affine.a, affine.b, affine.c - shift, affine.d, affine.e, affine.f)
    return GeoBox(grid.shape, moved, CRS(_from_meridian(grid.crs.proj, shift).to_wkt()))


def _from_meridian(crs: pyproj.CRS, longitude_deg: float) -> pyproj.CRS:
    """The CRS with the same datum whose longitudes are counted from another meridian."""
    if crs.is_compound:
        crs = crs.sub_crs_list[0]
    if crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    table: dict[str, Any] = copy.deepcopy(crs.to_json_dict())
    ensemble = table.pop("datum_ensemble", None)
    if ensemble is not None:  # an ensemble cannot have a meridian of its own; a datum of its name can
        name = ensemble["name"].removesuffix(" ensemble")
        table["datum"] = {"type": "GeodeticReferenceFrame", "name": name, "ellipsoid": ensemble["ellipsoid"]}
    table.pop("id", None)
    datum = table["datum"]
    datum.pop("id", None)
    own = crs.prime_meridian
    own_deg = 0.0 if own is None else math.degrees(own.longitude * float(own.unit_conversion_factor))
    datum["prime_meridian"] = {"name": "inside the grid", "longitude": own_deg + longitude_deg}
    table["name"] = f"{crs.name}, longitudes from {own_deg + longitude_deg:g}"
    return pyproj.CRS.from_json_dict(table)
