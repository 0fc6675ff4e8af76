"""One tile over another, on the same grid and on others."""

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject

from darts_ensemble.overlay import nearest_pixels, overlay
from darts_utils.errors import GridMismatchError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.testing import example_tile

NAMES = ("red", "valid_data_mask", "probabilities", "quality_data_mask")


def grid_of(shape, resolution_m, *, left=500_000.0, top=7_550_000.0, crs="EPSG:32608"):
    return GeoBox(shape, Affine(resolution_m, 0, left, 0, -resolution_m, top), crs)


def tile_on(grid, seed=0, names=NAMES):
    tile = example_tile(names, shape=tuple(grid.shape), seed=seed)
    return tile.drop_vars(["y", "x", "spatial_ref"]).assign_coords(coords_of(grid))


def test_on_one_grid_the_mask_decides(backend):
    grid = grid_of((20, 30), 10)
    top, base = tile_on(grid, seed=1), tile_on(grid, seed=2)
    result = overlay(backend.tile(top), backend.tile(base))
    known = top.valid_data_mask.values
    for name in ("red", "probabilities", "quality_data_mask"):
        expected = np.where(known, top[name].values, base[name].values)
        np.testing.assert_array_equal(backend.values(result[name]), expected)
        assert result[name].dtype == top[name].dtype
        assert result[name].attrs == top[name].attrs
    np.testing.assert_array_equal(backend.values(result.valid_data_mask), known | base.valid_data_mask.values)
    assert result.attrs == top.attrs


def test_arrays_that_both_share_are_not_copied():
    base = tile_on(grid_of((20, 30), 10))
    top = base.assign(valid_data_mask=base.valid_data_mask & False)
    assert overlay(top, base).red.data is base.red.data


def test_a_finer_tile_shows_the_coarse_pixel_in_which_it_lies():
    base = tile_on(grid_of((6, 7), 10), seed=2)
    top = tile_on(grid_of((12, 14), 5), seed=1)
    result = overlay(top, base)
    for name in NAMES[2:]:
        below = base[name].values.repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(
            result[name].values, np.where(top.valid_data_mask.values, top[name].values, below)
        )
    assert geobox_of(result) == geobox_of(top)


def test_beyond_the_lower_tile_the_upper_one_stays():
    base = tile_on(grid_of((6, 6), 10), seed=2)
    top = tile_on(grid_of((10, 10), 10, left=500_000 - 20, top=7_550_000 + 20), seed=1)
    result = overlay(top, base)
    outside = np.ones((10, 10), bool)
    outside[2:8, 2:8] = False
    for name in NAMES:
        np.testing.assert_array_equal(result[name].values[outside], top[name].values[outside])
    known = top.valid_data_mask.values[2:8, 2:8]
    np.testing.assert_array_equal(
        result.red.values[2:8, 2:8], np.where(known, top.red.values[2:8, 2:8], base.red.values)
    )


def test_variables_of_one_tile_alone():
    grid = grid_of((8, 8), 10)
    top, base = tile_on(grid, names=(*NAMES, "slope")), tile_on(grid, names=(*NAMES, "ndvi"))
    assert set(overlay(top, base).data_vars) == {*NAMES, "slope"}
    xr.testing.assert_identical(overlay(top, base).slope, top.slope)


@settings(deadline=None, max_examples=50)
@given(
    resolution_m=st.sampled_from([1.0, 2.5, 3.0, 7.3, 10.0, 31.0]),
    left=st.floats(-40, 140),
    top=st.floats(-140, 40),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_nearest_pixels_are_those_of_gdal(resolution_m, left, top, shape):
    base = grid_of((12, 11), 10)
    grid = grid_of(shape, resolution_m, left=500_000 + left, top=7_550_000 + top)
    rows, columns = nearest_pixels(grid, base)
    numbers = np.arange(1, 133, dtype="int32").reshape(12, 11)
    found = np.zeros(shape, "int32")
    reproject(
        numbers, found, src_transform=base.affine, dst_transform=grid.affine, src_crs=str(base.crs),
        dst_crs=str(grid.crs), resampling=Resampling.nearest, tolerance=0,
    )  # fmt: skip
    inside = (rows >= 0)[:, None] & (columns >= 0)
    ours = np.where(inside, numbers[rows[:, None], columns], 0)
    centres = ~base.affine * grid.affine
    on_edge = [
        np.abs((line := start + step * (np.arange(count) + 0.5)) - np.round(line)) < 1e-4
        for step, start, count in ((centres.e, centres.f, shape[0]), (centres.a, centres.c, shape[1]))
    ]
    clear = ~(on_edge[0][:, None] | on_edge[1])
    np.testing.assert_array_equal(ours[clear], found[clear])


def test_a_centre_on_an_edge_belongs_to_the_south_and_east():
    rows, columns = nearest_pixels(grid_of((3, 3), 20), grid_of((6, 6), 10))
    np.testing.assert_array_equal(rows, [1, 3, 5])
    np.testing.assert_array_equal(columns, [1, 3, 5])


def test_tiles_of_two_crs_are_refused():
    top, base = (tile_on(grid_of((8, 8), 10, crs=crs)) for crs in ("EPSG:32608", "EPSG:32609"))
    with pytest.raises(GridMismatchError, match=r"expected tiles in one CRS, but got EPSG:32608 .* and EPSG:32609"):
        overlay(top, base)
