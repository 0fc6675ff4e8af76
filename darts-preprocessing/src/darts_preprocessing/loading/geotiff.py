"""Any optical GeoTIFF, with a band mapping."""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from darts_preprocessing.loading.rasters import NO_SCALING, RasterBands, Scaling, read_bands
from darts_utils.dates import UNKNOWN_DATE, parse_date
from darts_utils.errors import DartsWarning, SceneError
from darts_utils.grids import coords_of
from darts_utils.tiles import variable
from darts_utils.variables import OPTICAL_BANDS

DEFAULT_SCALE = 1e-4
"""Reflectance of one count, where nothing else is said."""
DEFAULT_OFFSET = 0.0
"""Reflectance of the count 0, where nothing else is said."""
UNKNOWN_SENSOR = "unknown"
"""What ``attrs["sensor"]`` holds where nothing says the sensor."""
_LARGEST_SCALE = 0.01
"""Counts coarser than a percent of reflectance are none; a scale of 1 means counts that were never scaled."""


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
    if any(len(pair) != 2 or not (pair[1].isascii() and pair[1].isdigit()) for pair in pairs):
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
    reflectance_scale: float | None = None,
    reflectance_offset: float | None = None,
    sensor: str = UNKNOWN_SENSOR,
    date: str = UNKNOWN_DATE,
) -> xr.Dataset:
    """Load an optical GeoTIFF without a sensor mask.

    Args:
        path: Raster of uint16 counts. Missing data are 0, or what the file says: a nodata value or a mask. A count of 0 means
            missing data in every file, because optical products keep it free for that; where the file marks missing data
            otherwise, a warning tells how many pixels that concerns.
        bands: Number of each of the four bands, from 1.
        reflectance_scale: Reflectance = count · scale + offset. None: what the file declares, else `DEFAULT_SCALE`.
        reflectance_offset: The same. None: what the file declares, else `DEFAULT_OFFSET`.
        sensor: Name of the sensor.
        date: Date of the image, ``YYYY-MM-DD``.

    Returns:
        Raw tile with ``blue``, ``green``, ``red``, ``nir`` uint16; its ``tile_id`` is the file's stem.

    Raises:
        SceneNotFoundError: There is no such file.
        SceneError: The file is damaged, lacks a band or the CRS, holds no uint16, or no data at all; it declares another
            scale or offset than those given, or one that makes no reflectance.
        ValueError: The band mapping, the scale or the date makes no sense.

    Warns:
        DartsWarning: Pixels hold 0 though the file marks missing data otherwise; they are taken for missing.
    """
    mapping = checked_bands(bands)
    scale = DEFAULT_SCALE if reflectance_scale is None else reflectance_scale
    offset = DEFAULT_OFFSET if reflectance_offset is None else reflectance_offset
    if not (math.isfinite(scale) and scale > 0 and math.isfinite(offset)):
        raise ValueError(f"expected a scale above 0 and a finite offset, but got {scale}, {offset}")
    if date != UNKNOWN_DATE:
        parse_date(date)
    attrs = {"tile_id": Path(path).stem, "sensor": sensor, "date": date}
    read = read_bands(path, list(mapping.values()), dtype="uint16")
    scalings = [
        reflectance_scaling(declared, scale=reflectance_scale, offset=reflectance_offset, path=path)
        for declared in read.scalings
    ]
    return optical_tile(read, path=path, attrs=attrs, scalings=scalings)


def reflectance_scaling(
    declared: Scaling, *, scale: float | None, offset: float | None, path: str | os.PathLike[str]
) -> Scaling:
    """Decide how the counts of a band become reflectance.

    Args:
        declared: What the file declares.
        scale: What the user or the product says; None: nothing.
        offset: The same.
        path: Name of the file, for messages.

    Raises:
        SceneError: The two contradict each other, or the file's numbers make no reflectance.
    """
    if declared == NO_SCALING:
        return (DEFAULT_SCALE if scale is None else scale, DEFAULT_OFFSET if offset is None else offset)
    says = f"'{path}' declares reflectance = count · {declared[0]:g} + {declared[1]:g}"
    if not 0 < declared[0] <= _LARGEST_SCALE:
        raise SceneError(
            f"{says}, but a scale must lie between 0 and {_LARGEST_SCALE:g}: correct it with gdal_edit.py -scale and -offset"
        )
    for given, said in zip((scale, offset), declared, strict=True):
        if given is not None and not math.isclose(given, said, rel_tol=1e-6, abs_tol=1e-9):
            raise SceneError(
                f"{says}, but {DEFAULT_SCALE if scale is None else scale:g} and {DEFAULT_OFFSET if offset is None else offset:g}"
                " are expected: ask for what the file declares, or correct it with gdal_edit.py -scale and -offset"
            )
    return declared


def optical_tile(
    read: RasterBands, *, path: str | os.PathLike[str], attrs: Mapping[str, object], scalings: Sequence[Scaling]
) -> xr.Dataset:
    """Build a raw tile from four bands in the order of `OPTICAL_BANDS`.

    Raises:
        SceneError: No pixel has data in every band.

    Warns:
        DartsWarning: Pixels hold 0 though the file marks missing data otherwise.
    """
    if not any(
        row.all(axis=0).any() for row in read.values.swapaxes(0, 1)
    ):  # a scene with data is known by its first row
        raise SceneError(
            f"'{path}' must hold data, but every pixel is 0 (nodata) in a band: it is empty or another product"
        )
    if read.unmarked_zeros_percent > 0:
        warnings.warn(
            f"'{path}' marks missing data otherwise, but {read.unmarked_zeros_percent:.2g} % of its pixels hold 0 in a band: "
            "they are taken for missing too",
            DartsWarning,
            stacklevel=3,
        )
    made = {
        name: variable(name, values, source=Path(path).name, reflectance_scale=scale, reflectance_offset=offset)
        for name, values, (scale, offset) in zip(OPTICAL_BANDS, read.values, scalings, strict=True)
    }
    return xr.Dataset(coords=coords_of(read.grid), attrs=dict(attrs)).assign(made)
