"""What a tile is: an ``xr.Dataset`` on one grid; how to check one and how to build its variables.

A tile has dims ``(y, x)``, one variable per band, mask or feature, and the coordinates that `darts_utils.grids` speaks of.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.grids import geobox_of, tile_id
from darts_utils.variables import REFLECTANCE_ATTRS, VARIABLES

DIMS = ("y", "x")
"""Dims of every tile variable, in order."""


def require_variables(tile: xr.Dataset, names: Iterable[str], *, consumer: str, hint: str) -> None:
    """Raise if the tile lacks a variable, or has it in another form than the contract says.

    Args:
        tile: Any dataset.
        names: Variables that `consumer` needs.
        consumer: Who needs them, for the message.
        hint: What the user should do, for the message.

    Raises:
        MissingVariableError: Names everything that is missing, at once.
        TileContractError: A variable has other dims than ``(y, x)``, or another dtype than the registry says.
    """
    names = tuple(names)
    missing = [name for name in names if name not in tile.data_vars]
    if missing:
        raise MissingVariableError(
            consumer, missing, tile_id=tile_id(tile), present=map(str, tile.data_vars), hint=hint
        )
    for name in names:
        _check_variable(tile, name)


def require_reflectance(tile: xr.Dataset, bands: Iterable[str], *, consumer: str) -> None:
    """Raise if a band says that it holds something else than surface reflectance × 10 000, as counts of a sensor do.

    Args:
        tile: Tile with the bands.
        bands: Names of optical bands that `consumer` takes for reflectance.
        consumer: Who needs them, for the message.

    Raises:
        TileContractError: The attributes ``reflectance_scale`` and ``reflectance_offset`` of a band are not those of
            preprocessed bands.

    Notes:
        A band without these attributes is taken for what the contract says. Looks at attributes only.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["red"])
        >>> require_reflectance(tile, ["red"], consumer="an index")
        >>> tile.red.attrs["reflectance_offset"] = -0.1
        >>> require_reflectance(tile, ["red"], consumer="an index")
        Traceback (most recent call last):
            ...
        darts_utils.errors.TileContractError: an index needs reflectance × 10 000 in 'red'; tile 'example-0' says ...
    """
    for name in bands:
        attrs = tile[name].attrs
        said = {key: attrs[key] for key in REFLECTANCE_ATTRS if key in attrs}
        if not all(_is_close(value, REFLECTANCE_ATTRS[key]) for key, value in said.items()):
            raise TileContractError(
                f"{consumer} needs reflectance × 10 000 in {name!r}; tile {tile_id(tile)!r} says {said} there, which are "
                "counts of the sensor: run preprocessing first (darts_preprocessing.harmonize_reflectance for the bands alone)"
            )


def _is_close(value: Any, expected: float) -> bool:
    """Whether an attribute is that number; what is no number is not."""
    try:
        return not isinstance(value, bool | str) and math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-9)
    except (TypeError, OverflowError):
        return False


def check_tile(tile: xr.Dataset, *, requires: Iterable[str] = ()) -> GeoBox:
    """Verify that a dataset keeps the tile contract.

    Args:
        tile: The dataset.
        requires: Variables that must be there.

    Returns:
        The grid of the tile.

    Raises:
        TileContractError: Wrong type, dims, dtype or coordinates.
        MissingVariableError: A variable of `requires` is absent.

    Notes:
        Looks at metadata only, never at pixels: it costs microseconds on a tile of any size. Variables that the
        registry does not know are free in dtype, not in dims.
    """
    if not isinstance(tile, xr.Dataset):
        raise TileContractError(
            f"a tile must be an xarray.Dataset, but got {type(tile).__name__}: one variable per band"
        )
    grid = geobox_of(tile)
    require_variables(tile, requires, consumer="the tile check", hint="run the step that makes them first")
    for name in tile.data_vars:
        if not isinstance(name, str):
            raise TileContractError(f"a tile's variables must have names (text), but got {name!r}: rename it")
        _check_variable(tile, name)
    return grid


def _check_variable(tile: xr.Dataset, name: str) -> None:
    values = tile[name].variable
    if values.dims != DIMS:
        raise TileContractError(
            f"variable {name!r} of tile {tile_id(tile)!r} must have dims ('y', 'x'), but got {values.dims}: "
            "transpose it, or give each band a variable of its own"
        )
    if name in VARIABLES and values.dtype != np.dtype(VARIABLES[name].dtype):
        raise TileContractError(
            f"variable {name!r} of tile {tile_id(tile)!r} must be {VARIABLES[name].dtype}, but got "
            f"{values.dtype}: convert it with its scale in mind"
        )


def variable(name: str, values: Any, *, source: str, **attrs: object) -> tuple[tuple[str, str], Any, dict[str, object]]:
    """Build a tile variable for ``tile.assign`` with its attributes from the registry.

    Args:
        name: Name in the registry.
        values: ``(y, x)`` array of the registry's dtype (NumPy, CuPy or dask).
        source: Where the values come from, e.g. ``"ArcticDEM v4.1 2 m"``.
        **attrs: Further attributes, such as ``reflectance_scale``.

    Returns:
        The ``(dims, values, attrs)`` triple that xarray turns into a variable.

    Raises:
        TileContractError: The registry does not know `name`, or `values` has another dtype than it says, or is not
            two-dimensional.

    Examples:
        >>> import numpy as np
        >>> dims, values, attrs = variable("ndvi", np.zeros((2, 3), "float32"), source="red, nir")
        >>> attrs
        {'long_name': 'normalised difference vegetation index', 'units': '1', 'source': 'red, nir'}
    """
    if name not in VARIABLES:
        raise TileContractError(
            f"expected the name of a tile variable, but got {name!r}: add it to darts_utils.variables first"
        )
    row = VARIABLES[name]
    if values.ndim != 2 or values.dtype != np.dtype(row.dtype):
        raise TileContractError(
            f"variable {name!r} must be a (y, x) array of {row.dtype}, but got shape {tuple(values.shape)} of {values.dtype}"
        )
    return DIMS, values, {**row.attrs, "source": source, **attrs}
