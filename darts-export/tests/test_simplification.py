"""Simplified outlines: none overlaps another, none vanishes, all are valid."""

import itertools

import geopandas
import numpy as np
import pytest
import rasterio.features
import shapely
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darts_export import extent_of, segments_of
from darts_export.polygons import polygonise
from darts_export.simplification import map_units_per_metre, simplify_outlines
from darts_utils.runs import find_runs
from darts_utils.testing import data_dir, strategies

TRANSFORM = Affine(3, 0, 500_000, 0, -3, 7_550_000)


def _check(outlines: NDArray[np.object_], simple: NDArray[np.object_]) -> None:
    assert len(simple) == len(outlines)
    assert shapely.is_valid(simple).all()
    assert (shapely.area(simple) > 0).all()
    assert [shapely.get_num_geometries(each) for each in simple] == [
        shapely.get_num_geometries(each) for each in outlines
    ]
    for one, other in itertools.combinations(simple, 2):
        assert not shapely.relate_pattern(one, other, "T********"), f"{one} and {other} overlap"
    for polygon in shapely.get_parts(simple):
        assert polygon.exterior.is_ccw
        assert not any(hole.is_ccw for hole in polygon.interiors)


@given(mask=strategies.masks(max_px=24), tolerance=st.sampled_from([0.5, 2.9, 3, 6, 10, 100, 1e5]))
@settings(deadline=None, max_examples=150)
def test_any_mask(mask: NDArray[np.bool_], tolerance: float) -> None:
    outlines = polygonise(find_runs(mask), TRANSFORM)
    _check(outlines, simplify_outlines(outlines, tolerance=tolerance))


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.9])
def test_noise(share: float) -> None:
    outlines = polygonise(find_runs(np.random.default_rng(5).random((80, 90)) < share), TRANSFORM)
    _check(outlines, simplify_outlines(outlines, tolerance=9))


def test_objects_within_the_holes_of_others_stay_there() -> None:
    rows, columns = np.indices((61, 61)) - 30
    rings = np.hypot(rows, columns) % 8 < 5
    outlines = polygonise(find_runs(rings), TRANSFORM)
    assert len(outlines) > 3
    simple = simplify_outlines(outlines, tolerance=20)
    _check(outlines, simple)
    assert shapely.get_num_coordinates(simple).sum() < shapely.get_num_coordinates(outlines).sum() / 3


def test_steps_of_pixels_go_and_area_stays() -> None:
    disc = np.hypot(*(np.indices((101, 101)) - 50)) < 45
    (outline,) = outlines = polygonise(find_runs(disc), TRANSFORM)
    (simple,) = simplify_outlines(outlines, tolerance=6)
    assert shapely.get_num_coordinates(simple) < shapely.get_num_coordinates(outline) / 5
    assert simple.area == pytest.approx(outline.area, rel=0.02)
    assert shapely.hausdorff_distance(simple, outline) < 9
    assert simplify_outlines(outlines, tolerance=0) is outlines


def test_a_polygon_whose_simpler_outline_is_broken_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the simplifying itself does: what overlaps, vanishes or crosses itself is not used."""
    outlines = np.array([shapely.box(left, 0, left + 1, 1) for left in range(0, 12, 2)], dtype=object)
    broken = outlines.copy()
    broken[0] = shapely.Polygon()  # vanished
    broken[1] = shapely.Polygon([(2, 0), (3, 1), (3, 0), (2, 1)])  # crosses itself
    broken[2] = shapely.box(4, 0, 6.5, 1)  # overlaps the next
    broken[3] = shapely.box(6.2, 0, 7, 1)
    broken[4] = shapely.box(8, 0, 9, 0.9)  # sound
    broken[5] = shapely.MultiPolygon([shapely.box(10, 0, 10.4, 1), shapely.box(10.6, 0, 11, 1)])  # fell apart
    monkeypatch.setattr(shapely, "coverage_simplify", lambda *_: broken)
    result = simplify_outlines(outlines, tolerance=1)
    assert [shapely.equals(*pair) for pair in zip(result, outlines, strict=True)] == [True] * 4 + [False, True]
    assert shapely.equals(result[4], broken[4])


def test_numbers_are_those_of_the_pixels(tile: xr.Dataset) -> None:
    plain, simple = segments_of(tile), segments_of(tile, simplify_tolerance_m=30)
    assert plain.drop(columns="geometry").equals(simple.drop(columns="geometry"))
    assert not plain.geometry.equals(simple.geometry)
    _check(plain.geometry.to_numpy(), simple.geometry.to_numpy())
    assert extent_of(tile, simplify_tolerance_m=30).area_m2.equals(extent_of(tile).area_m2)


@pytest.mark.parametrize(("crs", "expected"), [("EPSG:32608", 1), ("EPSG:3413", 1), ("EPSG:2263", 3937 / 1200)])
def test_metres_in_the_units_of_the_map(crs: str, expected: float) -> None:
    assert map_units_per_metre(crs) == pytest.approx(expected)
    assert map_units_per_metre("EPSG:4326") == pytest.approx(1 / 111_319.5, rel=1e-4)
    assert map_units_per_metre('LOCAL_CS["site grid",UNIT["metre",1]]') == 1


def test_real_slumps() -> None:
    (path,) = (data_dir() / "slump_polygons" / "willow_river_huang2022").glob("*.shp")
    table = geopandas.read_file(path).to_crs("EPSG:32608")
    west, south, east, north = table.total_bounds
    shape = (int(north - south) // 10 + 2, int(east - west) // 10 + 2)
    burnt = rasterio.features.rasterize(
        table.geometry, shape, transform=Affine(10, 0, west, 0, -10, north), dtype="uint8"
    )
    outlines = polygonise(find_runs(burnt), Affine(10, 0, west, 0, -10, north))
    simple = simplify_outlines(outlines, tolerance=15)
    _check(outlines, simple)
    assert shapely.area(simple).sum() == pytest.approx(shapely.area(outlines).sum(), rel=0.02)
