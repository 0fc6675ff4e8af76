"""Sentinel-2 products as ESA delivers them, made anew here: real JPEG 2000, metadata in ESA's structure."""

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from darts_preprocessing import load_and_preprocess
from darts_preprocessing.loading import load_safe, load_scene
from darts_utils.errors import DartsWarning, GridMismatchError, SceneError, SceneNotFoundError
from darts_utils.grids import geobox_of
from darts_utils.tiles import check_tile

NAME = "S2A_MSIL2A_20210821T210021_N0500_R100_T08WMA_20230115T031530"
UNOFFICIAL = "S2A_MSIL2A_20190919T175011_N9999_R141_T13TDE_20191026T081601.SAFE"
BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}

PRODUCT = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>2021-08-21T21:00:21.024Z</PRODUCT_START_TIME>
      <PROCESSING_LEVEL>Level-2A</PROCESSING_LEVEL>
      {baseline}
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <QUANTIFICATION_VALUES_LIST>
        <BOA_QUANTIFICATION_VALUE unit="none">{quantification}</BOA_QUANTIFICATION_VALUE>
        <AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>
      {offsets}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-2A_User_Product>
"""
GRANULE = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd">
  <n1:Geometric_Info>
    <Tile_Angles>
      <Mean_Sun_Angle>
        <ZENITH_ANGLE unit="deg">{zenith}</ZENITH_ANGLE>
        <AZIMUTH_ANGLE unit="deg">178.25</AZIMUTH_ANGLE>
      </Mean_Sun_Angle>
    </Tile_Angles>
  </n1:Geometric_Info>
</n1:Level-2A_Tile_ID>
"""


def listed(*offsets):
    rows = "".join(f'<BOA_ADD_OFFSET band_id="{band}">{offset}</BOA_ADD_OFFSET>' for band, offset in offsets)
    return f"<BOA_ADD_OFFSET_VALUES_LIST>{rows}</BOA_ADD_OFFSET_VALUES_LIST>"


ALL_SHIFTED = listed(*((band, -1000) for band in range(13)))


def product_xml(*, baseline="05.00", quantification="10000", offsets=ALL_SHIFTED):
    said = f"<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>" if baseline else ""
    return PRODUCT.format(baseline=said, quantification=quantification, offsets=offsets)


def write_jp2(path, values, grid):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    options = dict(QUALITY=100, REVERSIBLE="YES", YCBCR420="NO", BLOCKXSIZE=64, BLOCKYSIZE=64)
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        count=1,
        height=height,
        width=width,
        dtype=values.dtype,
        crs=grid.crs.to_wkt(),
        transform=grid.affine,
        **options,
    ) as raster:
        raster.write(values, 1)


@pytest.fixture
def write_safe(sentinel_scene, tmp_path):
    """Write the scene as a product; `keep` leaves files out by a part of their path."""

    def written(name=f"{NAME}.SAFE", *, product=None, granule=None, without=()):
        tile = sentinel_scene.tile
        grid = geobox_of(tile)
        folder = tmp_path / name
        inside = folder / "GRANULE" / "L2A_T08WMA_A032199_20210821T210019"
        for band, variable in BANDS.items():
            write_jp2(
                inside / "IMG_DATA" / "R10m" / f"T08WMA_20210821T210021_{band}_10m.jp2", tile[variable].values, grid
            )
        classes = tile.s2_scl.values[::2, ::2]
        coarse = GeoBox(classes.shape, grid.affine * grid.affine.scale(2), grid.crs)
        write_jp2(inside / "IMG_DATA" / "R20m" / "T08WMA_20210821T210021_SCL_20m.jp2", classes, coarse)
        (folder / "MTD_MSIL2A.xml").write_text(product_xml() if product is None else product)
        (inside / "MTD_TL.xml").write_text(GRANULE.format(zenith="57.5") if granule is None else granule)
        for part in without:
            for path in folder.rglob(f"*{part}*"):
                path.unlink()
        return folder

    return written


def test_a_product_comes_back_from_its_files(write_safe, sentinel_scene):
    folder = write_safe()
    tile = load_scene(folder)
    check_tile(tile)
    assert tile.identical(load_safe(folder))
    assert geobox_of(tile) == geobox_of(sentinel_scene.tile)
    for name in (*BANDS.values(), "s2_scl"):
        np.testing.assert_array_equal(tile[name].values, sentinel_scene.tile[name].values, err_msg=name)
    expected = {"tile_id": NAME, "sensor": "sentinel2", "date": "2021-08-21", "processing_baseline": "05.00"}
    assert tile.attrs == {**expected, "sun_azimuth_deg": 178.25, "sun_elevation_deg": 32.5}
    assert tile.nir.attrs["source"] == "T08WMA_20210821T210021_B08_10m.jp2"
    assert tile.red.attrs["reflectance_scale"] == 1e-4
    assert tile.red.attrs["reflectance_offset"] == pytest.approx(-0.1)
    made = load_and_preprocess(folder)
    shifted = np.maximum(sentinel_scene.tile.red.values.astype(int) - 1000, 0)
    np.testing.assert_array_equal(made.red.values, np.where(made.valid_data_mask.values, shifted, 0))


@pytest.mark.parametrize(
    ("options", "offset", "baseline"),
    [
        ({"baseline": "04.00", "offsets": ""}, -0.1, "04.00"),
        ({"baseline": "03.01", "offsets": ""}, 0.0, "03.01"),
        ({"baseline": "02.14", "offsets": ALL_SHIFTED}, -0.1, "02.14"),
        ({"baseline": "", "offsets": ""}, -0.1, "05.00"),  # from the name
        ({"baseline": "05.10", "offsets": listed(*((band, 0) for band in range(13)))}, 0.0, "05.10"),
    ],
)
def test_the_offset_is_what_the_product_says(write_safe, options, offset, baseline):
    """Never what the sensing date suggests, which is the same in all of them."""
    tile = load_scene(write_safe(product=product_xml(**options)))
    assert tile.attrs["processing_baseline"] == baseline
    for name in BANDS.values():
        assert tile[name].attrs["reflectance_offset"] == pytest.approx(offset)


def test_each_band_has_its_own_offset_and_all_share_the_quantification(write_safe):
    offsets = listed(("1", -1000), ("2", -900), ("3", -800), ("7", -700), ("8", -5))
    tile = load_scene(write_safe(product=product_xml(quantification="20000", offsets=offsets)))
    found = [tile[name].attrs["reflectance_offset"] for name in BANDS.values()]
    np.testing.assert_allclose(found, [-0.05, -0.045, -0.04, -0.035])
    assert tile.blue.attrs["reflectance_scale"] == 5e-5


@pytest.mark.parametrize(("name", "offset"), [(NAME, -0.1), (NAME.replace("N0500", "N0300"), 0.0)])
def test_without_metadata_the_name_speaks(write_safe, name, offset):
    tile = load_scene(write_safe(f"{name}.SAFE", without=["MTD_"]))
    assert tile.green.attrs["reflectance_offset"] == pytest.approx(offset)
    assert "sun_azimuth_deg" not in tile.attrs


def test_a_product_that_says_nothing_is_refused(write_safe):
    folder = write_safe("renamed.SAFE", without=["MTD_MSIL2A"])
    with pytest.raises(
        SceneError, match="must say how counts become reflectance, but neither it .* nor the product's name"
    ):
        load_scene(folder)


@pytest.mark.parametrize("offset_dn", [0, 1000])
@pytest.mark.parametrize("without", [[], ["MTD_MSIL2A"]])
def test_an_unofficial_baseline_decides_nothing(write_safe, offset_dn, without):
    folder = write_safe(UNOFFICIAL, product=product_xml(baseline="99.99", offsets=""), without=without)
    with pytest.raises(
        SceneError, match=r"\(baseline 99.99\), and got offset_dn=None: name .* offset_dn=0 or offset_dn=1000"
    ):
        load_scene(folder)
    with pytest.raises(SceneError, match="got offset_dn=500"):
        load_scene(folder, sentinel2_offset_dn=500)
    tile = load_scene(folder, sentinel2_offset_dn=offset_dn)
    assert tile.attrs["processing_baseline"] == "99.99"
    assert tile.red.attrs["reflectance_offset"] == pytest.approx(-offset_dn / 10_000)


def test_an_unofficial_product_that_lists_its_offsets_is_believed(write_safe):
    folder = write_safe(UNOFFICIAL, product=product_xml(baseline="99.99", offsets=ALL_SHIFTED))
    assert load_scene(folder).red.attrs["reflectance_offset"] == pytest.approx(-0.1)
    with pytest.raises(SceneError, match="but 0 is expected: leave the option out"):
        load_scene(folder, sentinel2_offset_dn=0)


def test_a_renamed_product_is_known_by_its_metadata(write_safe):
    tile = load_scene(write_safe("renamed"))
    assert (tile.attrs["tile_id"], tile.attrs["date"]) == ("renamed", "2021-08-21")


def test_an_offset_that_the_product_contradicts_is_refused(write_safe):
    folder = write_safe()
    assert load_scene(folder, sentinel2_offset_dn=1000).attrs["tile_id"] == NAME
    with pytest.raises(
        SceneError, match="says that reflectance 0 is the count 1000, but 0 is expected: leave the option out"
    ):
        load_scene(folder, sentinel2_offset_dn=0)


@pytest.mark.parametrize(
    ("product", "message"),
    [
        (
            product_xml(offsets=listed(("1", -1000), ("2", -1000))),
            "must list BOA_ADD_OFFSET of every band, but lacks that of B04",
        ),
        (product_xml(quantification="0"), "must hold a BOA_QUANTIFICATION_VALUE above 0, but has 0"),
        (product_xml(quantification="many"), "must hold a number in BOA_QUANTIFICATION_VALUE, but has 'many'"),
        (product_xml()[:300], "cannot read '.*MTD_MSIL2A.xml' .*expected the XML of a Sentinel-2 product"),
    ],
)
def test_damaged_metadata_are_named(write_safe, product, message):
    with pytest.raises(SceneError, match=message):
        load_scene(write_safe(product=product))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_never_expanded(write_safe, encoding):
    bomb = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
        "<x>&b;</x>"
    )
    folder = write_safe()
    (folder / "MTD_MSIL2A.xml").write_bytes(bomb.encode(encoding))
    with pytest.raises(SceneError, match="expected no document type, but got 'x'"):
        load_scene(folder)


@pytest.mark.parametrize(
    ("granule", "message"),
    [
        (GRANULE.format(zenith="190"), "must hold a ZENITH_ANGLE of 0 to 180 degrees, but has 190"),
        ("<a/>", "MTD_TL.xml' must hold its sun angles, but has ''"),
    ],
)
def test_a_sun_that_is_nowhere_is_refused(write_safe, granule, message):
    with pytest.raises(SceneError, match=message):
        load_scene(write_safe(granule=granule))


def test_missing_and_doubled_files_are_named(write_safe, tmp_path):
    with pytest.raises(SceneNotFoundError, match=r"must hold IMG_DATA/R10m/\*_B08_10m.jp2, but has no such file"):
        load_scene(write_safe(without=["B08"]))
    folder = write_safe()
    image = next(folder.rglob("*_B02_10m.jp2"))
    image.with_name("X_B02_10m.jp2").write_bytes(image.read_bytes())
    with pytest.raises(SceneError, match=r"B02_10m.jp2 once, but has .*keep one of them"):
        load_scene(folder)
    (folder / "GRANULE" / "other").mkdir()
    with pytest.raises(SceneError, match="must hold one granule, but has L2A_T08WMA.*, other"):
        load_scene(folder)
    empty = tmp_path / "S2B.SAFE"
    empty.mkdir()
    (empty / "MTD_MSIL2A.xml").write_text(product_xml())
    with pytest.raises(SceneNotFoundError, match="has no granule"):
        load_scene(empty)
    with pytest.raises(SceneNotFoundError, match="expected a Sentinel-2 product folder"):
        load_safe(tmp_path / "gone.SAFE")


def test_a_truncated_band_is_named(write_safe):
    folder = write_safe()
    path = next(folder.rglob("*_B03_10m.jp2"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SceneError, match=rf"cannot read '.*{path.name}'.*damaged"):
        load_scene(folder)


def test_bands_that_do_not_fit_are_named(write_safe, sentinel_scene):
    folder = write_safe()
    grid = geobox_of(sentinel_scene.tile).translate_pix(3, 0)
    write_jp2(next(folder.rglob("*_B08_10m.jp2")), sentinel_scene.tile.nir.values, grid)
    with pytest.raises(GridMismatchError, match=r"_B02_10m.jp2' and .*_B08_10m.jp2' must share one grid"):
        load_scene(folder)


def test_a_classification_that_ends_early_is_told(write_safe, sentinel_scene):
    folder = write_safe()
    grid = geobox_of(sentinel_scene.tile)
    coarse = GeoBox((10, 25), grid.affine * grid.affine.scale(2), grid.crs)
    write_jp2(next(folder.rglob("*_SCL_20m.jp2")), np.full((10, 25), 4, "uint8"), coarse)
    with pytest.warns(DartsWarning, match="SCL_20m.jp2' misses .* %"):
        tile = load_scene(folder)
    assert (tile.s2_scl.values[20:] == 0).all()
