"""Variables of a tile as bands of a raster."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import xarray as xr

from darts_export.tags import tags_of
from darts_utils.errors import TileContractError
from darts_utils.variables import VARIABLES

_CLASSES = frozenset({"binarized_segmentation", "binarized_above", "planet_udm1", "planet_udm2", "s2_scl"})
"""Integer variables whose values are names, not amounts: means of them say nothing."""

_DTYPES = frozenset(
    ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"],
)
"""What cloud-optimised GeoTIFFs, with their predictors, and STAC know alike."""


@dataclass(frozen=True)
class Band:
    """One band of a raster: a variable as GDAL knows it."""

    name: str
    """Name of the variable; becomes the band's description."""
    dtype: str
    """NumPy dtype on disk; masks are uint8."""
    nodata: float | None
    """What invalid pixels hold; None where every value means something."""
    units: str
    """CF units of ``stored · scale + offset``."""
    scale: float
    """value = stored · scale + offset."""
    offset: float
    """value = stored · scale + offset."""
    is_class: bool
    """True: overviews take the nearest pixel; False: they take the mean."""
    tags: Mapping[str, str]
    """All attributes of the variable, as text."""


def band_of(tile: xr.Dataset, name: str) -> Band:
    """Describe a variable of a tile as a band.

    Raises:
        TileContractError: GeoTIFF cannot hold its dtype, or its attributes make no sense.
    """
    variable = tile[name]
    dtype = "uint8" if variable.dtype == np.bool_ else variable.dtype.name
    if dtype not in _DTYPES:
        raise TileContractError(
            f"variable {name!r} must have a dtype that GeoTIFF knows, but got {variable.dtype}: convert it, e.g. to float32"
        )
    if name in VARIABLES:
        nodata = VARIABLES[name].nodata
    else:
        nodata = float("nan") if np.issubdtype(variable.dtype, np.floating) else None
    return Band(
        name=name,
        dtype=dtype,
        nodata=nodata,
        units="1" if "reflectance_scale" in variable.attrs else str(variable.attrs.get("units", "1")),
        scale=_number(variable, "reflectance_scale", 1.0),
        offset=_number(variable, "reflectance_offset", 0.0),
        is_class=variable.dtype == np.bool_ or name.partition("-")[0] in _CLASSES,
        tags=tags_of(variable.attrs, owner=f"variable {name!r}"),
    )


def bands_of(tile: xr.Dataset, names: Sequence[str], *, file_name: str) -> tuple[Band, ...]:
    """Describe variables of a tile as the bands of one raster.

    Raises:
        TileContractError: They cannot be; see also `band_of`.
    """
    bands = tuple(band_of(tile, name) for name in names)
    if len({band.dtype for band in bands}) > 1:
        raise TileContractError(
            f"the bands of {file_name!r} must share one dtype, but got "
            f"{', '.join(f'{band.name} {band.dtype}' for band in bands)}: convert them, or export each by its name"
        )
    return bands


def _number(variable: xr.DataArray, attribute: str, default: float) -> float:
    value = variable.attrs.get(attribute, default)
    if not isinstance(value, Real) or not math.isfinite(value):
        raise TileContractError(
            f"attribute {attribute!r} of variable {variable.name!r} must be a finite number, but got {value!r}: correct it"
        )
    return float(value)
