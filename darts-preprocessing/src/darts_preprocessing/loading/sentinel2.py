"""Sentinel-2 L2A in the historic layout: ``<id>_SR_clip.tif`` and ``<id>_SCL_clip.tif``."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.loading.dates import date_of_name
from darts_preprocessing.loading.folders import only_file, scene_name
from darts_preprocessing.loading.geotiff import DEFAULT_SCALE, optical_tile, reflectance_scaling
from darts_preprocessing.loading.rasters import read_bands
from darts_utils.errors import DartsWarning, GridMismatchError, SceneError
from darts_utils.grids import crs_name
from darts_utils.tiles import variable

REFLECTANCE_PATTERNS = ("*_SR_clip.tif",)
CLASSES_PATTERNS = ("*_SCL_clip.tif",)
_NAME = re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T\d{6}_.*")
_OFFSET_SHIFT = 1000
_CLASSES_STEPS_M = (10.0, 20.0)
_STEP_TOLERANCE_M = 1e-3
_TIE_PX = 1e-6
"""A centre this close before the edge of a class pixel lies on it: the difference is rounding."""


def load_sentinel2_scene(folder: str | os.PathLike[str], *, offset_dn: int | None = None) -> xr.Dataset:
    """Load a Sentinel-2 folder in the historic layout.

    Args:
        folder: ``<id>/`` with ``<id>_SR_clip.tif`` (B02, B03, B04, B08 uint16 at 10 m) and ``<id>_SCL_clip.tif`` (uint8 at
            20 m or 10 m, in the same CRS). Where the classification does not reach, pixels count as missing.
        offset_dn: Count of reflectance 0. The files do not say it, so it must be named: 0 for processing baselines before
            04.00 and for pixels that were shifted back, 1000 for baseline 04.00 and later.

    Returns:
        Raw tile with ``blue``, ``green``, ``red``, ``nir`` uint16 and ``s2_scl`` uint8: the class in which the centre of
        each pixel lies, 0 where there is none.

    Raises:
        SceneNotFoundError: The folder, the image or the classification is missing.
        SceneError: `offset_dn` is not named or not 0 or 1000, or the image declares another offset; a file is damaged or
            another product; there are no data.
        GridMismatchError: The classification is in another CRS, has pixels of another size or lies elsewhere.

    Warns:
        DartsWarning: The classification covers only a part of the image.
    """
    folder = Path(folder)
    name = scene_name(folder)
    image = only_file(folder, REFLECTANCE_PATTERNS, what="a Sentinel-2 surface reflectance image")
    classes_file = only_file(folder, CLASSES_PATTERNS, what="the scene classification")
    if offset_dn not in (0, _OFFSET_SHIFT):
        raise SceneError(
            f"'{folder}' does not say which count is reflectance 0, and got offset_dn={offset_dn}: name it, "
            "offset_dn=0 for processing baselines before 04.00, offset_dn=1000 from 04.00 on"
        )
    read = read_bands(image, (1, 2, 3, 4), dtype="uint16", expected_count=4)
    classes, classes_grid, *_ = read_bands(classes_file, (1,), dtype="uint8", expected_count=1)
    attrs = {"tile_id": name, "sensor": "sentinel2", "date": date_of_name(name, _NAME)}
    scalings = [
        reflectance_scaling(declared, scale=DEFAULT_SCALE, offset=-offset_dn * DEFAULT_SCALE, path=image)
        for declared in read.scalings
    ]
    tile = optical_tile(read, path=image, attrs=attrs, scalings=scalings)
    fine = _nearest(classes[0], classes_grid, read.grid, names=(f"'{image}'", f"'{classes_file}'"))
    return tile.assign(s2_scl=variable("s2_scl", fine, source=classes_file.name))


def _nearest(
    classes: NDArray[np.uint8], from_grid: GeoBox, grid: GeoBox, *, names: tuple[str, str]
) -> NDArray[np.uint8]:
    """The class at the centre of each pixel of a grid, 0 beyond the classification."""
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
            stacklevel=3,
        )
    return fine


def _cells(origin: float, size: float, count: int, *, first: float, step: float) -> NDArray[np.intp]:
    """Number of the cell of another axis in which each pixel centre lies; the axis may end before."""
    centres = origin + size * (np.arange(count) + 0.5)
    cells: NDArray[np.intp] = np.floor((centres - first) / step + _TIE_PX).astype(np.intp)
    return cells


def _extent(grid: GeoBox) -> str:
    return str(tuple(round(value, 3) for value in grid.boundingbox))
