"""What the attributes of an array say about its numbers: fill values, scale and offset, as CF and rioxarray write them."""

from collections.abc import Iterator, Mapping
from numbers import Real

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.device import computed, to_numpy

_FILL_NAMES = ("_FillValue", "missing_value", "nodata")
_SCALE_NAMES = ("scale_factor", "add_offset")


def decoded(array: xr.DataArray) -> NDArray[np.float32]:
    """Numbers of an array as its attributes mean them.

    Args:
        array: ``(y, x)`` array of any dtype. Fill values stand in ``_FillValue``, ``missing_value`` or ``nodata`` of its
            attributes or its encoding; ``scale_factor`` and ``add_offset`` in the attributes of floats (in the encoding
            they say what was applied already).

    Returns:
        float32 in host memory, NaN where there are no data: fill values, NaN and infinities. Integers of 8 and 16 bits
        are exact.

    Examples:
        >>> decoded(xr.DataArray([[120.0, -9999.0]], attrs={"_FillValue": -9999.0}))
        array([[120.,  nan]], dtype=float32)
    """
    stored = to_numpy(computed(array.data))
    missing = np.zeros(stored.shape, bool)
    for fill in _fill_values(array):
        missing |= stored == fill
    if stored.dtype.kind == "f":
        missing |= ~np.isfinite(stored)
        scale, offset = (
            float(array.attrs.get(name, default)) for name, default in zip(_SCALE_NAMES, (1, 0), strict=True)
        )
        if (scale, offset) != (1.0, 0.0):
            stored = stored * scale + offset
    with np.errstate(over="ignore"):  # a fill value of float64
        numbers: NDArray[np.float32] = stored.astype("float32")
    numbers[missing] = np.nan
    return numbers


def decoded_attrs(array: xr.DataArray) -> dict[str, object]:
    """Attributes of an array without those that `decoded` has followed."""
    return {str(name): value for name, value in array.attrs.items() if name not in (*_FILL_NAMES, *_SCALE_NAMES)}


def _fill_values(array: xr.DataArray) -> Iterator[float]:
    tables: tuple[Mapping[str, object], ...] = (array.attrs, array.encoding)
    for table in tables:
        for name in _FILL_NAMES:
            value = table.get(name)
            if isinstance(value, Real | np.number):
                yield float(value)
