"""PlanetScope scenes and orthotiles: surface reflectance, usable data mask, metadata."""

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from darts_preprocessing.loading.dates import date_of_name
from darts_preprocessing.loading.folders import only_file, scene_name
from darts_preprocessing.loading.geotiff import DEFAULT_OFFSET, DEFAULT_SCALE, optical_tile, reflectance_scaling
from darts_preprocessing.loading.rasters import check_bands, grid_of_raster, open_raster, read_bands
from darts_utils.errors import SceneError
from darts_utils.grids import check_same_grid
from darts_utils.kernels import kernel, over_rows
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
_MASK_BANDS = (1, 2, 3, 4, 5, 6, 8)
"""Of the usable data mask; the confidence, band 7, is not read."""
_ROWS_AT_ONCE = 1024


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
    udm2, udm1, mask_grid = _read_mask(mask)
    check_same_grid(read.grid, mask_grid, first_name=f"'{image}'", second_name=f"'{mask}'")
    attrs = {"tile_id": name, "sensor": "planetscope", "date": date_of_name(name, *NAMES), **_sun(folder)}
    scalings = [
        reflectance_scaling(declared, scale=DEFAULT_SCALE, offset=DEFAULT_OFFSET, path=image)
        for declared in read.scalings
    ]
    tile = optical_tile(read, path=image, attrs=attrs, scalings=scalings)
    return tile.assign(
        planet_udm2=variable("planet_udm2", udm2, source=mask.name),
        planet_udm1=variable("planet_udm1", udm1, source=mask.name),
    )


def _read_mask(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8], GeoBox]:
    """Bits of the first six bands, the eighth band as it is, and their grid; some rows at once, because 8 bands are many."""
    with open_raster(path) as raster:
        check_bands(raster, range(1, _UDM2_BANDS + 1), dtype="uint8", expected_count=_UDM2_BANDS)
        grid = grid_of_raster(raster)
        udm2, udm1 = (np.empty(raster.shape, "uint8") for _ in range(2))
        for first in range(0, raster.height, _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE, raster.height)
            bands = raster.read(_MASK_BANDS, window=Window.from_slices((first, last), (0, raster.width)))
            over_rows(_pack_rows, last - first, bands, udm2[first:last])
            udm1[first:last] = bands[6]
    return udm2, udm1, grid


@kernel
def _pack_rows(first: int, last: int, bands: NDArray[np.uint8], bits: NDArray[np.uint8]) -> None:
    """Bit n is set where band n is not 0."""
    for row in range(first, last):
        for column in range(bits.shape[1]):
            value = 0
            for bit in range(6):
                value |= (bands[bit, row, column] != 0) << bit
            bits[row, column] = value


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
