"""All steps from probabilities to objects, in their order."""

from typing import Any

import xarray as xr

from darts_postprocessing.binarization import above_threshold, probabilities_of, validity_of
from darts_postprocessing.checks import check_edge_objects, check_mask_name, check_pixels, check_threshold
from darts_postprocessing.config import EdgeObjects, MaskName, PostprocessingConfig
from darts_postprocessing.extent import MASK_VARIABLES, erode_extent
from darts_postprocessing.objects import without_edge_objects, without_small_objects
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.errors import MissingVariableError
from darts_utils.grids import tile_id
from darts_utils.tiles import require_variables, variable

PERCENT_NODATA = 255
"""What ``probabilities_percent`` holds outside the extent, as the registry says."""

_MEMBER_PREFIX = "probabilities-"


def postprocess(
    tile: xr.Dataset,
    *,
    threshold: float = PostprocessingConfig.threshold,
    mask: MaskName = PostprocessingConfig.mask,
    radius_px: int = PostprocessingConfig.radius_px,
    edge_px: int = PostprocessingConfig.edge_px,
    min_object_px: int = PostprocessingConfig.min_object_px,
    edge_objects: EdgeObjects = PostprocessingConfig.edge_objects,
    keep_members: bool = PostprocessingConfig.keep_members,
) -> xr.Dataset:
    """Turn probabilities into objects, and say where they can be trusted.

    Args:
        tile: Tile with ``probabilities``  (y, x) float32: 0 … 1, NaN where there are no valid data, and the mask that is
            asked for; with `keep_members` also ``probabilities-<model>`` of at least one model.
        threshold: A pixel belongs to an object where its probability is strictly greater, 0 … 1.
        mask: Which mask the extent starts from: ``"quality"``, ``"valid"``, or ``"none"`` for the whole tile.
        radius_px: Radius of the disc that erodes the mask, in pixels; 0 keeps the mask.
        edge_px: Width of the tile's border that is not trusted, in pixels; 0 trusts it.
        min_object_px: Objects of fewer pixels are removed; 0 and 1 keep every object.
        edge_objects: ``"drop"`` removes the objects that reach out of the extent; ``"keep"`` keeps them whole.
        keep_members: Do the same for each ``probabilities-<model>``.

    Returns:
        The tile plus
            ``extent``  (y, x) bool: True where the result is trusted;
            ``probabilities_percent``  (y, x) uint8: 0 … 100, 255 outside the extent and where there are no data;
            ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not;
        and with `keep_members` the last two as ``…-<model>`` for each member.

    Raises:
        MissingVariableError: A variable is absent; all that are missing are named, before any work is done.
        TileContractError: A probability lies outside 0 … 1, or a variable has other dims or another dtype.
        ValueError: An option makes no sense.

    Notes:
        The order matters. Objects are the 8-connected sets of valid pixels above the threshold, found before any
        masking. Then those with a pixel outside the extent, or 8-adjacent to one outside, are dropped as a whole. The
        size filter comes last. Percentages are rounded to the nearest integer, halves to the even one.
        The same steps one by one are `erode_extent`, `binarize`, `drop_edge_objects`, `remove_small_objects`.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["probabilities", "valid_data_mask", "quality_data_mask"], shape=(64, 64))
        >>> tile.probabilities[:], tile.valid_data_mask[:], tile.quality_data_mask[:] = 0.1, True, True
        >>> tile.probabilities[20:30, 20:30] = 0.9
        >>> result = postprocess(tile)
        >>> int(result.binarized_segmentation.sum())
        100
        >>> result.probabilities_percent.values[[0, 11, 25], [0, 11, 25]]
        array([255,  10,  90], dtype=uint8)
    """
    check_threshold(threshold)
    check_mask_name(mask)
    check_pixels("radius_px", radius_px)
    check_pixels("edge_px", edge_px)
    check_pixels("min_object_px", min_object_px)
    check_edge_objects(edge_objects)
    needed = ["probabilities", *MASK_VARIABLES[mask], *validity_of(tile)]
    hint = "run preprocess and a model's inference first, or choose another mask ('valid', 'none')"
    require_variables(tile, needed, consumer="postprocess", hint=hint)
    members = _members_of(tile) if keep_members else []
    require_variables(tile, members, consumer="postprocess", hint=hint)
    names = ["probabilities", *members]

    result = erode_extent(tile, mask=mask, radius_px=radius_px, edge_px=edge_px)
    extent = computed(result["extent"].data)
    for name in names:
        probabilities = probabilities_of(tile, name)
        objects = above_threshold(probabilities, tile, threshold=threshold)
        if edge_objects == "drop":
            objects = without_edge_objects(objects, extent)
        objects = without_small_objects(objects, min_object_px)
        binarized = name.replace("probabilities", "binarized_segmentation", 1)
        percent = name.replace("probabilities", "probabilities_percent", 1)
        result = result.assign(
            {
                percent: variable(percent, _percent(probabilities, extent), source=name),
                binarized: variable(
                    binarized,
                    objects.astype("uint8"),
                    source=name,
                    threshold=threshold,
                    edge_objects=edge_objects,
                    min_object_px=min_object_px,
                ),
            }
        )
    return result


def _members_of(tile: xr.Dataset) -> list[str]:
    names = [str(name) for name in tile.data_vars if str(name).startswith(_MEMBER_PREFIX)]
    if not names:
        raise MissingVariableError(
            "postprocess(keep_members=True)",
            [f"{_MEMBER_PREFIX}<model>"],
            tile_id=tile_id(tile),
            present=map(str, tile.data_vars),
            hint="run the ensemble with keep_members=True first",
        )
    return names


def _percent(probabilities: Any, extent: Any) -> Any:
    xp = array_namespace(probabilities)
    shown = extent & ~xp.isnan(probabilities)
    percent = xp.where(shown, probabilities, 0).astype(
        "float64"
    )  # exact: in float32 the product would be rounded first
    percent *= 100
    rounded = xp.rint(percent, out=percent).astype("uint8")
    rounded[~shown] = PERCENT_NODATA
    return rounded


postprocess_batched = batched(postprocess)
