"""Any optical GeoTIFF, with a band mapping."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.loading.rasters import read_bands
from darts_utils.errors import SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable
from darts_utils.variables import OPTICAL_BANDS

DEFAULT_SCALE = 1e-4
"""Reflectance of one count, where nothing else is said."""
DEFAULT_OFFSET = 0.0
"""Reflectance of the count 0, where nothing else is said."""


def parse_bands(text: str) -> dict[str, int]:
    """Read a band mapping from the command line.

    Args:
        text: For example ``"blue=1,green=2,red=3,nir=7"``.

    Returns:
        Band name → band number from 1.

    Raises:
        ValueError: The text is no mapping of exactly the four bands to different numbers.

    Examples:
        >>> parse_bands("blue=1,green=2,red=3,nir=7")
        {'blue': 1, 'green': 2, 'red': 3, 'nir': 7}
    """
    pairs = [part.split("=") for part in text.replace(" ", "").split(",")]
    if any(len(pair) != 2 or not pair[1].isdigit() for pair in pairs):
        raise ValueError(f"expected bands like blue=1,green=2,red=3,nir=7, but got {text!r}")
    bands = {name: int(number) for name, number in pairs}
    if len(bands) != len(pairs):
        raise ValueError(f"expected each band once, but got {text!r}")
    return checked_bands(bands)


def checked_bands(bands: Mapping[str, int]) -> dict[str, int]:
    """Return the mapping in storage order.

    Raises:
        ValueError: A band is missing or unknown, a number is below 1 or used twice.
    """
    if set(bands) != set(OPTICAL_BANDS):
        raise ValueError(f"expected the bands {', '.join(OPTICAL_BANDS)}, but got {', '.join(bands) or 'none'}")
    if min(bands.values()) < 1 or len(set(bands.values())) != len(bands):
        raise ValueError(f"expected different band numbers from 1, but got {dict(bands)}")
    return {name: bands[name] for name in OPTICAL_BANDS}


def load_geotiff(
    path: str | os.PathLike[str],
    *,
    bands: Mapping[str, int],
    reflectance_scale: float = DEFAULT_SCALE,
    reflectance_offset: float = DEFAULT_OFFSET,
    sensor: str = "unknown",
    date: str = "unknown",
) -> xr.Dataset:
    """Load an optical GeoTIFF without a sensor mask.

    Args:
        path: Raster of uint16 counts, 0 where there are no data.
        bands: Number of each of the four bands, from 1.
        reflectance_scale: Reflectance = count · scale + offset.
        reflectance_offset: The same.
        sensor: Name of the sensor.
        date: Date of the image, ``YYYY-MM-DD``.

    Returns:
        Raw tile with ``blue``, ``green``, ``red``, ``nir`` uint16; its ``tile_id`` is the file's stem.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged, lacks a band or the CRS, holds no uint16, or no data at all.
        ValueError: The band mapping or the scale makes no sense.
    """
    mapping = checked_bands(bands)
    if not (np.isfinite(reflectance_scale) and reflectance_scale > 0 and np.isfinite(reflectance_offset)):
        raise ValueError(
            f"expected a scale above 0 and a finite offset, but got {reflectance_scale}, {reflectance_offset}"
        )
    values, grid = read_bands(path, list(mapping.values()), dtype="uint16")
    attrs = {"tile_id": Path(path).stem, "sensor": sensor, "date": date}
    return optical_tile(
        values, grid, path=path, attrs=attrs, reflectance_scale=reflectance_scale, reflectance_offset=reflectance_offset
    )


def optical_tile(
    values: NDArray[np.uint16],
    grid: GeoBox,
    *,
    path: str | os.PathLike[str],
    attrs: Mapping[str, object],
    reflectance_scale: float,
    reflectance_offset: float,
) -> xr.Dataset:
    """Build a raw tile from ``(4, y, x)`` counts in the order of `OPTICAL_BANDS`.

    Raises:
        SceneError: No pixel has data in every band.
    """
    if not (values != 0).all(axis=0).any():
        raise SceneError(
            f"'{path}' must hold data, but every pixel is 0 (nodata) in a band: it is empty or another product"
        )
    scaling = {"reflectance_scale": reflectance_scale, "reflectance_offset": reflectance_offset}
    made = {
        name: variable(name, values[index], source=Path(path).name, **scaling)
        for index, name in enumerate(OPTICAL_BANDS)
    }
    return xr.Dataset(coords=coords_of(grid), attrs=dict(attrs)).assign(made)
