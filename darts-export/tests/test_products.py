"""The table of products is the contract's, and rows look after themselves."""

import pytest
import xarray as xr

from darts_export import ExportConfig
from darts_export.products import PRODUCTS, product
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import example_tile

FILES = {
    "probabilities": ["probabilities.tif", "probabilities.qml"],
    "binarized": ["binarized.tif", "binarized.qml"],
    "prediction_segments": ["prediction_segments.gpkg", "prediction_segments.parquet", "prediction_segments.qml"],
    "prediction_extent": ["prediction_extent.gpkg", "prediction_extent.parquet", "prediction_extent.qml"],
    "thumbnail": ["thumbnail.jpg"],
    "optical": ["optical.tif", "optical.qml"],
    "dem": ["dem.tif", "dem.qml"],
    "tcvis": ["tcvis.tif", "tcvis.qml"],
    "stac": ["4372514.json"],
}


def test_names_of_products_and_files_are_public() -> None:
    assert {name: [file.name_for("4372514") for file in row.files] for name, row in PRODUCTS.items()} == FILES
    assert set(ExportConfig.products) <= set(FILES)


def test_names_of_files_and_assets_are_unique() -> None:
    files = [file for row in PRODUCTS.values() for file in row.files]
    assert len({file.name for file in files}) == len({file.asset for file in files}) == len(files)


def test_members_and_variables() -> None:
    assert [file.name for file in product("probabilities-full").files] == [
        "probabilities-full.tif",
        "probabilities-full.qml",
    ]
    assert product("probabilities-full").needs == ("probabilities_percent-full",)
    segments = product("prediction_segments-optical")
    assert [file.name for file in segments.files] == [
        "prediction_segments-optical.gpkg",
        "prediction_segments-optical.parquet",
        "prediction_segments-optical.qml",
    ]
    assert segments.needs == ("probabilities-optical", "binarized_segmentation-optical", "extent")
    assert product("relative_elevation").files[0].name == "relative_elevation.tif"


def test_a_model_may_be_called_anything() -> None:
    assert product("binarized-{tile_id}").files[0].name_for("4372514") == "binarized-{tile_id}.tif"
    (file,) = product("stac").files
    assert file.name_for("{tile_id}") == "{tile_id}.json"


def test_what_is_read_is_known_beforehand(tile: xr.Dataset) -> None:
    members = tile.assign({"binarized_segmentation-a": tile.binarized_segmentation})
    assert product("prediction_segments").reads(members) == (
        *("probabilities", "binarized_segmentation", "extent", "binarized_segmentation-a"),
    )
    assert product("optical").reads(tile) == ("blue", "green", "red", "nir", "valid_data_mask")
    assert product("dem").reads(tile) == ("dem", "slope")
    assert product("red").reads(tile.drop_vars("valid_data_mask")) == ("red",)
    assert set(product("thumbnail").reads(tile)) == {
        *("red", "green", "blue", "binarized_segmentation", "valid_data_mask", "quality_data_mask")
    }
    assert product("stac").reads(tile) == ()


def test_bands_are_those_that_the_tile_has(tile: xr.Dataset) -> None:
    assert product("dem").variables(tile) == ("dem", "slope")
    assert product("optical").variables(tile) == ("blue", "green", "red", "nir")
    assert product("optical").variables(tile.drop_vars("nir")) == ("blue", "green", "red")
    assert product("thumbnail").variables(tile) == ()


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("probabilities", "'probabilities_percent'"),
        ("prediction_segments", "'probabilities', 'binarized_segmentation', 'extent'"),
        ("thumbnail", "'green', 'blue', 'binarized_segmentation'"),
        ("probabilites", "'probabilites'"),
    ],
)
def test_what_is_missing_is_named(name: str, missing: str) -> None:
    with pytest.raises(
        MissingVariableError, match=f"export product '{name}' needs {missing}; .*leave '{name}' out of pro"
    ):
        product(name).check(example_tile(["red"]))


def test_one_of_several_is_enough() -> None:
    with pytest.raises(MissingVariableError, match=r"'dem', 'relative_elevation', 'slope'; .*: one of them is enough;"):
        product("dem").check(example_tile(["red"]))
    product("dem").check(example_tile(["slope"]))


def test_variables_in_another_form(tile: xr.Dataset) -> None:
    tile = tile.isel(x=slice(0, 60))
    for name, variable in (
        ("thumbnail", "quality_data_mask"),
        ("optical", "valid_data_mask"),
        ("prediction_segments", "binarized_segmentation-a"),
        ("prediction_extent", "extent"),
    ):
        source = tile["binarized_segmentation" if variable.endswith("-a") else variable]
        for distorted in (source.transpose("x", "y"), source.astype("int16")):
            with pytest.raises(TileContractError, match=f"variable '{variable}' of tile 'example-0' must (have d|be)"):
                product(name).check(tile.assign({variable: distorted}))


def test_names_that_would_leave_the_folder() -> None:
    with pytest.raises(TileContractError, match="a product must be usable as the name of a folder"):
        product("../ndvi")


def test_styles_are_written_on_request() -> None:
    for row in PRODUCTS.values():
        with_styles, without = (row.files_with(ExportConfig(styles=styles)) for styles in (True, False))
        assert with_styles == row.files
        assert [file.name for file in with_styles if file not in without] == (
            [f"{row.name}.qml"] if row.name not in {"thumbnail", "stac"} else []
        )
