"""Where the result is trusted."""

from typing import Any

import xarray as xr

from darts_postprocessing.checks import check_choice, check_pixels
from darts_postprocessing.config import MaskName, PostprocessingConfig
from darts_postprocessing.erosion import erode_by_disc
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.tiles import require_variables, variable

MASK_VARIABLES: dict[str, tuple[str, ...]] = {
    "quality": ("quality_data_mask",),
    "valid": ("valid_data_mask",),
    "none": (),
}
"""The tile variables that each choice of ``mask`` reads."""

_OPTIONS = ("mask", "radius_px", "edge_px")
"""Attributes of ``extent`` that say how it was made."""


def erode_extent(
    tile: xr.Dataset,
    *,
    mask: MaskName = PostprocessingConfig.mask,
    radius_px: int = PostprocessingConfig.radius_px,
    edge_px: int = PostprocessingConfig.edge_px,
) -> xr.Dataset:
    """Shrink the trusted area so that predictions near missing data and near the border do not count.

    Args:
        tile: Tile with the mask that is asked for:
            ``quality_data_mask``  (y, x) bool: True where the optical data are valid and undisturbed;
            ``valid_data_mask``  (y, x) bool: True where sensor data exist.
        mask: Which mask to start from: ``"quality"``, ``"valid"``, or ``"none"`` for the whole tile.
        radius_px: Radius of the eroding disc in pixels; 0 keeps the mask.
        edge_px: Width of the border to drop in pixels; 0 keeps it.

    Returns:
        The tile plus ``extent``  (y, x) bool: True in the trusted area. Its attributes record the options. The input is
        untouched.

    Raises:
        MissingVariableError: `tile` lacks the mask.
        TileContractError: The mask has other dims or another dtype.
        ValueError: `radius_px` or `edge_px` is negative, or `mask` is unknown.

    Notes:
        A pixel is trusted if the mask is true in all of ``dx² + dy² ≤ radius_px²`` around it, and if it is at least
        `edge_px` pixels away from the border. What lies beyond the tile is neither good nor bad: the border is the
        business of `edge_px` alone, so that ``edge_px=0`` keeps the border pixels of a tile without missing data.
        Computes where the mask lives (NumPy or CuPy); dask arrays are computed.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["quality_data_mask"], shape=(6, 6))
        >>> tile.quality_data_mask[:] = True
        >>> erode_extent(tile, radius_px=1, edge_px=2).extent.values.sum()
        np.int64(4)
    """
    check_choice("mask", mask, MaskName)
    check_pixels("radius_px", radius_px)
    check_pixels("edge_px", edge_px)
    names = MASK_VARIABLES[mask]
    require_variables(
        tile, names, consumer="erode_extent", hint="run preprocess first, or choose another mask ('valid', 'none')"
    )
    extent = erode_by_disc(computed(tile[names[0]].data), radius_px=radius_px) if names else _whole(tile)
    return tile.assign(
        extent=variable(
            "extent",
            _without_border(extent, edge_px=edge_px),
            source=names[0] if names else "the whole tile",
            mask=mask,
            radius_px=radius_px,
            edge_px=edge_px,
        )
    )


def extent_attrs(tile: xr.Dataset) -> dict[str, object]:
    """Attributes that record how the extent was made, for what it has decided; none where a user made it."""
    known = tile["extent"].attrs
    return {name: known[name] for name in _OPTIONS if name in known}


def _whole(tile: xr.Dataset) -> Any:
    xp = array_namespace(*(computed(each.data[:0, :0]) for each in tile.data_vars.values()))
    return xp.ones((tile.sizes["y"], tile.sizes["x"]), dtype=bool)


def _without_border(extent: Any, *, edge_px: int) -> Any:
    height, width = extent.shape
    extent[:edge_px] = False
    extent[max(height - edge_px, 0) :] = False  # never [-0:], which is everything
    extent[:, :edge_px] = False
    extent[:, max(width - edge_px, 0) :] = False
    return extent


erode_extent_batched = batched(erode_extent)
