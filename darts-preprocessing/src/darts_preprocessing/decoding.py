"""What the attributes of an array say about its numbers: fill values, scale and offset, as CF and rioxarray write them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.device import computed, to_numpy
from darts_utils.kernels import kernel, over_rows

_FILL_NAMES = ("_FillValue", "missing_value", "nodata")
_SCALE_NAMES = ("scale_factor", "add_offset")


def decoded(array: xr.DataArray) -> NDArray[np.float32]:
    """Numbers of an array as its attributes mean them.

    Args:
        array: ``(y, x)`` array of any dtype. Fill values stand in ``_FillValue``, ``missing_value`` or ``nodata`` of its
            attributes or its encoding; ``scale_factor`` and ``add_offset`` in the attributes of floats are followed, too
            (in the encoding they say what was applied already); integers are numbers as stored.

    Returns:
        float32 in host memory, NaN where there are no data: fill values, NaN and infinities. Integers of 8 and 16 bits
        are exact. What needs no change is the array's own memory: do not write into it.

    Examples:
        >>> decoded(xr.DataArray([[120.0, -9999.0]], attrs={"_FillValue": -9999.0}))
        array([[120.,  nan]], dtype=float32)
    """
    stored = to_numpy(computed(array.data))
    scale, offset = 1.0, 0.0
    if stored.dtype.kind == "f":
        scale, offset = (
            float(array.attrs.get(name, default)) for name, default in zip(_SCALE_NAMES, (1, 0), strict=True)
        )
    return as_numbers(stored, fills=list(_fill_values(array)), scale=scale, offset=offset)


def as_numbers(
    stored: NDArray[Any], *, fills: Sequence[float], scale: float = 1.0, offset: float = 0.0, in_place: bool = False
) -> NDArray[np.float32]:
    """Numbers that are meant by stored ones.

    Args:
        stored: ``(y, x)`` array of any dtype.
        fills: Values that mean that there are no data; so do infinities and NaN.
        scale: What is meant = what is stored · scale + offset.
        offset: The same.
        in_place: Write into `stored` where its dtype allows.

    Returns:
        float32, NaN where there are no data. What needs no change is `stored` itself.

    Examples:
        >>> as_numbers(np.array([[7, -1]], "int16"), fills=[-1], scale=0.5)
        array([[3.5, nan]], dtype=float32)
    """
    stored = _compilable(stored)
    marks = np.array(fills, dtype="float64")
    if stored.dtype.kind == "f":
        with np.errstate(over="ignore"):
            marks = marks.astype(stored.dtype).astype("float64")  # as the stored numbers were rounded
    is_final = stored.dtype == np.float32 and (scale, offset) == (1.0, 0.0)
    if is_final and not any(over_rows(_has_missing, stored.shape[0], stored, marks)):
        return stored
    into_itself = in_place and stored.dtype == np.float32 and stored.flags.writeable
    numbers = stored if into_itself else np.empty(stored.shape, "float32")
    over_rows(_decode_rows, stored.shape[0], stored, marks, scale, offset, numbers)
    return numbers


@kernel
def _is_missing(value: float, fills: NDArray[np.float64]) -> bool:
    if math.isinf(value):
        return True
    for fill in fills:  # noqa: SIM110 - compiled
        if value == fill:
            return True
    return False


@kernel
def _has_missing(first: int, last: int, stored: NDArray[Any], fills: NDArray[np.float64]) -> bool:
    for row in range(first, last):
        for column in range(stored.shape[1]):
            if _is_missing(stored[row, column], fills):
                return True
    return False


@kernel
def _decode_rows(
    first: int,
    last: int,
    stored: NDArray[Any],
    fills: NDArray[np.float64],
    scale: float,
    offset: float,
    numbers: NDArray[np.float32],
) -> None:
    unscaled = scale == 1.0 and offset == 0.0
    for row in range(first, last):
        for column in range(stored.shape[1]):
            value = stored[row, column]
            if _is_missing(value, fills):
                numbers[row, column] = np.nan
            elif unscaled:
                numbers[row, column] = value
            else:
                numbers[row, column] = value * scale + offset
            if math.isinf(numbers[row, column]):  # a fill value of float64
                numbers[row, column] = np.nan


def _compilable(stored: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in a dtype that kernels know."""
    if stored.dtype == np.bool_:
        return stored.view("uint8")
    if stored.dtype.kind == "f" and stored.dtype.itemsize not in (4, 8):
        return stored.astype("float32" if stored.dtype.itemsize < 4 else "float64")
    return stored if stored.dtype.isnative else stored.astype(stored.dtype.newbyteorder("="))


def decoded_attrs(array: xr.DataArray) -> dict[str, object]:
    """Attributes of an array without those that `decoded` has followed; integers keep their scale and offset."""
    followed = (*_FILL_NAMES, *_SCALE_NAMES) if array.dtype.kind == "f" else _FILL_NAMES
    return {str(name): value for name, value in array.attrs.items() if name not in followed}


def _fill_values(array: xr.DataArray) -> Iterator[float]:
    tables: tuple[Mapping[str, object], ...] = (array.attrs, array.encoding)
    for table in tables:
        for name in _FILL_NAMES:
            value = table.get(name)
            if isinstance(value, Real | np.number):
                yield float(value)
