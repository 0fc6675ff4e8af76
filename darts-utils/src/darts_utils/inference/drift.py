"""Whether a tile's values lie where those of a model's training lay; imports no torch.

A model says in ``config["input_quantiles"]`` which values its inputs had: ``{"percent": [...], "values": {name: [...]}}``, in
tile units, over the known pixels of its training patches. Models that do not say it are asked nothing.
"""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from darts_utils.device import to_numpy
from darts_utils.errors import CheckpointError, DartsWarning
from darts_utils.grids import tile_id

QUANTILE_PERCENT = (0.0, 0.1, 1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9, 100.0)
"""Which quantiles are kept, in percent."""

USUAL_PERCENT = (0.1, 99.9)
"""Values between these quantiles are usual ones."""

LARGEST_UNUSUAL_SHARE = 0.25
"""A variable of which more of a tile's valid pixels are unusual is warned of: more than a hundred times as many as in the
training, where 0.2 % are."""

_SAMPLED_PER_AXIS = 256


def quantile_table(samples: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Compute what goes into ``config["input_quantiles"]``.

    Args:
        samples: Finite values of each variable, at least one, in tile units.

    Examples:
        >>> table = quantile_table({"slope": np.linspace(0, 90, 1001)})
        >>> table["values"]["slope"][5]
        45.0
    """
    values = {
        name: np.quantile(sample.astype("float64"), np.array(QUANTILE_PERCENT) / 100).tolist()
        for name, sample in samples.items()
    }
    return {"percent": list(QUANTILE_PERCENT), "values": values}


def usual_limits(config: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Read between which values the inputs of a model usually lay.

    Args:
        config: The checkpoint's ``config``.

    Returns:
        Low and high of each variable; empty where the model does not say.

    Raises:
        CheckpointError: What it says makes no sense.
    """
    table = config.get("input_quantiles")
    if table is None:
        return {}
    try:
        percent = [float(each) for each in table["percent"]]
        low, high = (percent.index(each) for each in USUAL_PERCENT)
        limits = {str(name): (float(row[low]), float(row[high])) for name, row in table["values"].items()}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"expected input_quantiles to have percent with {' and '.join(f'{each:g}' for each in USUAL_PERCENT)}, and as many "
            f"values of each variable, but got {table!r}: correct the config or leave it out"
        ) from error
    return limits


def check_drift(
    tile: xr.Dataset, *, limits: Mapping[str, tuple[float, float]], variables: Iterable[str], consumer: str
) -> None:
    """Warn where the values of a tile lie far from those of a model's training.

    Args:
        tile: Tile with `variables` and ``valid_data_mask``.
        limits: Of `usual_limits`.
        variables: The model's inputs.
        consumer: The model, for messages: ``"model 'full'"``.

    Warns:
        DartsWarning: More than `LARGEST_UNUSUAL_SHARE` of the valid pixels of a variable are below its 0.1 % or above its
            99.9 % quantile in the training. Names all such variables.

    Notes:
        Looks at a regular sample of at most 256 × 256 pixels. Tiles that are not in memory yet (dask) are not looked at,
        because that would compute them twice.
    """
    asked = [name for name in variables if name in limits]
    if not asked or any(tile[name].chunks is not None for name in (*asked, "valid_data_mask")):
        return
    steps = tuple(slice(None, None, -(-size // _SAMPLED_PER_AXIS) or 1) for size in tile["valid_data_mask"].shape)
    valid = to_numpy(tile["valid_data_mask"].data[steps]).astype(bool)
    found = []
    for name in asked:
        values = to_numpy(tile[name].data[steps])[valid].astype("float64")
        values = values[np.isfinite(values)]
        low, high = limits[name]
        if values.size == 0:
            continue
        share = float(((values < low) | (values > high)).mean())
        if share > LARGEST_UNUSUAL_SHARE:
            found.append(
                f"{name} ({share:.0%} of the pixels outside {low:g} … {high:g}, median {float(np.median(values)):g})"
            )
    if found:
        warnings.warn(
            DartsWarning(
                f"tile {tile_id(tile)!r} differs from what {consumer} was trained on: {'; '.join(found)}; see whether it was "
                "prepared in the same way, and do not trust its probabilities unseen",
                tile_id=tile_id(tile),
            ),
            stacklevel=3,
        )
