"""Pictures for a quick look."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from darts_export.arrays import numpy_values
from darts_export.config import ExportConfig

RGB = ("red", "green", "blue")
"""The variables that become the picture."""

MASKS = ("valid_data_mask", "quality_data_mask")
"""The variables that decide what is black and what the stretch looks at, where a tile has them."""

_OUTLINE_COLOUR = (255, 221, 0)
_OUTLINE_PX = 2
_SAMPLES_PER_SIDE = 1024  # enough for a percentile, whatever the tile's size


def draw_thumbnail(
    tile: xr.Dataset,
    outlines: Iterable[shapely.Geometry],
    *,
    transform: Affine,
    longer_side_px: int = ExportConfig.thumbnail_px,
    stretch_percent: tuple[float, float] = ExportConfig.stretch_percent,
) -> Image.Image:
    """Draw a tile in true colours with the outlines of its objects.

    Args:
        tile: Tile with ``red``, ``green``, ``blue``  (y, x) uint16. The stretch looks at undisturbed pixels if it has
            ``quality_data_mask``, else at valid ones if it has ``valid_data_mask``; pixels that are not valid are black.
        outlines: Polygons in the CRS of the tile.
        transform: From pixel corners to coordinates of the CRS.
        longer_side_px: Longer side of the picture; smaller tiles are not enlarged.
        stretch_percent: Percentiles of each band that become black and full colour.

    Returns:
        RGB picture.
    """
    valid, usual = _masks(tile)
    picture = Image.fromarray(
        np.stack([_stretched(numpy_values(tile, name), valid, usual, stretch_percent) for name in RGB], axis=-1)
    )
    shrink = min(1.0, longer_side_px / max(picture.size))
    size = max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BOX)
    _draw_outlines(picture, outlines, Affine.scale(shrink) * ~transform)
    return picture


def write_jpeg(picture: Image.Image, path: Path) -> None:
    """Write a picture as JPEG.

    Raises:
        OSError: The file cannot be written.
    """
    buffer = BytesIO()  # Pillow's own writing does not say why it failed
    picture.save(buffer, format="JPEG", quality=ExportConfig.jpeg_quality)
    path.write_bytes(buffer.getbuffer())


def _masks(tile: xr.Dataset) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    everywhere = np.ones((tile.sizes["y"], tile.sizes["x"]), dtype=bool)
    valid = numpy_values(tile, "valid_data_mask") if "valid_data_mask" in tile else everywhere
    quality = numpy_values(tile, "quality_data_mask") if "quality_data_mask" in tile else valid
    return valid, quality if quality.any() else valid  # a tile of clouds shows its clouds


def _stretched(
    band: NDArray[Any], valid: NDArray[np.bool_], usual: NDArray[np.bool_], stretch_percent: tuple[float, float]
) -> NDArray[np.uint8]:
    rows, columns = (max(1, size // _SAMPLES_PER_SIDE) for size in band.shape)
    sample = band[::rows, ::columns][usual[::rows, ::columns]]
    if not sample.size:
        sample = band[usual]
    low, high = np.percentile(sample, stretch_percent) if sample.size else (0.0, 1.0)
    levels = np.arange(np.iinfo(np.uint16).max + 1, dtype="float64")
    table = np.clip((levels - low) / max(high - low, 1.0) * 255, 0, 255).round().astype("uint8")
    picture: NDArray[np.uint8] = np.where(valid, table[band], np.uint8(0))
    return picture


def _draw_outlines(picture: Image.Image, outlines: Iterable[shapely.Geometry], to_pixels: Affine) -> None:
    pen = ImageDraw.Draw(picture)
    for outline in outlines:
        for polygon in shapely.get_parts(outline):
            for ring in (polygon.exterior, *polygon.interiors):
                pen.line([to_pixels * point for point in ring.coords], fill=_OUTLINE_COLOUR, width=_OUTLINE_PX)
