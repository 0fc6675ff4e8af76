"""Features of an elevation model on the grid of a tile: aligned with a margin, derived for the tile alone, gaps counted."""

import math
from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple

import xarray as xr
from odc.geo.geobox import GeoBox
from pyproj import CRS

from darts_preprocessing.alignment import align
from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.decoding import decoded
from darts_preprocessing.elevation import ElevationFeature, FeatureVariable
from darts_preprocessing.exposure import aspect, hillshade
from darts_preprocessing.heights import foreign_unit, implausible_heights
from darts_preprocessing.relative_elevation import radius_px, relative_elevation
from darts_preprocessing.ruggedness import dissection, terrain_ruggedness, vector_ruggedness, window_px
from darts_preprocessing.terrain import curvature, slope
from darts_utils.device import array_namespace, computed
from darts_utils.errors import TileContractError
from darts_utils.grids import geobox_of, tile_id
from darts_utils.tiles import DIMS

_RECIPES: dict[str, ElevationFeature] = {
    "slope": slope,
    "aspect": aspect,
    "curvature": curvature,
    "terrain_ruggedness": terrain_ruggedness,
    "vector_ruggedness": vector_ruggedness,
    "dissection": dissection,
}
"""Name → feature, for those without options of their own."""
_UNDEFINED_WHERE_FLAT = ("aspect", "dissection")
"""NaN of these does not always mean that the elevation model has a gap."""


class Features(NamedTuple):
    """Variables for a tile, and what should be said about them."""

    variables: dict[str, FeatureVariable]
    """Name → dims, values and attributes."""
    warnings: list[str]
    """Where the source falls short, in words."""


def reach_px(features: Collection[str], *, outer_radius_m: float, resolution_m: float) -> int:
    """How far features of an elevation model look beyond a pixel.

    Args:
        features: Names of features; those of something else do not matter.
        outer_radius_m: Radius of the surroundings in ``relative_elevation``.
        resolution_m: Edge of a pixel.

    Returns:
        Pixels on each side, at least one.

    Examples:
        >>> reach_px(["slope"], outer_radius_m=100, resolution_m=3.0)
        1
        >>> reach_px(["slope", "relative_elevation"], outer_radius_m=100, resolution_m=3.0)
        34
    """
    reaches = [1]
    if "relative_elevation" in features:
        reaches.append(radius_px(outer_radius_m, resolution_m=resolution_m))
    if "vector_ruggedness" in features:
        reaches.append(window_px(PreprocessingConfig.vector_ruggedness_radius_m, resolution_m=resolution_m) + 1)
    if "dissection" in features:
        reaches.append(window_px(PreprocessingConfig.dissection_radius_m, resolution_m=resolution_m))
    return max(reaches)


def elevation_features(
    dem: xr.Dataset,
    *,
    grid: GeoBox,
    wanted: Collection[str],
    outer_radius_m: float,
    inner_radius_m: float,
    sun_deg: tuple[float, float] = (PreprocessingConfig.sun_azimuth_deg, PreprocessingConfig.sun_elevation_deg),
) -> Features:
    """Make features of an elevation model.

    Args:
        dem: Elevation in its own CRS and grid.
        grid: Grid of the tile, in metres.
        wanted: Names of features of an elevation model, or ``dem``.
        outer_radius_m: Radius of the surroundings in ``relative_elevation``.
        inner_radius_m: Inner radius of the same.
        sun_deg: Azimuth and elevation of the sun in ``hillshade``.

    Returns:
        The features; ``missing_percent`` in the attributes of each is its share of NaN, ``partial_percent`` in those of
        ``relative_elevation`` the share of values whose surroundings are not known as a whole.

    Raises:
        TileContractError: `dem` says that it is not in metres, or holds heights that are no metres on Earth.
    """
    unit = foreign_unit(dem["dem"].attrs.get("units"), CRS(str(geobox_of(dem).crs)))
    if unit is not None:
        raise TileContractError(
            f"the elevation model {tile_id(dem)!r} must hold metres, but its unit is {unit!r}: convert it to metres first, or, "
            "where its heights are in metres, say so in attrs['units']"
        )
    dem = dem[["dem"]].assign(dem=dem["dem"].copy(data=computed(dem["dem"].data)))
    wrong = implausible_heights(decoded(dem["dem"]))
    if wrong is not None:
        raise TileContractError(f"the elevation model {tile_id(dem)!r} {wrong}")
    step_m = float(grid.affine.a)
    margin_px = reach_px(wanted, outer_radius_m=outer_radius_m, resolution_m=step_m)
    aligned = align(dem, grid=grid.pad(margin_px))["dem"]
    core = aligned.data[margin_px : margin_px + grid.shape[0], margin_px : margin_px + grid.shape[1]]
    recipes: dict[str, ElevationFeature] = {
        "relative_elevation": partial(relative_elevation, outer_radius_m=outer_radius_m, inner_radius_m=inner_radius_m),
        "hillshade": partial(hillshade, sun_deg=sun_deg),
        **_RECIPES,
    }
    made = {
        name: recipe(aligned.data, grid=grid, margin_px=margin_px) for name, recipe in recipes.items() if name in wanted
    }
    if "dem" in wanted:
        made["dem"] = DIMS, core.copy(), dict(aligned.attrs)
    missing = {}
    for name, (_, values, attrs) in made.items():
        missing[name] = attrs["missing_percent"] = _unknown_percent(values)
    partial_percent = made["relative_elevation"][2]["partial_percent"] if "relative_elevation" in made else 0.0
    told = {name: share for name, share in missing.items() if name not in _UNDEFINED_WHERE_FLAT}
    return Features(made, _notices(_unknown_percent(core), told, partial_percent, radius_m=outer_radius_m))


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


def _unknown_percent(values: Any) -> float:
    return round(100.0 * float(array_namespace(values).isnan(values).mean()), 4)
