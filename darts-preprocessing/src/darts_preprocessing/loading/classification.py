"""Sentinel-2's scene classification on the finer grid of the bands."""

import warnings

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_utils.errors import DartsWarning, GridMismatchError
from darts_utils.grids import crs_name

_CLASSES_STEPS_M = (10.0, 20.0)
_STEP_TOLERANCE_M = 1e-3
_TIE_PX = 1e-6
"""A centre this close before the edge of a class pixel lies on it: the difference is rounding."""


def nearest_classes(
    classes: NDArray[np.uint8], from_grid: GeoBox, grid: GeoBox, *, names: tuple[str, str]
) -> NDArray[np.uint8]:
    """The class in which the centre of each pixel of a grid lies, 0 beyond the classification.

    Args:
        classes: ``(y, x)`` classes.
        from_grid: Their grid, of 10 m or 20 m.
        grid: Grid of the image.
        names: What image and classification are called in messages.

    Raises:
        GridMismatchError: The classification is in another CRS, has pixels of another size or lies elsewhere.

    Warns:
        DartsWarning: The classification covers only a part of the image.
    """
    image, classification = names
    if from_grid.crs != grid.crs:
        raise GridMismatchError(
            f"{classification} must be in the CRS of {image}, {crs_name(grid.crs)}, but is in {crs_name(from_grid.crs)}: "
            "warp it with gdalwarp -r near"
        )
    steps = from_grid.affine.a, -from_grid.affine.e
    if not any(all(abs(step - size) <= _STEP_TOLERANCE_M for step in steps) for size in _CLASSES_STEPS_M):
        raise GridMismatchError(
            f"{classification} must have pixels of 10 m or 20 m, but has {steps[0]:g} m × {steps[1]:g} m: it is another product"
        )
    rows = _cells(grid.affine.f, grid.affine.e, grid.shape[0], first=from_grid.affine.f, step=from_grid.affine.e)
    columns = _cells(grid.affine.c, grid.affine.a, grid.shape[1], first=from_grid.affine.c, step=from_grid.affine.a)
    in_rows, in_columns = (rows >= 0) & (rows < classes.shape[0]), (columns >= 0) & (columns < classes.shape[1])
    covered = in_rows[:, None] & in_columns[None, :]
    if not covered.any():
        raise GridMismatchError(
            f"{classification} must cover {image}, but covers {_extent(from_grid)} and the image {_extent(grid)}: "
            "take the files of one scene"
        )
    fine = np.zeros(tuple(grid.shape), "uint8")
    fine[np.ix_(in_rows, in_columns)] = classes[np.ix_(rows[in_rows], columns[in_columns])]
    if not covered.all():
        warnings.warn(
            f"{classification} misses {100.0 * float((~covered).mean()):.3g} % of {image}: these pixels count as missing",
            DartsWarning,
            stacklevel=4,
        )
    return fine


def _cells(origin: float, size: float, count: int, *, first: float, step: float) -> NDArray[np.intp]:
    """Number of the cell of another axis in which each pixel centre lies; the axis may end before."""
    centres = origin + size * (np.arange(count) + 0.5)
    cells: NDArray[np.intp] = np.floor((centres - first) / step + _TIE_PX).astype(np.intp)
    return cells


def _extent(grid: GeoBox) -> str:
    return str(tuple(round(value, 3) for value in grid.boundingbox))
