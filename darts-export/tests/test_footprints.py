import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_export.footprints import footprint_of


def _grid(crs: str, x: float, y: float, *, size: int = 1000, step: float = 100) -> GeoBox:
    return GeoBox((size, size), Affine(step, 0, x, 0, -step, y), crs)


GRIDS = {
    "UTM 8": _grid("EPSG:32608", 500_000, 7_550_000, step=10),
    "UTM 1 west of its zone": _grid("EPSG:32601", 200_000, 7_600_000, step=30),
    "UTM 1 on the antimeridian": _grid("EPSG:32601", 360_000, 7_600_000, step=30),
    "UTM 60 on the antimeridian": _grid("EPSG:32660", 610_000, 7_600_000, step=30),
    "polar": _grid("EPSG:3413", -2_000_000, 1_500_000),
    "polar on the antimeridian": _grid("EPSG:3413", -1_500_000, 1_550_000),
    "longitude, latitude up to 180": _grid("EPSG:4326", 179.9, 70, step=1e-4),
    "longitude, latitude over 180": _grid("EPSG:4326", 179.95, 70, step=1e-4),
    "north pole": _grid("EPSG:3413", -50_000, 50_000),
    "south pole": _grid("EPSG:3031", -50_000, 50_000),
}
CROSSING = {name for name in GRIDS if "on the antimeridian" in name or "over 180" in name}


@pytest.mark.parametrize("name", GRIDS)
def test_legal_geojson(name: str) -> None:
    outline, (west, south, east, north) = footprint_of(GRIDS[name])
    assert outline.is_valid
    assert outline.geom_type == ("MultiPolygon" if name in CROSSING else "Polygon")
    assert (west > east) is (name in CROSSING)
    assert -180 <= min(west, east) <= max(west, east) <= 180
    assert -90 <= south < north <= 90
    for part in shapely.get_parts(outline):
        assert part.exterior.is_ccw
        box = part.bounds
        assert box[0] >= -180
        assert box[2] <= 180
        assert box[1] >= south
        assert box[3] <= north


@pytest.mark.parametrize("name", GRIDS)
def test_holds_the_pixels_of_the_grid_and_no_others(name: str) -> None:
    grid = GRIDS[name]
    outline, _ = footprint_of(grid)
    to_lonlat = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    rows, columns = np.meshgrid(np.linspace(-333, 1337, 17), np.linspace(-333, 1337, 17))
    inside = (rows > 0) & (rows < 1000) & (columns > 0) & (columns < 1000)
    x = grid.affine.c + grid.affine.a * columns
    y = grid.affine.f + grid.affine.e * rows
    longitude, latitude = to_lonlat.transform(x, y)
    longitude = (np.asarray(longitude) + 180) % 360 - 180
    np.testing.assert_array_equal(shapely.intersects_xy(outline, longitude, latitude), inside)
