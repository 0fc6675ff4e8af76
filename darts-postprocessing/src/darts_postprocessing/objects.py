"""Which objects stay: not those that reach out of the trusted extent, not those of few pixels."""

from typing import Any

import xarray as xr

from darts_postprocessing.checks import check_pixels
from darts_postprocessing.config import PostprocessingConfig
from darts_postprocessing.extent import extent_attrs
from darts_utils.batching import batched
from darts_utils.device import computed
from darts_utils.objects import find_objects
from darts_utils.tiles import require_variables, variable


def drop_edge_objects(tile: xr.Dataset) -> xr.Dataset:
    """Remove the objects that reach out of the trusted extent: part of them may be unseen.

    Args:
        tile: Tile with
            ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not;
            ``extent``  (y, x) bool: True where the result is trusted.

    Returns:
        The tile with ``binarized_segmentation`` replaced: objects (8-connected) with a pixel outside ``extent``, or with
        a pixel that is 8-adjacent to one outside, are gone as a whole; the others are as they were. Its attributes record
        that, and how the extent was made.

    Raises:
        MissingVariableError: A variable is absent.
        TileContractError: A variable has other dims or another dtype.

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
    objects = find_objects(computed(tile["binarized_segmentation"].data))
    kept = ~objects.touching_outside(computed(tile["extent"].data))
    return with_objects(tile, objects.mask(kept), edge_objects="drop", **extent_attrs(tile))


def remove_small_objects(tile: xr.Dataset, *, min_object_px: int = PostprocessingConfig.min_object_px) -> xr.Dataset:
    """Remove the objects of few pixels.

    Args:
        tile: Tile with ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not.
        min_object_px: Objects (8-connected) of fewer pixels are removed; 0 and 1 keep every object.

    Returns:
        The tile with ``binarized_segmentation`` replaced. The input is untouched.

    Raises:
        MissingVariableError: `tile` has no ``binarized_segmentation``.
        TileContractError: It has other dims or another dtype.
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
    objects = find_objects(computed(tile["binarized_segmentation"].data))
    return with_objects(tile, objects.mask(objects.sizes_px() >= min_object_px), min_object_px=min_object_px)


def with_objects(tile: xr.Dataset, objects: Any, **attrs: object) -> xr.Dataset:
    """Replace ``binarized_segmentation`` by `objects`  (y, x) bool, with further attributes."""
    known = tile["binarized_segmentation"].attrs
    own = {name: value for name, value in known.items() if name not in {"long_name", "units", "source"}}
    return tile.assign(
        binarized_segmentation=variable(
            "binarized_segmentation",
            objects.view("uint8"),
            source=str(known.get("source", "binarized_segmentation")),
            **{**own, **attrs},
        )
    )


drop_edge_objects_batched = batched(drop_edge_objects)
remove_small_objects_batched = batched(remove_small_objects)
