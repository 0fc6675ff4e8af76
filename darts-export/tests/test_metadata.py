"""STAC items against pystac, against the schemas of STAC and of its extensions, and read back from disk."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pystac
import pystac.validation
import pytest
import xarray as xr
from pystac.extensions.eo import EOExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from pystac.extensions.view import ViewExtension

from darts_export import ExportConfig, export_tile
from darts_utils.errors import TileContractError
from darts_utils.testing import example_tile

SCHEMAS = {
    path.stem: jsonschema.Draft7Validator(json.loads(path.read_text()))
    for path in sorted((Path(__file__).parent / "stac_schemas").glob("*.json"))
}
"""Schemas of extensions, by name and version."""


def _item(tile: xr.Dataset, folder: Path, *products: str, **options: object) -> pystac.Item:
    path = export_tile(tile, folder, products=[*products, "stac"], **options)["stac"]  # type: ignore[arg-type]
    stored = json.loads(path.read_text())
    pystac.validation.validate_dict({**stored, "stac_extensions": []})  # the core schemas come with pystac
    for extension in _extensions(stored) - {"processing-v1.2.0"}:
        SCHEMAS[extension].validate(stored)
    return pystac.Item.from_file(str(path))


def _extensions(stored: dict[str, Any]) -> set[str]:
    return {"-".join(url.split("/")[-3:-1]) for url in stored["stac_extensions"]}


OF_DATA_SETS = {"file-v2.1.0", "scientific-v1.0.0", "table-v1.2.0"}
"""Extensions that collections have, and items of tiles have not."""


def test_every_extension_is_validated(tile: xr.Dataset, tmp_path: Path) -> None:
    item = _item(tile, tmp_path, *ExportConfig.products[:-1], "optical", "dem", "tcvis", "ndvi", "extent")
    stored = json.loads(Path(str(item.get_self_href())).read_text())
    assert _extensions(stored) == {*SCHEMAS} - OF_DATA_SETS | {"processing-v1.2.0"}
    for name, change in {
        "projection-v2.0.0": {"proj:code": 32608},
        "view-v1.0.0": {"view:sun_azimuth": 400},
        "eo-v1.1.0": {"eo:cloud_cover": 101},
    }.items():
        broken = {**stored, "properties": {**stored["properties"], **change}}
        with pytest.raises(jsonschema.ValidationError):  # the schemas are at work
            SCHEMAS[name].validate(broken)
    stored["assets"]["ndvi"]["raster:bands"][0]["data_type"] = "real"
    with pytest.raises(jsonschema.ValidationError):
        SCHEMAS["raster-v1.1.0"].validate(stored)


def test_item(tile: xr.Dataset, tmp_path: Path) -> None:
    item = _item(tile, tmp_path, "probabilities", "thumbnail", config={"threshold": 0.5, "models": Path("full.pt")})
    assert item.id == "example-0"
    assert item.datetime == dt.datetime(2021, 8, 21, tzinfo=dt.UTC)
    assert item.common_metadata.start_datetime == item.datetime
    assert item.common_metadata.end_datetime == dt.datetime(2021, 8, 21, 23, 59, 59, tzinfo=dt.UTC)
    assert item.common_metadata.gsd == 10.0
    assert item.common_metadata.constellation == "planetscope"
    assert item.properties["processing:software"] == {"darts-export": "0.1.0"}
    assert item.properties["darts:models"] == "mean of full, optical"
    assert item.properties["darts:config"] == {"models": "full.pt", "threshold": 0.5}
    view = ViewExtension.ext(item)
    assert (view.sun_azimuth, view.sun_elevation) == (170.0, 34.0)


def test_projection(tile: xr.Dataset, tmp_path: Path) -> None:
    projection = ProjectionExtension.ext(_item(tile, tmp_path))
    assert projection.code == "EPSG:32608"
    assert projection.shape == [60, 70]
    assert projection.transform == [10, 0, 500_000, 0, -10, 7_550_000]
    assert projection.bbox == [500_000, 7_549_400, 500_700, 7_550_000]


def test_assets_are_relative_and_described(tile: xr.Dataset, tmp_path: Path) -> None:
    item = _item(tile, tmp_path, "prediction_segments", "optical", "dem", "thumbnail")
    assert {key: asset.href for key, asset in item.assets.items()} == {
        "prediction_segments": "./prediction_segments.gpkg",
        "prediction_segments_parquet": "./prediction_segments.parquet",
        "prediction_segments_qml": "./prediction_segments.qml",
        "optical": "./optical.tif",
        "optical_qml": "./optical.qml",
        "dem": "./dem.tif",
        "dem_qml": "./dem.qml",
        "thumbnail": "./thumbnail.jpg",
    }
    assert item.assets["prediction_segments"].media_type == "application/geopackage+sqlite3"
    assert item.assets["prediction_segments_parquet"].media_type == "application/vnd.apache.parquet"
    assert item.assets["optical"].media_type == "image/tiff; application=geotiff; profile=cloud-optimized"
    assert item.assets["thumbnail"].roles == ["thumbnail"]
    for asset in item.assets.values():
        assert Path(str(asset.get_absolute_href())).is_file()
    bands = EOExtension.ext(item.assets["optical"]).bands
    assert bands is not None
    assert [band.common_name for band in bands] == ["blue", "green", "red", "nir"]
    reflectance = RasterExtension.ext(item.assets["optical"]).bands
    terrain = RasterExtension.ext(item.assets["dem"]).bands
    assert reflectance is not None
    assert terrain is not None
    assert (reflectance[0].scale, reflectance[0].offset, reflectance[0].nodata) == (1e-4, 0.0, None)
    assert [(band.data_type, band.nodata, band.unit) for band in terrain] == [
        ("float32", "nan", "m"),
        ("float32", "nan", "degree"),
    ]


def test_the_day_may_be_unknown(tile: xr.Dataset, tmp_path: Path) -> None:
    for date in ("unknown", None):
        if date is None:
            del tile.attrs["date"]
        else:
            tile.attrs["date"] = date
        item = _item(tile, tmp_path)
        assert item.datetime is None
        assert item.common_metadata.start_datetime == dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
        assert item.common_metadata.end_datetime == dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("date", ["2021/08/21", "21.8.2021", "2021-13-01", "2021-8-21", "20210821", "2021-08- 1", ""])
def test_a_date_that_is_none(tile: xr.Dataset, tmp_path: Path, date: str) -> None:
    tile.attrs["date"] = date
    with pytest.raises(
        TileContractError,
        match=r"attrs\['date'\] of tile 'example-0': expected a date like 2021-08-21, but got .*, or write 'unk",
    ):
        export_tile(tile, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("azimuth_deg", "expected"), [(-90, 270), (360, 0), (np.float32(12.5), 12.5), (None, None)])
def test_the_sun_may_be_told_in_any_way_or_not_at_all(
    tile: xr.Dataset, tmp_path: Path, azimuth_deg: float | None, expected: float | None
) -> None:
    tile.attrs["sun_azimuth_deg"] = azimuth_deg
    item = _item(tile, tmp_path)
    assert item.properties.get("view:sun_azimuth") == expected
    assert ("view:sun_elevation" in item.properties) is (expected is not None)


def test_a_tile_that_knows_little(tmp_path: Path) -> None:
    tile = example_tile(["ndvi"])
    tile.attrs = {"tile_id": "bare"}
    item = _item(tile, tmp_path, "ndvi")
    assert "constellation" not in item.properties
    assert "darts:models" not in item.properties
    assert "darts:config" not in item.properties
    assert not ViewExtension.has_extension(item)
    assert not EOExtension.has_extension(item)


def test_across_the_antimeridian(tmp_path: Path) -> None:
    tile = example_tile(["ndvi"], shape=(50, 50), resolution_m=9000, crs="EPSG:32601")
    item = _item(tile, tmp_path, "ndvi")
    assert item.geometry is not None
    assert item.geometry["type"] == "Polygon"
    tile = tile.assign_coords(x=tile.x - 333_000)
    item = _item(tile, tmp_path, "ndvi")
    assert item.geometry is not None
    assert item.bbox is not None
    assert item.geometry["type"] == "MultiPolygon"
    assert item.bbox[0] > item.bbox[2]


def test_crs_without_a_number(tmp_path: Path) -> None:
    tile = example_tile(["ndvi"], crs="+proj=laea +lat_0=90 +lon_0=-30 +datum=WGS84 +units=m")
    projection = ProjectionExtension.ext(_item(tile, tmp_path, "ndvi"))
    assert projection.code is None
    assert str(projection.wkt2).startswith("PROJCRS")


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:2225"])
def test_metres_that_are_none_on_the_ground_and_feet_are_no_ground_sample_distance(tmp_path: Path, crs: str) -> None:
    tile = example_tile(["ndvi"], shape=(5, 5), crs=crs)
    assert _item(tile, tmp_path, "ndvi").common_metadata.gsd is None


def test_degrees_have_no_ground_sample_distance(tmp_path: Path) -> None:
    tile = example_tile(["ndvi"], shape=(5, 5), resolution_m=1e-4, crs="EPSG:4326")
    origin = {"x": tile.x - 500_000 - 135, "y": tile.y - 7_550_000 + 68}
    item = _item(tile.assign_coords(origin), tmp_path, "ndvi")
    assert item.common_metadata.gsd is None
