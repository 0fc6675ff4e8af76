"""Elevation and trends from files."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from darts_preprocessing import align, load_auxiliary, preprocess
from darts_preprocessing.loading import load_arcticdem, load_tcvis
from darts_utils.errors import SceneError, TileContractError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.synthetic import synthetic_scene
from darts_utils.variables import TCVIS_BANDS


@pytest.fixture
def grid(planet_scene):
    return geobox_of(planet_scene.tile)


def test_elevation_that_is_none_is_refused(planet, rewrite, grid):
    with pytest.raises(SceneError, match="must have 1 band of heights, but has 3"):
        load_arcticdem(planet.tcvis, grid=grid)
    with rasterio.open(planet.dem, "r+") as raster:
        raster.units = ("foot",)
    with pytest.raises(SceneError, match="must hold metres, but its unit is 'foot'"):
        load_arcticdem(planet.dem, grid=grid)
    with rasterio.open(planet.dem, "r+") as raster:
        raster.units = ("metre",)
    rewrite(planet.dem, lambda values: values * 100)
    with pytest.raises(SceneError, match=r"arcticdem.tif' must hold heights of -500 to 9000 m, but they go from"):
        load_arcticdem(planet.dem, grid=grid)


def test_elevation_in_a_local_crs_is_refused(planet, rewrite, grid):
    rewrite(planet.dem, crs=rasterio.crs.CRS.from_wkt('LOCAL_CS["arbitrary",UNIT["metre",1]]'))
    with pytest.raises(SceneError, match=r"arcticdem.tif' must have a projected or geographic CRS, but has 'LOCAL_CS"):
        load_arcticdem(planet.dem, grid=grid)


@pytest.mark.parametrize("nodata", [None, -9999.0])
def test_minus_9999_and_infinities_are_nodata(planet, rewrite, grid, nodata):
    expected = load_arcticdem(planet.dem, grid=grid, margin_m=30.0).dem
    spoiled = np.zeros(expected.shape, bool)
    spoiled[5:9, 10:20] = spoiled[30, 40:50] = True
    whole = expected.coords["spatial_ref"]

    def spoil(values):
        with rasterio.open(planet.dem) as raster:
            left, top = ~raster.transform * (float(expected.x[0]), float(expected.y[0]))
        values[0, int(top) + 5 : int(top) + 9, int(left) + 10 : int(left) + 20] = -9999
        values[0, int(top) + 30, int(left) + 40 : int(left) + 45] = np.inf
        values[0, int(top) + 30, int(left) + 45 : int(left) + 50] = -np.inf
        return values

    rewrite(planet.dem, spoil, nodata=nodata)
    loaded = load_arcticdem(planet.dem, grid=grid, margin_m=30.0).dem
    assert loaded.coords["spatial_ref"].identical(whole)
    np.testing.assert_array_equal(np.isnan(loaded.values), spoiled)
    np.testing.assert_array_equal(loaded.values[~spoiled], expected.values[~spoiled])


def mask_left_half(raster):
    raster.write_mask(
        np.where(np.arange(raster.width) < raster.width // 2, 0, np.full((raster.height, 1), 255)).astype("uint8")
    )


@pytest.mark.parametrize(
    ("dtype", "fill", "options"),
    [
        ("float64", -1.7976931348623157e308, {"nodata": -1.7976931348623157e308}),
        ("float64", -1.7976931348623157e308, {"nodata": None}),
        ("float32", -3.4028234663852886e38, {"nodata": -3.4028234663852886e38}),
        ("float32", np.nan, {"nodata": np.nan}),
        ("int16", -32768, {"nodata": -32768}),
        ("int32", -2147483648, {"nodata": -2147483648}),
        ("float32", 123.0, {"nodata": None, "tag": mask_left_half}),
    ],
    ids=["float64", "float64 without tag", "float32", "nan", "int16", "int32", "internal mask"],
)
def test_whatever_means_nodata_is_nan(planet, rewrite, grid, dtype, fill, options):
    def filled(values):
        values = np.rint(values).astype(dtype)
        values[..., : values.shape[-1] // 2] = fill
        return values

    rewrite(planet.dem, filled, predictor=1, **options)
    with rasterio.open(planet.dem) as raster:
        middle = raster.transform.c + raster.width // 2 * raster.transform.a
    loaded = load_arcticdem(planet.dem, grid=grid).dem
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(loaded.values), np.broadcast_to(loaded.x.values < middle, loaded.shape))


@pytest.mark.parametrize(
    ("dtype", "nodata", "scale", "offset"), [("int16", -32768, 0.1, 0.0), ("uint16", 0, 0.05, -100.0)]
)
def test_integers_with_scale_and_offset_are_heights(planet, rewrite, grid, dtype, nodata, scale, offset):
    expected = load_arcticdem(planet.dem, grid=grid).dem.values

    def stored(values):
        return np.where(np.isfinite(values) & (values > -9999), np.rint((values - offset) / scale), nodata).astype(
            dtype
        )

    def tag(raster):
        raster.scales, raster.offsets = (scale,), (offset,)

    rewrite(planet.dem, stored, nodata=nodata, predictor=2, tag=tag)
    np.testing.assert_allclose(load_arcticdem(planet.dem, grid=grid).dem.values, expected, atol=0.51 * scale)


@pytest.mark.parametrize("scaling", [(0.0, 0.0), (np.nan, 0.0), (1.0, np.inf)])
def test_a_scale_that_leaves_nothing_is_refused(planet, rewrite, grid, scaling):
    def tag(raster):
        raster.scales, raster.offsets = (scaling[0],), (scaling[1],)

    rewrite(planet.dem, tag=tag)
    with pytest.raises(
        SceneError, match="arcticdem.tif' must declare a scale other than 0 and a finite offset, but has"
    ):
        load_arcticdem(planet.dem, grid=grid)


def test_integer_heights_become_float(planet, rewrite, grid):
    rewrite(planet.dem, lambda values: np.rint(values).astype("int16"), predictor=2)
    assert load_arcticdem(planet.dem, grid=grid).dem.dtype == np.float32


def test_trends_of_another_kind_are_refused(planet, grid):
    with pytest.raises(SceneError, match=r"must have 3 bands of uint8 .*but has 1 of float32"):
        load_tcvis(planet.dem, grid=grid)


@pytest.mark.parametrize(
    "names", [("TCW_slope", "TCG_slope", "TCB_slope"), ("TCB_slope", None, "TCG_slope"), ("red", "green", "blue")]
)
def test_trends_in_another_order_are_refused(planet, rewrite, grid, names):
    def tag(raster):
        raster.descriptions = names

    rewrite(planet.tcvis, tag=tag)
    with pytest.raises(SceneError, match="in this order, but they are described as .*: reorder them"):
        load_tcvis(planet.tcvis, grid=grid)


@pytest.mark.parametrize("names", [(None, None, None), ("tcb_slope_2022", "TCG", "TCW_slope"), TCVIS_BANDS])
def test_trends_in_their_order_may_have_any_name_of_theirs(planet, rewrite, grid, planet_scene, names):
    def tag(raster):
        raster.descriptions = names

    rewrite(planet.tcvis, tag=tag)
    wetness = load_tcvis(planet.tcvis, grid=grid).tc_wetness
    same = planet_scene.tcvis.tc_wetness.sel(x=wetness.x, y=wetness.y, method="nearest", tolerance=1e-6)
    np.testing.assert_array_equal(wetness.values, same.values)


@pytest.mark.parametrize(
    ("fill", "options"),
    [(0, {}), (0, {"nodata": 0}), (255, {"nodata": 255}), (99, {"tag": mask_left_half})],
    ids=["0", "tagged 0", "255", "internal mask"],
)
def test_gaps_of_the_trends_are_zero_in_all_bands(planet, rewrite, grid, fill, options):
    def filled(values):
        values = np.maximum(values, 1)
        values[..., : values.shape[-1] // 2] = fill
        return values

    rewrite(planet.tcvis, filled, **options)
    with rasterio.open(planet.tcvis) as raster:
        middle = raster.transform.c + raster.width // 2 * raster.transform.a
    loaded = load_tcvis(planet.tcvis, grid=grid)
    for name in TCVIS_BANDS:
        gap = np.broadcast_to(loaded.x.values < middle, loaded[name].shape)
        np.testing.assert_array_equal(loaded[name].values == 0, gap)


def test_one_band_at_its_fill_value_is_no_gap(planet, rewrite, grid):
    def filled(values):
        values = np.maximum(values, 1)
        values[0] = 255
        return values

    rewrite(planet.tcvis, filled, nodata=255)
    assert (load_tcvis(planet.tcvis, grid=grid).tc_brightness.values == 255).all()


@pytest.mark.parametrize("loader", [load_arcticdem, load_tcvis])
def test_rasters_elsewhere_are_refused_with_both_extents(planet, loader):
    path = planet.dem if loader is load_arcticdem else planet.tcvis
    elsewhere = geobox_of(synthetic_scene(1, shape=(8, 8), center_lonlat_deg=(-133.0, 69.0)).tile)
    with pytest.raises(SceneError, match=r"covers \(.*\), but the tile needs \(.*\).*give one that overlaps"):
        loader(path, grid=elsewhere)


def test_a_tile_that_the_raster_cannot_know_is_refused(planet, rewrite, grid):
    """The other side of the Earth has no coordinates in a picture of the globe."""
    rewrite(planet.dem, crs="+proj=ortho +lat_0=-60 +lon_0=0 +datum=WGS84")
    with pytest.raises(SceneError, match=r"but the tile needs \(inf, .*give one that overlaps"):
        load_arcticdem(planet.dem, grid=grid)


@pytest.mark.parametrize("unit", ["ft", "US survey foot", "feet", "cm", "degree"])
def test_heights_in_another_unit_are_refused(planet, grid, unit):
    with rasterio.open(planet.dem, "r+") as raster:
        raster.units = (unit,)
    with pytest.raises(SceneError, match=rf"arcticdem.tif' must hold metres, but its unit is '{unit}': convert it"):
        load_arcticdem(planet.dem, grid=grid)


@pytest.mark.parametrize("unit", ["", "m", "metre", "Meters"])
def test_heights_in_metres_may_say_so(planet, grid, unit):
    with rasterio.open(planet.dem, "r+") as raster:
        raster.units = (unit,)
    assert np.isfinite(load_arcticdem(planet.dem, grid=grid).dem.values).any()


def test_a_vertical_crs_in_feet_is_refused(planet, rewrite, grid):
    """EPSG:8228 is NAVD88 height in feet; EPSG:5703 is the same in metres."""
    rewrite(planet.dem, crs="EPSG:3413+8228")
    with pytest.raises(SceneError, match=r"must hold metres, but its unit is '.*foot'"):
        load_arcticdem(planet.dem, grid=grid)
    rewrite(planet.dem, crs="EPSG:3413+5703")
    assert np.isfinite(load_arcticdem(planet.dem, grid=grid).dem.values).any()


@pytest.mark.parametrize("loader", [load_arcticdem, load_tcvis])
def test_a_vertical_crs_changes_neither_what_is_read_nor_where(planet, rewrite, grid, loader, tmp_path):
    """Copernicus GLO-30 comes in EPSG:4326+3855, heights above the geoid EGM2008."""
    x, y = Transformer.from_crs("EPSG:32608", "EPSG:4326", always_xy=True).transform(*grid.boundingbox[:2])
    place = Affine(0.0003, 0, x - 0.01, 0, -0.0003, y + 0.01)
    path = rewrite(planet.dem if loader is load_arcticdem else planet.tcvis, crs="EPSG:4326", transform=place)
    plain = loader(path, grid=grid, margin_m=30.0)
    compound = loader(rewrite(path, crs="EPSG:4326+3855"), grid=grid, margin_m=30.0)
    assert compound.drop_vars("spatial_ref").identical(plain.drop_vars("spatial_ref"))
    assert align(compound, grid=grid).identical(align(plain, grid=grid))


def test_a_projection_in_feet_is_refused_unless_heights_are_said_to_be_metres(planet, rewrite, grid):
    feet = "+proj=tmerc +lat_0=54 +lon_0=-135 +k=0.9999 +x_0=500000 +datum=NAD83 +units=us-ft"
    east, north = Transformer.from_crs("EPSG:4326", feet, always_xy=True).transform(-135.67, 68.05)
    place = Affine(20, 0, east - 2000, 0, -20, north + 2000)
    rewrite(planet.dem, lambda values: values[:, :200, :200], crs=feet, transform=place)
    with pytest.raises(SceneError, match="its unit is 'US survey foot': convert .*say so with gdal_edit.py -units m"):
        load_arcticdem(planet.dem, grid=grid)
    with rasterio.open(planet.dem, "r+") as raster:
        raster.units = ("m",)
    assert np.isfinite(load_arcticdem(planet.dem, grid=grid).dem.values).any()


def test_elevation_in_memory_that_is_no_metres_is_refused(planet_scene):
    dem = planet_scene.dem
    feet = dem.assign(dem=dem.dem.assign_attrs(units="US survey foot"))
    with pytest.raises(
        TileContractError, match=r"must hold metres, but its unit is 'US survey foot': .*attrs\['units'\]"
    ):
        preprocess(planet_scene.tile, dem=feet)
    with pytest.raises(TileContractError, match="'dem' must be float32, but is int16|float32.*int16|int16.*float32"):
        preprocess(planet_scene.tile, dem=dem.assign(dem=dem.dem.round().astype("int16")))


def test_elevation_of_pixels_that_are_not_square_is_aligned(planet, grid, tmp_path, hills, write):
    """A source in degrees never has square pixels; a tile must."""
    whole = geobox_of(load_arcticdem(planet.dem, grid=grid, margin_m=200.0))
    dem_grid = GeoBox((whole.shape[0] // 2, whole.shape[1]), whole.affine * Affine.scale(1, 2), whole.crs)
    path = write(tmp_path / "dem.tif", dem_grid, hills(dem_grid))
    aligned = align(load_arcticdem(path, grid=grid), grid=grid).dem.values
    np.testing.assert_allclose(aligned, hills(grid), atol=0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda affine: affine * Affine.rotation(2),
            "arcticdem.tif' must be north-up, but its grid is rotated: warp it",
        ),
        (
            lambda affine: Affine(affine.a, 0, affine.c, 0, -affine.e, affine.f),
            "its rows go north or its columns west: flip",
        ),
    ],
)
def test_elevation_that_is_not_north_up_is_refused(planet, rewrite, grid, change, message):
    with rasterio.open(planet.dem) as raster:
        transform = raster.transform
    rewrite(planet.dem, transform=change(transform))
    with pytest.raises(SceneError, match=message):
        load_arcticdem(planet.dem, grid=grid)


def test_a_tile_in_degrees_is_refused(planet, planet_scene):
    degrees = GeoBox((20, 20), Affine(1e-4, 0, -135.67, 0, -1e-4, 68.05), "EPSG:4326")
    with pytest.raises(
        TileContractError, match=r"must have a projected CRS in metres, but got EPSG:4326 .*warp it to UTM"
    ):
        load_auxiliary(degrees, dem=planet.dem)
    tile = (
        planet_scene.tile.drop_vars("spatial_ref")
        .isel(y=slice(0, 20), x=slice(0, 20))
        .assign_coords(coords_of(degrees))
    )
    with pytest.raises(TileContractError, match=r"must have a projected CRS in metres, but got EPSG:4326"):
        preprocess(tile, dem=planet_scene.dem)


def test_a_tile_of_pixels_that_are_not_square_is_refused(planet):
    flat = GeoBox((20, 20), Affine(3.0, 0, 471_963, 0, -4.0, 7_548_663), "EPSG:32608")
    with pytest.raises(TileContractError, match=r"must have square pixels, but got 3.0 m × 4.0 m: resample it first"):
        load_auxiliary(flat, dem=planet.dem)


def test_a_tile_of_no_pixels_is_refused(planet_scene):
    with pytest.raises(TileContractError, match="needs at least one pixel, but x has none: check the window"):
        preprocess(planet_scene.tile.isel(x=slice(0, 0)), dem=planet_scene.dem)
