"""Folder in, tile out."""

import os
from collections.abc import Collection, Mapping
from typing import NamedTuple

import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.elevation_features import reach_px
from darts_preprocessing.loading import load_arcticdem, load_scene, load_tcvis
from darts_preprocessing.loading.releases import ReleaseRule
from darts_preprocessing.preprocessing import DEM_FEATURES, USUAL_FEATURES, named_features, preprocess
from darts_preprocessing.relative_elevation import check_radii
from darts_utils.batching import batched
from darts_utils.dates import UNKNOWN_DATE
from darts_utils.grids import coords_of, geobox_of, resolution_m
from darts_utils.variables import TCVIS_BANDS, USUAL_TCVIS_RULE

Auxiliary = xr.Dataset | str | os.PathLike[str]


class AuxiliaryRasters(NamedTuple):
    """What is known of a scene's surroundings, each in its own CRS."""

    dem: xr.Dataset | None
    """Elevation, as `darts_preprocessing.loading.load_arcticdem` returns it."""
    tcvis: xr.Dataset | None
    """Trends, as `darts_preprocessing.loading.load_tcvis` returns them."""


def load_and_preprocess(
    path: str | os.PathLike[str],
    *,
    dem: Auxiliary | None = None,
    tcvis: Auxiliary | None = None,
    bands: Mapping[str, int] | None = None,
    sentinel2_offset_dn: int | None = None,
    reflectance_scale: float | None = None,
    reflectance_offset: float | None = None,
    sensor: str | None = None,
    date: str | None = None,
    tcvis_release: str | None = None,
    tcvis_rule: ReleaseRule = USUAL_TCVIS_RULE,
    features: Collection[str] | None = None,
    tpi_outer_radius_m: float = PreprocessingConfig.tpi_outer_radius_m,
    tpi_inner_radius_m: float = PreprocessingConfig.tpi_inner_radius_m,
) -> xr.Dataset:
    """Load a scene with its elevation and trends, and preprocess it.

    Args:
        path: Scene folder or optical GeoTIFF, see `darts_preprocessing.loading.load_scene`.
        dem: ArcticDEM raster or folder of tiles, or a dataset as `load_arcticdem` returns it.
        tcvis: TCVIS raster or folder of tiles, or a dataset as `load_tcvis` returns it.
        bands: Number of each band, for a GeoTIFF.
        sentinel2_offset_dn: Count of reflectance 0, for a Sentinel-2 scene that does not say it, see `load_scene`.
        reflectance_scale: For a GeoTIFF: reflectance = count · scale + offset; None: as the file declares.
        reflectance_offset: For a GeoTIFF.
        sensor: Sensor of a scene that does not say it, as a GeoTIFF.
        date: Date ``YYYY-MM-DD`` of a scene that does not say it, as a GeoTIFF.
        tcvis_release: Release of a TCVIS raster, which does not say it; in a folder of several releases, the one to take.
        tcvis_rule: How the date of the scene chooses among several releases, see
            `darts_preprocessing.loading.releases.chosen_release`.
        features: Features to make, see `darts_preprocessing.preprocess`.
        tpi_outer_radius_m: Radius of the surroundings in ``relative_elevation``.
        tpi_inner_radius_m: Inner radius of the same.

    Returns:
        Preprocessed tile.

    Raises:
        SceneNotFoundError: A path holds nothing.
        SceneError: A file is damaged, not what it should be, or does not overlap the scene.
        GridMismatchError: Image and mask of the scene do not fit.
        TileContractError: The scene is not projected in metres.
        MissingVariableError: What a feature of `features` is made from is missing.
        ConfigError: `features` is no collection of names.
        ValueError: An option makes no sense.

    Warns:
        DartsWarning: As `darts_preprocessing.loading.load_scene` and `darts_preprocessing.preprocess` do.
    """
    check_radii(outer_radius_m=tpi_outer_radius_m, inner_radius_m=tpi_inner_radius_m)
    features = named_features(features)
    tile = load_scene(
        path,
        bands=bands,
        sentinel2_offset_dn=sentinel2_offset_dn,
        reflectance_scale=reflectance_scale,
        reflectance_offset=reflectance_offset,
        sensor=sensor,
        date=date,
    )
    auxiliary = load_auxiliary(
        geobox_of(tile),
        dem=dem,
        tcvis=tcvis,
        tcvis_release=tcvis_release,
        tcvis_rule=tcvis_rule,
        date=tile.attrs["date"],
        features=features,
        tpi_outer_radius_m=tpi_outer_radius_m,
    )
    return preprocess(
        tile,
        dem=auxiliary.dem,
        tcvis=auxiliary.tcvis,
        features=features,
        tpi_outer_radius_m=tpi_outer_radius_m,
        tpi_inner_radius_m=tpi_inner_radius_m,
    )


load_and_preprocess_batched = batched(load_and_preprocess)


def load_auxiliary(
    grid: GeoBox,
    *,
    dem: Auxiliary | None = None,
    tcvis: Auxiliary | None = None,
    tcvis_release: str | None = None,
    tcvis_rule: ReleaseRule = USUAL_TCVIS_RULE,
    date: str = UNKNOWN_DATE,
    features: Collection[str] | None = None,
    tpi_outer_radius_m: float = PreprocessingConfig.tpi_outer_radius_m,
) -> AuxiliaryRasters:
    """Read those parts of elevation and trends that the features of a tile need.

    Args:
        grid: Grid of the tile.
        dem: ArcticDEM raster or folder of tiles, or a dataset, which is passed on.
        tcvis: TCVIS raster or folder of tiles, or a dataset, which is passed on.
        tcvis_release: Release of a TCVIS raster, which does not say it; in a folder of several releases, the one to take.
        tcvis_rule: How `date` chooses among several releases.
        date: Date of the tile, ``YYYY-MM-DD``.
        features: Features that will be made; what none of them needs is not read. None: those that
            `darts_preprocessing.preprocess` makes where nobody names any.
        tpi_outer_radius_m: Radius of the surroundings in ``relative_elevation``.

    Returns:
        What `darts_preprocessing.preprocess` takes as ``dem=`` and ``tcvis=``; None where there is none or no need.

    Raises:
        SceneNotFoundError: A path holds nothing.
        SceneError: A file is damaged, not what it should be, or does not overlap the grid.
        TileContractError: The grid is not projected in metres.
        ConfigError: `features` is no collection of names.
        ValueError: The radius makes no sense.
    """
    check_radii(outer_radius_m=tpi_outer_radius_m, inner_radius_m=0.0)
    named = named_features(features)
    wanted = frozenset(USUAL_FEATURES) if named is None else named
    elevation = trends = None
    if dem is not None and wanted & set(DEM_FEATURES):
        elevation = dem if isinstance(dem, xr.Dataset) else _elevation_around(dem, grid, wanted, tpi_outer_radius_m)
    if tcvis is not None and wanted & set(TCVIS_BANDS):
        trends = (
            tcvis
            if isinstance(tcvis, xr.Dataset)
            else _trends_around(tcvis, grid, release=tcvis_release, rule=tcvis_rule, date=date)
        )
    return AuxiliaryRasters(elevation, trends)


def _elevation_around(
    path: str | os.PathLike[str], grid: GeoBox, features: Collection[str], outer_radius_m: float
) -> xr.Dataset:
    step_m = resolution_m(xr.Dataset(coords=coords_of(grid)))
    margin_px = reach_px(features, outer_radius_m=outer_radius_m, resolution_m=step_m)
    return load_arcticdem(path, grid=grid, margin_m=step_m * margin_px)


def _trends_around(
    path: str | os.PathLike[str], grid: GeoBox, *, release: str | None, rule: ReleaseRule, date: str
) -> xr.Dataset:
    return load_tcvis(path, grid=grid, release=release, rule=rule, date=date)
