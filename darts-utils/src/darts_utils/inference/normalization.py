"""From tile units to network input: ``clip((x − offset) · scale, 0, 1)``; missing values, NaN and infinity, → 0.

The numbers travel with the weights, in ``config["normalization"]``. Training and inference call the same function, so
a network sees at work what it saw at school. Imports no torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from darts_utils.device import computed, to_numpy
from darts_utils.errors import CheckpointError
from darts_utils.inference._kernels import scale_rows

_KEYS = {"offset", "scale", "clip"}

_LARGEST = float(np.finfo("float32").max)

_COMPILED = ("uint8", "uint16", "float32")
"""Types that are scaled as they are; others become float32 first, which gives the same."""

_HOW_TO_STATE_IT = (
    "state it as config['normalization'] = {'red': {'offset': 0.0, 'scale': 0.0001, 'clip': True}, ...}, in tile units, "
    "so that the network input is clip((x - offset) * scale, 0, 1)"
)


@dataclass(frozen=True)
class Scaling:
    """How one variable becomes one channel."""

    offset: float
    """Subtracted first; in units of the tile variable, finite in single precision."""
    scale: float
    """Multiplied next; per unit of the tile variable, finite and not 0 in single precision."""
    clip: bool = True
    """Whether the result is limited to 0 … 1."""


@dataclass(frozen=True)
class Normalization:
    """The channels of a network's input, in order.

    Examples:
        >>> normalization = Normalization({"red": Scaling(offset=0.0, scale=1e-4), "ndvi": Scaling(-1.0, 0.5)})
        >>> normalization.variables
        ('red', 'ndvi')
        >>> normalization.to_config()["ndvi"]
        {'offset': -1.0, 'scale': 0.5, 'clip': True}
    """

    scalings: Mapping[str, Scaling]
    """Scaling of each variable; the order is that of the channels."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the tile variables, in channel order."""
        return tuple(self.scalings)

    def to_config(self) -> dict[str, dict[str, float | bool]]:
        """Return what goes into ``config["normalization"]`` of a checkpoint."""
        return {
            name: {"offset": scaling.offset, "scale": scaling.scale, "clip": scaling.clip}
            for name, scaling in self.scalings.items()
        }


def parse_normalization(config: Mapping[str, Any], *, variables: Sequence[str]) -> Normalization:
    """Read the normalisation of a checkpoint.

    Args:
        config: The checkpoint's ``config``.
        variables: Its ``input_combination``: names and order of the channels.

    Returns:
        The normalisation, with the channels in the order of `variables`.

    Raises:
        CheckpointError: There is none, it leaves a variable out, or an entry is malformed.
    """
    table = config.get("normalization")
    if table is None:
        raise CheckpointError(
            f"expected a normalization in the checkpoint's config, but got none, and two generations of models exist, of "
            f"reflectance x 10 000 / 3000 and of (reflectance + 0.1) / 0.6: {_HOW_TO_STATE_IT}; or convert the file with "
            "`darts model convert IN OUT --legacy-normalization NAME`"
        )
    if not isinstance(table, Mapping):
        raise CheckpointError(f"expected normalization to be a table, but got {table!r}: {_HOW_TO_STATE_IT}")
    absent = [name for name in variables if name not in table]
    if absent:
        raise CheckpointError(
            f"expected a normalization of every input variable, but {', '.join(absent)} missing: {_HOW_TO_STATE_IT}"
        )
    return Normalization({name: _parse_scaling(name, table[name]) for name in variables})


def _parse_scaling(name: str, entry: object) -> Scaling:
    if not isinstance(entry, Mapping) or not {"offset", "scale"} <= set(entry) <= _KEYS:
        raise CheckpointError(
            f"expected the normalization of {name!r} to have offset, scale and clip, but got {entry!r}: {_HOW_TO_STATE_IT}"
        )
    offset, scale = (_parse_number(name, key, entry[key]) for key in ("offset", "scale"))
    if np.float32(scale) == 0:
        raise CheckpointError(
            f"expected scale of {name!r} to differ from 0 in single precision, but got {scale!r}: {_HOW_TO_STATE_IT}"
        )
    clip = entry.get("clip", Scaling.clip)
    if not isinstance(clip, bool):
        raise CheckpointError(f"expected clip of {name!r} to be true or false, but got {clip!r}: {_HOW_TO_STATE_IT}")
    return Scaling(offset, scale, clip)


def _parse_number(name: str, key: str, entry: object) -> float:
    value = entry
    if isinstance(entry, int | float) and not isinstance(entry, bool):
        try:
            value = float(entry)
        except OverflowError:  # a whole number beyond double precision
            value = math.inf
        if abs(value) <= _LARGEST:  # NaN is not
            return value
    raise CheckpointError(
        f"expected {key} of {name!r} to be a finite number in single precision, but got {value!r}: {_HOW_TO_STATE_IT}"
    )


def normalize_into(channel: NDArray[np.float32], values: NDArray[Any], scaling: Scaling) -> None:
    """Write the normalised values of one variable into one channel.

    Args:
        channel: ``(H, W)`` float32 to write to; any strides.
        values: ``(H, W)`` of any real dtype, in tile units; untouched.
        scaling: Of this variable.

    Notes:
        Single precision throughout: every uint16 is exact in it, and the same formula on a GPU gives the same bits. What is
        not finite in it, or not after scaling, is missing: 0.
    """
    if values.dtype not in _COMPILED:
        with np.errstate(over="ignore"):  # such values are missing, and that is no accident
            compiled = np.asarray(values, dtype="float32")
    else:
        compiled = values
    # whole numbers that are clipped cannot become anything else
    limit = _LARGEST if values.dtype.kind == "f" or not scaling.clip else math.inf
    low, high = (0.0, 1.0) if scaling.clip else (-math.inf, math.inf)
    line, step = _as_line(compiled)
    numbers = (np.float32(number) for number in (scaling.offset, scaling.scale, low, high, limit))
    scale_rows(0, len(channel), channel, line, step, *numbers)


def _as_line(values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Return the memory from an array's first pixel to its last as one line, and the distance of rows in it.

    Loops over a line use vector instructions, which loops over a window of a larger array do not.
    """
    height, width = values.shape
    step, rest = divmod(values.strides[0], values.itemsize)
    if values.size == 0 or values.strides[1] != values.itemsize or rest or step < width:
        values, step = np.ascontiguousarray(values), width
    length = max(0, (height - 1) * step + width)
    return as_strided(values, shape=(length,), strides=(values.itemsize,), writeable=False), step


def network_input(tile: xr.Dataset, *, normalization: Normalization) -> NDArray[np.float32]:
    """Turn a whole tile into the input of a network: for training.

    Args:
        tile: Tile with the variables of `normalization` (NumPy, CuPy or dask).
        normalization: Channels and their scalings.

    Returns:
        ``(C, H, W)`` finite float32 NumPy array, one channel for each variable.

    Raises:
        KeyError: The tile lacks a variable.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["red", "ndvi"], shape=(4, 5))
        >>> normalization = Normalization({"red": Scaling(0.0, 1e-4), "ndvi": Scaling(-1.0, 0.5)})
        >>> image = network_input(tile, normalization=normalization)
        >>> image.shape, image.dtype
        ((2, 4, 5), dtype('float32'))
        >>> bool(np.allclose(image[0], tile.red / 10_000))
        True
    """
    image = np.empty((len(normalization.scalings), tile.sizes["y"], tile.sizes["x"]), "float32")
    for channel, (name, scaling) in zip(image, normalization.scalings.items(), strict=True):
        normalize_into(channel, to_numpy(computed(tile[name].data)), scaling)
    return image
