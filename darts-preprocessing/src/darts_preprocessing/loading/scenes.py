"""Which loader reads a path."""

import os
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from darts_preprocessing.loading import planet, sentinel2
from darts_preprocessing.loading.folders import matching
from darts_preprocessing.loading.geotiff import DEFAULT_OFFSET, DEFAULT_SCALE, load_geotiff
from darts_utils.errors import SceneError, SceneNotFoundError


def load_scene(
    path: str | os.PathLike[str],
    *,
    bands: Mapping[str, int] | None = None,
    sentinel2_offset_dn: int | None = None,
    reflectance_scale: float = DEFAULT_SCALE,
    reflectance_offset: float = DEFAULT_OFFSET,
) -> xr.Dataset:
    """Load whatever is at a path.

    Args:
        path: A PlanetScope scene or orthotile folder, a Sentinel-2 folder in the historic layout, or an optical GeoTIFF.
        bands: Number of each band, for a GeoTIFF; see `parse_bands`.
        sentinel2_offset_dn: Count of reflectance 0, for a Sentinel-2 folder; see `load_sentinel2_scene`.
        reflectance_scale: For a GeoTIFF: reflectance = count · scale + offset.
        reflectance_offset: For a GeoTIFF.

    Returns:
        Raw tile.

    Raises:
        SceneNotFoundError: There is nothing at `path`, or the folder holds no scene.
        SceneError: A GeoTIFF without `bands`; whatever the loader refuses.
        GridMismatchError: Image and mask of a scene do not share one grid.
        ValueError: The band mapping or the scale makes no sense.
    """
    path = Path(path)
    if path.is_file():
        if bands is None:
            raise SceneError(f"'{path}' is a file: say which band is which, e.g. bands blue=1,green=2,red=3,nir=4")
        return load_geotiff(
            path, bands=bands, reflectance_scale=reflectance_scale, reflectance_offset=reflectance_offset
        )
    if not path.exists():
        raise SceneNotFoundError(f"expected a scene at '{path}', but there is nothing: check the path")
    if matching(path, sentinel2.CLASSES_PATTERNS):
        return sentinel2.load_sentinel2_scene(path, offset_dn=sentinel2_offset_dn)
    if matching(path, (*planet.MASK_PATTERNS, *planet.REFLECTANCE_PATTERNS)):
        return planet.load_planet_scene(path)
    holds = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    raise SceneNotFoundError(
        f"'{path}' must be a PlanetScope folder (*_SR.tif, *_udm2.tif) or a Sentinel-2 folder (*_SR_clip.tif, *_SCL_clip.tif), "
        f"but holds {holds}: check the path"
    )
