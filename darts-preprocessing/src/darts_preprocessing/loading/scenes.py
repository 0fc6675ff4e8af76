"""Which loader reads a path."""

import os
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from darts_preprocessing.loading import planet, safe, sentinel2
from darts_preprocessing.loading.dates import date_of_name
from darts_preprocessing.loading.folders import matching, scene_name
from darts_preprocessing.loading.geotiff import UNKNOWN_SENSOR, load_geotiff
from darts_utils.dates import UNKNOWN_DATE, parse_date
from darts_utils.errors import SceneError, SceneNotFoundError


def load_scene(
    path: str | os.PathLike[str],
    *,
    bands: Mapping[str, int] | None = None,
    sentinel2_offset_dn: int | None = None,
    reflectance_scale: float | None = None,
    reflectance_offset: float | None = None,
    sensor: str | None = None,
    date: str | None = None,
) -> xr.Dataset:
    """Load whatever is at a path.

    Args:
        path: A PlanetScope scene or orthotile folder, a Sentinel-2 product (``.SAFE``) or a folder of it in the historic layout,
            or an optical raster (GeoTIFF, VRT).
        bands: Number of each band, for a GeoTIFF; see `parse_bands`.
        sentinel2_offset_dn: Count of reflectance 0, for a Sentinel-2 scene that does not say it: a folder in the historic
            layout (`load_sentinel2_scene`), or a product without an official baseline (`load_safe`).
        reflectance_scale: For a GeoTIFF: reflectance = count · scale + offset; None: as the file declares, see
            `load_geotiff`.
        reflectance_offset: For a GeoTIFF.
        sensor: Sensor of a scene that does not say it, as a GeoTIFF.
        date: Date ``YYYY-MM-DD`` of a scene that does not say it, as a GeoTIFF.

    Returns:
        Raw tile.

    Raises:
        SceneNotFoundError: There is nothing at `path`, or the folder holds no scene.
        SceneError: A GeoTIFF without `bands`; whatever the loader refuses.
        GridMismatchError: Image and mask of a scene do not fit.
        ValueError: The band mapping, the scale or the date makes no sense.

    Warns:
        DartsWarning: Parts of the scene count as missing though its files hold something there.
    """
    path = Path(path)
    if date is not None:
        parse_date(date)
    if path.is_file():
        if bands is None:
            raise SceneError(f"'{path}' is a file: say which band is which, e.g. bands blue=1,green=2,red=3,nir=4")
        tile = load_geotiff(
            path, bands=bands, reflectance_scale=reflectance_scale, reflectance_offset=reflectance_offset
        )
    else:
        tile = _load_folder(path, sentinel2_offset_dn=sentinel2_offset_dn)
    if sensor is not None and tile.attrs["sensor"] == UNKNOWN_SENSOR:
        tile = tile.assign_attrs(sensor=sensor)
    if date is not None and tile.attrs["date"] == UNKNOWN_DATE:
        tile = tile.assign_attrs(date=date)
    return tile


def _load_folder(path: Path, *, sentinel2_offset_dn: int | None) -> xr.Dataset:
    if not path.exists():
        raise SceneNotFoundError(f"expected a scene at '{path}', but there is nothing: check the path")
    if safe.is_safe(path):
        return safe.load_safe(path, offset_dn=sentinel2_offset_dn)
    if matching(path, sentinel2.CLASSES_PATTERNS):
        return sentinel2.load_sentinel2_scene(path, offset_dn=sentinel2_offset_dn)
    has_mask = bool(matching(path, planet.MASK_PATTERNS))
    images = matching(path, sentinel2.REFLECTANCE_PATTERNS)
    if images and not has_mask and date_of_name(scene_name(path), *planet.NAMES) == UNKNOWN_DATE:
        raise SceneNotFoundError(
            f"'{path}' must hold the mask of {images[0].name}, but has none: add *_SCL_clip.tif (Sentinel-2), or *_udm2.tif or "
            "*_udm2_clip.tif (PlanetScope)"
        )
    if has_mask or matching(path, planet.REFLECTANCE_PATTERNS):
        return planet.load_planet_scene(path)
    holds = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    raise SceneNotFoundError(
        f"'{path}' must be a PlanetScope folder (*_SR.tif, *_udm2.tif) or a Sentinel-2 folder (*.SAFE, or *_SR_clip.tif and "
        f"*_SCL_clip.tif), but holds {holds}: check the path"
    )
