"""The way from one grid's coordinates to another's, which leaves heights as they are."""

import pyproj
from odc.geo.geobox import GeoBox
from pyproj import Transformer


def horizontal_way(grid: GeoBox, to_grid: GeoBox) -> Transformer | None:
    """Transform x and y from the CRS of one grid to that of another.

    Args:
        grid: Where coordinates come from.
        to_grid: Where they go.

    Returns:
        The transformer, x before y on both sides; None where both grids have one CRS. Vertical parts of a CRS, such as that of
        ``EPSG:4326+3855``, do not count: PROJ needs a height, and often a file, to transform between them.
    """
    first, second = _horizontal(grid), _horizontal(to_grid)
    return None if first == second else Transformer.from_crs(first, second, always_xy=True)


def _horizontal(grid: GeoBox) -> pyproj.CRS:
    crs = pyproj.CRS(str(grid.crs))
    return crs.sub_crs_list[0] if crs.is_compound else crs.to_2d()
