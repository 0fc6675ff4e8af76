import json

import numpy as np
import pytest
import rasterio
from affine import Affine

from darts_preprocessing import load_and_preprocess, load_and_preprocess_batched, load_auxiliary, preprocess
from darts_preprocessing.loading import (
    load_arcticdem,
    load_geotiff,
    load_planet_scene,
    load_scene,
    load_sentinel2_scene,
    load_tcvis,
    parse_bands,
)
from darts_utils.errors import GridMismatchError, MissingVariableError, SceneError, SceneNotFoundError
from darts_utils.grids import geobox_of
from darts_utils.synthetic import synthetic_scene, write_scene
from darts_utils.testing import data_dir
from darts_utils.tiles import check_tile

PLANET = synthetic_scene(31, shape=(48, 60))
SENTINEL = synthetic_scene(32, shape=(41, 50), resolution_m=10.0, sensor="sentinel2")
BANDS = {"blue": 1, "green": 2, "red": 3, "nir": 4}


@pytest.fixture
def planet(tmp_path):
    return write_scene(PLANET, tmp_path / "planet")


@pytest.fixture
def sentinel(tmp_path):
    return write_scene(SENTINEL, tmp_path / "sentinel")


def rewrite(path, change=None, **profile):
    """Write a raster again with other pixels or another profile."""
    with rasterio.open(path) as raster:
        values, old = raster.read(), raster.profile
    values = values if change is None else change(values)
    new = {**old, "count": values.shape[0], "height": values.shape[1], "width": values.shape[2], "dtype": values.dtype}
    path.unlink()
    with rasterio.open(path, "w", **{**new, **profile}) as raster:
        raster.write(values)


def image_of(folder):
    return next(iter(folder.glob("*_SR*.tif")))


def mask_of(folder):
    return next(iter([*folder.glob("*_udm2.tif"), *folder.glob("*_SCL_clip.tif")]))


@pytest.mark.parametrize("scene", [PLANET, SENTINEL], ids=["planetscope", "sentinel2"])
def test_a_scene_comes_back_from_its_files(scene, tmp_path):
    paths = write_scene(scene, tmp_path)
    tile = load_scene(paths.scene, sentinel2_offset_dn=0)
    check_tile(tile)
    assert geobox_of(tile) == geobox_of(scene.tile)
    assert set(tile.data_vars) == set(scene.tile.data_vars)
    for name in tile.data_vars:
        np.testing.assert_array_equal(tile[name].values, scene.tile[name].values, err_msg=name)
    for name in ("tile_id", "sensor", "date"):
        assert tile.attrs[name] == scene.tile.attrs[name]
    if scene is PLANET:
        assert tile.attrs["sun_azimuth_deg"] == scene.tile.attrs["sun_azimuth_deg"]
        assert tile.attrs["sun_elevation_deg"] == scene.tile.attrs["sun_elevation_deg"]


def test_auxiliary_rasters_come_back_as_the_window_that_is_needed(planet):
    grid = geobox_of(PLANET.tile)[10:20, 10:20]
    for loader, path, whole, name in (
        (load_arcticdem, planet.dem, PLANET.dem, "dem"),
        (load_tcvis, planet.tcvis, PLANET.tcvis, "tc_greenness"),
    ):
        part = loader(path, grid=grid, margin_m=30.0)
        check_tile(part)
        assert part.sizes["x"] < whole.sizes["x"]
        same = whole[name].sel(x=part.x, y=part.y, method="nearest", tolerance=1e-6)
        np.testing.assert_array_equal(part[name].values, same.values)


@pytest.mark.parametrize("scene", [PLANET, SENTINEL], ids=["planetscope", "sentinel2"])
def test_files_and_datasets_give_the_same_features(scene, tmp_path):
    paths = write_scene(scene, tmp_path)
    from_files = load_and_preprocess(paths.scene, dem=paths.dem, tcvis=paths.tcvis, sentinel2_offset_dn=0)
    in_memory = preprocess(scene.tile, dem=scene.dem, tcvis=scene.tcvis)
    for name in in_memory.data_vars:
        np.testing.assert_allclose(
            from_files[name].values, in_memory[name].values, rtol=1e-6, atol=1e-4, err_msg=str(name)
        )
    (twin,) = load_and_preprocess_batched([paths.scene], dem=paths.dem, tcvis=paths.tcvis, sentinel2_offset_dn=0)
    assert twin.identical(from_files)
    assert load_and_preprocess(paths.scene, dem=scene.dem, sentinel2_offset_dn=0).relative_elevation.notnull().all()


def test_only_the_rasters_that_features_need_are_read(planet):
    grid = geobox_of(PLANET.tile)
    both = {"dem": planet.dem, "tcvis": planet.tcvis}
    assert all(part is not None for part in load_auxiliary(grid, **both))
    assert load_auxiliary(grid, **both, features=["ndvi", "slope"]).tcvis is None
    assert load_auxiliary(grid, **both, features=["tc_wetness"]).dem is None
    assert load_auxiliary(grid, dem="/nothing/here.tif", features=["ndvi"]) == (None, None)
    tile = load_and_preprocess(planet.scene, **both, features=["ndvi"])
    assert {"relative_elevation", "slope", "tc_wetness"}.isdisjoint(tile.data_vars)
    with pytest.raises(MissingVariableError, match="dem"):
        load_and_preprocess(planet.scene, features=["slope"])


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("20230715_190211_24c9", "2023-07-15"),
        ("20230715_190211_42_24c9", "2023-07-15"),
        ("5790392_4372514_2022-07-16_2475", "unknown"),
        ("4372514_5790392_2022-07-16_2475", "unknown"),
        ("4372514_2022", "unknown"),
    ],
)
def test_dates_come_from_the_folder(planet, name, date):
    folder = planet.scene.rename(planet.scene.with_name(name))
    tile = load_planet_scene(folder)
    assert tile.attrs["tile_id"] == name
    assert tile.attrs["date"] in (date, "2022-07-16")
    assert (tile.attrs["date"] == "unknown") == (name == "4372514_2022")


def test_clipped_orthotiles_are_planet_scenes_too(planet):
    image, mask = image_of(planet.scene), mask_of(planet.scene)
    image.rename(image.with_name("x_SR_clip.tif"))
    mask.rename(mask.with_name("x_udm2_clip.tif"))
    assert load_scene(planet.scene).attrs["sensor"] == "planetscope"


def test_without_metadata_sun_angles_are_absent(planet):
    next(planet.scene.glob("*.json")).unlink()
    assert "sun_azimuth_deg" not in load_planet_scene(planet.scene).attrs


@pytest.mark.parametrize(
    "text", ['{"properties": {}}', "{", '{"properties": {"sun_azimuth": "south", "sun_elevation": 1}}', "[]"]
)
def test_damaged_metadata_are_named(planet, text):
    next(planet.scene.glob("*.json")).write_text(text)
    with pytest.raises(
        SceneError, match=r"cannot read sun angles from '.*_metadata.json'.*download it again or remove it"
    ):
        load_planet_scene(planet.scene)


def test_a_scene_classification_at_10_m_is_taken_as_it_is(sentinel):
    fine = SENTINEL.tile.s2_scl.values[None]
    rewrite(mask_of(sentinel.scene), lambda _: fine, transform=geobox_of(SENTINEL.tile).affine)
    np.testing.assert_array_equal(load_sentinel2_scene(sentinel.scene, offset_dn=0).s2_scl.values, fine[0])


def test_the_offset_of_sentinel2_must_be_named(sentinel):
    with pytest.raises(SceneError, match="got offset_dn=None: name it, offset_dn=0 for .* offset_dn=1000"):
        load_scene(sentinel.scene)
    with pytest.raises(SceneError, match="got offset_dn=500"):
        load_scene(sentinel.scene, sentinel2_offset_dn=500)
    shifted = load_and_preprocess(sentinel.scene, sentinel2_offset_dn=1000)
    plain = load_and_preprocess(sentinel.scene, sentinel2_offset_dn=0)
    expected = np.maximum(plain.nir.values.astype(int) - 1000, 0)
    np.testing.assert_array_equal(shifted.nir.values, expected)


@pytest.mark.parametrize("which", ["planet", "sentinel"])
@pytest.mark.parametrize("file_of", [image_of, mask_of])
def test_a_truncated_file_is_named(which, file_of, request):
    path = file_of(request.getfixturevalue(which).scene)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match=rf"cannot read '.*{path.name}'.*damaged.*download it again"):
        load_scene(path.parent, sentinel2_offset_dn=0)


def test_a_missing_mask_is_named(planet, sentinel):
    mask_of(planet.scene).unlink()
    with pytest.raises(
        SceneNotFoundError,
        match=r"must hold the scene's usable data mask \(\*_udm2.tif or \*_udm2_clip.tif\), but holds",
    ):
        load_scene(planet.scene)
    mask_of(sentinel.scene).unlink()
    with pytest.raises(SceneNotFoundError, match="must hold the scene classification"):
        load_sentinel2_scene(sentinel.scene, offset_dn=0)


def test_a_missing_image_is_named(planet, sentinel):
    image_of(planet.scene).unlink()
    image_of(sentinel.scene).unlink()
    with pytest.raises(SceneNotFoundError, match="must hold a PlanetScope surface reflectance image"):
        load_scene(planet.scene)
    with pytest.raises(SceneNotFoundError, match="must hold a Sentinel-2 surface reflectance image"):
        load_scene(sentinel.scene, sentinel2_offset_dn=0)


def test_two_images_are_one_too_many(planet):
    image = image_of(planet.scene)
    image.with_name("other_SR.tif").write_bytes(image.read_bytes())
    with pytest.raises(SceneError, match="image once, but has"):
        load_scene(planet.scene)


def test_wrong_band_counts_are_named(planet):
    rewrite(image_of(planet.scene), lambda values: values[:3])
    with pytest.raises(SceneError, match="must have 4 bands, but has 3"):
        load_scene(planet.scene)


def test_a_mask_of_another_product_is_named(planet):
    rewrite(mask_of(planet.scene), lambda values: values[:1])
    with pytest.raises(SceneError, match="must have 8 bands, but has 1: it is another product"):
        load_scene(planet.scene)


def test_another_dtype_is_named(planet):
    rewrite(image_of(planet.scene), lambda values: (values / 10_000).astype("float32"), nodata=0, predictor=1)
    with pytest.raises(SceneError, match="must hold uint16, but holds float32"):
        load_scene(planet.scene)


def test_a_raster_without_crs_is_named(planet):
    rewrite(image_of(planet.scene), crs=None)
    with pytest.raises(SceneError, match="must have a CRS, but has none"):
        load_scene(planet.scene)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda affine: affine * Affine.rotation(2), "its grid is rotated"),
        (lambda affine: Affine(affine.a, 0, affine.c, 0, -affine.e, affine.f), "its rows go north"),
    ],
)
def test_grids_that_are_not_north_up_are_refused(planet, change, message):
    path = image_of(planet.scene)
    with rasterio.open(path) as raster:
        transform = raster.transform
    rewrite(path, transform=change(transform))
    with pytest.raises(SceneError, match=message):
        load_scene(planet.scene)


def test_different_grids_are_named(planet, sentinel):
    rewrite(mask_of(planet.scene), lambda values: values[:, 1:])
    with pytest.raises(GridMismatchError, match="_SR.tif' and .*_udm2.tif' must share one grid.*shape"):
        load_scene(planet.scene)
    path = mask_of(sentinel.scene)
    with rasterio.open(path) as raster:
        transform = raster.transform
    rewrite(path, transform=transform * Affine.translation(0.5, 0))
    with pytest.raises(GridMismatchError, match="must start at the same corner"):
        load_scene(sentinel.scene, sentinel2_offset_dn=0)


def test_a_scene_without_data_is_named(planet):
    rewrite(image_of(planet.scene), np.zeros_like)
    with pytest.raises(SceneError, match="every pixel is 0"):
        load_scene(planet.scene)


def test_empty_and_missing_folders_are_named(tmp_path):
    with pytest.raises(SceneNotFoundError, match="but holds nothing: check the path"):
        load_scene(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SceneNotFoundError, match="but holds notes.txt"):
        load_scene(tmp_path)
    with pytest.raises(SceneNotFoundError, match="there is nothing"):
        load_scene(tmp_path / "gone")
    with pytest.raises(SceneNotFoundError, match="expected a scene folder"):
        load_planet_scene(tmp_path / "gone")


def test_unfinished_files_are_no_scene(planet):
    image = image_of(planet.scene)
    image.rename(image.with_name(f".darts-incomplete-0123-{image.name}"))
    with pytest.raises(SceneNotFoundError, match="must hold a PlanetScope surface reflectance image"):
        load_scene(planet.scene)


def test_geotiffs_need_a_band_mapping(planet):
    image = image_of(planet.scene)
    with pytest.raises(SceneError, match="say which band is which"):
        load_scene(image)
    tile = load_scene(image, bands={"blue": 4, "green": 2, "red": 3, "nir": 1})
    np.testing.assert_array_equal(tile.blue.values, PLANET.tile.nir.values)
    assert tile.attrs["sensor"] == "unknown"
    assert tile.attrs["tile_id"] == image.stem
    with pytest.raises(SceneError, match="must have at least 9 bands, but has 4"):
        load_geotiff(image, bands={**BANDS, "nir": 9})
    with pytest.raises(SceneNotFoundError, match="expected a raster at"):
        load_geotiff(image.with_name("gone.tif"), bands=BANDS)
    with pytest.raises(ValueError, match="scale above 0"):
        load_geotiff(image, bands=BANDS, reflectance_scale=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blue=1,green=2,red=3", "expected the bands blue, green, red, nir, but got blue, green, red"),
        ("blue=1,green=2,red=3,nir=3", "different band numbers"),
        ("blue=0,green=2,red=3,nir=4", "different band numbers from 1"),
        ("blue=1,green=2,red=3,nir", "expected bands like"),
        ("blue=1,blue=2,green=3,red=4,nir=5", "each band once"),
        ("", "expected bands like"),
        ("blue=a,green=2,red=3,nir=4", "expected bands like"),
    ],
)
def test_band_mappings_that_make_no_sense_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_bands(text)


def test_elevation_that_is_none_is_refused(planet):
    grid = geobox_of(PLANET.tile)
    with pytest.raises(SceneError, match="must have 1 band of heights, but has 3"):
        load_arcticdem(planet.tcvis, grid=grid)
    with rasterio.open(planet.dem, "r+") as raster:
        raster.units = ("foot",)
    with pytest.raises(SceneError, match="must hold metres, but its unit is 'foot'"):
        load_arcticdem(planet.dem, grid=grid)
    with rasterio.open(planet.dem, "r+") as raster:
        raster.units = ("metre",)
    rewrite(planet.dem, lambda values: values * 100)
    with pytest.raises(SceneError, match="heights of -500 to 9000 m, but they go from"):
        load_arcticdem(planet.dem, grid=grid)


def test_nodata_without_its_tag_and_infinities_are_nodata(planet):
    def spoiled(values):
        values[0, :40] = -9999
        values[0, 40:50] = np.inf
        return values

    rewrite(planet.dem, spoiled, nodata=None)
    loaded = load_arcticdem(planet.dem, grid=geobox_of(PLANET.tile), margin_m=200.0).dem
    assert np.isfinite(loaded.values[np.isfinite(loaded.values)]).all()
    assert loaded.min() > 0


def test_integer_heights_become_float(planet):
    rewrite(planet.dem, lambda values: np.rint(values).astype("int16"), predictor=2)
    assert load_arcticdem(planet.dem, grid=geobox_of(PLANET.tile)).dem.dtype == np.float32


def test_trends_of_another_kind_are_refused(planet):
    with pytest.raises(SceneError, match=r"must have 3 bands of uint8 .*but has 1 of float32"):
        load_tcvis(planet.dem, grid=geobox_of(PLANET.tile))


@pytest.mark.parametrize("loader", [load_arcticdem, load_tcvis])
def test_rasters_elsewhere_are_refused_with_both_extents(planet, loader):
    path = planet.dem if loader is load_arcticdem else planet.tcvis
    elsewhere = geobox_of(synthetic_scene(1, shape=(8, 8), center_lonlat_deg=(-133.0, 69.0)).tile)
    with pytest.raises(SceneError, match=r"covers \(.*\), but the tile needs \(.*\).*give one that overlaps"):
        loader(path, grid=elsewhere)


def test_the_peel_chip_loads_with_its_band_mapping():
    path = data_dir() / "peel" / "S2_20210821T210019_20210821T210020_T08WMA.tif"
    tile = load_scene(path, bands=parse_bands("blue=1,green=2,red=3,nir=7"))
    assert geobox_of(tile).crs.epsg == 32608
    assert tile.red.shape == (251, 251)
    assert 200 < float(tile.red.median()) < 1500
    json.dumps(tile.attrs)
