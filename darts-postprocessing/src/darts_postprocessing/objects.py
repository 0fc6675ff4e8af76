"""Sets of pixels that touch by an edge or a corner, and which of them stay."""

from typing import Any

import numpy as np
import xarray as xr

from darts_postprocessing.checks import check_pixels
from darts_postprocessing.config import PostprocessingConfig
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed, scipy_namespace
from darts_utils.tiles import require_variables, variable

NEIGHBOURS = np.ones((3, 3), dtype=bool)
"""The structuring element of 8-connectivity."""


def drop_edge_objects(tile: xr.Dataset) -> xr.Dataset:
    """Remove the objects that reach out of the trusted extent: part of them may be unseen.

    Args:
        tile: Tile with
            ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not;
            ``extent``  (y, x) bool: True where the result is trusted.

    Returns:
        The tile with ``binarized_segmentation`` replaced: objects (8-connected) with a pixel outside ``extent``, or with
        a pixel that is 8-adjacent to one outside, are gone as a whole; the others are as they were.

    Raises:
        MissingVariableError: A variable is absent.

    Notes:
        What lies beyond the tile's border counts neither as inside nor as outside; the border of the extent
        (``edge_px``) speaks for it.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["binarized_segmentation", "extent"], shape=(1, 7))
        >>> tile.binarized_segmentation[0] = [1, 1, 0, 1, 0, 0, 1]
        >>> tile.extent[0] = [True, True, True, True, True, False, True]
        >>> drop_edge_objects(tile).binarized_segmentation.values
        array([[1, 1, 0, 1, 0, 0, 0]], dtype=uint8)
    """
    require_variables(
        tile,
        ["binarized_segmentation", "extent"],
        consumer="drop_edge_objects",
        hint="run binarize and erode_extent first",
    )
    objects = computed(tile["binarized_segmentation"].data) > 0
    kept = without_edge_objects(objects, computed(tile["extent"].data))
    return _with_objects(tile, kept, edge_objects="drop")


def remove_small_objects(tile: xr.Dataset, *, min_object_px: int = PostprocessingConfig.min_object_px) -> xr.Dataset:
    """Remove the objects of few pixels.

    Args:
        tile: Tile with ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not.
        min_object_px: Objects (8-connected) of fewer pixels are removed; 0 and 1 keep every object.

    Returns:
        The tile with ``binarized_segmentation`` replaced. The input is untouched.

    Raises:
        MissingVariableError: `tile` has no ``binarized_segmentation``.
        ValueError: `min_object_px` is negative.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["binarized_segmentation"], shape=(2, 5))
        >>> tile.binarized_segmentation[:] = [[1, 0, 0, 0, 1], [0, 1, 0, 0, 0]]
        >>> remove_small_objects(tile, min_object_px=2).binarized_segmentation.values
        array([[1, 0, 0, 0, 0],
               [0, 1, 0, 0, 0]], dtype=uint8)
    """
    check_pixels("min_object_px", min_object_px)
    require_variables(tile, ["binarized_segmentation"], consumer="remove_small_objects", hint="run binarize first")
    objects = computed(tile["binarized_segmentation"].data) > 0
    return _with_objects(tile, without_small_objects(objects, min_object_px), min_object_px=min_object_px)


def without_edge_objects(objects: Any, extent: Any) -> Any:
    """Return `objects` (y, x) bool without those that have a pixel outside `extent` or 8-adjacent to one outside."""
    ndimage = scipy_namespace("ndimage", objects)
    labels, count = label(objects)
    near_outside = ndimage.binary_dilation(~extent, structure=_neighbours(objects))
    keep = _all_but_background(labels, count)
    keep[labels[near_outside]] = False
    return keep[labels]


def without_small_objects(objects: Any, min_object_px: int) -> Any:
    """Return `objects` (y, x) bool without those of fewer than `min_object_px` pixels."""
    if min_object_px <= 1:
        return objects
    xp = array_namespace(objects)
    labels, count = label(objects)
    keep = xp.bincount(labels.ravel(), minlength=count + 1) >= min_object_px
    keep[0] = False
    return keep[labels]


def label(objects: Any) -> tuple[Any, int]:
    """Number the 8-connected sets of true pixels 1, 2, … in the order of their first pixels, row by row."""
    labels, count = scipy_namespace("ndimage", objects).label(objects, structure=_neighbours(objects))
    return labels, int(count)


def _all_but_background(labels: Any, count: int) -> Any:
    keep = array_namespace(labels).ones(count + 1, dtype=bool)
    keep[0] = False
    return keep


def _neighbours(like: Any) -> Any:
    return array_namespace(like).asarray(NEIGHBOURS)


def _with_objects(tile: xr.Dataset, objects: Any, **attrs: object) -> xr.Dataset:
    known = tile["binarized_segmentation"].attrs
    own = {name: value for name, value in known.items() if name not in {"long_name", "units", "source"}}
    return tile.assign(
        binarized_segmentation=variable(
            "binarized_segmentation",
            objects.astype("uint8"),
            source=str(known.get("source", "binarized_segmentation")),
            **{**own, **attrs},
        )
    )


drop_edge_objects_batched = batched(drop_edge_objects)
remove_small_objects_batched = batched(remove_small_objects)
