import numpy as np
import pyproj
import pytest
import shapely

from darts_export.ellipsoid import areas_and_perimeters_m
from darts_utils.errors import TileContractError


def _measure(geometry: shapely.Geometry, crs: str, *, longest_edge: float = 1000) -> tuple[float, float]:
    area_m2, perimeter_m = areas_and_perimeters_m(np.array([geometry], dtype=object), crs, longest_edge=longest_edge)
    return float(area_m2[0]), float(perimeter_m[0])


def test_one_degree_cell_on_wgs84() -> None:
    """Cell 0–1° E, 0–1° N: the area between two parallels has a closed formula on the ellipsoid."""
    a, f = 6_378_137.0, 1 / 298.257223563
    e = np.sqrt(f * (2 - f))
    sine = np.sin(np.radians(1))
    q = (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e) * a**2 * (1 - e**2) / 2
    expected_m2 = float(np.radians(1) * q)
    area_m2, _ = _measure(shapely.box(0, 0, 1, 1), "EPSG:4326", longest_edge=0.001)
    assert area_m2 == pytest.approx(expected_m2, rel=1e-8)


@pytest.mark.parametrize(
    ("crs", "x", "y"),
    [("EPSG:32608", 500_000, 7_550_000), ("EPSG:32608", 780_000, 7_550_000), ("EPSG:3413", -2_000_000, 1_500_000)],
)
def test_map_scale_is_undone(crs: str, x: float, y: float) -> None:
    """The true area is the area on the map over its areal scale, as PROJ gives it."""
    square = shapely.box(x, y, x + 100, y + 100)
    projection = pyproj.Proj(crs)
    areal_scale = projection.get_factors(*projection(x + 50, y + 50, inverse=True)).areal_scale
    area_m2, perimeter_m = _measure(square, crs)
    assert area_m2 == pytest.approx(10_000 / areal_scale, rel=1e-5)
    assert perimeter_m == pytest.approx(400 / np.sqrt(areal_scale), rel=1e-5)


def test_equal_area_projection_keeps_areas() -> None:
    lambert = "+proj=laea +lat_0=90 +lon_0=0 +datum=WGS84"
    area_m2, _ = _measure(shapely.box(-2_500_000, 100_000, -2_400_000, 200_000), lambert)
    assert area_m2 == pytest.approx(1e10, rel=1e-8)


def test_holes_count_for_the_perimeter_and_against_the_area() -> None:
    outer, hole = (
        shapely.box(500_000, 7_550_000, 501_000, 7_551_000),
        shapely.box(500_400, 7_550_400, 500_600, 7_550_600),
    )
    whole, gap = _measure(outer, "EPSG:32608"), _measure(hole, "EPSG:32608")
    holed = _measure(shapely.orient_polygons(outer - hole), "EPSG:32608")
    assert holed == (pytest.approx(whole[0] - gap[0]), pytest.approx(whole[1] + gap[1]))


def test_parts_add_up() -> None:
    first, second = (
        shapely.box(500_000, 7_550_000, 500_010, 7_550_010),
        shapely.box(500_010, 7_550_010, 500_020, 7_550_020),
    )
    both = _measure(shapely.MultiPolygon([first, second]), "EPSG:32608")
    alone = _measure(first, "EPSG:32608"), _measure(second, "EPSG:32608")
    assert both == (pytest.approx(alone[0][0] + alone[1][0]), pytest.approx(alone[0][1] + alone[1][1]))


def test_across_the_antimeridian() -> None:
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3413", always_xy=True).transform(180, 70)
    square = shapely.box(x - 5000, y - 5000, x + 5000, y + 5000)
    area_m2, _ = _measure(square, "EPSG:3413")
    scale = pyproj.Proj("EPSG:3413").get_factors(180, 70).areal_scale
    assert area_m2 == pytest.approx(1e8 / scale, rel=1e-3)


def test_nothing_to_measure() -> None:
    area_m2, perimeter_m = areas_and_perimeters_m(np.empty(0, dtype=object), "EPSG:32608", longest_edge=1000)
    assert area_m2.shape == perimeter_m.shape == (0,)


def test_crs_without_an_ellipsoid() -> None:
    local = 'LOCAL_CS["site grid",UNIT["metre",1]]'
    with pytest.raises(
        TileContractError, match="areas need a CRS tied to an ellipsoid, but got 'site grid': write the"
    ):
        _measure(shapely.box(0, 0, 1, 1), local)
