"""Thumbnails: a picture of a tile and its objects, with a caption."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from PIL import Image

from darts_export.captions import add_caption
from darts_export.config import ExportConfig
from darts_export.ellipsoid import pixel_size_m
from darts_export.naming import safe_tile_id
from darts_export.pictures import MASKS, OUTLINE_COLOUR, draw_picture
from darts_export.text import stated
from darts_utils.errors import TileContractError


def draw_thumbnail(tile: xr.Dataset, outlines: Sequence[shapely.Geometry], *, grid: GeoBox) -> Image.Image:
    """Draw a tile with its objects, and say below which tile it is, what the colours mean, and how large it is.

    Args:
        tile: As for `draw_picture`.
        outlines: ``(N,)`` polygons in the CRS of the tile, one for each object.
        grid: Grid of the tile. The scale is that of its middle, on the ellipsoid; there is none where the CRS is tied to none.

    Returns:
        RGB picture.
    """
    picture = draw_picture(tile, outlines, transform=grid.affine)
    number = len(outlines)
    legend = [(OUTLINE_COLOUR, f"thaw slumps: {number}" if number else "no thaw slumps")]
    if MASKS[0] in tile:
        legend.append(((0, 0, 0), "no data"))
    return add_caption(
        picture,
        lines=[safe_tile_id(tile), f"{stated(tile, 'date')}, {stated(tile, 'sensor')}"],
        legend=legend,
        metres_per_px=_metres_per_px(grid, picture),
    )


def _metres_per_px(grid: GeoBox, picture: Image.Image) -> float | None:
    try:
        width_m, _ = pixel_size_m(grid)
    except TileContractError:
        return None  # nobody knows where it is
    return width_m * int(grid.shape[1]) / picture.width


def write_jpeg(picture: Image.Image, path: Path) -> None:
    """Write a picture as JPEG.

    Raises:
        OSError: The file cannot be written.
    """
    buffer = BytesIO()  # Pillow's own writing does not say why it failed
    picture.save(buffer, format="JPEG", quality=ExportConfig.jpeg_quality)
    path.write_bytes(buffer.getbuffer())
