"""Tiles in true colours, small, with the outlines of their objects."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from darts_export.arrays import numpy_values
from darts_export.config import ExportConfig
from darts_export.stretching import limits_of
from darts_utils.kernels import kernel, over_rows

RGB = ("red", "green", "blue")
"""The variables that become the picture."""

MASKS = ("valid_data_mask", "quality_data_mask")
"""The variables that decide what is black and what the stretch looks at, where a tile has them."""

OUTLINE_COLOUR = (255, 221, 0)
_OUTLINE_PX = 2


def draw_picture(
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
        RGB picture. A pixel of it is the mean of the valid pixels that it covers.
    """
    valid, usual = _masks(tile)
    height, width = tile.sizes["y"], tile.sizes["x"]
    shrink = min(1.0, longer_side_px / max(height, width))
    small = np.empty((max(1, round(height * shrink)), max(1, round(width * shrink)), len(RGB)), dtype="uint8")
    for index, name in enumerate(RGB):
        band = numpy_values(tile, name)
        limits = limits_of(band, usual=usual, percent=stretch_percent) or (0.0, 1.0)
        over_rows(_shrink, small.shape[0], band, valid, *limits, small[:, :, index])
    picture = Image.fromarray(small)
    to_picture = Affine.scale(small.shape[1] / width, small.shape[0] / height) @ ~transform
    _draw_outlines(picture, outlines, to_picture)
    return picture


@kernel
def _shrink(
    first: int,
    last: int,
    band: NDArray[Any],
    valid: NDArray[np.bool_],
    low: float,
    high: float,
    small: NDArray[np.uint8],
) -> None:
    rows, columns = band.shape
    for row in range(first, last):
        top, bottom = row * rows // small.shape[0], (row + 1) * rows // small.shape[0]
        for column in range(small.shape[1]):
            left, right = column * columns // small.shape[1], (column + 1) * columns // small.shape[1]
            total, number = 0.0, 0
            for y in range(top, bottom):
                for x in range(left, right):
                    if valid.size == 0 or valid[y, x]:
                        total += band[y, x]
                        number += 1
            level = (total / number - low) / (high - low) if number else 0.0
            small[row, column] = np.uint8(min(max(255 * level, 0.0), 255.0) + 0.5)


def _masks(tile: xr.Dataset) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """The valid pixels, without any row or column where all are; and the usual ones, None where all are."""
    valid, quality = (numpy_values(tile, name) if name in tile else None for name in MASKS)
    usual = quality if quality is not None and quality.any() else valid  # a tile of clouds shows its clouds
    return np.empty((0, 0), dtype=bool) if valid is None else valid, usual


def _draw_outlines(picture: Image.Image, outlines: Iterable[shapely.Geometry], to_picture: Affine) -> None:
    pen = ImageDraw.Draw(picture)
    rings = shapely.get_rings(shapely.get_parts(np.array(list(outlines), dtype=object)))
    for ring in rings:
        columns, rows = to_picture * tuple(shapely.get_coordinates(ring).T)
        pen.line(np.column_stack([columns, rows]).ravel().tolist(), fill=OUTLINE_COLOUR, width=_OUTLINE_PX)
