"""Spectral indices of harmonised bands."""

import xarray as xr

from darts_preprocessing.reflectance import REFLECTANCE_UNIT
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.tiles import require_variables, variable


def calculate_ndvi(tile: xr.Dataset) -> xr.Dataset:
    """Add the normalised difference vegetation index.

    Args:
        tile: Preprocessed bands
            ``red``, ``nir``  (y, x) uint16: reflectance × 10 000.
            ``valid_data_mask``  (y, x) bool.

    Returns:
        The tile plus ``ndvi``  (y, x) float32, −1 … 1; NaN where invalid and where both bands are 0.

    Raises:
        MissingVariableError: A variable is missing.

    Notes:
        ndvi = (nir − red) / (nir + red), each reflectance clipped to 0 … 1 before.

    References:
        Rouse et al. 1974, Monitoring vegetation systems in the Great Plains with ERTS, NASA SP-351, 309-317.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = calculate_ndvi(example_tile(["red", "nir", "valid_data_mask"]))
        >>> tile.ndvi.dtype
        dtype('float32')
    """
    names = ("red", "nir", "valid_data_mask")
    require_variables(tile, names, consumer="calculate_ndvi", hint="run harmonize_reflectance and derive_masks first")
    red, nir, valid = (computed(tile[name].data) for name in names)
    xp = array_namespace(red)
    red = xp.minimum(red, REFLECTANCE_UNIT).astype("float32")
    nir = xp.minimum(nir, REFLECTANCE_UNIT).astype("float32")
    total = nir + red
    defined = valid & (total > 0)
    ndvi = xp.where(defined, (nir - red) / xp.where(defined, total, xp.float32(1)), xp.float32("nan"))
    return tile.assign(ndvi=variable("ndvi", ndvi.astype("float32"), source="red, nir"))


calculate_ndvi_batched = batched(calculate_ndvi)
