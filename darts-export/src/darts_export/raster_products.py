"""Products that are rasters."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pystac
import xarray as xr
from numpy.typing import NDArray

from darts_export.arrays import numpy_values
from darts_export.bands import Band, bands_of
from darts_export.contents import SOFTWARE, Contents
from darts_export.members import member_variable
from darts_export.raster_styles import raster_style
from darts_export.rasters import check_compression, write_cog
from darts_export.rows import Product, ProductFile, style_file
from darts_export.tags import tags_of
from darts_utils.variables import OPTICAL_BANDS

_MASK = "valid_data_mask"
"""Becomes the mask of a raster of reflectance, in which no value means that there are no data."""


def raster(name: str, title: str, *, needs: tuple[str, ...] = (), needs_any: tuple[str, ...] = ()) -> Product:
    """Make the row of a raster whose bands are `needs`, then those of `needs_any` that a tile has."""

    def mask_of(tile: xr.Dataset) -> tuple[str, ...]:
        return (_MASK,) if set(row.variables(tile)) <= set(OPTICAL_BANDS) and _MASK in tile.data_vars else ()

    def tags(contents: Contents) -> dict[str, str]:
        return _file_tags(contents, row.variables(contents.tile))

    def verify(contents: Contents) -> None:
        tags(contents)
        check_compression(bands(contents), contents.options.compression)

    def bands(contents: Contents) -> tuple[Band, ...]:
        return bands_of(contents.tile, row.variables(contents.tile), file_name=f"{name}.tif")

    def valid(contents: Contents) -> NDArray[np.bool_] | None:
        return numpy_values(contents.tile, _MASK) if mask_of(contents.tile) else None

    def write(contents: Contents, path: Path) -> None:
        write_cog(
            contents.tile,
            row.variables(contents.tile),
            path,
            grid=contents.grid,
            valid=valid(contents),
            tags=tags(contents),
            options=contents.options,
        )

    def write_style(contents: Contents, path: Path) -> None:
        path.write_bytes(raster_style(contents.tile, bands(contents), valid=valid(contents)))

    files = (ProductFile(name, f"{name}.tif", title, str(pystac.MediaType.COG), write), style_file(name, write_style))
    row = Product(name, files, needs=needs, needs_any=needs_any, is_raster=True, reads_too=mask_of, verify=verify)
    return row


def probabilities(model: str | None = None) -> Product:
    """Make the row of the probabilities of the ensemble, or of one member."""
    variable = member_variable("probabilities_percent", model)
    return raster(member_variable("probabilities", model), "Probability of a thaw slump, percent", needs=(variable,))


def binarized(model: str | None = None) -> Product:
    """Make the row of the binarized segmentation of the ensemble, or of one member."""
    variable = member_variable("binarized_segmentation", model)
    return raster(member_variable("binarized", model), "Thaw slumps (1) and the rest (0)", needs=(variable,))


def _file_tags(contents: Contents, names: Sequence[str]) -> dict[str, str]:
    tags = tags_of(contents.tile.attrs, owner=f"tile {contents.tile_id!r}")
    tags["TIFFTAG_SOFTWARE"] = SOFTWARE
    models = [found for found in map(contents.models_of, names) if found is not None]
    if models:
        tags["models"] = models[0]
    if contents.config:
        tags["config"] = json.dumps(contents.config, sort_keys=True)
    return tags
