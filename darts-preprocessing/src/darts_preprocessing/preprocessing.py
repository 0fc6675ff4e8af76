"""The composition: a raw tile, an elevation model and trends in, a tile that models understand out."""

import warnings
from collections.abc import Collection
from typing import Any

import xarray as xr

from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.elevation_features import elevation_features
from darts_preprocessing.exposure import sun_angles_deg
from darts_preprocessing.masks import derive_masks
from darts_preprocessing.reflectance import harmonize_reflectance
from darts_preprocessing.relative_elevation import check_radii
from darts_preprocessing.spectral_indices import calculate_index, calculate_ndvi, is_index
from darts_preprocessing.trend_features import trend_features
from darts_utils.batching import batched
from darts_utils.device import beside
from darts_utils.errors import ConfigError, DartsWarning, MissingVariableError
from darts_utils.grids import geobox_of, resolution_m, tile_id
from darts_utils.tiles import DIMS, check_tile, require_variables
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS, VARIABLES

_ON_REQUEST = (
    "dem",
    "hillshade",
    "aspect",
    "curvature",
    "terrain_ruggedness",
    "vector_ruggedness",
    "dissection",
)
FEATURES = ("ndvi", "relative_elevation", "slope", *_ON_REQUEST, *TCVIS_BANDS)
"""Every feature that `preprocess` can make, beside the spectral indices of `index_names`."""
USUAL_FEATURES = tuple(name for name in FEATURES if name not in _ON_REQUEST)
"""Those that it makes where nobody names any, as far as elevation and trends are there."""
OPTICAL_FEATURES = tuple(name for name in FEATURES if VARIABLES[name].origin == "optical")
"""Features of the optical bands alone, without further spectral indices."""
DEM_FEATURES = tuple(name for name in FEATURES if VARIABLES[name].origin == "dem")
"""Features of an elevation model."""


def named_features(features: Collection[str] | None) -> frozenset[str] | None:
    """The names of features that a user asks for; None where nobody names any.

    Raises:
        ConfigError: They are no names, or one name without a list around it, whose letters would be taken for names.

    Examples:
        >>> sorted(named_features(["slope", "ndvi"]))
        ['ndvi', 'slope']
    """
    if features is None:
        return None
    if isinstance(features, str) or not all(isinstance(name, str) for name in features):
        advice = f"write [{features!r}]" if isinstance(features, str) else "name them as text"
        raise ConfigError(f"expected a list of names as features, but got {features!r}: {advice}")
    return frozenset(features)


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
            fine, so a model's ``required_variables`` can be given as it is; a spectral index has its lower-case name
            (``gndvi``). None: ``ndvi``, ``relative_elevation``, ``slope`` and the trends, as far as `dem` and `tcvis` allow. A
            feature that the tile has already is made anew where its source is given, and kept where it is not.
        tpi_outer_radius_m: Radius of the surroundings in ``relative_elevation``.
        tpi_inner_radius_m: Inner radius of the same; 0 is a disc.

    Returns:
        The tile with harmonised bands, ``valid_data_mask``, ``quality_data_mask`` and the features. Features of `dem` and
        `tcvis` say in ``attrs["missing_percent"]`` how much of the tile they do not know, and ``relative_elevation`` in
        ``attrs["partial_percent"]`` how many of its values compare with a part of the surroundings only.
        ``attrs["tcvis_missing_percent"]`` is the share without trends, ``attrs["tcvis_release"]`` that of `tcvis`, if it
        says it.

    Raises:
        MissingVariableError: A band, or what a feature of `features` is made from, is missing.
        TileContractError: The tile does not keep the contract or is not projected in metres; `dem` holds heights that are
            no metres on Earth.
        ConfigError: `features` is no collection of names.
        ValueError: A radius makes no sense.

    Warns:
        DartsWarning: The elevation model covers only a part of the tile or of its surroundings; the trends have gaps; the
            tile has no sensor mask; a hillshade is made for a scene that does not say where the sun was.

    Notes:
        Elevation is warped cubically onto the tile's grid, widened by as much as the features look beyond a pixel; they are
        derived for the tile alone. All of the result is where the tile is, in host memory or on a GPU, wherever `dem` and
        `tcvis` are. Beside inputs and results, little more than those heights is in memory.
    """
    check_tile(tile, requires=OPTICAL_BANDS)
    resolution_m(tile)  # raises where the tile is not projected in metres
    check_radii(outer_radius_m=tpi_outer_radius_m, inner_radius_m=tpi_inner_radius_m)
    wanted = _wanted(tile, dem=dem, tcvis=tcvis, features=named_features(features))
    if "valid_data_mask" not in tile or "quality_data_mask" not in tile:
        tile = derive_masks(tile)
    if tile.attrs.get("quality_source") == "none":
        _warn(tile, "no sensor mask: quality_data_mask equals valid_data_mask, clouds are not known")
    tile = harmonize_reflectance(tile)
    if "ndvi" in wanted:
        tile = calculate_ndvi(tile)
    for name in sorted(wanted - set(FEATURES)):
        tile = calculate_index(tile, name)
    if dem is not None and wanted & set(DEM_FEATURES):
        sun_deg = {"sun_deg": sun_angles_deg(tile)} if "hillshade" in wanted else {}
        made = elevation_features(
            dem,
            grid=geobox_of(tile),
            wanted=wanted,
            outer_radius_m=tpi_outer_radius_m,
            inner_radius_m=tpi_inner_radius_m,
            **sun_deg,
        )
        tile = tile.assign({name: _beside_bands(tile, *made.variables[name]) for name in made.variables})
        for notice in made.warnings:
            _warn(tile, notice)
    if tcvis is not None and wanted & set(TCVIS_BANDS):
        trends = trend_features(tcvis, grid=geobox_of(tile), wanted=wanted)
        gap_percent = max(float(array.attrs["missing_percent"]) for array in trends.data_vars.values())
        if gap_percent > PreprocessingConfig.tcvis_gap_percent:
            _warn(tile, f"the trends cover only {100 - gap_percent:.1f} % of the tile: the rest is 0")
        release = {"tcvis_release": tcvis.attrs["release"]} if "release" in tcvis.attrs else {}
        tile = tile.assign(
            {name: _beside_bands(tile, DIMS, array.data, array.attrs) for name, array in trends.data_vars.items()}
        )
        tile = tile.assign_attrs(tcvis_missing_percent=gap_percent, **release)
    return tile


preprocess_batched = batched(preprocess)


def _wanted(
    tile: xr.Dataset, *, dem: xr.Dataset | None, tcvis: xr.Dataset | None, features: frozenset[str] | None
) -> set[str]:
    """The features to make; raises before any work if what they are made from is missing."""
    groups: tuple[tuple[xr.Dataset | None, tuple[str, ...], tuple[str, ...], str], ...] = (
        (dem, DEM_FEATURES, ("dem",), "dem"),
        (tcvis, TCVIS_BANDS, TCVIS_BANDS, "tcvis"),
    )
    wanted = set(OPTICAL_FEATURES)
    if features is not None:
        indices = {name for name in features - set(VARIABLES) if is_index(name)}
        wanted = wanted & features | indices
    for given, names, needs, option in groups:
        asked = [name for name in names if features is not None and name in features]
        if given is None:
            missing = [name for name in asked if name not in tile]
            if missing:
                raise MissingVariableError(
                    "preprocess",
                    missing,
                    tile_id=tile_id(tile),
                    present=map(str, tile.data_vars),
                    hint=f"give {option}= or leave these features out",
                )
            continue
        if features is None:
            asked = [name for name in names if name in USUAL_FEATURES]
        if asked:
            require_variables(
                given, needs, consumer=f"preprocess({option}=)", hint="load it with darts_preprocessing.loading"
            )
        wanted.update(asked)
    return wanted


def _beside_bands(
    tile: xr.Dataset, dims: tuple[str, str], values: Any, attrs: dict[str, Any]
) -> tuple[tuple[str, str], Any, dict[str, Any]]:
    """A variable whose values are where the harmonised bands are."""
    return dims, beside(values, like=tile[OPTICAL_BANDS[0]].data), attrs


def _warn(tile: xr.Dataset, message: str) -> None:
    warnings.warn(f"tile {tile_id(tile)!r}: {message}", DartsWarning, stacklevel=3)
