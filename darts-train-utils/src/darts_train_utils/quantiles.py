"""Which values the inputs of a training have: for the scaling of inputs and for the guard against drift at inference."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darts_train_utils.config import IGNORE_LABEL
from darts_train_utils.patch_store import PatchStore
from darts_utils.errors import TrainingDataError
from darts_utils.inference.drift import USUAL_PERCENT, quantile_table

_PATCHES = 1000
_PIXELS = 2048


def training_quantiles(store: PatchStore, *, rows: NDArray[np.int64], variables: Sequence[str]) -> dict[str, Any]:
    """Compute the quantiles of each input over the known pixels of training patches.

    Args:
        store: The patches.
        rows: The training patches; at most 1000 of them, evenly spread, and 2048 pixels of each, count.
        variables: The inputs.

    Returns:
        What `darts_utils.inference.drift` reads: ``{"percent": [...], "values": {name: [...]}}``, in tile units.

    Raises:
        TrainingDataError: An input has no finite value where labels are known.
    """
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _PATCHES)).round().astype("int64"))]
    samples: dict[str, list[NDArray[Any]]] = {name: [] for name in variables}
    for row in chosen:
        values, labels = store.read(int(row))
        known = np.flatnonzero(labels != IGNORE_LABEL)
        known = known[:: max(1, -(-known.size // _PIXELS))]
        for name in variables:
            sample = values[name].ravel()[known].astype("float32")
            samples[name].append(sample[np.isfinite(sample)])
    joined = {name: np.concatenate(parts) for name, parts in samples.items()}
    empty = [name for name, sample in joined.items() if sample.size == 0]
    if empty:
        raise TrainingDataError(
            f"expected values of {', '.join(empty)} where labels are known, but the training patches have none: leave it out of "
            "inputs, or prepare the data anew"
        )
    return quantile_table(joined)


def middle_of(quantiles: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Return the values between which the middle 99.8 % of an input lie.

    Args:
        quantiles: Of `training_quantiles`.
        name: The input.
    """
    row = quantiles["values"][name]
    low, high = (float(row[quantiles["percent"].index(each)]) for each in USUAL_PERCENT)
    return low, high
