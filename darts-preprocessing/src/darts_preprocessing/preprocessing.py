"""The composition: a raw tile, an elevation model and trends in, a tile that models understand out."""

import warnings
from collections.abc import Collection
from typing import Any

import xarray as xr

from darts_preprocessing.alignment import align
from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.masks import derive_masks
from darts_preprocessing.reflectance import harmonize_reflectance
from darts_preprocessing.relative_elevation import calculate_relative_elevation, radius_px
from darts_preprocessing.spectral_indices import calculate_ndvi
from darts_preprocessing.terrain import calculate_slope
from darts_utils.batching import batched
from darts_utils.device import array_namespace, computed
from darts_utils.errors import DartsWarning, MissingVariableError
from darts_utils.grids import geobox_of, resolution_m, tile_id
from darts_utils.tiles import check_tile, require_variables
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

OPTICAL_FEATURES = ("ndvi",)
"""Features of the optical bands alone."""
DEM_FEATURES = ("relative_elevation", "slope", "dem")
"""Features of an elevation model."""
FEATURES = (*OPTICAL_FEATURES, *DEM_FEATURES, *TCVIS_BANDS)
"""Every feature that `preprocess` can make."""
_ON_REQUEST = ("dem",)


def preprocess(
    tile: xr.Dataset,
    *,
    dem: xr.Dataset | None = None,
    tcvis: xr.Dataset | None = None,
    features: Collection[str] | None = None,
    tpi_outer_radius_m: float = PreprocessingConfig.tpi_outer_radius_m,
    tpi_inner_radius_m: float = PreprocessingConfig.tpi_inner_radius_m,
) -> xr.Dataset:
    """Turn a raw tile into one that models understand.

    Args:
        tile: Raw tile with
            ``blue``, ``green``, ``red``, ``nir``  (y, x) uint16: DN with ``reflectance_scale`` and
            ``reflectance_offset``.
            ``planet_udm2`` and ``planet_udm1``, or ``s2_scl``  (y, x) uint8, or none of them.
        dem: Elevation in its own CRS and grid: ``dem`` float32 in metres. It should reach `tpi_outer_radius_m` beyond
            the tile on every side, so that the border is as good as the middle.
        tcvis: Trends in their own CRS and grid: ``tc_brightness``, ``tc_greenness``, ``tc_wetness`` uint8.
        features: Names of the features to make, others are not computed; names that are no features (bands, masks) are
            fine, so a model's ``required_variables`` can be given as it is. None: ``ndvi`` and all that `dem` and
            `tcvis` allow, without ``dem`` itself.
        tpi_outer_radius_m: Radius of the surroundings in ``relative_elevation``.
        tpi_inner_radius_m: Inner radius of the same; 0 is a disc.

    Returns:
        The tile with harmonised bands, ``valid_data_mask``, ``quality_data_mask`` and the features.

    Raises:
        MissingVariableError: A band, or what a feature of `features` is made from, is missing.
        TileContractError: The tile does not keep the contract or is not projected in metres.
        ValueError: A radius makes no sense.

    Warns:
        DartsWarning: The elevation model or the trends cover only a part of the tile; the tile has no sensor mask.

    Notes:
        Elevation and trends are warped cubically onto the tile's grid widened by the radius, derived, then cropped.
    """
    check_tile(tile, requires=OPTICAL_BANDS)
    step_m = resolution_m(tile)
    wanted = _wanted(tile, dem=dem, tcvis=tcvis, features=features)
    margin_px = radius_px(tpi_outer_radius_m, resolution_m=step_m) + 1
    if "valid_data_mask" not in tile or "quality_data_mask" not in tile:
        tile = derive_masks(tile)
    if tile.attrs.get("quality_source") == "none":
        _warn(tile, "no sensor mask: quality_data_mask equals valid_data_mask, clouds are not known")
    tile = harmonize_reflectance(tile)
    if "ndvi" in wanted:
        tile = calculate_ndvi(tile)
    if dem is not None and wanted & set(DEM_FEATURES):
        radii = dict(outer_radius_m=tpi_outer_radius_m, inner_radius_m=tpi_inner_radius_m)
        tile = _with_terrain(tile, dem, wanted=wanted, margin_px=margin_px, radii=radii)
    if tcvis is not None and wanted & set(TCVIS_BANDS):
        tile = _with_trends(tile, tcvis, wanted=wanted)
    return tile


preprocess_batched = batched(preprocess)


def _wanted(
    tile: xr.Dataset, *, dem: xr.Dataset | None, tcvis: xr.Dataset | None, features: Collection[str] | None
) -> set[str]:
    """The features to make; raises before any work if what they are made from is missing."""
    groups: tuple[tuple[xr.Dataset | None, tuple[str, ...], tuple[str, ...], str], ...] = (
        (dem, DEM_FEATURES, ("dem",), "dem"),
        (tcvis, TCVIS_BANDS, TCVIS_BANDS, "tcvis"),
    )
    wanted = set(OPTICAL_FEATURES) if features is None else set(features) & set(OPTICAL_FEATURES)
    for given, names, needs, option in groups:
        asked = [name for name in names if features is not None and name in features and name not in tile]
        if given is None:
            if asked:
                raise MissingVariableError(
                    "preprocess",
                    asked,
                    tile_id=tile_id(tile),
                    present=map(str, tile.data_vars),
                    hint=f"give {option}= or leave these features out",
                )
            continue
        if features is None:
            asked = [name for name in names if name not in _ON_REQUEST]
        if asked:
            require_variables(
                given, needs, consumer=f"preprocess({option}=)", hint="load it with darts_preprocessing.loading"
            )
        wanted.update(asked)
    return wanted


def _with_terrain(
    tile: xr.Dataset, dem: xr.Dataset, *, wanted: set[str], margin_px: int, radii: dict[str, Any]
) -> xr.Dataset:
    grid = geobox_of(tile)
    wide = align(dem[["dem"]], grid=grid.pad(margin_px))
    height, width = grid.shape
    core = dict(y=slice(margin_px, margin_px + height), x=slice(margin_px, margin_px + width))
    heights = wide["dem"].isel(core)
    _warn_of_gaps(tile, heights, "the elevation model")
    made = wide
    if "relative_elevation" in wanted:
        made = calculate_relative_elevation(made, **radii)
    if "slope" in wanted:
        made = calculate_slope(made)
    if "dem" not in wanted:
        made = made.drop_vars("dem")
    cropped = made.isel(core)
    return tile.assign({name: (("y", "x"), array.data, array.attrs) for name, array in cropped.data_vars.items()})


def _with_trends(tile: xr.Dataset, tcvis: xr.Dataset, *, wanted: set[str]) -> xr.Dataset:
    names = [name for name in TCVIS_BANDS if name in wanted]
    trends = align(tcvis[names], grid=geobox_of(tile))
    gap = max(float(array.attrs["missing_percent"]) for array in trends.data_vars.values())
    if gap > PreprocessingConfig.tcvis_gap_percent:
        _warn(tile, f"the trends cover only {100 - gap:.1f} % of the tile: the rest is 0")
    release = {"tcvis_release": tcvis.attrs["release"]} if "release" in tcvis.attrs else {}
    made = {name: (("y", "x"), array.data, array.attrs) for name, array in trends.data_vars.items()}
    return tile.assign(made).assign_attrs(tcvis_missing_percent=gap, **release)


def _warn_of_gaps(tile: xr.Dataset, heights: xr.DataArray, what: str) -> None:
    values = computed(heights.data)
    covered = 100.0 * float(array_namespace(values).isfinite(values).mean())
    if covered < 100.0:
        _warn(tile, f"{what} covers only {covered:.1f} % of the tile: its features are NaN in the rest")


def _warn(tile: xr.Dataset, message: str) -> None:
    warnings.warn(f"tile {tile_id(tile)!r}: {message}", DartsWarning, stacklevel=4)
