import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from darts_preprocessing import load_and_preprocess
from darts_preprocessing.loading import load_planet_scene, load_scene, load_sentinel2_scene
from darts_utils.errors import GridMismatchError, SceneError, SceneNotFoundError


def image_of(folder):
    return next(iter(folder.glob("*_SR*.tif")))


def mask_of(folder):
    return next(iter([*folder.glob("*_udm2.tif"), *folder.glob("*_SCL_clip.tif")]))


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("20230715_190211_24c9", "2023-07-15"),
        ("20230715_190211_42_24c9", "2023-07-15"),
        ("5790392_4372514_2022-07-16_2475", "2022-07-16"),
        ("20231345_190211_24c9", "unknown"),
        ("5790392_4372514_2022-02-30_2475", "unknown"),
        ("4372514_2022", "unknown"),
        ("20230715_190211_24c9_copy", "unknown"),
    ],
)
def test_dates_come_from_the_folder(planet, name, date):
    folder = planet.scene.rename(planet.scene.with_name(name))
    tile = load_planet_scene(folder)
    assert tile.attrs["tile_id"] == name
    assert tile.attrs["date"] == date


@pytest.mark.parametrize(
    ("name", "date"),
    [("20210821T210019_20210821T210020_T08WMA", "2021-08-21"), ("20211321T210019_x", "unknown"), ("x", "unknown")],
)
def test_dates_of_sentinel2_come_from_the_folder(sentinel, name, date):
    folder = sentinel.scene.rename(sentinel.scene.with_name(name))
    assert load_sentinel2_scene(folder, offset_dn=0).attrs["date"] == date


def test_the_folder_in_which_one_is_has_a_name(planet, sentinel, monkeypatch):
    monkeypatch.chdir(planet.scene)
    tile = load_scene(".")
    assert (tile.attrs["tile_id"], tile.attrs["date"]) == (planet.scene.name, "2021-08-21")
    monkeypatch.chdir(sentinel.scene)
    assert load_scene(Path(), sentinel2_offset_dn=0).attrs["tile_id"] == sentinel.scene.name
    (sentinel.scene / "below").mkdir()
    assert load_scene(Path("below") / "..", sentinel2_offset_dn=0).attrs["tile_id"] == sentinel.scene.name


def test_a_link_has_its_own_name(planet, tmp_path):
    link = tmp_path / "20230715_190211_24c9"
    link.symlink_to(planet.scene)
    assert load_scene(link).attrs["date"] == "2023-07-15"


def test_sensor_and_date_of_a_scene_that_says_them_are_kept(planet):
    tile = load_scene(planet.scene, sensor="other", date="2000-01-01")
    assert (tile.attrs["sensor"], tile.attrs["date"]) == ("planetscope", "2021-08-21")
    nameless = planet.scene.rename(planet.scene.with_name("nameless"))
    assert load_scene(nameless, date="2000-01-01").attrs["date"] == "2000-01-01"


def test_clipped_orthotiles_are_planet_scenes_too(planet):
    image, mask = image_of(planet.scene), mask_of(planet.scene)
    image.rename(image.with_name("x_SR_clip.tif"))
    mask.rename(mask.with_name("x_udm2_clip.tif"))
    assert load_scene(planet.scene).attrs["sensor"] == "planetscope"


def test_every_bit_of_the_usable_data_mask_counts(planet, rewrite):
    """A nodata value is no reason to drop a bit: 1 is blackfill in band 8."""
    expected = load_scene(planet.scene)
    rewrite(mask_of(planet.scene), nodata=1)
    tile = load_scene(planet.scene)
    for name in ("planet_udm2", "planet_udm1"):
        np.testing.assert_array_equal(tile[name].values, expected[name].values)


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


@pytest.mark.parametrize(
    ("azimuth", "elevation"), [(float("nan"), 30), (float("inf"), 30), (120, float("nan")), (120, 90.1), (120, 123456)]
)
def test_a_sun_that_is_nowhere_is_refused(planet, azimuth, elevation):
    path = next(planet.scene.glob("*.json"))
    path.write_text(json.dumps({"properties": {"sun_azimuth": azimuth, "sun_elevation": elevation}}))
    with pytest.raises(SceneError, match=r"_metadata.json' must hold a finite sun_azimuth and a sun_elevation of -90"):
        load_planet_scene(planet.scene)


def test_the_offset_of_sentinel2_must_be_named(sentinel):
    with pytest.raises(SceneError, match="got offset_dn=None: name it, offset_dn=0 for .* offset_dn=1000"):
        load_scene(sentinel.scene)
    with pytest.raises(SceneError, match="got offset_dn=500"):
        load_scene(sentinel.scene, sentinel2_offset_dn=500)
    shifted = load_and_preprocess(sentinel.scene, sentinel2_offset_dn=1000)
    plain = load_and_preprocess(sentinel.scene, sentinel2_offset_dn=0)
    expected = np.maximum(plain.nir.values.astype(int) - 1000, 0)
    np.testing.assert_array_equal(shifted.nir.values, expected)


def test_an_offset_that_the_image_contradicts_is_refused(sentinel, rewrite):
    def tag(raster):
        raster.scales, raster.offsets = (1e-4,) * 4, (-0.1,) * 4

    rewrite(image_of(sentinel.scene), tag=tag)
    with pytest.raises(
        SceneError, match=r"declares reflectance = count · 0.0001 \+ -0.1, but 0.0001 and -?0 are expected"
    ):
        load_scene(sentinel.scene, sentinel2_offset_dn=0)
    assert load_scene(sentinel.scene, sentinel2_offset_dn=1000).red.attrs["reflectance_offset"] == pytest.approx(-0.1)


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


def test_a_lonely_clipped_image_may_be_of_either_sensor(sentinel, planet):
    mask_of(sentinel.scene).unlink()
    with pytest.raises(
        SceneNotFoundError,
        match=r"must hold the mask of .*_SR_clip.tif, but has none: add \*_SCL_clip.tif \(Sentinel-2\)",
    ):
        load_scene(sentinel.scene, sentinel2_offset_dn=0)
    image = image_of(planet.scene)
    image.rename(image.with_name("x_SR_clip.tif"))
    mask_of(planet.scene).unlink()
    with pytest.raises(SceneNotFoundError, match="must hold the scene's usable data mask"):  # its name is Planet's
        load_scene(planet.scene)


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


def test_wrong_band_counts_are_named(planet, rewrite):
    rewrite(image_of(planet.scene), lambda values: values[:3])
    with pytest.raises(SceneError, match="must have 4 bands, but has 3"):
        load_scene(planet.scene)


def test_a_mask_of_another_product_is_named(planet, rewrite):
    rewrite(mask_of(planet.scene), lambda values: values[:1])
    with pytest.raises(SceneError, match="must have 8 bands, but has 1: it is another product"):
        load_scene(planet.scene)


def test_another_dtype_is_named(planet, rewrite):
    rewrite(image_of(planet.scene), lambda values: (values / 10_000).astype("float32"), nodata=0, predictor=1)
    with pytest.raises(SceneError, match="must hold uint16, but holds float32: convert it to uint16 counts"):
        load_scene(planet.scene)
    rewrite(image_of(planet.scene), lambda values: values.astype("uint8"), nodata=0)
    with pytest.raises(SceneError, match="must hold uint16, but holds uint8: it is another product"):
        load_scene(planet.scene)


@pytest.mark.parametrize(
    ("crs", "message"),
    [
        (None, "must have a CRS, but has none"),
        (
            rasterio.crs.CRS.from_wkt('LOCAL_CS["arbitrary",UNIT["metre",1]]'),
            "_SR.tif' must have a projected or geographic CRS, but has 'LOCAL_CS",
        ),
    ],
)
def test_a_raster_without_a_place_on_earth_is_named(planet, rewrite, crs, message):
    rewrite(image_of(planet.scene), crs=crs)
    with pytest.raises(SceneError, match=message):
        load_scene(planet.scene)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda affine: affine * Affine.rotation(2), "its grid is rotated"),
        (lambda affine: Affine(affine.a, 0, affine.c, 0, -affine.e, affine.f), "its rows go north"),
    ],
)
def test_grids_that_are_not_north_up_are_refused(planet, rewrite, change, message):
    path = image_of(planet.scene)
    with rasterio.open(path) as raster:
        transform = raster.transform
    rewrite(path, transform=change(transform))
    with pytest.raises(SceneError, match=message):
        load_scene(planet.scene)


def test_different_grids_are_named(planet, rewrite):
    rewrite(mask_of(planet.scene), lambda values: values[:, 1:])
    with pytest.raises(GridMismatchError, match="_SR.tif' and .*_udm2.tif' must share one grid.*shape"):
        load_scene(planet.scene)


def test_a_scene_without_data_is_named(planet, rewrite):
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
