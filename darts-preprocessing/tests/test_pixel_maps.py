"""The way from pixel to pixel, against the transformation itself."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from darts_preprocessing.meridians import in_turn_of
from darts_preprocessing.pixel_maps import TOLERANCE_PX, Lattice, PixelMap


def around(lon, lat, *, crs, step, shape):
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    return GeoBox(shape, Affine(step, 0, x - shape[1] // 2 * step, 0, -step, y + shape[0] // 2 * step), crs)


def coordinates(pixel_map):
    """All coordinates of a map, and how many blocks were transformed pixel by pixel."""
    blocks = [pixel_map.block_row(n) for n in range(pixel_map.first_block_row, pixel_map.last_block_row + 1)]
    parts = [block.coordinates(block.first, block.last) for block in blocks]
    return np.concatenate(parts, axis=1), sum(len(block.rough) for block in blocks)


def transformed(source, grid):
    columns, rows = np.meshgrid(np.arange(grid.shape[1]) + 0.5, np.arange(grid.shape[0]) + 0.5)
    x, y = grid.affine * (columns, rows)
    x, y = Transformer.from_crs(str(grid.crs), str(source.crs), always_xy=True).transform(x, y)
    return np.stack(~source.affine * (in_turn_of(x, source), y))


SOURCES = [("EPSG:3413", 2.0), ("EPSG:4326", 1 / 3600), ("EPSG:32609", 0.5), ("EPSG:32608", 7.0), ("EPSG:4267", 0.001)]
TARGETS = [("EPSG:32608", 3.0), ("EPSG:32608", 30.0), ("EPSG:3413", 10.0), ("EPSG:32610", 3.0), ("EPSG:4326", 1e-4)]


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_coordinates_are_those_of_the_transformation(source, target):
    from_grid = around(-135.7, 68.1, crs=source[0], step=source[1], shape=(50, 60))
    grid = around(-135.67, 68.05, crs=target[0], step=target[1], shape=(530, 300))
    found, rough = coordinates(PixelMap(from_grid, grid))
    assert rough == 0
    np.testing.assert_allclose(found, transformed(from_grid, grid), rtol=0, atol=2 * TOLERANCE_PX)


@pytest.mark.parametrize("lon", [180.0, 179.99])
def test_the_antimeridian_is_no_obstacle(lon):
    from_grid = GeoBox((90, 500), Affine(0.001, 0, 179.8, 0, -0.001, 70.04), "EPSG:4326")
    grid = around(lon, 70.0, crs="EPSG:32660", step=10.0, shape=(300, 300))
    found, rough = coordinates(PixelMap(from_grid, grid))
    assert rough == 0
    np.testing.assert_allclose(found, transformed(from_grid, grid), rtol=0, atol=2 * TOLERANCE_PX)


def test_blocks_at_the_pole_are_transformed_pixel_by_pixel():
    from_grid = GeoBox((1000, 36000), Affine(0.01, 0, -180.0, 0, -0.01, 90.0), "EPSG:4326")
    grid = GeoBox((700, 600), Affine(100, 0, -20_000, 0, -100, 30_000), "EPSG:3413")
    found, rough = coordinates(PixelMap(from_grid, grid))
    assert rough > 0
    expected = transformed(from_grid, grid)
    off = np.abs(found - expected)
    off[0] = np.minimum(off[0], 36000 - off[0])  # −180° is 180°
    assert off.max() < 2 * TOLERANCE_PX


def test_places_beyond_the_projection_are_not_finite():
    from_grid = GeoBox((90, 90), Affine(1000, 0, 0, 0, -1000, 0), "+proj=ortho +lat_0=-60 +lon_0=0 +datum=WGS84")
    found, rough = coordinates(PixelMap(from_grid, around(-135.7, 68.1, crs="EPSG:32608", step=3.0, shape=(50, 60))))
    assert rough > 0
    assert not np.isfinite(found).any()


@pytest.mark.parametrize("origin", [0.0, 5e5, 7_550_000.0 / 3, -1234.5, 1e-9, -1e-9, 123.456])
@pytest.mark.parametrize("step", [3.0, -3.0, 3.125, 0.5, 1e4])
def test_a_lattice_is_the_same_from_every_window(origin, step):
    whole = Lattice.along(origin, step)
    assert 0 <= whole.phase < 1
    for moved in (1, 77, 1234, 9999):
        part = Lattice.along(origin + moved * step, step)
        assert (part.first - whole.first, part.phase) == (moved, whole.phase)
    np.testing.assert_allclose(whole.centres(np.array([whole.first])), origin + step / 2, atol=1e-7 * abs(step))
