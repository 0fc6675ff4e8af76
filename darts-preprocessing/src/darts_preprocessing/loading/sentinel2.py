"""Sentinel-2 L2A in the historic layout: ``<id>_SR_clip.tif`` and ``<id>_SCL_clip.tif``."""

import os
import re
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.loading.folders import only_file
from darts_preprocessing.loading.geotiff import DEFAULT_SCALE, optical_tile
from darts_preprocessing.loading.rasters import read_bands
from darts_utils.errors import GridMismatchError, SceneError
from darts_utils.tiles import variable

REFLECTANCE_PATTERNS = ("*_SR_clip.tif",)
CLASSES_PATTERNS = ("*_SCL_clip.tif",)
_DATE = re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T\d{6}_.*")
_OFFSET_SHIFT = 1000
_MISFIT_PX = 0.01


def load_sentinel2_scene(folder: str | os.PathLike[str], *, offset_dn: int | None = None) -> xr.Dataset:
    """Load a Sentinel-2 folder in the historic layout.

    Args:
        folder: ``<id>/`` with ``<id>_SR_clip.tif`` (B02, B03, B04, B08 uint16 at 10 m) and ``<id>_SCL_clip.tif`` (uint8 at
            20 m or 10 m, same extent).
        offset_dn: Count of reflectance 0. The files do not say it, so it must be named: 0 for processing baselines before
            04.00 and for pixels that were shifted back, 1000 for baseline 04.00 and later.

    Returns:
        Raw tile with ``blue``, ``green``, ``red``, ``nir`` uint16 and ``s2_scl`` uint8 (nearest to the 10 m grid).

    Raises:
        SceneNotFoundError: The folder, the image or the classification is missing.
        SceneError: `offset_dn` is not named or not 0 or 1000; a file is damaged or another product; there are no data.
        GridMismatchError: Image and classification do not share their upper left corner and pixel raster.
    """
    folder = Path(folder)
    image = only_file(folder, REFLECTANCE_PATTERNS, what="a Sentinel-2 surface reflectance image")
    classes_file = only_file(folder, CLASSES_PATTERNS, what="the scene classification")
    if offset_dn not in (0, _OFFSET_SHIFT):
        raise SceneError(
            f"'{folder}' does not say which count is reflectance 0, and got offset_dn={offset_dn}: name it, "
            "offset_dn=0 for processing baselines before 04.00, offset_dn=1000 from 04.00 on"
        )
    values, grid = read_bands(image, (1, 2, 3, 4), dtype="uint16", expected_count=4)
    classes, classes_grid = read_bands(classes_file, (1,), dtype="uint8", expected_count=1)
    match = _DATE.fullmatch(folder.name)
    date = f"{match['year']}-{match['month']}-{match['day']}" if match is not None else "unknown"
    tile = optical_tile(
        values,
        grid,
        path=image,
        attrs={"tile_id": folder.name, "sensor": "sentinel2", "date": date},
        reflectance_scale=DEFAULT_SCALE,
        reflectance_offset=-offset_dn * DEFAULT_SCALE,
    )
    names = (f"'{image}'", f"'{classes_file}'")
    fine = _nearest(classes[0], classes_grid, grid, names=names)
    return tile.assign(s2_scl=variable("s2_scl", fine, source=classes_file.name))


def _nearest(
    classes: NDArray[np.uint8], from_grid: GeoBox, grid: GeoBox, *, names: tuple[str, str]
) -> NDArray[np.uint8]:
    """Repeat each class on the finer grid, whose pixels nest in those of the coarser one."""
    steps = from_grid.affine.a / grid.affine.a
    factor = round(steps)
    corner = ~grid.affine * (from_grid.affine.c, from_grid.affine.f)
    nested = (
        from_grid.crs == grid.crs
        and factor >= 1
        and abs(steps - factor) < 1e-6
        and abs(from_grid.affine.e / grid.affine.e - factor) < 1e-6
        and max(abs(corner[0]), abs(corner[1])) <= _MISFIT_PX
        and all(coarse * factor >= fine for coarse, fine in zip(from_grid.shape, grid.shape, strict=True))
    )
    if not nested:
        raise GridMismatchError(
            f"{names[0]} and {names[1]} must start at the same corner with pixels that nest, but have {grid.affine!r} "
            f"{tuple(grid.shape)} and {from_grid.affine!r} {tuple(from_grid.shape)}: clip both to the same extent"
        )
    repeated = np.repeat(np.repeat(classes, factor, axis=0), factor, axis=1)
    return repeated[: grid.shape[0], : grid.shape[1]]
