"""From EPSG:3413 to EPSG:4326: against areas on the ellipsoid, the way back, and what RFC 7946 asks for."""

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset.publishing.geographic import to_geographic
from darts_export.ellipsoid import areas_and_perimeters_m

GEOD = pyproj.Geod(ellps="WGS84")
X, Y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3413", always_xy=True).transform(180, 70)


def area_m2(outline: shapely.Geometry) -> float:
    return sum(GEOD.geometry_area_perimeter(part)[0] for part in shapely.get_parts(outline))


def on_ellipsoid_m2(outline: shapely.Geometry) -> float:
    return float(
        areas_and_perimeters_m(shapely.orient_polygons(np.array([outline])), "EPSG:3413", longest_edge=100)[0][0]
    )


def transformed(outline: shapely.Geometry) -> shapely.Geometry:
    result = to_geographic(np.array([outline], dtype=object))[0]
    assert result.is_valid
    return result


PLACES = {
    "somewhere": (shapely.box(1e6, 1e6, 1.01e6, 1.01e6), "Polygon", 0),
    "with a hole": (shapely.Point(1e6, 0).buffer(900).difference(shapely.Point(1e6, 0).buffer(300)), "Polygon", 0),
    "at the pole": (shapely.box(-1000, -2000, 3000, 1000), "Polygon", 360),
    "around the pole": (shapely.Point(0, 0).buffer(5e4).difference(shapely.Point(90, 0).buffer(5e3)), "Polygon", 360),
    "beginning at the pole": (shapely.box(0, 0, 1e4, 1e4), "Polygon", 90),
    "through the pole": (shapely.box(-1e4, 0, 1e4, 1e4), "MultiPolygon", 360),
    "ending at the antimeridian": (shapely.Polygon([(0, 0), (-7000, 7000), (0, 9000)]), "Polygon", 45),
    "across the antimeridian": (shapely.box(X - 500, Y - 400, X + 800, Y + 700), "MultiPolygon", 360),
    "a ring across it": (
        shapely.Point(X, Y).buffer(300).difference(shapely.Point(X, Y).buffer(100)),
        "MultiPolygon",
        360,
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_areas_are_those_on_the_ellipsoid_everywhere(place: str) -> None:
    outline, kind, width = PLACES[place]
    result = transformed(outline)
    west, south, east, north = result.bounds
    assert result.geom_type == kind
    assert -180 <= west < east <= 180
    assert south >= 60
    assert north <= 90
    assert area_m2(result) == pytest.approx(on_ellipsoid_m2(outline), rel=1e-6)  # > 0: exteriors run counter-clockwise
    if width:
        assert east - west == pytest.approx(width, abs=1e-9)


def test_nothing_crosses_the_antimeridian() -> None:
    result = transformed(PLACES["across the antimeridian"][0])
    parts = sorted(shapely.get_parts(result), key=lambda part: part.bounds[0])
    assert [round(part.bounds[2] - part.bounds[0], 1) for part in parts] == [0.0, 0.0]
    assert (parts[0].bounds[0], parts[1].bounds[2]) == (-180, 180)


@given(
    distance_m=st.floats(10, 3e6),
    bearing_deg=st.floats(-180, 180),
    size_m=st.floats(5, 5000),
    hole=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_points_on_the_outline_stay_on_it(distance_m: float, bearing_deg: float, size_m: float, hole: bool) -> None:
    x, y = distance_m * np.cos(np.radians(bearing_deg)), distance_m * np.sin(np.radians(bearing_deg))
    outline = shapely.box(x, y, x + size_m, y + size_m)
    if hole:
        outline = outline.difference(
            shapely.box(x + 0.3 * size_m, y + 0.3 * size_m, x + 0.6 * size_m, y + 0.6 * size_m)
        )
    result = transformed(outline)
    assert area_m2(result) == pytest.approx(on_ellipsoid_m2(outline), rel=1e-3, abs=0.5)
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(result))]
    places = np.vstack([*rings, *((ring[1:] + ring[:-1]) / 2 for ring in rings)])
    back = geopandas.GeoSeries(shapely.points(places), crs="EPSG:4326").to_crs("EPSG:3413")
    cuts = shapely.MultiLineString([[(0, 0), (-4e6, 4e6)], [(0, 0), (4e6, -4e6)]])
    off = np.fmin(shapely.distance(back, outline.boundary), shapely.distance(back, cuts))
    assert off.max() < 0.02


def test_empty_outlines_stay_empty_and_types_are_kept() -> None:
    here, there = shapely.box(1e6, 1e6, 1e6 + 10, 1e6 + 10), shapely.box(1.1e6, 1e6, 1.1e6 + 10, 1e6 + 10)
    outlines = np.array(
        [shapely.Polygon(), shapely.MultiPolygon([here, there]), here, shapely.MultiPolygon()], dtype=object
    )
    result = to_geographic(outlines)
    assert [each.is_empty for each in result] == [True, False, False, True]
    assert [each.geom_type for each in result[1:3]] == ["MultiPolygon", "Polygon"]
    assert len(to_geographic(np.empty(0, dtype=object))) == 0
