"""The part of a large raster that a tile needs, also where the raster's longitudes begin anew within the tile."""

import math
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.alignment import kernel_reach_px
from darts_preprocessing.horizontal import horizontal_way
from darts_preprocessing.loading.sources import Decode, Gaps, Source
from darts_preprocessing.meridians import full_turn
from darts_utils.errors import NoOverlapError, SceneError

_EDGE_POINTS = 101
"""Points on each edge of the tile that are projected: the edges are curved in the raster's CRS."""


class _Part(NamedTuple):
    """Columns of a raster that a tile needs, in one turn of the globe."""

    turns: int
    """Turns of 360° by which the raster's longitudes are moved to those of the tile."""
    first: int
    """First column of the raster."""
    stop: int
    """Column after the last one."""


def read_around(
    source: Source, grid: GeoBox, *, margin_m: float, decode: Decode, gaps: Gaps
) -> tuple[NDArray[Any], GeoBox]:
    """Read what a grid and a margin around it need of a raster, with room for the resampling kernel.

    Args:
        source: Raster, or tiles of one.
        grid: Grid of a tile, in metres.
        margin_m: Margin around the grid.
        decode: Reads a window of an open raster as ``(bands, y, x)``.
        gaps: Where such values hold nothing, ``(y, x)``.

    Returns:
        ``(bands, y, x)`` values, NaN (floats) or 0 where there are none, and their grid, which is a window of the raster's
        own. In degrees the longitudes are those of the tile: the ends of a raster that meet in the tile are joined, and
        longitudes go on beyond 180. Where 360° are no whole number of pixels, the part behind the joint stands off by at
        most half a pixel.

    Raises:
        NoOverlapError: Raster and grid do not overlap; names both extents.
        SceneError: A file is damaged, or `decode` refuses it.
    """
    whole = source.grid
    wanted = _wanted_bounds(whole, grid, margin_m=margin_m)
    if all(map(math.isfinite, wanted)):
        left, bottom, right, top = wanted
        height, width = whole.shape
        step_x, step_y = whole.affine.a, -whole.affine.e
        room = kernel_reach_px(whole, grid)
        first_row = math.floor((whole.affine.f - top) / step_y) - room
        stop_row = math.ceil((whole.affine.f - bottom) / step_y) + room
        first = math.floor((left - whole.affine.c) / step_x) - room
        stop = math.ceil((right - whole.affine.c) / step_x) + room
        rows = max(0, first_row), min(height, stop_row)
        parts = _parts(first, stop, width=width, turn_px=full_turn(whole) / step_x)
        if parts and rows[0] < rows[1]:
            pieces = [source.read(rows, (part.first, part.stop), decode=decode, gaps=gaps) for part in parts]
            if any(piece is not None for piece in pieces):
                return _joined(pieces, whole, parts, rows=rows)
            around = tuple(round(value, 5) for value in wanted)
            raise SceneError(
                f"'{source.name}' must have a tile around {around} (in its CRS), but has none among {len(source.tiles)}: add it"
            )
    covered = tuple(round(value, 5) for value in whole.boundingbox)
    needed = tuple(round(value, 5) for value in wanted)
    raise NoOverlapError(
        f"'{source.name}' covers {covered}, but the tile needs {needed} (in the raster's CRS): give one that overlaps"
    )


def _wanted_bounds(whole: GeoBox, grid: GeoBox, *, margin_m: float) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a grid with its margin in the CRS of a raster; right ≥ left."""
    inner = grid.boundingbox
    bounds = inner.left - margin_m, inner.bottom - margin_m, inner.right + margin_m, inner.top + margin_m
    way = horizontal_way(grid, whole)
    left, bottom, right, top = bounds if way is None else way.transform_bounds(*bounds, densify_pts=_EDGE_POINTS)
    if right < left:  # pyproj's way to say that the antimeridian lies between
        right += full_turn(whole)
    return left, bottom, right, top


def _parts(first: int, stop: int, *, width: int, turn_px: float) -> list[_Part]:
    """Which columns of a raster fill the columns from `first` to `stop`, from west to east."""
    parts = []
    taken = first
    for turns in (-1, 0, 1) if math.isfinite(turn_px) else (0,):
        offset = round(turns * turn_px) if turns else 0
        begin, end = max(taken, offset), min(stop, offset + width)
        if begin < end:
            parts.append(_Part(turns, begin - offset, end - offset))
            taken = end
    return parts


def _joined(
    pieces: list[NDArray[Any] | None], whole: GeoBox, parts: list[_Part], *, rows: tuple[int, int]
) -> tuple[NDArray[Any], GeoBox]:
    west, east = parts[0], parts[-1]
    step_x, step_y = whole.affine.a, whole.affine.e

    def column(part: _Part) -> int:
        turns = part.turns - west.turns
        return (round(turns * full_turn(whole) / step_x) if turns else 0) + part.first - west.first

    shape = (rows[1] - rows[0], column(east) + east.stop - east.first)
    left = whole.affine.c + west.first * step_x + (west.turns * full_turn(whole) if west.turns else 0.0)
    affine = Affine(step_x, 0, left, 0, step_y, whole.affine.f + rows[0] * step_y)
    known = [piece for piece in pieces if piece is not None]
    joined = known[0]
    if len(parts) > 1:
        joined = np.full((len(joined), *shape), np.nan if joined.dtype.kind == "f" else 0, joined.dtype)
        for part, piece in zip(parts, pieces, strict=True):
            if piece is not None:
                joined[..., column(part) : column(part) + part.stop - part.first] = piece
    return joined, GeoBox(shape, affine, whole.crs)
