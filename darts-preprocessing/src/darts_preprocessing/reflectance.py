"""From digital numbers to surface reflectance × 10 000, the one scale that models see."""

import numpy as np
import xarray as xr

from darts_preprocessing.masks import HARMONIZED_ATTRS, derive_masks
from darts_preprocessing.optical_kernels import over_pixels, scale_rows
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.errors import TileContractError
from darts_utils.grids import tile_id
from darts_utils.tiles import require_variables, variable
from darts_utils.variables import OPTICAL_BANDS, REFLECTANCE_ATTRS, REFLECTANCE_UNIT


def harmonize_reflectance(tile: xr.Dataset) -> xr.Dataset:
    """Bring the optical bands to surface reflectance × 10 000.

    Args:
        tile: Raw tile with
            ``blue``, ``green``, ``red``, ``nir``  (y, x) uint16: DN, with the attributes ``reflectance_scale`` and
            ``reflectance_offset`` (reflectance = DN · scale + offset).
            ``valid_data_mask``  (y, x) bool; where it is absent, both masks are derived, see `derive_masks`, and kept.

    Returns:
        The tile with the bands replaced: uint16, rounded, clipped at 0 and 65 535, 0 where ``valid_data_mask`` is
        False. Their attributes say scale 0.0001 and offset 0, and name ``valid_data_mask`` as what tells zeros from missing
        data, so that doing it twice changes nothing.

    Raises:
        MissingVariableError: A band is missing, or the bands are harmonised already and ``valid_data_mask`` is missing.
        TileContractError: A band does not say its scale and offset; a band or a mask has other dims or another dtype than those
            above.
    """
    require_variables(tile, OPTICAL_BANDS, consumer="harmonize_reflectance", hint="load all four bands")
    if "valid_data_mask" not in tile:
        tile = derive_masks(tile)
    require_variables(tile, ["valid_data_mask"], consumer="harmonize_reflectance", hint="derive the masks first")
    valid = computed(tile["valid_data_mask"].data)
    return tile.assign({name: _harmonized(tile, name, valid) for name in OPTICAL_BANDS})


harmonize_reflectance_batched = batched(harmonize_reflectance)


def _harmonized(
    tile: xr.Dataset, name: str, valid: np.ndarray
) -> tuple[tuple[str, str], np.ndarray, dict[str, object]]:
    band = tile[name]
    try:
        scale, offset = float(band.attrs["reflectance_scale"]), float(band.attrs["reflectance_offset"])
    except KeyError as error:
        raise TileContractError(
            f"band {name!r} of tile {tile_id(tile)!r} must say how to read it (attributes reflectance_scale and "
            f"reflectance_offset), but has no {error}: load it with darts_preprocessing.loading or set them"
        ) from error
    counts = computed(band.data)
    # float64 keeps every DN exact, and what is exactly between two counts is rounded to even as everywhere in NumPy
    values = array_namespace(counts).empty(counts.shape, "uint16")
    options = scale * REFLECTANCE_UNIT, offset * REFLECTANCE_UNIT
    over_pixels(scale_rows, counts.shape, counts, valid, *options, values)
    source = str(band.attrs.get("source", "unknown"))
    return variable(name, values, source=source, **REFLECTANCE_ATTRS, **HARMONIZED_ATTRS)
