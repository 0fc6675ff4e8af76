"""Spectral indices of harmonised bands."""

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from darts_preprocessing.index_catalogue import BAND_SYMBOLS, SpectralIndex, index_catalogue
from darts_preprocessing.optical_kernels import ndvi_rows, over_pixels
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.kernels import over_rows
from darts_utils.tiles import require_reflectance, require_variables, variable
from darts_utils.variables import REFLECTANCE_UNIT

_BLOCK_PX = 1 << 16
"""Pixels that are computed at a time: they and what comes of them stay in the cache."""


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
        TileContractError: A band says that it holds something else, such as counts of the sensor; or it has other dims or
            another dtype.

    Notes:
        Bands that do not say their scale are taken for reflectance × 10 000.
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
    require_reflectance(tile, ("red", "nir"), consumer="calculate_ndvi")
    red, nir, valid = (computed(tile[name].data) for name in names)
    values = array_namespace(red).empty(red.shape, "float32")
    over_pixels(ndvi_rows, red.shape, red, nir, valid, values)
    return tile.assign(ndvi=variable("ndvi", values, source="red, nir"))


calculate_ndvi_batched = batched(calculate_ndvi)


def calculate_index(tile: xr.Dataset, name: str) -> xr.Dataset:
    """Add a spectral index of the spyndex catalogue.

    Args:
        tile: Preprocessed bands
            ``blue``, ``green``, ``red``, ``nir``  (y, x) uint16: reflectance × 10 000; those that the index is made from.
            ``valid_data_mask``  (y, x) bool.
        name: Name in the catalogue, as ``"GNDVI"``, or of the variable, as ``"gndvi"``; see `index_names`.

    Returns:
        The tile plus the index under its name in lower case, (y, x) float32; NaN where invalid and where the formula gives
        no finite number. The formula stands in its attributes.

    Raises:
        MissingVariableError: A variable is missing.
        TileContractError: As for `calculate_ndvi`.
        ValueError: The catalogue has no such index, or it needs more than the four bands.

    Notes:
        Each reflectance is clipped to 0 … 1 before. Constants have the values of the catalogue. Computed in float64, a few
        rows at a time. ``ndvi`` is that of `calculate_ndvi`. Runs on NumPy and CuPy; dask arrays are computed.

    References:
        Montero et al. 2023, A standardized catalogue of spectral indices, doi:10.1038/s41597-023-02096-0.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = calculate_index(example_tile(["green", "nir", "valid_data_mask"]), "GNDVI")
        >>> tile.gndvi.attrs["long_name"], tile.gndvi.attrs["formula"]
        ('Green Normalized Difference Vegetation Index', '(N-G)/(N+G)')
    """
    index = _index_named(name)
    if index.name == "ndvi":
        return calculate_ndvi(tile)
    needs = (*index.bands, "valid_data_mask")
    hint = "run harmonize_reflectance and derive_masks first"
    consumer = f"calculate_index({name!r})"
    require_variables(tile, needs, consumer=consumer, hint=hint)
    require_reflectance(tile, index.bands, consumer=consumer)
    bands = {symbol: computed(tile[BAND_SYMBOLS[symbol]].data) for symbol in index.symbols}
    valid = computed(tile["valid_data_mask"].data)
    values = array_namespace(valid).empty(valid.shape, "float32")
    over_rows(_index_rows, valid.shape[0], index, bands, valid, values)
    attrs = dict(formula=index.formula)
    return tile.assign({index.name: variable(index.name, values, source=", ".join(index.bands), **attrs)})


calculate_index_batched = batched(calculate_index)


def index_names() -> tuple[str, ...]:
    """Names of the variables of all spectral indices that the four bands allow, in order."""
    return tuple(sorted(index_catalogue()))


def is_index(name: str) -> bool:
    """Tell whether a variable is a spectral index that the four bands allow."""
    return name in index_catalogue()


def _index_named(name: str) -> SpectralIndex:
    catalogue = index_catalogue()
    if name.lower() in catalogue:
        return catalogue[name.lower()]
    near = difflib.get_close_matches(name.lower(), catalogue, n=1)
    advice = f"did you mean {near[0]!r}?" if near else "see darts_preprocessing.index_names()"
    raise ValueError(f"expected a spectral index of blue, green, red and nir, but got {name!r}: {advice}")


def _index_rows(first: int, last: int, index: SpectralIndex, bands: Mapping[str, Any], valid: Any, out: Any) -> None:
    xp = array_namespace(valid)
    rows = max(1, _BLOCK_PX // max(1, valid.shape[1]))
    with np.errstate(all="ignore"):  # what is not finite becomes NaN
        for top in range(first, last, rows):
            here = slice(top, min(top + rows, last))
            reflectances = {
                symbol: xp.minimum(band[here], REFLECTANCE_UNIT) / REFLECTANCE_UNIT for symbol, band in bands.items()
            }
            values = index.compute(reflectances)
            out[here] = xp.where(valid[here] & xp.isfinite(values.astype("float32")), values, xp.nan)
