"""From the sensors' masks to the two masks of the contract: where there are data, and where they are good."""

import numpy as np
import xarray as xr

from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.tiles import require_variables, variable
from darts_utils.variables import OPTICAL_BANDS

_UDM2_BAD_BITS = 0b111110
"""Snow, shadow, light haze, heavy haze, cloud (bands 2 to 6); bit 0 is "clear". Confidence is never read."""
_UDM1_BLACKFILL = 0b0000001
_UDM1_SUSPECT = 0b1111110
_SCL_MISSING = (0,)
_SCL_BAD = (1, 3, 8, 9, 10, 11)
"""Saturated, cloud shadow, cloud medium and high, cirrus, snow."""


def derive_masks(tile: xr.Dataset) -> xr.Dataset:
    """Add ``valid_data_mask`` and ``quality_data_mask``.

    Args:
        tile: Raw tile with
            ``blue``, ``green``, ``red``, ``nir``  (y, x) uint16: DN, 0 where the sensor saw nothing.
            ``planet_udm2`` and ``planet_udm1``, or ``s2_scl``  (y, x) uint8, or none of them.

    Returns:
        The tile plus
            ``valid_data_mask``  (y, x) bool: all bands hold data and the sensor's mask does not say "missing".
            ``quality_data_mask``  (y, x) bool: valid, and no cloud, shadow, haze, snow or saturation is marked.
        ``attrs["quality_source"]`` says which mask was used: ``planet_udm2``, ``s2_scl`` or ``none``; with ``none``
        quality equals validity.

    Raises:
        MissingVariableError: A band is missing, or a Planet tile has one of its two masks only.

    Notes:
        A cloud bit in the old mask (``planet_udm1`` bit 1) means cloud, not missing data.

    References:
        Planet, "Usable Data Masks", UDM 2.1; ESA, Sentinel-2 L2A Scene Classification.
    """
    require_variables(tile, OPTICAL_BANDS, consumer="derive_masks", hint="load all four bands")
    bands = [computed(tile[name].data) for name in OPTICAL_BANDS]
    xp = array_namespace(*bands)
    valid = bands[0] != 0
    for band in bands[1:]:
        valid &= band != 0
    if "planet_udm2" in tile or "planet_udm1" in tile:
        names = ("planet_udm2", "planet_udm1")
        require_variables(tile, names, consumer="derive_masks", hint="load both from the scene's *_udm2.tif")
        udm2, udm1 = (computed(tile[name].data) for name in names)
        valid &= (udm1 & _UDM1_BLACKFILL) == 0
        quality = valid & ((udm1 & _UDM1_SUSPECT) == 0) & ((udm2 & _UDM2_BAD_BITS) == 0)
        source = "planet_udm2"
    elif "s2_scl" in tile:
        scl = computed(tile["s2_scl"].data)
        valid &= ~xp.isin(scl, xp.asarray(_SCL_MISSING, dtype=scl.dtype))
        quality = valid & ~xp.isin(scl, xp.asarray(_SCL_BAD, dtype=scl.dtype))
        source = "s2_scl"
    else:
        quality, source = valid.copy(), "none"
    bands_and = f"{', '.join(OPTICAL_BANDS)}, {source}" if source != "none" else ", ".join(OPTICAL_BANDS)
    return tile.assign(
        valid_data_mask=variable("valid_data_mask", valid, source=bands_and),
        quality_data_mask=variable("quality_data_mask", quality, source=bands_and),
    ).assign_attrs(quality_source=source)


derive_masks_batched = batched(derive_masks)


def share_percent(mask: np.ndarray) -> float:
    """Share of True in a mask, in percent."""
    return 100.0 * float(mask.mean())
