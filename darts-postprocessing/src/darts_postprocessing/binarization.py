"""From probabilities to yes or no, pixel by pixel."""

from typing import Any

import numpy as np
import xarray as xr

from darts_postprocessing.checks import check_threshold
from darts_postprocessing.config import PostprocessingConfig
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.errors import TileContractError
from darts_utils.grids import tile_id
from darts_utils.tiles import require_variables, variable


def binarize(tile: xr.Dataset, *, threshold: float = PostprocessingConfig.threshold) -> xr.Dataset:
    """Mark the valid pixels whose probability exceeds a threshold.

    Args:
        tile: Tile with ``probabilities``  (y, x) float32: 0 … 1, NaN where there are no valid data. If it has
            ``valid_data_mask``  (y, x) bool as well, pixels outside are not marked either.
        threshold: A pixel is marked where its probability is strictly greater, 0 … 1.

    Returns:
        The tile plus ``binarized_segmentation``  (y, x) uint8: 1 marked, 0 not. The input is untouched.

    Raises:
        MissingVariableError: `tile` has no ``probabilities``.
        TileContractError: A probability lies outside 0 … 1, or a variable has other dims or another dtype.
        ValueError: `threshold` lies outside 0 … 1.

    Notes:
        The threshold is compared in float32, as the probabilities are: a stored 0.7 is not above 0.7.
        Computes where the probabilities live (NumPy or CuPy); dask arrays are computed.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["probabilities"], shape=(1, 4))
        >>> tile.probabilities[0] = [0.2, 0.5, 0.7, float("nan")]
        >>> binarize(tile, threshold=0.5).binarized_segmentation.values
        array([[0, 0, 1, 0]], dtype=uint8)
    """
    check_threshold(threshold)
    require_variables(
        tile, ["probabilities", *validity_of(tile)], consumer="binarize", hint="run a model's inference first"
    )
    marked = above_threshold(probabilities_of(tile, "probabilities"), tile, threshold=threshold)
    return tile.assign(
        binarized_segmentation=variable(
            "binarized_segmentation", marked.astype("uint8"), source="probabilities", threshold=threshold
        )
    )


def above_threshold(probabilities: Any, tile: xr.Dataset, *, threshold: float) -> Any:
    """Return ``(y, x)`` bool: valid pixels of `tile` whose probability is above the threshold."""
    marked = probabilities > np.float32(threshold)  # NaN compares false
    for name in validity_of(tile):
        marked &= computed(tile[name].data)
    return marked


def validity_of(tile: xr.Dataset) -> tuple[str, ...]:
    """Return the name of the mask that says where sensor data exist, if the tile has it."""
    return ("valid_data_mask",) if "valid_data_mask" in tile.data_vars else ()


def probabilities_of(tile: xr.Dataset, name: str) -> Any:
    """Return the values of a variable with probabilities, after checking that they are some.

    Raises:
        TileContractError: A value lies outside 0 … 1.
    """
    probabilities = computed(tile[name].data)
    xp = array_namespace(probabilities)
    if bool(xp.any((probabilities < 0) | (probabilities > 1))):
        low, high = float(xp.nanmin(probabilities)), float(xp.nanmax(probabilities))
        raise TileContractError(
            f"variable {name!r} of tile {tile_id(tile)!r} must hold probabilities between 0 and 1, but got values from "
            f"{low:.6g} to {high:.6g}: divide percentages by 100, apply the sigmoid to logits"
        )
    return probabilities


binarize_batched = batched(binarize)
