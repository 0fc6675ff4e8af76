"""The table of products: what each is called, what it needs, and how it is written.

The writer (`export_tile`), the STAC item and the completeness check (`missing_products`) read this table; nothing else
knows the name of a file.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import geopandas
import pystac
import xarray as xr

from darts_export.contents import SOFTWARE, Asset, Contents
from darts_export.metadata import item_of, write_item
from darts_export.naming import safe_name
from darts_export.rasters import band_of, write_cog
from darts_export.thumbnails import RGB, draw_thumbnail, write_jpeg
from darts_export.vector_files import write_geopackage, write_geoparquet
from darts_export.vectors import extent_of, member_variable, numpy_values
from darts_utils.tiles import require_variables
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

STAC = "stac"
"""The product that marks a folder as complete: it is written last."""


@dataclass(frozen=True)
class ProductFile:
    """One file of a product."""

    asset: str
    """Key in the result of `export_tile` and among the assets of the STAC item."""
    name: str
    """Name of the file; ``{tile_id}`` stands for the tile's id."""
    title: str
    """One line for people."""
    media_type: str
    """IANA media type."""
    write: Callable[[Contents, Path], None]
    """Writes the file to a path."""
    roles: tuple[str, ...] = ("data",)
    """STAC roles."""

    def name_for(self, tile_id: str) -> str:
        """Name of the file in the folder of a tile."""
        return self.name.replace("{tile_id}", tile_id)


@dataclass(frozen=True)
class Product:
    """One row of the table."""

    name: str
    """Name, as users write it."""
    files: tuple[ProductFile, ...]
    """Its files, in the order in which they are written."""
    needs: tuple[str, ...] = ()
    """Variables that a tile must have."""
    needs_any: tuple[str, ...] = ()
    """Variables of which a tile must have at least one."""
    is_raster: bool = False
    """True: the bands are `needs`, then those of `needs_any` that are there."""

    def check(self, tile: xr.Dataset) -> None:
        """Raise if a tile lacks what the product needs.

        Raises:
            MissingVariableError: Names the product and the variables.
        """
        hint = f"run the step that makes them first, or leave {self.name!r} out of products="
        require_variables(tile, self.needs, consumer=f"export product {self.name!r}", hint=hint)
        if self.needs_any and not any(name in tile.data_vars for name in self.needs_any):
            hint = f"one of them is enough; {hint}"
            require_variables(tile, self.needs_any, consumer=f"export product {self.name!r}", hint=hint)

    def variables(self, tile: xr.Dataset) -> tuple[str, ...]:
        """The variables of `tile` that are the bands of the raster."""
        return (*self.needs, *(name for name in self.needs_any if name in tile.data_vars)) if self.is_raster else ()

    def assets(self, tile: xr.Dataset, tile_id: str) -> tuple[Asset, ...]:
        """The files as the STAC item lists them."""
        bands = tuple(band_of(tile, name) for name in self.variables(tile))
        return tuple(
            Asset(file.asset, file.name_for(tile_id), file.title, file.media_type, file.roles, bands)
            for file in self.files
        )


def product(name: str) -> Product:
    """Look up a product by its name.

    Args:
        name: A name of the table; ``probabilities-<model>``, ``binarized-<model>`` or ``prediction_segments-<model>``
            for a member of an ensemble; or the name of any variable, which becomes a raster.

    Raises:
        TileContractError: The name cannot be the name of a file.

    Examples:
        >>> [file.name for file in product("prediction_segments").files]
        ['prediction_segments.gpkg', 'prediction_segments.parquet']
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
    return _raster(name, f"Variable {name}", needs=(name,))


def _raster(name: str, title: str, *, needs: tuple[str, ...] = (), needs_any: tuple[str, ...] = ()) -> Product:
    def write(contents: Contents, path: Path) -> None:
        tile = contents.tile
        names = row.variables(tile)
        masked = set(names) <= set(OPTICAL_BANDS) and "valid_data_mask" in tile.data_vars
        write_cog(
            tile,
            names,
            path,
            grid=contents.grid,
            valid=numpy_values(tile, "valid_data_mask") if masked else None,
            tags=_file_tags(contents),
        )

    file = ProductFile(name, f"{name}.tif", title, str(pystac.MediaType.COG), write)
    row = Product(name, (file,), needs=needs, needs_any=needs_any, is_raster=True)
    return row


def _probabilities(model: str | None = None) -> Product:
    variable = member_variable("probabilities_percent", model)
    return _raster(member_variable("probabilities", model), "Probability of a thaw slump, percent", needs=(variable,))


def _binarized(model: str | None = None) -> Product:
    variable = member_variable("binarized_segmentation", model)
    return _raster(member_variable("binarized", model), "Thaw slumps (1) and the rest (0)", needs=(variable,))


def _segments(model: str | None = None) -> Product:
    name = member_variable("prediction_segments", model)
    return Product(
        name,
        _vector_files(name, "Thaw slumps as polygons", lambda contents: contents.segments(model)),
        needs=(
            member_variable("probabilities", model),
            member_variable("binarized_segmentation", model),
            "extent",
        ),
    )


def _vector_files(
    name: str, title: str, table: Callable[[Contents], geopandas.GeoDataFrame]
) -> tuple[ProductFile, ...]:
    return (
        ProductFile(
            name,
            f"{name}.gpkg",
            title,
            str(pystac.MediaType.GEOPACKAGE),
            lambda contents, path: write_geopackage(table(contents), path, layer=name),
        ),
        ProductFile(
            f"{name}_parquet",
            f"{name}.parquet",
            title,
            "application/vnd.apache.parquet",
            lambda contents, path: write_geoparquet(table(contents), path),
        ),
    )


def _write_thumbnail(contents: Contents, path: Path) -> None:
    outlines = contents.objects().outlines
    write_jpeg(draw_thumbnail(contents.tile, outlines, transform=contents.grid.affine), path)


def _write_stac(contents: Contents, path: Path) -> None:
    write_item(item_of(contents), path)


def _file_tags(contents: Contents) -> dict[str, str]:
    tags = {str(name): str(value) for name, value in contents.tile.attrs.items()}
    tags["TIFFTAG_SOFTWARE"] = SOFTWARE
    if contents.models is not None:
        tags["models"] = contents.models
    if contents.config:
        tags["config"] = json.dumps(contents.config, sort_keys=True, default=str)
    return tags


_TABLE = (
    _probabilities(),
    _binarized(),
    _segments(),
    Product(
        "prediction_extent",
        _vector_files(
            "prediction_extent",
            "Area in which the result is trusted",
            lambda contents: extent_of(contents.tile),
        ),
        needs=("extent",),
    ),
    Product(
        "thumbnail",
        (
            ProductFile(
                "thumbnail",
                "thumbnail.jpg",
                "True colours with the outlines of the thaw slumps",
                str(pystac.MediaType.JPEG),
                _write_thumbnail,
                roles=("thumbnail",),
            ),
        ),
        needs=(*RGB, "binarized_segmentation"),
    ),
    _raster("optical", "Surface reflectance", needs_any=OPTICAL_BANDS),
    _raster("dem", "Terrain", needs_any=("dem", "relative_elevation", "slope")),
    _raster("tcvis", "Tasseled-cap trends", needs=TCVIS_BANDS),
    Product(
        STAC,
        (
            ProductFile(
                STAC, "{tile_id}.json", "STAC item", str(pystac.MediaType.GEOJSON), _write_stac, roles=("metadata",)
            ),
        ),
    ),
)

PRODUCTS: Mapping[str, Product] = MappingProxyType({row.name: row for row in _TABLE})
"""The table, by name."""

_PER_MODEL: Mapping[str, Callable[[str | None], Product]] = MappingProxyType(
    {"probabilities": _probabilities, "binarized": _binarized, "prediction_segments": _segments}
)
"""Products that also exist as ``<product>-<model>``."""
