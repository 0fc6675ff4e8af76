"""Rasters against rio-cogeo's validator, rasterio and gdalinfo."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rio_cogeo.cogeo
import xarray as xr
from numpy.typing import NDArray

from darts_export import export_tile
from darts_export.bands import band_of
from darts_export.config import COMPRESSIONS, ExportConfig
from darts_export.rasters import write_cog
from darts_utils.errors import TileContractError
from darts_utils.grids import geobox_of
from darts_utils.testing import example_tile

WITH_OVERVIEWS = ExportConfig(overviews=True)


def _write(
    tile: xr.Dataset,
    names: Sequence[str],
    folder: Path,
    *,
    valid: NDArray[np.bool_] | None = None,
    options: ExportConfig = WITH_OVERVIEWS,
) -> Path:
    path, tags = folder / "raster.tif", {"tile_id": "4372514", "models": "full"}
    write_cog(tile, names, path, grid=geobox_of(tile), valid=valid, tags=tags, options=options)
    return path


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (60, 70), (512, 512), (513, 600), (1100, 530)])
@pytest.mark.parametrize("name", ["probabilities_percent", "binarized_segmentation", "ndvi", "red", "extent"])
def test_valid_cog_with_the_values_of_the_tile(shape: tuple[int, int], name: str, tmp_path: Path) -> None:
    tile = example_tile([name], shape=shape)
    path = _write(tile, [name], tmp_path)
    assert rio_cogeo.cogeo.cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), tile[name].values)
        assert raster.crs.to_epsg() == 32608
        assert raster.transform == geobox_of(tile).affine
        assert raster.compression.name == "zstd"


@pytest.mark.parametrize("overviews", [False, True])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("names", [["probabilities_percent"], ["ndvi"], ["blue", "red"], ["extent"]])
def test_every_compression_keeps_every_value(
    names: list[str], compression: str, overviews: bool, tmp_path: Path
) -> None:
    tile = example_tile(names, shape=(700, 600))
    path = _write(tile, names, tmp_path, options=ExportConfig(compression=compression, overviews=overviews))
    is_valid, errors, warnings = rio_cogeo.cogeo.cog_validate(path)
    assert (is_valid, errors) == (True, [])
    assert bool(warnings) != overviews  # that there are none in a raster of more than 512 pixels is all there is to say
    with rasterio.open(path) as raster:
        for index, name in enumerate(names, start=1):
            np.testing.assert_array_equal(raster.read(index), tile[name].values)
            assert raster.overviews(index) == ([2] if overviews else [])
        assert (raster.compression.name, raster.block_shapes[0]) == (compression.lower(), (512, 512))


def test_lerc_moves_amounts_within_its_limit_and_nothing_else(tmp_path: Path) -> None:
    tile = example_tile(["ndvi", "red", "probabilities_percent", "binarized_segmentation"], shape=(300, 400))
    tile.ndvi[:20] = np.nan
    options = ExportConfig(compression="LERC", lerc_max_error=0.01)
    with rasterio.open(_write(tile, ["ndvi"], tmp_path, options=options)) as raster:
        moved = np.abs(raster.read(1) - tile.ndvi.values)
        assert 0 < np.nanmax(moved) <= 0.01 + 1e-6
        np.testing.assert_array_equal(np.isnan(moved), np.isnan(tile.ndvi.values))
    coarse = ExportConfig(compression="LERC", lerc_max_error=3)
    with rasterio.open(_write(tile, ["red"], tmp_path, options=coarse)) as raster:
        assert 0 < np.abs(raster.read(1).astype(int) - tile.red.values.astype(int)).max() <= 3
    for name in ("probabilities_percent", "binarized_segmentation"):  # 254 is not nodata, and 2 is no class
        with rasterio.open(_write(tile, [name], tmp_path, options=coarse)) as raster:
            np.testing.assert_array_equal(raster.read(1), tile[name].values)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_lerc_cannot_hold_long_integers(dtype: str, tmp_path: Path) -> None:
    tile = example_tile(["red"]).assign(other=lambda each: each.red.astype(dtype))
    message = f"LERC cannot hold variable 'other', which is {dtype}: choose another compression, or convert it"
    with pytest.raises(TileContractError, match=message):
        export_tile(tile, tmp_path, products=["red", "other"], compression="LERC")
    with pytest.raises(TileContractError, match=message):
        _write(tile, ["other"], tmp_path, options=ExportConfig(compression="LERC"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "dtype", "nodata"),
    [
        ("probabilities_percent", "uint8", 255),
        ("probabilities_percent-full", "uint8", 255),
        ("binarized_segmentation", "uint8", None),
        ("extent", "uint8", None),
        ("red", "uint16", None),
        ("ndvi", "float32", float("nan")),
    ],
)
def test_dtype_and_nodata(name: str, dtype: str, nodata: float | None, tmp_path: Path) -> None:
    with rasterio.open(_write(example_tile([name]), [name], tmp_path)) as raster:
        assert raster.dtypes == (dtype,)
        assert raster.nodata == nodata or (np.isnan(raster.nodata) and np.isnan(nodata))


@pytest.mark.parametrize(("dtype", "nodata"), [("float64", float("nan")), ("int16", None)])
def test_variables_that_the_registry_does_not_know(dtype: str, nodata: float | None, tmp_path: Path) -> None:
    tile = example_tile(["red"]).assign(ndmi=lambda each: each.red.astype(dtype))
    with rasterio.open(_write(tile, ["ndmi"], tmp_path)) as raster:
        assert raster.dtypes == (dtype,)
        assert raster.nodata is nodata or np.isnan(raster.nodata)


def test_metadata(tmp_path: Path) -> None:
    tile = example_tile(["probabilities_percent"])
    tile.probabilities_percent.attrs.update(source="full", threshold=0.5)
    with rasterio.open(_write(tile, ["probabilities_percent"], tmp_path)) as raster:
        assert raster.descriptions == ("probabilities_percent",)
        assert raster.units == ("percent",)
        assert raster.tags()["tile_id"] == "4372514"
        assert raster.tags()["models"] == "full"
        assert raster.tags(1) == {
            "long_name": "probability of a thaw slump",
            "units": "percent",
            "source": "full",
            "threshold": "0.5",
        }
        assert (raster.scales, raster.offsets) == ((1.0,), (0.0,))


def test_attributes_with_names_that_gdal_takes(tmp_path: Path) -> None:
    names = ("ns", "bidx", "AREA_OR_POINT", "TIFFTAG_DATETIME")
    tile = example_tile(["ndvi"])
    tile.ndvi.attrs |= dict.fromkeys(names, "Point")
    tile.attrs |= {name: index for index, name in enumerate(names)} | {"eo:row": 7, "a=b": "x"}
    written = export_tile(tile, tmp_path, products=["ndvi"])["ndvi"]
    with rasterio.open(written) as raster:
        tags, band_tags = raster.tags(), raster.tags(1)
        assert [tags[f"attr_{name}"] for name in names] == ["0", "1", "2", "3"]
        assert (tags["eo_row"], tags["a_b"], tags["AREA_OR_POINT"]) == ("7", "x", "Area")
        assert (tags["tile_id"], tags["sensor"]) == ("example-0", "planetscope")
        assert [band_tags[f"attr_{name}"] for name in names] == ["Point"] * 4
        assert band_tags["source"] == "example"
        assert raster.tag_namespaces() == ["IMAGE_STRUCTURE", "DERIVED_SUBDATASETS"]


def test_reflectance_carries_its_scale_and_a_mask(tmp_path: Path) -> None:
    tile = example_tile(["blue", "red"], shape=(40, 50))
    valid = np.random.default_rng(0).random((40, 50)) < 0.7
    with rasterio.open(_write(tile, ["blue", "red"], tmp_path, valid=valid)) as raster:
        assert raster.descriptions == ("blue", "red")
        assert raster.scales == (1e-4, 1e-4)
        assert raster.offsets == (0.0, 0.0)
        assert raster.units == ("1", "1")
        assert raster.nodata is None
        np.testing.assert_array_equal(raster.dataset_mask() > 0, valid)
        np.testing.assert_array_equal(raster.read(2), tile.red.values)
    assert rio_cogeo.cogeo.cog_validate(tmp_path / "raster.tif", strict=True) == (True, [], [])


@pytest.mark.parametrize("name", ["binarized_segmentation", "binarized_segmentation-full", "binarized_above-30"])
def test_overviews_of_classes_hold_classes(name: str, tmp_path: Path) -> None:
    tile = example_tile([name], shape=(1100, 530))
    with rasterio.open(_write(tile, [name], tmp_path), overview_level=0) as raster:
        assert set(np.unique(raster.read(1))) == {0, 1}


def test_overviews_of_percentages_ignore_nodata(tmp_path: Path) -> None:
    tile = example_tile(["probabilities_percent"], shape=(1024, 1024))
    tile.probabilities_percent[:] = 255
    tile.probabilities_percent[::2, ::2] = 40
    with rasterio.open(_write(tile, ["probabilities_percent"], tmp_path), overview_level=0) as raster:
        assert set(np.unique(raster.read(1))) == {40}


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    tile = example_tile(["ndvi"], shape=(600, 600))
    first = _write(tile, ["ndvi"], tmp_path).read_bytes()
    assert _write(tile, ["ndvi"], tmp_path).read_bytes() == first


def test_polar_and_custom_crs(tmp_path: Path) -> None:
    for crs in ("EPSG:3413", "+proj=laea +lat_0=90 +lon_0=-30 +datum=WGS84 +units=m"):
        tile = example_tile(["ndvi"], crs=crs)
        with rasterio.open(_write(tile, ["ndvi"], tmp_path)) as raster:
            assert raster.crs.to_dict() == rasterio.CRS.from_user_input(crs).to_dict()


def test_bands_of_two_dtypes(tmp_path: Path) -> None:
    tile = example_tile(["red", "ndvi"])
    with pytest.raises(
        TileContractError, match=r"bands of 'raster.tif' must share one dtype, but got red uint16, ndvi f"
    ):
        _write(tile, ["red", "ndvi"], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "complex64", "complex128", "float16", "S1"])
def test_dtype_that_geotiff_does_not_know(dtype: str) -> None:
    tile = example_tile(["red"]).assign(when=lambda each: each.red.astype(dtype))
    with pytest.raises(
        TileContractError, match=r"'when' must have a dtype that GeoTIFF knows, but got \S+: convert it"
    ):
        band_of(tile, "when")


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", ">f8"])
def test_dtypes_that_geotiff_and_stac_know(dtype: str, tmp_path: Path) -> None:
    tile = example_tile(["red"], shape=(600, 520)).assign(other=lambda each: (each.red // 100).astype(dtype))
    written = export_tile(tile, tmp_path, products=["other", "stac"])
    with rasterio.open(written["other"]) as raster:
        np.testing.assert_array_equal(raster.read(1), tile.other.values)
        (found,) = raster.dtypes
    described = json.loads(written["stac"].read_text())["assets"]["other"]["raster:bands"][0]
    assert described["data_type"] == found == np.dtype(dtype).name


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo (gdal-bin) is not installed")
def test_gdalinfo(tmp_path: Path) -> None:
    path = _write(example_tile(["probabilities_percent"]), ["probabilities_percent"], tmp_path)
    answer = json.loads(subprocess.run(["gdalinfo", "-json", path], capture_output=True, check=True).stdout)
    assert answer["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    assert answer["bands"][0]["noDataValue"] == 255
