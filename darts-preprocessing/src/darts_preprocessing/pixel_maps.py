"""Where the pixels of one grid lie in another, exactly enough and the same whatever the window.

The transformation of a pixel costs a microsecond, its interpolation nanoseconds. So the target is cut into blocks; in each
the way to the source is a polynomial through a few exactly transformed points, and is compared with others in between. A
block in which it is off by more than `TOLERANCE_PX` (a pole, the antimeridian) is transformed pixel by pixel.

Blocks and pixels are counted from the origin of the coordinate system, not from the window's corner: a pixel is in the same
block, and has the same coordinates to the last bit, in every window that holds it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.horizontal import horizontal_way
from darts_preprocessing.meridians import in_turn_of
from darts_utils.kernels import kernel

BLOCK_PX = 256
"""Edge length of a block."""
TOLERANCE_PX = 1e-6
"""How far a polynomial may be off, in pixels of the source."""
_NODES = 6
"""Points along each edge of a block that a polynomial goes through."""
_DECIMALS = 7
"""Of a pixel, that count in the position of a grid: what is beyond them differs from window to window by rounding."""

_PLACES = -np.cos(np.pi * np.arange(_NODES) / (_NODES - 1))
"""Chebyshev's extrema, from −1 to 1: the ends of a block are among them."""
_BETWEEN = -np.cos(np.pi * (np.arange(_NODES - 1) + 0.5) / (_NODES - 1))
_ALL_PLACES = np.concatenate([_PLACES, _BETWEEN])
_TO_MONOMIALS = np.linalg.inv(np.vander(_PLACES, increasing=True))
_HALF = (BLOCK_PX - 1) / 2


@dataclass(frozen=True)
class Lattice:
    """The pixels along an axis, counted from the origin of the coordinate system."""

    first: int
    """Number of the grid's first pixel."""
    phase: float
    """Where pixel 0 begins, in pixels from the origin: 0 … 1."""
    step: float
    """Size of a pixel in units of the CRS; negative where the axis goes down."""

    @classmethod
    def along(cls, origin: float, step: float) -> "Lattice":
        """The lattice of an axis that begins at `origin`."""
        position = round(origin / step, _DECIMALS)
        first = math.floor(position)
        return cls(first, round(position - first, _DECIMALS), step)

    def centres(self, numbers: NDArray[Any]) -> NDArray[np.float64]:
        """Coordinates in the CRS of the centres of pixels, given by their numbers, which may have fractions."""
        return (numbers + (0.5 + self.phase)) * self.step

    def numbers(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places in pixels from the beginning of pixel 0."""
        return coordinates / self.step - self.phase


class PixelMap:
    """The way from the pixels of a target grid to those of a source grid.

    Args:
        from_grid: Source grid.
        grid: Target grid.
    """

    def __init__(self, from_grid: GeoBox, grid: GeoBox) -> None:
        self.shape: tuple[int, int] = (grid.shape[0], grid.shape[1])
        self.x, self.y = _lattices(grid)
        self.source_x, self.source_y = _lattices(from_grid)
        self._from_grid = from_grid
        self._transformer = horizontal_way(grid, from_grid)
        self.first_block_row = self.y.first // BLOCK_PX
        """Number of the row of blocks in which the target's first row lies."""
        self.last_block_row = (self.y.first + self.shape[0] - 1) // BLOCK_PX
        """Number of the row of blocks in which its last row lies."""

    def block_row(self, number: int) -> "BlockRow":
        """Prepare the coordinates in a row of blocks."""
        first = self.x.first // BLOCK_PX
        blocks = np.arange(first, (self.x.first + self.shape[1] - 1) // BLOCK_PX + 1)
        middles = blocks * BLOCK_PX + _HALF
        middle = number * BLOCK_PX + _HALF
        count = _ALL_PLACES.size
        columns = np.broadcast_to((middles[:, None] + _HALF * _ALL_PLACES)[:, None, :], (blocks.size, count, count))
        rows = np.broadcast_to((middle + _HALF * _ALL_PLACES)[None, :, None], columns.shape)
        exact = np.stack(self.exact(columns, rows), axis=1)  # (blocks, 2, y, x)
        with np.errstate(invalid="ignore"):
            origins = np.rint(exact[:, :, 0, 0])
            exact = exact - origins[:, :, None, None]
            nodes = exact[:, :, :_NODES, :_NODES]
            polynomials = _TO_MONOMIALS @ nodes @ _TO_MONOMIALS.T
            powers = np.vander(_ALL_PLACES, _NODES, increasing=True)
            off = np.abs(powers @ polynomials @ powers.T - exact).max(axis=(1, 2, 3))
            smooth = off <= TOLERANCE_PX  # what is not finite is not smooth
        begin = number * BLOCK_PX - self.y.first
        rows_here = max(0, begin), min(self.shape[0], begin + BLOCK_PX)
        return BlockRow(self, number, *rows_here, polynomials, origins, np.flatnonzero(~smooth))

    def exact(
        self, columns: NDArray[np.float64], rows: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places in the source, in pixels from the beginning of its pixel 0, of target pixels given by their numbers."""
        x, y = self.x.centres(columns), self.y.centres(rows)
        if self._transformer is not None:
            x, y = self._transformer.transform(x, y)
        x = in_turn_of(x, self._from_grid)
        return self.source_x.numbers(x), self.source_y.numbers(y)


@dataclass(frozen=True)
class BlockRow:
    """Coordinates of the pixels in one row of blocks."""

    pixel_map: PixelMap
    number: int
    first: int
    """First row of the target in it."""
    last: int
    """The row after the last one."""
    polynomials: NDArray[np.float64]
    """``(blocks, 2, y, x)`` coefficients of powers of the place in the block, −1 … 1: of columns and rows in the source."""
    origins: NDArray[np.float64]
    """``(blocks, 2)`` whole pixels from which the polynomials count."""
    rough: NDArray[np.intp]
    """Blocks whose polynomial is not exact enough."""

    def coordinates(self, first: int, last: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Columns and rows in the source grid of the pixels in the target's rows `first` to `last`.

        Returns:
            Two arrays ``(rows, x)``, counted from the source grid's first corner; not finite where there is no way.
        """
        target = self.pixel_map
        origins = self.origins - (target.source_x.first, target.source_y.first)
        columns, rows = np.empty((2, last - first, target.shape[1]))
        row = target.y.first + first - self.number * BLOCK_PX
        column = target.x.first % BLOCK_PX
        _evaluate(row, column, self.polynomials, origins, columns, rows)
        for block in self.rough:
            begin = max(0, block * BLOCK_PX - column)
            end = min(target.shape[1], (block + 1) * BLOCK_PX - column)
            numbers = np.meshgrid(np.arange(begin, end) + target.x.first, np.arange(first, last) + target.y.first)
            x, y = target.exact(*numbers)
            columns[:, begin:end], rows[:, begin:end] = x - target.source_x.first, y - target.source_y.first
        return columns, rows


@kernel
def _evaluate(
    row: int,
    column: int,
    polynomials: NDArray[np.float64],
    origins: NDArray[np.float64],
    columns: NDArray[np.float64],
    rows: NDArray[np.float64],
) -> None:
    height, width = columns.shape
    powers = polynomials.shape[3]
    along = np.empty((2, powers))
    for j in range(height):
        y = (row + j - _HALF) / _HALF
        for block in range(polynomials.shape[0]):
            for axis in range(2):
                for power in range(powers):
                    value = 0.0
                    for other in range(powers - 1, -1, -1):
                        value = value * y + polynomials[block, axis, other, power]
                    along[axis, power] = value
            for i in range(max(0, block * BLOCK_PX - column), min(width, (block + 1) * BLOCK_PX - column)):
                x = (i + column - block * BLOCK_PX - _HALF) / _HALF
                across = down = 0.0
                for power in range(powers - 1, -1, -1):
                    across = across * x + along[0, power]
                    down = down * x + along[1, power]
                columns[j, i] = across + origins[block, 0]
                rows[j, i] = down + origins[block, 1]


def _lattices(grid: GeoBox) -> tuple[Lattice, Lattice]:
    affine = grid.affine
    return Lattice.along(float(affine.c), float(affine.a)), Lattice.along(float(affine.f), float(affine.e))
