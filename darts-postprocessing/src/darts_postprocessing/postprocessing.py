"""All steps from probabilities to objects, in their order."""

from collections.abc import Sequence
from typing import Any

import xarray as xr

from darts_postprocessing.binarization import probabilities_of, reaching_above, validity_of, validity_values
from darts_postprocessing.checks import check_options, percent_text
from darts_postprocessing.config import EdgeObjects, MaskName, PostprocessingConfig
from darts_postprocessing.extent import MASK_VARIABLES, erode_extent, extent_attrs
from darts_postprocessing.pixels import as_percent
from darts_postprocessing.plausibility import (
    PLAUSIBILITY_HINT,
    check_plausibility_units,
    implausible_objects,
    plausibility_attrs,
    plausibility_variables,
)
from darts_utils.batching import batched
from darts_utils.device import computed
from darts_utils.errors import MissingVariableError
from darts_utils.grids import tile_id
from darts_utils.objects import Objects, find_objects
from darts_utils.tiles import require_variables, variable

_MEMBER_PREFIX = "probabilities-"


def postprocess(
    tile: xr.Dataset,
    *,
    threshold: float = PostprocessingConfig.threshold,
    high_threshold: float | None = PostprocessingConfig.high_threshold,
    further_thresholds: Sequence[float] = PostprocessingConfig.further_thresholds,
    mask: MaskName = PostprocessingConfig.mask,
    radius_px: int = PostprocessingConfig.radius_px,
    edge_px: int = PostprocessingConfig.edge_px,
    min_object_px: int = PostprocessingConfig.min_object_px,
    edge_objects: EdgeObjects = PostprocessingConfig.edge_objects,
    drop_water: bool = PostprocessingConfig.drop_water,
    water_max_ndvi: float = PostprocessingConfig.water_max_ndvi,
    water_max_nir: float = PostprocessingConfig.water_max_nir,
    min_slope_deg: float | None = PostprocessingConfig.min_slope_deg,
    max_slope_deg: float | None = PostprocessingConfig.max_slope_deg,
    max_implausible_share: float = PostprocessingConfig.max_implausible_share,
    keep_members: bool = PostprocessingConfig.keep_members,
) -> xr.Dataset:
    """Turn probabilities into objects, and say where they can be trusted.

    Args:
        tile: Tile with ``probabilities``  (y, x) float32: 0 … 1, NaN where there are no valid data, and the mask that is
            asked for; with `keep_members` also ``probabilities-<model>`` of at least one model, with `drop_water` also
            ``ndvi`` and ``nir``, with a limit of slope also ``slope``.
        threshold: A pixel belongs to an object where its probability is strictly greater, 0 … 1.
        high_threshold: Only objects with a pixel whose probability is strictly greater than this are kept; None keeps all.
        further_thresholds: Each gives the objects above it as well, found and filtered by the same rules.
        mask: Which mask the extent starts from: ``"quality"``, ``"valid"``, or ``"none"`` for the whole tile.
        radius_px: Radius of the disc that erodes the mask, in pixels; 0 keeps the mask.
        edge_px: Width of the tile's border that is not trusted, in pixels; 0 trusts it.
        min_object_px: Objects of fewer pixels are removed; 0 and 1 keep every object.
        edge_objects: ``"drop"`` removes the objects that reach out of the extent; ``"keep"`` keeps them whole.
        drop_water: Remove objects that are mostly water, see `drop_implausible_objects`.
        water_max_ndvi: Largest NDVI of water.
        water_max_nir: Largest near infrared reflectance of water, 0 … 1.
        min_slope_deg: Remove objects that are mostly flatter than this, degrees; None asks for none.
        max_slope_deg: Remove objects that are mostly steeper than this, degrees; None asks for none.
        max_implausible_share: What "mostly" means: more than this share of an object's pixels, 0 … 1.
        keep_members: Do the same for each ``probabilities-<model>``.

    Returns:
        The tile plus
            ``extent``  (y, x) bool: True where the result is trusted;
            ``probabilities_percent``  (y, x) uint8: 0 … 100, 255 outside the extent and where there are no data;
            ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not;
            ``binarized_above-<percent>``  (y, x) uint8: the same for each further threshold, such as
            ``binarized_above-30`` for 0.3;
        and with `keep_members` percent and ``binarized_segmentation`` as ``…-<model>`` for each member.
        The attributes of the objects record the options that have decided which there are.

    Raises:
        MissingVariableError: A variable is absent; all that are missing are named, before any work is done.
        TileContractError: A probability lies outside 0 … 1, a variable has other dims or another dtype, or with `drop_water`
            ``nir`` says that it holds counts of the sensor.
        ValueError: An option makes no sense.

    Notes:
        Objects are the 8-connected sets of valid pixels above the threshold, found before any masking. Then each filter
        looks at each object as a whole, and keeps or drops it as a whole: hysteresis; a pixel outside the extent, or
        8-adjacent to one outside; water and slope; size. Percentages are rounded to the nearest integer, halves to the
        even one. The same steps one by one are `erode_extent`, `binarize`, `drop_edge_objects`,
        `drop_implausible_objects`, `remove_small_objects`. Several thresholds cost one look at the raster: what is above a
        high one lies within the objects of a low one.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["probabilities", "valid_data_mask", "quality_data_mask"], shape=(64, 64))
        >>> tile.probabilities[:], tile.valid_data_mask[:], tile.quality_data_mask[:] = 0.1, True, True
        >>> tile.probabilities[20:30, 20:30] = 0.9
        >>> result = postprocess(tile, further_thresholds=[0.05])
        >>> int(result.binarized_segmentation.sum()), int(result["binarized_above-5"].sum())
        (100, 0)
        >>> result.probabilities_percent.values[[0, 11, 25], [0, 11, 25]]
        array([255,  10,  90], dtype=uint8)
    """
    options = PostprocessingConfig(
        threshold=threshold,
        high_threshold=high_threshold,
        further_thresholds=tuple(further_thresholds),
        mask=mask,
        radius_px=radius_px,
        edge_px=edge_px,
        min_object_px=min_object_px,
        edge_objects=edge_objects,
        drop_water=drop_water,
        water_max_ndvi=water_max_ndvi,
        water_max_nir=water_max_nir,
        min_slope_deg=min_slope_deg,
        max_slope_deg=max_slope_deg,
        max_implausible_share=max_implausible_share,
        keep_members=keep_members,
    )
    check_options(options)
    members = _required_members(tile, options)
    result = erode_extent(tile, mask=mask, radius_px=radius_px, edge_px=edge_px)
    for name in ("probabilities", *members):
        wanted = {name.replace("probabilities", "binarized_segmentation", 1): threshold}
        if name == "probabilities":
            wanted |= {f"binarized_above-{percent_text(each)}": each for each in options.further_thresholds}
        result = result.assign(_results(result, name, wanted, options))
    return result


def _required_members(tile: xr.Dataset, options: PostprocessingConfig) -> list[str]:
    """Raise unless the tile has everything; return the names of the members' probabilities that are asked for."""
    hint = "run preprocess and a model's inference first, or choose another mask ('valid', 'none')"
    needed = ["probabilities", *MASK_VARIABLES[options.mask], *validity_of(tile)]
    more = plausibility_variables(options)
    absent = [name for name in more if name not in tile.data_vars]
    require_variables(tile, (*needed, *more), consumer="postprocess", hint=PLAUSIBILITY_HINT if absent else hint)
    check_plausibility_units(tile, options, consumer="postprocess")
    if not options.keep_members:
        return []
    members = [str(name) for name in tile.data_vars if str(name).startswith(_MEMBER_PREFIX)]
    if not members:
        raise MissingVariableError(
            "postprocess(keep_members=True)",
            [f"{_MEMBER_PREFIX}<model>"],
            tile_id=tile_id(tile),
            present=map(str, tile.data_vars),
            hint="run the ensemble with keep_members=True first",
        )
    require_variables(tile, members, consumer="postprocess", hint=hint)
    return members


def _results(
    tile: xr.Dataset, source: str, wanted: dict[str, float], options: PostprocessingConfig
) -> dict[str, tuple[Any, ...]]:
    """Make the percentages of one variable with probabilities, and the objects above each threshold in `wanted`."""
    probabilities, valid = probabilities_of(tile, source), validity_values(tile)
    percent = source.replace("probabilities", "probabilities_percent", 1)
    percentages = as_percent(probabilities, computed(tile["extent"].data))
    results: dict[str, tuple[Any, ...]] = {percent: variable(percent, percentages, source=source)}
    widest = find_objects(probabilities, above=min(wanted.values()), valid=valid)
    for name, threshold in wanted.items():
        is_widest = threshold == min(wanted.values())
        objects = widest if is_widest else find_objects(probabilities, above=threshold, valid=valid, within=widest)
        drawn = objects.mask(_kept(objects, probabilities, tile, options)).view("uint8")
        results[name] = variable(name, drawn, source=source, threshold=threshold, **_attrs(tile, options))
    return results


def _kept(objects: Objects, probabilities: Any, tile: xr.Dataset, options: PostprocessingConfig) -> Any:
    """Return ``(count,)`` bool: the objects that stay. No filter changes an object, so their order does not matter."""
    kept = objects.sizes_px() >= options.min_object_px
    if options.edge_objects == "drop":
        kept &= ~objects.touching_outside(computed(tile["extent"].data))
    if options.high_threshold is not None:
        kept &= reaching_above(objects, probabilities, options.high_threshold)
    for implausible in implausible_objects(objects, tile, options):
        kept &= ~implausible
    return kept


def _attrs(tile: xr.Dataset, options: PostprocessingConfig) -> dict[str, object]:
    """Attributes that record what has decided which objects there are, and nothing else."""
    high = {} if options.high_threshold is None else {"high_threshold": options.high_threshold}
    edge = extent_attrs(tile) if options.edge_objects == "drop" else {}
    rest = {"edge_objects": options.edge_objects, **edge, "min_object_px": options.min_object_px}
    return {**high, **rest, **plausibility_attrs(options)}


postprocess_batched = batched(postprocess)
