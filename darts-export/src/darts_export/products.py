"""The table of products: what each is called, what it needs, and how it is written.

The writer (`export_tile`), the STAC item and the completeness check (`missing_products`) read this table; nothing else
knows the name of a file.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import geopandas
import pystac
import xarray as xr

from darts_export.arrays import numpy_values
from darts_export.contents import SOFTWARE, Asset, Contents
from darts_export.ellipsoid import to_ellipsoid
from darts_export.members import check_members, member_variable, members_of
from darts_export.metadata import item_json, item_of
from darts_export.naming import safe_name
from darts_export.rasters import bands_of, write_cog
from darts_export.tags import tags_of
from darts_export.text import stated
from darts_export.thumbnails import MASKS, RGB, draw_thumbnail, write_jpeg
from darts_export.vector_files import write_geopackage, write_geoparquet
from darts_utils.tiles import require_variables
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

STAC = "stac"
"""The product that marks a folder as complete: it is written last."""

_MASK = "valid_data_mask"
"""Becomes the mask of a raster of reflectance, in which no value means that there are no data."""


@dataclass(frozen=True)
class ProductFile:
    """One file of a product."""

    asset: str
    """Key in the result of `export_tile` and among the assets of the STAC item."""
    name: str
    """Name of the file, or what follows the tile's id in it."""
    title: str
    """One line for people."""
    media_type: str
    """IANA media type."""
    write: Callable[[Contents, Path], None]
    """Writes the file to a path."""
    roles: tuple[str, ...] = ("data",)
    """STAC roles."""
    starts_with_tile_id: bool = False
    """True: the file is called ``<tile_id><name>``."""

    def name_for(self, tile_id: str) -> str:
        """Name of the file in the folder of a tile."""
        return f"{tile_id}{self.name}" if self.starts_with_tile_id else self.name


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
    reads_too: Callable[[xr.Dataset], tuple[str, ...]] = lambda _tile: ()
    """Names what it also reads of a tile that has it."""
    verify: Callable[[Contents], None] = lambda _contents: None
    """Raises if something other than the pixels cannot be written."""

    def check(self, tile: xr.Dataset) -> None:
        """Raise if a tile lacks what the product needs.

        Raises:
            MissingVariableError: Names the product and the variables.
            TileContractError: A variable has other dims or another dtype than the contract says.
        """
        hint = f"run the step that makes them first, or leave {self.name!r} out of products="
        require_variables(tile, self.needs, consumer=f"export product {self.name!r}", hint=hint)
        if self.needs_any and not any(name in tile.data_vars for name in self.needs_any):
            hint = f"one of them is enough; {hint}"
            require_variables(tile, self.needs_any, consumer=f"export product {self.name!r}", hint=hint)
        require_variables(tile, self.reads(tile), consumer=f"export product {self.name!r}", hint=hint)

    def reads(self, tile: xr.Dataset) -> tuple[str, ...]:
        """All variables of `tile` whose pixels the product reads."""
        return (*self.needs, *(name for name in self.needs_any if name in tile.data_vars), *self.reads_too(tile))

    def variables(self, tile: xr.Dataset) -> tuple[str, ...]:
        """The variables of `tile` that are the bands of the raster."""
        return (*self.needs, *(name for name in self.needs_any if name in tile.data_vars)) if self.is_raster else ()

    def assets(self, tile: xr.Dataset, tile_id: str) -> tuple[Asset, ...]:
        """The files as the STAC item lists them."""
        bands = bands_of(tile, self.variables(tile), file_name=self.files[0].name_for(tile_id))
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
    def mask_of(tile: xr.Dataset) -> tuple[str, ...]:
        return (_MASK,) if set(row.variables(tile)) <= set(OPTICAL_BANDS) and _MASK in tile.data_vars else ()

    def tags(contents: Contents) -> dict[str, str]:
        return _file_tags(contents, row.variables(contents.tile))

    def verify(contents: Contents) -> None:
        tags(contents)

    def write(contents: Contents, path: Path) -> None:
        tile = contents.tile
        valid = numpy_values(tile, _MASK) if mask_of(tile) else None
        write_cog(tile, row.variables(tile), path, grid=contents.grid, valid=valid, tags=tags(contents))

    file = ProductFile(name, f"{name}.tif", title, str(pystac.MediaType.COG), write)
    row = Product(name, (file,), needs=needs, needs_any=needs_any, is_raster=True, reads_too=mask_of, verify=verify)
    return row


def _probabilities(model: str | None = None) -> Product:
    variable = member_variable("probabilities_percent", model)
    return _raster(member_variable("probabilities", model), "Probability of a thaw slump, percent", needs=(variable,))


def _binarized(model: str | None = None) -> Product:
    variable = member_variable("binarized_segmentation", model)
    return _raster(member_variable("binarized", model), "Thaw slumps (1) and the rest (0)", needs=(variable,))


def _segments(model: str | None = None) -> Product:
    def verify(contents: Contents) -> None:
        _verify_table(contents)
        check_members(contents.tile, model=model)

    name = member_variable("prediction_segments", model)
    return Product(
        name,
        _vector_files(name, "Thaw slumps as polygons", lambda contents: contents.segments(model)),
        needs=(
            member_variable("probabilities", model),
            member_variable("binarized_segmentation", model),
            "extent",
        ),
        reads_too=members_of,
        verify=verify,
    )


def _verify_table(contents: Contents) -> None:
    to_ellipsoid(str(contents.grid.crs), consumer="areas")
    for name in ("date", "sensor"):
        stated(contents.tile, name)


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
    path.write_bytes(item_json(item_of(contents)))


def _verify_stac(contents: Contents) -> None:
    item_json(item_of(contents))


def _file_tags(contents: Contents, names: Sequence[str]) -> dict[str, str]:
    tags = tags_of(contents.tile.attrs, owner=f"tile {contents.tile_id!r}")
    tags["TIFFTAG_SOFTWARE"] = SOFTWARE
    models = [found for found in map(contents.models_of, names) if found is not None]
    if models:
        tags["models"] = models[0]
    if contents.config:
        tags["config"] = json.dumps(contents.config, sort_keys=True)
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
            lambda contents: contents.extent(),
        ),
        needs=("extent",),
        verify=_verify_table,
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
        reads_too=lambda tile: tuple(name for name in MASKS if name in tile.data_vars),
    ),
    _raster("optical", "Surface reflectance", needs_any=OPTICAL_BANDS),
    _raster("dem", "Terrain", needs_any=("dem", "relative_elevation", "slope")),
    _raster("tcvis", "Tasseled-cap trends", needs=TCVIS_BANDS),
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
    {"probabilities": _probabilities, "binarized": _binarized, "prediction_segments": _segments}
)
"""Products that also exist as ``<product>-<model>``."""
