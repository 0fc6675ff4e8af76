"""Small valid tiles, made from the registry."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_utils.grids import coords_of
from darts_utils.tiles import variable
from darts_utils.variables import REFLECTANCE_ATTRS, REFLECTANCE_UNIT, VARIABLES, Variable

_UNBOUNDED = 50.0
"""Half the range of values of variables that have no bounds."""


def example_tile(
    variables: Iterable[str],
    *,
    shape: tuple[int, int] = (32, 40),
    seed: int = 0,
    resolution_m: float = 10.0,
    crs: str = "EPSG:32608",
) -> xr.Dataset:
    """Make a tile of random valid values.

    Args:
        variables: Names from the registry.
        shape: ``(height, width)`` in pixels.
        seed: Seed of the values.
        resolution_m: Pixel size.
        crs: Projected CRS.

    Returns:
        A tile that passes `darts_utils.tiles.check_tile`, each variable uniform within its range of the registry, masks
        true in nine of ten pixels.

    Examples:
        >>> tile = example_tile(["red", "valid_data_mask"], shape=(4, 5))
        >>> tile.red.dtype, tile.red.shape
        (dtype('uint16'), (4, 5))
    """
    rng = np.random.default_rng(seed)
    grid = GeoBox(shape, Affine(resolution_m, 0, 500_000, 0, -resolution_m, 7_550_000), crs)
    tile = xr.Dataset(
        coords=coords_of(grid),
        attrs={
            "tile_id": f"example-{seed}",
            "sensor": "planetscope",
            "date": "2021-08-21",
            "sun_azimuth_deg": 170.0,
            "sun_elevation_deg": 34.0,
        },
    )
    return tile.assign(
        {
            name: variable(
                name,
                _values(VARIABLES[name], shape, rng),
                source="example",
                **(REFLECTANCE_ATTRS if VARIABLES[name].dtype == "uint16" else {}),
            )
            for name in variables
        }
    )


def _values(row: Variable, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[Any]:
    low = -_UNBOUNDED if row.valid_min is None else row.valid_min
    high = _UNBOUNDED if row.valid_max is None else row.valid_max
    if row.dtype == "bool":
        return rng.random(shape) < 0.9
    if row.dtype == "uint16":  # reflectance: stay below 1
        return rng.integers(1, REFLECTANCE_UNIT, shape, dtype="uint16")
    if np.issubdtype(row.dtype, np.integer):
        return rng.integers(int(low), int(high), shape, endpoint=True, dtype=row.dtype)
    return rng.uniform(low, high, shape).astype(row.dtype)
