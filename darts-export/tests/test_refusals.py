"""What cannot be written is refused before the first file is."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from darts_export import export_tile, export_tile_batched, missing_products
from darts_utils.errors import ConfigError, MissingVariableError, TileContractError
from darts_utils.testing import example_tile

LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'
ENGINEERING = 'ENGCRS["plant",EDATUM["d"],CS[Cartesian,2],AXIS["e",east],AXIS["n",north],LENGTHUNIT["metre",1]]'
MOON = 'GEOGCS["Moon",DATUM["Moon",SPHEROID["Moon",1737400,0]],PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]]'


def _with_band(values: Callable[[xr.DataArray], xr.DataArray]) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda tile: tile.assign(other=values(tile.ndvi))


def _with_attrs(name: str, **attrs: object) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda tile: tile.assign({name: tile[name].assign_attrs(attrs)})


def _stated(**attrs: object) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda tile: tile.assign_attrs(attrs)


def _on(crs: str) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda tile: tile.assign_coords(example_tile([], shape=(60, 70), crs=crs).coords)


PRODUCTS = ("binarized", "prediction_segments", "other", "ndvi", "stac")
"""The one that is refused is never the first that would be written."""

REFUSED: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], type[Exception], str]] = {
    "missing variable": (
        lambda tile: tile.drop_vars("ndvi"),
        MissingVariableError,
        "export product 'ndvi' needs 'ndvi'",
    ),
    "another folder": (
        _stated(tile_id="../elsewhere"),
        TileContractError,
        "tile_id must be usable as the name of a folder",
    ),
    "name of the manifest": (
        _stated(tile_id="manifest"),
        TileContractError,
        "expected a tile_id whose STAC item can lie beside manifest.json, but got 'manifest': rename the tile",
    ),
    "double probabilities": (
        lambda tile: tile.assign(probabilities=tile.probabilities.astype("float64")),
        TileContractError,
        "must be float32, but got float64",
    ),
    "transposed": (
        _with_band(lambda band: band.transpose("x", "y")),
        TileContractError,
        r"must have dims \('y', 'x'\)",
    ),
    "complex": (
        _with_band(lambda band: band.astype("complex64")),
        TileContractError,
        "'other' must have a dtype that GeoTIFF knows, but got complex64: convert it",
    ),
    "half precision": (_with_band(lambda band: band.astype("float16")), TileContractError, "GeoTIFF knows, but got fl"),
    "date without zeros": (
        _stated(date="2021-8-1"),
        TileContractError,
        r"attrs\['date'\] .*: expected a date like 2021-08-21",
    ),
    "date without dashes": (_stated(date="20210801"), TileContractError, r"attrs\['date'\] .*: expected a date"),
    "date of a week": (_stated(date="2021-W33-6"), TileContractError, r"attrs\['date'\] .*: expected a date"),
    "sun that is NaN": (
        _stated(sun_azimuth_deg=float("nan")),
        TileContractError,
        r"attrs\['sun_azimuth_deg'\] of tile 'example-0' must be a number of degrees from -360 to 360, but got nan: co",
    ),
    "sun that is text": (_stated(sun_elevation_deg="34"), TileContractError, r"degrees from -90 to 90, but got '34'"),
    "sun that is true": (_stated(sun_elevation_deg=True), TileContractError, r"degrees from -90 to 90, but got True"),
    "sun beyond the zenith": (_stated(sun_elevation_deg=90.5), TileContractError, r"from -90 to 90, but got 90\.5"),
    "sun below the nadir": (_stated(sun_elevation_deg=-100.0), TileContractError, r"from -90 to 90, but got -100\.0"),
    "sensor with half a letter": (
        _stated(sensor="\ud800"),
        TileContractError,
        r"attribute 'sensor' of tile 'example-0' must be text that files can hold \(no NUL, no lone surrogates\)",
    ),
    "attribute with NUL": (
        _stated(note="a\0b"),
        TileContractError,
        r"attribute 'note' of tile 'example-0' must be text",
    ),
    "attribute's name with half a letter": (
        lambda tile: tile.assign_attrs({"\ud800": 1}),
        TileContractError,
        r"an attribute's name of tile 'example-0' must be text that files can hold",
    ),
    "variable with half a letter": (
        _with_attrs("ndvi", long_name="\ud800"),
        TileContractError,
        r"attribute 'long_name' of variable 'ndvi' must be text that files can hold",
    ),
    "source with half a letter": (
        _with_attrs("probabilities", source="\ud800"),
        TileContractError,
        r"attribute 'source' of variable 'probabilities' must be text that files can hold",
    ),
    "scale that is text": (
        _with_attrs("ndvi", reflectance_scale="big"),
        TileContractError,
        "attribute 'reflectance_scale' of variable 'ndvi' must be a finite number, but got 'big'",
    ),
    "offset that is NaN": (
        _with_attrs("ndvi", reflectance_offset=float("nan")),
        TileContractError,
        "attribute 'reflectance_offset' of variable 'ndvi' must be a finite number, but got nan",
    ),
    "local grid": (_on(LOCAL), TileContractError, "areas need a CRS tied to an ellipsoid, but got 'site grid': write"),
    "engineering grid": (_on(ENGINEERING), TileContractError, "areas need a CRS tied to an ellipsoid, but got 'plant'"),
    "members of other options": (
        lambda tile: _with_attrs("binarized_segmentation", threshold=0.5)(
            tile.assign({"binarized_segmentation-a": tile.binarized_segmentation})
        ),
        TileContractError,
        r"member_agreement needs members .* \(threshold 0\.5\), but .* has None: run postprocess\(keep_members=True\) aga",
    ),
}


@pytest.fixture
def wide_tile(tile: xr.Dataset) -> xr.Dataset:
    """A tile with one more variable, which the registry does not know."""
    return tile.assign(other=tile.ndvi)


@pytest.mark.parametrize("reason", REFUSED)
def test_nothing_is_written_for_a_tile_that_is_refused(wide_tile: xr.Dataset, tmp_path: Path, reason: str) -> None:
    change, error, message = REFUSED[reason]
    with pytest.raises(error, match=message):
        export_tile(change(wide_tile), tmp_path, products=PRODUCTS)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(error, match=message):
        export_tile_batched([wide_tile.assign_attrs(tile_id="first"), change(wide_tile)], tmp_path, products=PRODUCTS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_on(LOCAL), "footprints need a CRS tied to an ellipsoid, but got 'site grid': write the tile's true CRS"),
        (_on(ENGINEERING), "footprints need a CRS tied to an ellipsoid, but got 'plant'"),
        (
            lambda tile: tile.assign_coords(x=tile.x + 1e9).drop_vars("spatial_ref").assign_coords(_moved(1e9)),
            "footprints need a grid within what its CRS can describe, but got x 1.0005e",
        ),
    ],
)
def test_places_that_an_item_cannot_tell(
    tile: xr.Dataset, tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    with pytest.raises(TileContractError, match=message):
        export_tile(change(tile), tmp_path, products=["binarized", "stac"])
    assert list(tmp_path.iterdir()) == []
    assert "binarized" in export_tile(change(tile), tmp_path, products=["binarized"])  # a raster needs no globe


def _moved(east: float) -> dict[str, xr.DataArray]:
    reference = example_tile([], shape=(60, 70)).spatial_ref
    numbers = [float(number) for number in reference.attrs["GeoTransform"].split()]
    numbers[0] += east
    return {"spatial_ref": reference.assign_attrs(GeoTransform=" ".join(map(repr, numbers)))}


def test_another_planet(tmp_path: Path) -> None:
    tile = example_tile(["ndvi"], shape=(5, 5), resolution_m=1e-4, crs="EPSG:4326")
    tile = tile.assign_coords(
        x=tile.x - 500_000, y=tile.y - 7_550_000, spatial_ref=tile.spatial_ref.assign_attrs(crs_wkt=MOON)
    )
    tile.spatial_ref.attrs["GeoTransform"] = "0.0 0.0001 0.0 0.0 0.0 -0.0001"
    with pytest.raises(
        TileContractError, match="footprints need a CRS on Earth, but got one that has no way to EPSG:4"
    ):
        export_tile(tile, tmp_path, products=["ndvi", "stac"])
    assert list(tmp_path.iterdir()) == []


CONFIGS: dict[str, tuple[Any, str]] = {
    "no number": ({"w": float("nan")}, r"config\['w'\] must be a finite number, but got nan"),
    "no number of NumPy": ({"a": {"w": [1, np.float32("inf")]}}, r"config\['a'\]\['w'\]\[1\] must be a finite number"),
    "number as a key": ({"a": 3, 1: 2}, r"config must have text as keys, but got 1: write '1'"),
    "tuple as a key": ({"a": {("b",): 3}}, r"config\['a'\] must have text as keys, but got \('b',\)"),
    "array": (
        {"t": np.arange(3)},
        r"config\['t'\] must be text, a number, .* but got ndarray: convert it, e\.g\. to text",
    ),
    "date": ({"t": dt.date(2021, 8, 21)}, r"config\['t'\] must be .* but got date: convert it, e\.g\. to text"),
    "complex": ({"t": 1j}, r"config\['t'\] must be .* but got complex"),
    "set without an order": ({"t": {"a", 1}}, r"config\['t'\] must be a set whose entries have an order"),
    "half a letter": ({"t": ["\udcff"]}, r"config\['t'\]\[0\] must be text that files can hold"),
    "path with half a letter": ({"t": Path("\udcff")}, r"config\['t'\] must be text that files can hold"),
    "key with half a letter": ({"\udcff": 1}, r"a key of config must be text that files can hold"),
    "no table": ([("t", 1)], "config must be a table of options, but got list: name each value"),
}


@pytest.mark.parametrize("reason", CONFIGS)
def test_options_that_json_cannot_hold(tile: xr.Dataset, tmp_path: Path, reason: str) -> None:
    config, message = CONFIGS[reason]
    with pytest.raises(ConfigError, match=message):
        export_tile(tile, tmp_path, products=["binarized", "stac"], config=config)
    assert list(tmp_path.iterdir()) == []


def test_products_in_a_string(tile: xr.Dataset, tmp_path: Path) -> None:
    message = r"products must be a collection of names, but got the string 'stac': write \['stac'\]"
    with pytest.raises(TypeError, match=message):
        export_tile(tile, tmp_path, products="stac")
    with pytest.raises(TypeError, match=message):
        missing_products(tmp_path, "stac")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("products", "message"),
    [
        (
            ["prediction_segments-a", "prediction_segments-a_parquet"],
            "but 'prediction_segments-a' and 'prediction_segments-a_parquet' would both have an asset called 'prediction_",
        ),
        (
            ["prediction_segments_parquet", "prediction_segments"],
            "but 'prediction_segments_parquet' and 'prediction_segments' would both have an asset called 'prediction_seg",
        ),
    ],
)
def test_two_products_of_one_name(tile: xr.Dataset, tmp_path: Path, products: list[str], message: str) -> None:
    with pytest.raises(TileContractError, match=message):
        export_tile(tile, tmp_path, products=["binarized", *products, "stac"])
    with pytest.raises(TileContractError, match=message):
        missing_products(tmp_path, products)
    assert list(tmp_path.iterdir()) == []
