"""Sentinel-2 L2A in the historic layout: ``<id>_SR_clip.tif`` and ``<id>_SCL_clip.tif``."""

import os
import re
from pathlib import Path

import xarray as xr

from darts_preprocessing.loading.classification import nearest_classes
from darts_preprocessing.loading.dates import date_of_name
from darts_preprocessing.loading.folders import only_file, scene_name
from darts_preprocessing.loading.geotiff import DEFAULT_SCALE, optical_tile, reflectance_scaling
from darts_preprocessing.loading.rasters import read_bands
from darts_utils.errors import SceneError
from darts_utils.tiles import variable

REFLECTANCE_PATTERNS = ("*_SR_clip.tif",)
CLASSES_PATTERNS = ("*_SCL_clip.tif",)
_NAME = re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T\d{6}_.*")
_OFFSET_SHIFT = 1000


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
    fine = nearest_classes(classes[0], classes_grid, read.grid, names=(f"'{image}'", f"'{classes_file}'"))
    return tile.assign(s2_scl=variable("s2_scl", fine, source=classes_file.name))
