"""Where true north is on a projected grid.

The angle from true north to the north of a grid (its convergence) changes over a tile: by hundredths of a degree in UTM, by
degrees in a polar projection. It is computed at the nodes of a coarse lattice and interpolated as cosine and sine, which have no
jump at ±180°. Nodes lie at whole kilometres, so every window over a pixel interpolates between the same ones.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Proj

_STEP_M = 1000.0
"""Distance of the nodes: 700 km from a pole, north of all land, the interpolation is right to 2e-5 degrees."""


class NorthLattice(NamedTuple):
    """Convergence between the nodes around a grid."""

    cosines: NDArray[np.float32]
    """``(rows, columns)`` cosine of the convergence at the nodes, from north to south and west to east."""
    sines: NDArray[np.float32]
    """``(rows, columns)`` its sine."""
    rows: NDArray[np.float64]
    """Place of each row of the grid among those of nodes, from 0 on."""
    starts: NDArray[np.int64]
    """First column of the grid east of each column of nodes; the last number is the width of the grid."""
    parts: NDArray[np.float32]
    """How far each column of the grid is on its way to the next column of nodes, 0 … 1."""


def north_lattice(grid: GeoBox) -> NorthLattice:
    """Compute the convergence around a grid.

    Args:
        grid: North-up grid in a projected CRS with metres.

    Returns:
        Convergence, positive where the grid's north is clockwise of true north, and where the pixels of `grid` lie in it.
    """
    height, width = grid.shape
    x = grid.affine.c + grid.affine.a * (np.arange(width) + 0.5)
    y = grid.affine.f + grid.affine.e * (np.arange(height) + 0.5)
    west, east = int(np.floor(x[0] / _STEP_M)), int(np.floor(x[-1] / _STEP_M)) + 1
    north, south = int(np.ceil(y[0] / _STEP_M)), int(np.ceil(y[-1] / _STEP_M)) - 1
    node_x, node_y = np.arange(west, east + 1) * _STEP_M, np.arange(north, south - 1, -1) * _STEP_M
    angle = np.radians(convergence_deg(grid, *np.meshgrid(node_x, node_y)))
    starts = np.searchsorted(x, node_x[:-1], side="left").astype("int64")
    place = x / _STEP_M
    return NorthLattice(
        cosines=np.cos(angle).astype("float32"),
        sines=np.sin(angle).astype("float32"),
        rows=np.asarray(north - y / _STEP_M, dtype="float64"),
        starts=np.append(starts, width),
        parts=(place - np.floor(place)).astype("float32"),
    )


def convergence_deg(grid: GeoBox, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle from true north to the grid's north, clockwise, at places in the grid's CRS.

    Args:
        grid: Any grid in a projected CRS.
        x: Eastings in metres.
        y: Northings in metres, of the same shape.

    Returns:
        Degrees within ±180; NaN where the projection is not defined.
    """
    crs: Any = grid.crs
    projection = Proj(crs.proj)
    longitudes, latitudes = projection(x, y, inverse=True)
    factors: Any = projection.get_factors(longitudes, latitudes)
    angle: NDArray[np.float64] = np.asarray(factors.meridian_convergence, dtype="float64").reshape(np.shape(x))
    return np.where(np.isfinite(angle) & (np.abs(angle) <= 180.0), angle, np.nan)
