"""The table of products: what each is called, what it needs, and how it is written.

The writer (`export_tile`), the STAC item and the completeness check (`missing_products`) read this table; nothing else
knows the name of a file.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pystac

from darts_export.contents import Contents
from darts_export.metadata import item_json, item_of
from darts_export.pictures import MASKS, RGB
from darts_export.raster_products import binarized, probabilities, raster
from darts_export.rows import Product, ProductFile
from darts_export.thumbnails import draw_thumbnail, write_jpeg
from darts_export.vector_products import extent, segments
from darts_utils.names import safe_name
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS, VARIABLES

__all__ = ["PRODUCTS", "STAC", "Product", "ProductFile", "member_of", "product"]

STAC = "stac"
"""The product that marks a folder as complete: it is written last."""


def product(name: str) -> Product:
    """Look up a product by its name.

    Args:
        name: A name of the table; ``probabilities-<model>``, ``binarized-<model>`` or ``prediction_segments-<model>``
            for a member of an ensemble; or the name of any variable, which becomes a raster.

    Raises:
        TileContractError: The name cannot be the name of a file.

    Examples:
        >>> [file.name for file in product("prediction_segments").files]
        ['prediction_segments.gpkg', 'prediction_segments.parquet', 'prediction_segments.qml']
        >>> product("binarized-full").needs
        ('binarized_segmentation-full',)
        >>> product("ndvi").files[0].name
        'ndvi.tif'
    """
    if name in PRODUCTS:
        return PRODUCTS[name]
    base, separator, model = safe_name(name, what="a product").partition("-")
    if separator and model and base in _PER_MODEL:
        return _PER_MODEL[base](model)
    return raster(name, f"Variable {name}", needs=(name,))


def member_of(name: str) -> str | None:
    """Name the member of an ensemble that a product belongs to; None for products of the tile as a whole.

    Examples:
        >>> member_of("binarized-full"), member_of("probabilities_percent-full")
        ('full', 'full')
        >>> member_of("binarized") is member_of("binarized_above-30") is None
        True
    """
    base, _, member = name.partition("-")
    is_per_model = base in _PER_MODEL or (base in VARIABLES and VARIABLES[base].per_model)
    return member if member and is_per_model else None


def _write_thumbnail(contents: Contents, path: Path) -> None:
    outlines = contents.objects().outlines
    write_jpeg(draw_thumbnail(contents.tile, list(outlines), grid=contents.grid), path)


def _write_stac(contents: Contents, path: Path) -> None:
    path.write_bytes(item_json(item_of(contents)))


def _verify_stac(contents: Contents) -> None:
    item_json(item_of(contents))


_TABLE = (
    probabilities(),
    binarized(),
    segments(),
    extent(),
    Product(
        "thumbnail",
        (
            ProductFile(
                "thumbnail",
                "thumbnail.jpg",
                "True colours with the outlines of the thaw slumps, legend and scale",
                str(pystac.MediaType.JPEG),
                _write_thumbnail,
                roles=("thumbnail",),
            ),
        ),
        needs=(*RGB, "binarized_segmentation"),
        reads_too=lambda tile: tuple(name for name in MASKS if name in tile.data_vars),
    ),
    raster("optical", "Surface reflectance", needs_any=OPTICAL_BANDS),
    raster("dem", "Terrain", needs_any=("dem", "relative_elevation", "slope")),
    raster("tcvis", "Tasseled-cap trends", needs=TCVIS_BANDS),
    Product(
        STAC,
        (
            ProductFile(
                STAC,
                ".json",
                "STAC item",
                str(pystac.MediaType.GEOJSON),
                _write_stac,
                roles=("metadata",),
                starts_with_tile_id=True,
            ),
        ),
        verify=_verify_stac,
    ),
)

PRODUCTS: Mapping[str, Product] = MappingProxyType({row.name: row for row in _TABLE})
"""The table, by name."""

_PER_MODEL: Mapping[str, Callable[[str | None], Product]] = MappingProxyType(
    {"probabilities": probabilities, "binarized": binarized, "prediction_segments": segments}
)
"""Products that also exist as ``<product>-<model>``."""
