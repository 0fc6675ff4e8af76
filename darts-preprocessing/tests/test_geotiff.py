import json

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp

from darts_preprocessing import load_and_preprocess
from darts_preprocessing.loading import load_geotiff, load_scene, parse_bands
from darts_preprocessing.loading.geotiff import DEFAULT_OFFSET, DEFAULT_SCALE
from darts_utils.errors import DartsWarning, SceneError, SceneNotFoundError
from darts_utils.grids import geobox_of
from darts_utils.testing import data_dir
from darts_utils.variables import OPTICAL_BANDS

BANDS = {"blue": 1, "green": 2, "red": 3, "nir": 4}
GRID = GeoBox((30, 40), Affine(10, 0, 500_200, 0, -10, 7_499_800), "EPSG:32608")
COUNTS = np.random.default_rng(0).integers(200, 9000, (4, 30, 40), dtype="uint16")


@pytest.fixture
def image(tmp_path, write):
    return write(tmp_path / "scene.tif", GRID, COUNTS)


def test_geotiffs_need_a_band_mapping(image):
    with pytest.raises(SceneError, match="say which band is which"):
        load_scene(image)
    tile = load_scene(image, bands={"blue": 4, "green": 2, "red": 3, "nir": 1})
    np.testing.assert_array_equal(tile.blue.values, COUNTS[3])
    assert tile.attrs["tile_id"] == image.stem
    with pytest.raises(SceneError, match="must have at least 9 bands, but has 4"):
        load_geotiff(image, bands={**BANDS, "nir": 9})
    with pytest.raises(SceneNotFoundError, match="expected a raster at"):
        load_geotiff(image.with_name("gone.tif"), bands=BANDS)


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
        ("blue=²,green=2,red=3,nir=4", "expected bands like"),
    ],
)
def test_band_mappings_that_make_no_sense_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_bands(text)


def test_sensor_and_date_come_from_options(image):
    assert (load_scene(image, bands=BANDS).attrs["sensor"], load_scene(image, bands=BANDS).attrs["date"]) == (
        "unknown",
    ) * 2
    named = {"sensor": "landsat8", "date": "2021-07-21"}
    for tile in (load_geotiff(image, bands=BANDS, **named), load_scene(image, bands=BANDS, **named)):
        assert (tile.attrs["sensor"], tile.attrs["date"]) == ("landsat8", "2021-07-21")
    with pytest.warns(DartsWarning, match="no sensor mask"):
        tile = load_and_preprocess(image, bands=BANDS, **named)
    assert (tile.attrs["sensor"], tile.attrs["date"]) == ("landsat8", "2021-07-21")


@pytest.mark.parametrize("date", ["2021-02-30", "21.8.2021", "20210821", "2021-W33-6", ""])
@pytest.mark.parametrize("loader", [load_scene, load_geotiff])
def test_a_date_that_is_none_is_refused(image, loader, date):
    with pytest.raises(ValueError, match="expected a date like 2021-08-21, but got"):
        loader(image, bands=BANDS, date=date)


def mask_upper_rows(raster):
    raster.write_mask(np.where(np.arange(30)[:, None] < 10, 0, np.full(40, 255)).astype("uint8"))


@pytest.mark.parametrize(
    ("fill", "options"),
    [
        (65535, {"nodata": 65535}),
        (1, {"nodata": 1}),
        (0, {"nodata": 0}),
        (0, {}),
        (7777, {"tag": mask_upper_rows}),
    ],
    ids=["65535", "1", "0", "untagged 0", "internal mask"],
)
def test_what_the_file_calls_missing_is_missing(image, rewrite, fill, options):
    def filled(values):
        values[:, :10] = fill
        return values

    rewrite(image, filled, **options)
    with pytest.warns(DartsWarning, match="no sensor mask") as caught:
        tile = load_and_preprocess(image, bands=BANDS)
    assert len(caught) == 1
    for mask in (tile.valid_data_mask, tile.quality_data_mask):
        np.testing.assert_array_equal(mask.values, np.arange(30)[:, None] >= np.full(40, 10))
    for index, name in enumerate(OPTICAL_BANDS):
        assert (tile[name].values[:10] == 0).all()
        np.testing.assert_array_equal(tile[name].values[10:], COUNTS[index, 10:])
    assert np.isnan(tile.ndvi.values[:10]).all()


def test_missing_in_one_band_is_missing(image, rewrite):
    def filled(values):
        values[2, 5, 6] = 65535
        return values

    rewrite(image, filled, nodata=65535)
    tile = load_geotiff(image, bands=BANDS)
    assert tile.red.values[5, 6] == 0
    assert tile.nir.values[5, 6] == COUNTS[3, 5, 6]


def test_zeros_beside_another_nodata_value_are_missing_with_a_warning(image, rewrite):
    def filled(values):
        values[:, :10] = 65535
        values[0, 20, :12] = 0
        return values

    rewrite(image, filled, nodata=65535)
    with pytest.warns(DartsWarning, match=r"scene.tif' marks missing data otherwise, but 1 % of its pixels hold 0"):
        tile = load_geotiff(image, bands=BANDS)
    assert (tile.blue.values[20, :12] == 0).all()


def test_a_near_infrared_band_that_is_called_transparency_is_a_band(image, rewrite):
    def filled(values):
        values[3] = np.arange(values[3].size).reshape(values[3].shape) % 300
        return values

    def tag(raster):
        raster.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.alpha]

    rewrite(image, filled, tag=tag)
    tile = load_geotiff(image, bands=BANDS)  # a warning would fail
    for index, name in enumerate(OPTICAL_BANDS[:3]):
        np.testing.assert_array_equal(tile[name].values, COUNTS[index])
    np.testing.assert_array_equal(tile.nir.values.ravel(), np.arange(1200) % 300)


def declares(*scalings):
    def tag(raster):
        raster.scales, raster.offsets = zip(*scalings, strict=True)

    return tag


def test_scale_and_offset_are_those_of_the_file(image, rewrite):
    rewrite(image, lambda values: np.full_like(values, 12_000), tag=declares(*[(2.75e-5, -0.2)] * 3, (5e-5, -0.1)))
    tile = load_geotiff(image, bands=BANDS)
    assert (tile.red.attrs["reflectance_scale"], tile.red.attrs["reflectance_offset"]) == (2.75e-5, -0.2)
    with pytest.warns(DartsWarning, match="no sensor mask"):
        tile = load_and_preprocess(image, bands=BANDS)
    assert (tile.red.values == 1300).all()
    assert (tile.nir.values == 5000).all()


def test_without_a_declaration_the_options_count(image):
    tile = load_geotiff(image, bands=BANDS)
    assert (tile.red.attrs["reflectance_scale"], tile.red.attrs["reflectance_offset"]) == (
        DEFAULT_SCALE,
        DEFAULT_OFFSET,
    )
    tile = load_scene(image, bands=BANDS, reflectance_offset=-0.1)
    assert (tile.red.attrs["reflectance_scale"], tile.red.attrs["reflectance_offset"]) == (DEFAULT_SCALE, -0.1)


@pytest.mark.parametrize("options", [{"reflectance_scale": 1e-4}, {"reflectance_offset": 0.0}])
def test_options_that_contradict_the_file_are_refused(image, rewrite, options):
    rewrite(image, tag=declares(*[(2.75e-5, -0.2)] * 4))
    with pytest.raises(
        SceneError, match=r"scene.tif' declares reflectance = count · 2.75e-05 \+ -0.2, but .* are expected"
    ):
        load_scene(image, bands=BANDS, **options)
    same = load_scene(image, bands=BANDS, reflectance_scale=2.75e-5, reflectance_offset=-0.2)
    assert same.identical(load_scene(image, bands=BANDS))


@pytest.mark.parametrize("scaling", [(1.0, -1000.0), (-1e-4, 0.0)])
def test_a_declaration_that_makes_no_reflectance_is_refused(image, rewrite, scaling):
    rewrite(image, tag=declares(*[scaling] * 4))
    with pytest.raises(
        SceneError, match=r"declares reflectance = .*, but a scale must lie between 0 and 0.01: correct it"
    ):
        load_geotiff(image, bands=BANDS)


@pytest.mark.parametrize(
    "options",
    [
        {"reflectance_scale": 0},
        {"reflectance_scale": -1e-4},
        {"reflectance_scale": np.inf},
        {"reflectance_offset": np.nan},
    ],
)
def test_options_that_make_no_reflectance_are_refused(image, options):
    with pytest.raises(ValueError, match="expected a scale above 0 and a finite offset, but got"):
        load_geotiff(image, bands=BANDS, **options)


def test_the_peel_chip_loads_with_its_band_mapping():
    path = data_dir() / "peel" / "S2_20210821T210019_20210821T210020_T08WMA.tif"
    tile = load_scene(path, bands=parse_bands("blue=1,green=2,red=3,nir=7"))
    assert geobox_of(tile).crs.epsg == 32608
    assert tile.red.shape == (251, 251)
    assert 200 < float(tile.red.median()) < 1500
    json.dumps(tile.attrs)
