"""Which objects can be thaw slumps: not those on water, not those on ground too flat or too steep. Off unless asked for."""

from typing import Any

import numpy as np
import xarray as xr

from darts_postprocessing.checks import check_plausibility
from darts_postprocessing.config import PostprocessingConfig
from darts_postprocessing.objects import with_objects
from darts_utils.batching import batched
from darts_utils.device import computed
from darts_utils.objects import Objects, find_objects
from darts_utils.tiles import require_reflectance, require_variables
from darts_utils.variables import REFLECTANCE_UNIT

PLAUSIBILITY_HINT = "run preprocess with these features first, or do without the filter that needs them"


def drop_implausible_objects(
    tile: xr.Dataset,
    *,
    drop_water: bool = PostprocessingConfig.drop_water,
    water_max_ndvi: float = PostprocessingConfig.water_max_ndvi,
    water_max_nir: float = PostprocessingConfig.water_max_nir,
    min_slope_deg: float | None = PostprocessingConfig.min_slope_deg,
    max_slope_deg: float | None = PostprocessingConfig.max_slope_deg,
    max_implausible_share: float = PostprocessingConfig.max_implausible_share,
) -> xr.Dataset:
    """Remove the objects that are mostly water, or mostly on ground that is too flat or too steep; each only on request.

    Args:
        tile: Tile with ``binarized_segmentation``  (y, x) uint8: 1 object, 0 not; for water also
            ``ndvi``  (y, x) float32 and ``nir``  (y, x) uint16: surface reflectance × 10 000; for slopes also
            ``slope``  (y, x) float32: degrees.
        drop_water: Look for water.
        water_max_ndvi: A pixel is water where its NDVI is not above this and …
        water_max_nir: … its near infrared reflectance (0 … 1, to 4 decimals) is not above this.
        min_slope_deg: A pixel is too flat where its slope is below this, degrees; None asks for none.
        max_slope_deg: A pixel is too steep where its slope is above this, degrees; None asks for none.
        max_implausible_share: An object goes where the share of its pixels that are water exceeds this, 0 … 1; or the share
            of those that are too flat; or the share of those that are too steep.

    Returns:
        The tile with ``binarized_segmentation`` replaced: the objects (8-connected) that are implausible are gone as a
        whole. The input is untouched.

    Raises:
        MissingVariableError: `tile` lacks a variable that is needed.
        TileContractError: A variable has other dims or another dtype, or ``nir`` says that it holds counts of the sensor.
        ValueError: A limit makes no sense.

    Notes:
        Both limits of water have to be met, since bare soil has a low NDVI and shadow a low near infrared. They are a
        convention to start from, not a calibration: turbid water is brighter. A pixel whose NDVI is undefined (both
        bands 0) is judged by its near infrared alone; one whose slope is unknown is neither flat nor steep.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["binarized_segmentation", "slope"], shape=(1, 5))
        >>> tile.binarized_segmentation[0], tile.slope[0] = [1, 1, 0, 1, 1], [9, 1, 1, 1, 1]
        >>> drop_implausible_objects(tile, min_slope_deg=2).binarized_segmentation.values
        array([[1, 1, 0, 0, 0]], dtype=uint8)
    """
    options = PostprocessingConfig(
        drop_water=drop_water,
        water_max_ndvi=water_max_ndvi,
        water_max_nir=water_max_nir,
        min_slope_deg=min_slope_deg,
        max_slope_deg=max_slope_deg,
        max_implausible_share=max_implausible_share,
    )
    check_plausibility(options)
    require_variables(
        tile,
        ["binarized_segmentation", *plausibility_variables(options)],
        consumer="drop_implausible_objects",
        hint=PLAUSIBILITY_HINT,
    )
    check_plausibility_units(tile, options, consumer="drop_implausible_objects")
    objects = find_objects(computed(tile["binarized_segmentation"].data))
    kept = objects.sizes_px() > 0
    for implausible in implausible_objects(objects, tile, options):
        kept &= ~implausible
    return with_objects(tile, objects.mask(kept), **plausibility_attrs(options))


def plausibility_variables(options: PostprocessingConfig) -> tuple[str, ...]:
    """Names of the variables that the filters of water and slope read."""
    water = ("ndvi", "nir") if options.drop_water else ()
    return (*water, "slope") if _asks_for_slope(options) else water


def check_plausibility_units(tile: xr.Dataset, options: PostprocessingConfig, *, consumer: str) -> None:
    """Raise TileContractError if the filter of water is on and the near infrared is no reflectance × 10 000."""
    if options.drop_water:
        require_reflectance(tile, ["nir"], consumer=consumer)


def plausibility_attrs(options: PostprocessingConfig) -> dict[str, float]:
    """Attributes that record the filters of water and slope, where they are on."""
    names = ["water_max_ndvi", "water_max_nir"] if options.drop_water else []
    names += [name for name in ("min_slope_deg", "max_slope_deg") if getattr(options, name) is not None]
    return {name: getattr(options, name) for name in (*names, "max_implausible_share")} if names else {}


def implausible_objects(objects: Objects, tile: xr.Dataset, options: PostprocessingConfig) -> list[Any]:
    """Return for each filter that is on ``(count,)`` bool: the objects that it removes."""
    sizes = objects.sizes_px()

    def pixels(name: str) -> Any:
        return objects.pixels(computed(tile[name].data))

    def mostly(flags: Any) -> Any:
        return objects.counts(flags) > options.max_implausible_share * sizes

    found = []
    if options.drop_water:
        dark = pixels("nir") <= round(options.water_max_nir * REFLECTANCE_UNIT)
        found.append(mostly(dark & ~(pixels("ndvi") > np.float32(options.water_max_ndvi))))
    if options.min_slope_deg is not None:
        found.append(mostly(pixels("slope") < np.float32(options.min_slope_deg)))
    if options.max_slope_deg is not None:
        found.append(mostly(pixels("slope") > np.float32(options.max_slope_deg)))
    return found


def _asks_for_slope(options: PostprocessingConfig) -> bool:
    return options.min_slope_deg is not None or options.max_slope_deg is not None


drop_implausible_objects_batched = batched(drop_implausible_objects)
