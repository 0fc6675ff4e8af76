"""One raster, or a folder of tiles that are one raster."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader
from rasterio.windows import Window

from darts_preprocessing.loading.rasters import grid_of_raster, open_raster
from darts_utils.errors import SceneError, SceneNotFoundError
from darts_utils.files import TEMPORARY_PREFIX
from darts_utils.grids import crs_name

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt")
"""Files of a folder with these endings are its tiles."""
_OFF_PX = 0.01
"""How far a tile may stand off the pixels of the first one."""
_STEP_TOLERANCE = 1e-6
_REMEMBERED_GRIDS = 100_000
"""Those of the tiles of the whole Arctic, with room; each takes about two kilobytes."""

Decode = Callable[[DatasetReader, Window], NDArray[Any]]
"""Reads a window of a raster as ``(bands, y, x)``."""
Gaps = Callable[[NDArray[Any]], NDArray[np.bool_]]
"""Where ``(bands, y, x)`` values hold nothing: ``(y, x)``."""


@dataclass(frozen=True)
class _Tile:
    path: Path
    row: int
    column: int
    height: int
    width: int


@dataclass(frozen=True)
class Source:
    """Rasters that share one pixel grid."""

    name: str
    """What the user named."""
    grid: GeoBox
    """The grid around all of them."""
    tiles: tuple[_Tile, ...]
    """By name; where they overlap, the first one that knows something counts."""

    def read(
        self, rows: tuple[int, int], columns: tuple[int, int], *, decode: Decode, gaps: Gaps
    ) -> NDArray[Any] | None:
        """Read a window of the grid, of those tiles that it touches alone.

        Args:
            rows: First row and the one after the last, within the grid.
            columns: The same of columns.
            decode: Reads a window of one tile.
            gaps: Where values hold nothing; such pixels are filled from the tiles that follow.

        Returns:
            ``(bands, y, x)`` as `decode` makes them, 0 or NaN (floats) where no tile is; None if no tile touches the window.

        Raises:
            SceneError: A tile is damaged or not what it should be.
        """
        joined: NDArray[Any] | None = None
        for tile in self.tiles:
            top, bottom = max(rows[0], tile.row), min(rows[1], tile.row + tile.height)
            left, right = max(columns[0], tile.column), min(columns[1], tile.column + tile.width)
            if top >= bottom or left >= right:
                continue
            window = Window.from_slices((top - tile.row, bottom - tile.row), (left - tile.column, right - tile.column))
            with open_raster(tile.path) as raster:
                piece = decode(raster, window)
            if joined is None and (top, bottom) == rows and (left, right) == columns:
                joined = piece
            else:
                if joined is None:
                    shape = (len(piece), rows[1] - rows[0], columns[1] - columns[0])
                    joined = np.full(shape, np.nan if piece.dtype.kind == "f" else 0, piece.dtype)
                place = joined[:, top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]]
                np.copyto(place, piece, where=gaps(place))
            if not gaps(joined).any():
                break
        return joined


def source_of(path: str | os.PathLike[str], *, ignored_endings: Sequence[str] = ()) -> Source:
    """Look at a raster, or at all tiles in a folder.

    Args:
        path: Raster, or folder whose rasters, also those in folders below, are tiles.
        ignored_endings: Stems that end so are no tiles.

    Raises:
        SceneNotFoundError: There is nothing, or no tile in the folder.
        SceneError: A raster is damaged, or tiles have different CRS, pixel sizes or pixel grids; names them.
    """
    path = Path(path)
    return source_of_tiles(tile_paths(path, ignored_endings=ignored_endings), name=str(path))


def tile_paths(path: Path, *, ignored_endings: Sequence[str] = ()) -> list[Path]:
    """The raster at a path, or the rasters in a folder, by name.

    Raises:
        SceneNotFoundError: There is none in the folder.
    """
    if not path.is_dir():
        return [path]
    found = [
        each
        for each in path.rglob("*")
        if each.suffix.lower() in RASTER_SUFFIXES
        and each.is_file()
        and not each.name.startswith(TEMPORARY_PREFIX)
        and not each.stem.lower().endswith(tuple(ignored_endings))
    ]
    if not found:
        raise SceneNotFoundError(
            f"expected rasters ({', '.join(RASTER_SUFFIXES)}) in the folder '{path}', but it holds none: check the path"
        )
    return sorted(found, key=lambda each: (each.name, each))


def source_of_tiles(paths: Sequence[Path], *, name: str) -> Source:
    """Join rasters to one.

    Raises:
        SceneNotFoundError: A raster is missing.
        SceneError: A raster is damaged, or they have different CRS, pixel sizes or pixel grids.

    Notes:
        Within a process a raster is opened for its grid once, until its size or times change, or its folder gains or loses files:
        a run asks for the same folder with every scene. Not noticed is a world file beside it that is changed in place.
    """
    grids = []
    for path in paths:
        grids.append(_grid_of(path))
        _check_alike(grids[0], grids[-1], names=(paths[0], path))
    first = grids[0].affine
    places = [_place(first, grid) for grid in grids]
    top, left = min(row for row, _ in places), min(column for _, column in places)
    tiles = tuple(
        _Tile(path, row - top, column - left, *grid.shape)
        for path, grid, (row, column) in zip(paths, grids, places, strict=True)
    )
    shape = max(tile.row + tile.height for tile in tiles), max(tile.column + tile.width for tile in tiles)
    affine = Affine(first.a, 0, first.c + left * first.a, 0, first.e, first.f + top * first.e)
    return Source(name, GeoBox(shape, affine, grids[0].crs), tiles)


def _grid_of(path: Path) -> GeoBox:
    try:
        file, folder = path.stat(), path.parent.stat()
    except OSError:  # opening says what is wrong
        return _read_grid(path)
    return _remembered_grid(path, file.st_size, file.st_mtime_ns, file.st_ctime_ns, folder.st_mtime_ns)


@lru_cache(maxsize=_REMEMBERED_GRIDS)
def _remembered_grid(path: Path, _size: int, _mtime_ns: int, _ctime_ns: int, _folder_mtime_ns: int) -> GeoBox:
    return _read_grid(path)


def _read_grid(path: Path) -> GeoBox:
    with open_raster(path) as raster:
        return grid_of_raster(raster)


def _place(first: Affine, grid: GeoBox) -> tuple[int, int]:
    """Row and column of a tile's first pixel, counted from the first tile's."""
    return round((grid.affine.f - first.f) / first.e), round((grid.affine.c - first.c) / first.a)


def _check_alike(first: GeoBox, grid: GeoBox, *, names: tuple[Path, Path]) -> None:
    both = f"'{names[0]}' and '{names[1]}' must share one pixel grid to be tiles of one raster, but they differ"
    if first.crs != grid.crs:
        raise SceneError(
            f"{both}: CRS {crs_name(first.crs)} against {crs_name(grid.crs)}; keep tiles of one kind in the folder"
        )
    steps = [(float(each.affine.a), -float(each.affine.e)) for each in (first, grid)]
    if not np.allclose(steps[0], steps[1], rtol=_STEP_TOLERANCE, atol=0):
        raise SceneError(
            f"{both}: pixels of {steps[0][0]:g} × {steps[0][1]:g} against {steps[1][0]:g} × {steps[1][1]:g}; keep tiles of one "
            "resolution in the folder"
        )
    off = (grid.affine.f - first.affine.f) / first.affine.e, (grid.affine.c - first.affine.c) / first.affine.a
    off_px = max(abs(value - round(value)) for value in off)
    if off_px > _OFF_PX:
        raise SceneError(f"{both}: their pixels are {off_px:.2g} px apart; warp them onto one grid with gdalwarp -tap")
