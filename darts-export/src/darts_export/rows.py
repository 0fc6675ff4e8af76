"""Rows of the table of products: what a product is, and what it needs of a tile."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from darts_export.bands import bands_of
from darts_export.config import ExportConfig
from darts_export.contents import Asset, Contents
from darts_export.styles import QML_MEDIA_TYPE
from darts_utils.tiles import require_variables


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
    is_style: bool = False
    """True: says how another file is drawn, and is written where styles are asked for."""
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

    def files_with(self, options: ExportConfig) -> tuple[ProductFile, ...]:
        """The files that are written with these options."""
        return tuple(file for file in self.files if options.styles or not file.is_style)

    def assets(self, tile: xr.Dataset, tile_id: str, options: ExportConfig) -> tuple[Asset, ...]:
        """The files as the STAC item lists them."""
        bands = bands_of(tile, self.variables(tile), file_name=self.files[0].name_for(tile_id))
        return tuple(
            Asset(
                file.asset,
                file.name_for(tile_id),
                file.title,
                file.media_type,
                file.roles,
                () if file.is_style else bands,
            )
            for file in self.files_with(options)
        )


def style_file(name: str, write: Callable[[Contents, Path], None]) -> ProductFile:
    """Make the QGIS style of the product `name`."""
    return ProductFile(
        f"{name}_qml", f"{name}.qml", "QGIS style", QML_MEDIA_TYPE, write, roles=("metadata",), is_style=True
    )
