import inspect

import darts_export
from darts_export import ExportConfig, export_tile, export_tile_batched, missing_products


def test_public_names() -> None:
    assert darts_export.__all__ == [
        "ExportConfig",
        "export_tile",
        "export_tile_batched",
        "extent_of",
        "missing_products",
        "segments_of",
    ]


def test_the_default_products_have_one_home() -> None:
    for function in (export_tile, export_tile_batched, missing_products):
        assert inspect.signature(function).parameters["products"].default == ExportConfig.products
