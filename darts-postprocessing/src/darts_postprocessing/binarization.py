"""From probabilities to yes or no, pixel by pixel."""

from typing import Any

import numpy as np
import xarray as xr

from darts_postprocessing.checks import check_high_threshold, check_threshold
from darts_postprocessing.config import PostprocessingConfig
from darts_postprocessing.pixels import are_probabilities, marked_above
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.errors import TileContractError
from darts_utils.grids import tile_id
from darts_utils.objects import Objects, find_objects
from darts_utils.tiles import require_variables, variable


def binarize(
    tile: xr.Dataset,
    *,
    threshold: float = PostprocessingConfig.threshold,
    high_threshold: float | None = PostprocessingConfig.high_threshold,
) -> xr.Dataset:
    """Mark the valid pixels whose probability exceeds a threshold.

    Args:
        tile: Tile with ``probabilities``  (y, x) float32: 0 … 1, NaN where there are no valid data. If it has
            ``valid_data_mask``  (y, x) bool as well, pixels outside are not marked either.
        threshold: A pixel is marked where its probability is strictly greater, 0 … 1.
        high_threshold: Of the objects (8-connected) that are marked so, only those stay that have a pixel whose probability
            is strictly greater than this: hysteresis. None keeps all.

    Returns:
        The tile plus ``binarized_segmentation``  (y, x) uint8: 1 marked, 0 not. The input is untouched.

    Raises:
        MissingVariableError: `tile` has no ``probabilities``.
        TileContractError: A probability lies outside 0 … 1, or a variable has other dims or another dtype.
        ValueError: A threshold lies outside 0 … 1, or `high_threshold` is below `threshold`.

    Notes:
        Thresholds are compared in float32, as the probabilities are: a stored 0.7 is not above 0.7.
        Computes where the probabilities live (NumPy or CuPy); dask arrays are computed.

    References:
        Hysteresis: Canny 1986, doi:10.1109/TPAMI.1986.4767851.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["probabilities"], shape=(1, 6))
        >>> tile.probabilities[0] = [0.6, 0.2, 0.6, 0.9, 0.3, float("nan")]
        >>> binarize(tile, threshold=0.5).binarized_segmentation.values
        array([[1, 0, 1, 1, 0, 0]], dtype=uint8)
        >>> binarize(tile, threshold=0.5, high_threshold=0.8).binarized_segmentation.values
        array([[0, 0, 1, 1, 0, 0]], dtype=uint8)
    """
    check_threshold("threshold", threshold)
    check_high_threshold(high_threshold, threshold=threshold)
    require_variables(
        tile, ["probabilities", *validity_of(tile)], consumer="binarize", hint="run a model's inference first"
    )
    probabilities, valid = probabilities_of(tile, "probabilities"), validity_values(tile)
    if high_threshold is None:
        marked = marked_above(probabilities, threshold=threshold, valid=valid)
    else:
        objects = find_objects(probabilities, above=threshold, valid=valid)
        marked = objects.mask(reaching_above(objects, probabilities, high_threshold)).view("uint8")
    attrs = {"threshold": threshold, "high_threshold": high_threshold}
    return tile.assign(
        binarized_segmentation=variable(
            "binarized_segmentation",
            marked,
            source="probabilities",
            **{name: value for name, value in attrs.items() if value is not None},
        )
    )


def reaching_above(objects: Objects, probabilities: Any, threshold: float) -> Any:
    """Return ``(count,)`` bool: the objects with a pixel whose probability is above a threshold."""
    return objects.counts(objects.pixels(probabilities) > np.float32(threshold)) > 0


def validity_of(tile: xr.Dataset) -> tuple[str, ...]:
    """Return the name of the mask that says where sensor data exist, if the tile has it."""
    return ("valid_data_mask",) if "valid_data_mask" in tile.data_vars else ()


def validity_values(tile: xr.Dataset) -> Any | None:
    """Return where sensor data exist, ``(y, x)`` bool, or None if the tile does not say."""
    names = validity_of(tile)
    return computed(tile[names[0]].data) if names else None


def probabilities_of(tile: xr.Dataset, name: str) -> Any:
    """Return the values of a variable with probabilities, after checking that they are some.

    Raises:
        TileContractError: A value lies outside 0 … 1.
    """
    probabilities = computed(tile[name].data)
    if not are_probabilities(probabilities):
        xp = array_namespace(probabilities)
        low, high = float(xp.nanmin(probabilities)), float(xp.nanmax(probabilities))
        raise TileContractError(
            f"variable {name!r} of tile {tile_id(tile)!r} must hold probabilities between 0 and 1, but got values from "
            f"{low:.9g} to {high:.9g}: divide percentages by 100, apply the sigmoid to logits, clip what rounding has left outside"
        )
    return probabilities


binarize_batched = batched(binarize)
