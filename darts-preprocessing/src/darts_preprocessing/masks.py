"""From the sensors' masks to the two masks of the contract: where there are data, and where they are good."""

from typing import Any

import xarray as xr

from darts_preprocessing.optical_kernels import data_rows, over_pixels, scl_rows, udm_rows
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.tiles import require_variables, variable
from darts_utils.variables import OPTICAL_BANDS

HARMONIZED_ATTRS = {"ancillary_variables": "valid_data_mask"}
"""Attribute (CF) of a band whose zeros may be reflectances: where it holds data is said by ``valid_data_mask`` alone."""


def derive_masks(tile: xr.Dataset) -> xr.Dataset:
    """Add ``valid_data_mask`` and ``quality_data_mask``.

    Args:
        tile: Raw tile with
            ``blue``, ``green``, ``red``, ``nir``  (y, x) uint16: DN, 0 where the sensor saw nothing; or harmonised bands with
            the ``valid_data_mask`` that belongs to them, because their zeros may be reflectances.
            ``planet_udm2`` and ``planet_udm1``, or ``s2_scl``  (y, x) uint8, or none of them.

    Returns:
        The tile plus
            ``valid_data_mask``  (y, x) bool: all bands hold data and the sensor's mask does not say "missing".
            ``quality_data_mask``  (y, x) bool: valid, and no cloud, shadow, haze, snow or saturation is marked.
        ``attrs["quality_source"]`` says which mask was used: ``planet_udm2``, ``s2_scl`` or ``none``; with ``none``
        quality equals validity.

    Raises:
        MissingVariableError: A band is missing, a Planet tile has one of its two masks only, or the bands are harmonised and
            ``valid_data_mask`` is missing.
        TileContractError: A band or a mask has other dims or another dtype than those above.

    Notes:
        A cloud bit in the old mask (``planet_udm1`` bit 1) means cloud, not missing data.

    References:
        Planet, "Usable Data Masks", UDM 2.1; ESA, Sentinel-2 L2A Scene Classification.
    """
    require_variables(tile, OPTICAL_BANDS, consumer="derive_masks", hint="load all four bands")
    valid = _with_data(tile)
    if "planet_udm2" in tile or "planet_udm1" in tile:
        names = ("planet_udm2", "planet_udm1")
        require_variables(tile, names, consumer="derive_masks", hint="load both from the scene's *_udm2.tif")
        quality = array_namespace(valid).empty_like(valid)
        over_pixels(udm_rows, valid.shape, *(computed(tile[name].data) for name in names), valid, quality)
        source = "planet_udm2"
    elif "s2_scl" in tile:
        require_variables(tile, ["s2_scl"], consumer="derive_masks", hint="load it beside the bands")
        quality = array_namespace(valid).empty_like(valid)
        over_pixels(scl_rows, valid.shape, computed(tile["s2_scl"].data), valid, quality)
        source = "s2_scl"
    else:
        quality, source = valid.copy(), "none"
    bands_and = f"{', '.join(OPTICAL_BANDS)}, {source}" if source != "none" else ", ".join(OPTICAL_BANDS)
    return tile.assign(
        valid_data_mask=variable("valid_data_mask", valid, source=bands_and),
        quality_data_mask=variable("quality_data_mask", quality, source=bands_and),
    ).assign_attrs(quality_source=source)


derive_masks_batched = batched(derive_masks)


def _with_data(tile: xr.Dataset) -> Any:
    """True where all bands hold data; a new array."""
    if any(tile[name].attrs.items() >= HARMONIZED_ATTRS.items() for name in OPTICAL_BANDS):
        hint = "keep the mask of harmonised bands, whose zeros may be reflectances, or start from the raw tile"
        require_variables(tile, ["valid_data_mask"], consumer="derive_masks", hint=hint)
        return computed(tile["valid_data_mask"].data).copy()
    bands = [computed(tile[name].data) for name in OPTICAL_BANDS]
    valid = array_namespace(*bands).empty(bands[0].shape, "bool")
    over_pixels(data_rows, valid.shape, *bands, valid)
    return valid
