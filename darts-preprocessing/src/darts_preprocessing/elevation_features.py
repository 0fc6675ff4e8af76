"""Features of an elevation model on the grid of a tile: aligned with a margin, derived, cropped, and their gaps counted."""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_preprocessing.alignment import align
from darts_preprocessing.decoding import decoded
from darts_preprocessing.heights import implausible_heights
from darts_preprocessing.relative_elevation import (
    calculate_relative_elevation,
    footprint_of,
    looks_at_gaps,
    reach_px,
)
from darts_preprocessing.terrain import calculate_slope
from darts_utils.device import array_namespace, computed
from darts_utils.errors import TileContractError
from darts_utils.grids import tile_id
from darts_utils.tiles import DIMS


class Features(NamedTuple):
    """Variables for a tile, and what should be said about them."""

    variables: dict[str, tuple[tuple[str, str], Any, dict[str, Any]]]
    """Name → dims, values and attributes."""
    warnings: list[str]
    """Where the source falls short, in words."""


def elevation_features(
    dem: xr.Dataset,
    *,
    grid: GeoBox,
    wanted: Collection[str],
    outer_radius_m: float,
    inner_radius_m: float,
) -> Features:
    """Make features of an elevation model.

    Args:
        dem: Elevation in its own CRS and grid.
        grid: Grid of the tile, in metres.
        wanted: Some of ``dem``, ``slope`` and ``relative_elevation``.
        outer_radius_m: Radius of the surroundings in ``relative_elevation``.
        inner_radius_m: Inner radius of the same.

    Returns:
        The features; ``missing_percent`` in the attributes of each is its share of NaN, ``partial_percent`` in those of
        ``relative_elevation`` the share of values whose surroundings are not known as a whole.

    Raises:
        TileContractError: `dem` holds heights that are no metres on Earth.
    """
    dem = dem[["dem"]].assign(dem=dem["dem"].copy(data=computed(dem["dem"].data)))
    wrong = implausible_heights(decoded(dem["dem"]))
    if wrong is not None:
        raise TileContractError(f"the elevation model {tile_id(dem)!r} {wrong}")
    step_m = float(grid.affine.a)
    margin_px = reach_px(outer_radius_m, resolution_m=step_m)
    made = align(dem, grid=grid.pad(margin_px))
    if "relative_elevation" in wanted:
        made = calculate_relative_elevation(made, outer_radius_m=outer_radius_m, inner_radius_m=inner_radius_m)
    if "slope" in wanted:
        made = calculate_slope(made)
    height, width = grid.shape
    core = slice(margin_px, margin_px + height), slice(margin_px, margin_px + width)
    known = array_namespace(made["dem"].data).isfinite(made["dem"].data)
    cropped = {name: made[name].data[core] for name in map(str, made.data_vars) if name in wanted}
    missing = {name: _percent(array_namespace(values).isnan(values)) for name, values in cropped.items()}
    attrs = {name: {**made[name].attrs, "missing_percent": missing[name]} for name in cropped}
    partial_percent = 0.0
    if "relative_elevation" in cropped:
        footprint = footprint_of(outer_radius_m, inner_radius_m, resolution_m=step_m)
        partial_percent = _percent((looks_at_gaps(known, footprint) & known)[core])
        attrs["relative_elevation"]["partial_percent"] = partial_percent
    return Features(
        {name: (DIMS, values, attrs[name]) for name, values in cropped.items()},
        _notices(_percent(~known[core]), missing, partial_percent, radius_m=outer_radius_m),
    )


def _notices(gap_percent: float, missing: dict[str, float], partial_percent: float, *, radius_m: float) -> list[str]:
    notices = []
    shares = ", ".join(f"{name} {share:.3g} %" for name, share in missing.items() if share > 0)
    if gap_percent > 0:
        covered = math.floor(10 * (100 - gap_percent)) / 10  # 99.99 is not 100
        notices.append(f"the elevation model covers only {covered:.1f} % of the tile: NaN in the rest ({shares})")
    elif shares:
        notices.append(f"the elevation model ends at the tile's border, where features are NaN ({shares})")
    if partial_percent > 0:
        notices.append(
            f"relative_elevation of {partial_percent:.3g} % of the pixels is that to a part of their surroundings, because the "
            f"elevation model has gaps or ends within {radius_m:g} m: give one that reaches {radius_m:g} m beyond the tile"
        )
    return notices


def _percent(mask: NDArray[np.bool_]) -> float:
    return round(100.0 * float(mask.mean()), 4)
