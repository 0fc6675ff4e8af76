"""PlanetScope scenes and orthotiles: surface reflectance, usable data mask, metadata."""

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import xarray as xr

from darts_preprocessing.loading.dates import date_of_name
from darts_preprocessing.loading.folders import only_file, scene_name
from darts_preprocessing.loading.geotiff import DEFAULT_OFFSET, DEFAULT_SCALE, optical_tile, reflectance_scaling
from darts_preprocessing.loading.rasters import read_bands
from darts_utils.errors import SceneError
from darts_utils.grids import check_same_grid
from darts_utils.tiles import variable

REFLECTANCE_PATTERNS = ("*_SR.tif", "*_SR_clip.tif")
MASK_PATTERNS = ("*_udm2.tif", "*_udm2_clip.tif")
NAMES = (
    re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_\d{6}(_\d\d)?_[0-9a-zA-Z]{4}"),
    re.compile(r"\d+_\d+_(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)_[0-9a-zA-Z]{4}"),
)
"""Names of the folders of scenes and of orthotiles."""
_METADATA_PATTERNS = ("*_metadata.json",)
_UDM2_BANDS = 8


def load_planet_scene(folder: str | os.PathLike[str]) -> xr.Dataset:
    """Load a PlanetScope scene or orthotile folder.

    Args:
        folder: ``YYYYMMDD_HHMMSS[_NN]_XXXX/`` or ``<chunk>_<tile>_YYYY-MM-DD_XXXX/`` with ``*_SR.tif`` or
            ``*_SR_clip.tif`` (4 bands uint16), ``*_udm2.tif`` or ``*_udm2_clip.tif`` (8 bands uint8) and, as a rule,
            ``*_metadata.json`` (sun angles).

    Returns:
        Raw tile with ``blue``, ``green``, ``red``, ``nir`` uint16, ``planet_udm2`` uint8 (bits 0–5: udm2 bands 1–6) and
        ``planet_udm1`` uint8 (udm2 band 8). Without metadata the sun angles are absent.

    Raises:
        SceneNotFoundError: The folder, the image or the mask is missing.
        SceneError: A file is damaged or another product, or there are no data.
        GridMismatchError: Image and mask do not share one grid.

    References:
        Planet Imagery Product Specification, "Usable Data Mask" (UDM 2.1).
    """
    folder = Path(folder)
    name = scene_name(folder)
    image = only_file(folder, REFLECTANCE_PATTERNS, what="a PlanetScope surface reflectance image")
    mask = only_file(folder, MASK_PATTERNS, what="the scene's usable data mask")
    read = read_bands(image, (1, 2, 3, 4), dtype="uint16", expected_count=4)
    masks, mask_grid, *_ = read_bands(
        mask, range(1, _UDM2_BANDS + 1), dtype="uint8", expected_count=_UDM2_BANDS, keep_nodata=True
    )
    check_same_grid(read.grid, mask_grid, first_name=f"'{image}'", second_name=f"'{mask}'")
    attrs = {"tile_id": name, "sensor": "planetscope", "date": date_of_name(name, *NAMES), **_sun(folder)}
    scalings = [
        reflectance_scaling(declared, scale=DEFAULT_SCALE, offset=DEFAULT_OFFSET, path=image)
        for declared in read.scalings
    ]
    tile = optical_tile(read, path=image, attrs=attrs, scalings=scalings)
    bits = np.zeros(masks.shape[1:], "uint8")
    for bit in range(6):
        bits |= (masks[bit] != 0).astype("uint8") << bit
    return tile.assign(
        planet_udm2=variable("planet_udm2", bits, source=mask.name),
        planet_udm1=variable("planet_udm1", masks[7], source=mask.name),
    )


def _sun(folder: Path) -> dict[str, float]:
    path = only_file(folder, _METADATA_PATTERNS, what="metadata", optional=True)
    if path is None:
        return {}
    try:
        properties = json.loads(path.read_text())["properties"]
        azimuth, elevation = float(properties["sun_azimuth"]), float(properties["sun_elevation"])
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise SceneError(
            f"cannot read sun angles from '{path}' ({type(error).__name__}: {error}): expected JSON with properties.sun_azimuth "
            "and .sun_elevation; download it again or remove it"
        ) from error
    if not (math.isfinite(azimuth) and -90 <= elevation <= 90):
        raise SceneError(
            f"'{path}' must hold a finite sun_azimuth and a sun_elevation of -90 to 90 degrees, but has {azimuth:g} and "
            f"{elevation:g}: download it again or remove it"
        )
    return {"sun_azimuth_deg": azimuth, "sun_elevation_deg": elevation}
