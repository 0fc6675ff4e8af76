"""Rasters in degrees and tiles in whose midst longitudes jump from 180 to −180."""

import numpy as np
import pyproj
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from darts_preprocessing import align, preprocess
from darts_preprocessing.loading import load_arcticdem, load_tcvis
from darts_preprocessing.meridians import in_turn_of
from darts_utils.errors import SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

STEP = 0.001
ROWS = 30
TOP = 70.015
TILES = [
    (180.0, "EPSG:32660"),
    (179.97, "EPSG:32660"),
    (-179.98, "EPSG:32601"),
    (180.0, "EPSG:3413"),
    (-179.99, "EPSG:3413"),
]


def around_the_globe(first_deg, turn_deg=360.0):
    return GeoBox((ROWS, round(turn_deg / STEP)), Affine(STEP, 0, first_deg, 0, -STEP, TOP), "EPSG:4326")


@pytest.fixture(scope="module")
def globe(tmp_path_factory):
    """Writes a raster around the globe that holds something near the antimeridian only."""

    def written(write, whole, made, **profile):
        path = tmp_path_factory.mktemp("globe") / "raster.tif"
        columns = whole.shape[1]
        near = [slice(0, 400), slice(columns // 2 - 400, columns // 2 + 400), slice(columns - 400, columns)]
        values = [made(whole[:, columns]) for columns in near]
        full = np.zeros((*values[0].shape[:-2], ROWS, columns), values[0].dtype)
        for place, part in zip(near, values, strict=True):
            full[..., place] = part
        return write(path, whole, full, compress="deflate", **profile)

    return written


def tile_on(grid):
    attrs = {"reflectance_scale": 1e-4, "reflectance_offset": 0.0}
    bands = {
        name: variable(name, np.full(grid.shape, 3000, "uint16"), source="flat", **attrs) for name in OPTICAL_BANDS
    }
    masks = {
        name: variable(name, np.full(grid.shape, True), source="all")
        for name in ("valid_data_mask", "quality_data_mask")
    }
    return xr.Dataset(coords=coords_of(grid)).assign({**bands, **masks})


@pytest.mark.parametrize("first", [-180.0, 0.0], ids=["-180 to 180", "0 to 360"])
@pytest.mark.parametrize(("lon", "crs"), TILES)
def test_elevation_has_no_seam(globe, write, hills, grid_at, lon, crs, first):
    path = globe(write, around_the_globe(first), hills)
    grid = grid_at(lon, 70.0, crs=crs, step=10.0, shape=(60, 160))
    dem = load_arcticdem(path, grid=grid, margin_m=110.0)
    assert dem.sizes["x"] < 120
    assert (np.diff(dem.x.values) > 0).all()
    if first == 0:
        assert dem.x.values.min() < dem.x.values.max() < 360
    tile = preprocess(tile_on(grid), dem=dem, features=["dem", "slope", "relative_elevation"])  # a warning would fail
    error = tile.dem.values - hills(grid)
    # the interpolation error of 38 m pixels; a column off would be metres
    assert np.abs(error).max() < 0.5
    for name in ("slope", "relative_elevation"):
        assert np.isfinite(tile[name].values).all()


def test_longitudes_go_on_towards_the_tile(globe, write, hills, grid_at):
    path = globe(write, around_the_globe(-180.0), hills)
    grid = grid_at(180.0, 70.0, crs="EPSG:32660", step=10.0, shape=(20, 160))
    x = load_arcticdem(path, grid=grid).x.values
    assert 179.9 < x.min() < 180 < x.max() < 180.1
    east = load_arcticdem(path, grid=grid_at(-179.9, 70.0, crs="EPSG:32601", step=10.0, shape=(20, 20))).x.values
    assert (east < -179).all()


def test_trends_have_no_seam(globe, write, grid_at):
    def ramp(grid):
        """Grows from west to east across the antimeridian."""
        lon = (grid.affine.c + STEP * (np.arange(grid.shape[1]) + 0.5)) % 360
        counts = np.clip(np.rint(100 + (lon - 180) * 500), 1, 255).astype("uint8")
        return np.broadcast_to(counts, (3, *grid.shape)).copy()

    path = globe(write, around_the_globe(-180.0), ramp)
    grid = grid_at(180.0, 70.0, crs="EPSG:32660", step=10.0, shape=(60, 160))
    trends = align(load_tcvis(path, grid=grid), grid=grid)
    for name in TCVIS_BANDS:
        assert trends[name].attrs["missing_percent"] == 0
        values = trends[name].values.astype(int)
        assert (np.diff(values, axis=1) >= 0).all()
        assert np.diff(values, axis=1).max() <= 1
        assert abs(values[30, 80] - 100) <= 1


def test_a_raster_that_does_not_close_is_joined_to_half_a_pixel(globe, write, hills, grid_at):
    """As the rasters of trends: 360° are no whole number of their pixels, and they reach a little beyond."""
    path = globe(write, around_the_globe(-180.0004, turn_deg=360.001), hills)
    grid = grid_at(180.0, 70.0, crs="EPSG:32660", step=10.0, shape=(60, 160))
    error = align(load_arcticdem(path, grid=grid), grid=grid).dem.values - hills(grid)
    assert np.isfinite(error).all()
    assert np.abs(error).max() < 10.0


def test_a_gap_at_the_antimeridian_is_missing(globe, write, hills, grid_at):
    path = globe(write, around_the_globe(-180.0, turn_deg=359.98), hills)
    grid = grid_at(180.0, 70.0, crs="EPSG:32660", step=10.0, shape=(60, 160))
    missing = np.isnan(align(load_arcticdem(path, grid=grid), grid=grid).dem.values)
    x, y = np.meshgrid(coords_of(grid)["x"].values, coords_of(grid)["y"].values)
    lon, _ = Transformer.from_crs("EPSG:32660", "EPSG:4326", always_xy=True).transform(x, y)
    gap = (lon % 360 > 179.98) & (lon % 360 < 180)
    assert 0.3 < missing.mean() < 0.7
    assert (missing != gap).mean() < 0.01  # the kernel decides about the pixels of the edge


def test_a_raster_on_the_other_side_is_refused(write, hills, grid_at, tmp_path):
    grid = GeoBox((80, 80), Affine(STEP, 0, -170.0, 0, -STEP, TOP), "EPSG:4326")
    path = write(tmp_path / "dem.tif", grid, hills(grid))
    with pytest.raises(SceneError, match=r"but the tile needs \(179.9\d*, .*, 180.0\d*, .*give one that overlaps"):
        load_arcticdem(path, grid=grid_at(180.0, 70.0, crs="EPSG:32660", step=10.0, shape=(60, 160)))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4269", "EPSG:4258", "EPSG:4267", "EPSG:4979", "EPSG:4326+3855"])
def test_other_meridians_move_nothing(hills, grid_at, crs):
    """The same raster, written with longitudes of another turn."""
    grid = grid_at(-150.0, 70.0, crs="EPSG:32606", step=10.0, shape=(40, 40))
    here, there = (
        GeoBox((60, 100), Affine(STEP, 0, left, 0, -STEP, 70.03), pyproj.CRS(crs).to_wkt())
        for left in (-150.05, 209.95)
    )
    values = variable("dem", hills(GeoBox(here.shape, here.affine, "EPSG:4326")), source="hills")
    one, other = (align(xr.Dataset(coords=coords_of(g)).assign(dem=values), grid=grid) for g in (here, there))
    assert np.isfinite(one.dem.values).all()
    np.testing.assert_allclose(other.dem.values, one.dem.values, atol=1e-4)


def test_longitudes_are_counted_as_the_grid_counts_them():
    beyond = GeoBox((9, 400), Affine(0.001, 0, 179.9, 0, -0.001, 70), "EPSG:4326")
    longitudes = np.array([-179.9, 179.95, np.inf])
    np.testing.assert_array_equal(in_turn_of(longitudes, beyond), [-179.9 + 360, 179.95, np.nan])
    projected = GeoBox((9, 9), Affine(900, 0, 0, 0, -900, 0), "EPSG:3413")
    assert in_turn_of(longitudes, projected) is longitudes
