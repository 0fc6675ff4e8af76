"""How well found outlines agree with known ones."""

from dataclasses import dataclass

import geopandas as gpd

SQUARE_METRES_PER_HECTARE = 10_000.0


@dataclass(frozen=True)
class Overlap:
    """Agreement of found with known outlines in the area where the result is trusted."""

    iou: float
    """Area in both divided by area in either, 0 … 1; NaN where neither has any."""
    known: int
    """Number of known outlines that lie wholly in the trusted area."""
    known_hit: int
    """Number of those that a found outline touches."""
    known_cut: int
    """Number of known outlines that its edge cuts; they count neither as known nor in `iou`."""
    found_area_ha: float
    """Area of the found outlines, on the map's plane."""


def measure_overlap(found: gpd.GeoDataFrame, known: gpd.GeoDataFrame, *, extent: gpd.GeoDataFrame) -> Overlap:
    """Compare found with known outlines.

    Args:
        found: Found outlines, all within `extent`; objects that reach out of it are dropped by default, so known ones that
            do are left out, too.
        known: Known outlines, in any CRS.
        extent: Where the result is trusted, in any CRS.

    Returns:
        The agreement; areas are those in the CRS of `found`, which is one in metres.

    Examples:
        >>> from shapely.geometry import box
        >>> frame = lambda *shapes: gpd.GeoDataFrame(geometry=list(shapes), crs="EPSG:32608")
        >>> known = frame(box(0, 100, 100, 300), box(80, 0, 120, 50))
        >>> measure_overlap(frame(box(0, 0, 100, 200)), known, extent=frame(box(0, 0, 100, 300)))
        Overlap(iou=0.333..., known=1, known_hit=1, known_cut=1, found_area_ha=2.0)
    """
    trusted = extent.to_crs(found.crs).union_all()
    reaching = known.to_crs(found.crs).loc[lambda frame: frame.intersects(trusted)]
    inside = reaching[reaching.within(trusted)]
    mapped, reference = found.union_all(), inside.union_all()
    either = mapped.union(reference).area
    return Overlap(
        iou=mapped.intersection(reference).area / either if either else float("nan"),
        known=len(inside),
        known_hit=int(inside.intersects(mapped).sum()),
        known_cut=len(reaching) - len(inside),
        found_area_ha=mapped.area / SQUARE_METRES_PER_HECTARE,
    )
