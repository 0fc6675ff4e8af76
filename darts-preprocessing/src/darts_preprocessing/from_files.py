"""Folder in, tile out."""

import os
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import xarray as xr
from odc.geo.geobox import GeoBox

from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.loading import load_arcticdem, load_scene, load_tcvis
from darts_preprocessing.loading.geotiff import DEFAULT_OFFSET, DEFAULT_SCALE
from darts_preprocessing.preprocessing import DEM_FEATURES, FEATURES, preprocess
from darts_utils.batching import batched
from darts_utils.grids import geobox_of
from darts_utils.variables import TCVIS_BANDS

_KERNEL_MARGIN_M = 150.0
"""Read beyond the radius for the resampling kernels of the coarsest rasters (32 m)."""

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
    reflectance_scale: float = DEFAULT_SCALE,
    reflectance_offset: float = DEFAULT_OFFSET,
    features: Collection[str] | None = None,
    tpi_outer_radius_m: float = PreprocessingConfig.tpi_outer_radius_m,
    tpi_inner_radius_m: float = PreprocessingConfig.tpi_inner_radius_m,
) -> xr.Dataset:
    """Load a scene with its elevation and trends, and preprocess it.

    Args:
        path: Scene folder or optical GeoTIFF, see `darts_preprocessing.loading.load_scene`.
        dem: ArcticDEM raster, or a dataset as `load_arcticdem` returns it.
        tcvis: TCVIS raster, or a dataset as `load_tcvis` returns it.
        bands: Number of each band, for a GeoTIFF.
        sentinel2_offset_dn: Count of reflectance 0, for a Sentinel-2 folder.
        reflectance_scale: For a GeoTIFF: reflectance = count · scale + offset.
        reflectance_offset: For a GeoTIFF.
        features: Features to make, see `darts_preprocessing.preprocess`.
        tpi_outer_radius_m: Radius of the surroundings in ``relative_elevation``.
        tpi_inner_radius_m: Inner radius of the same.

    Returns:
        Preprocessed tile.

    Raises:
        SceneNotFoundError: A path holds nothing.
        SceneError: A file is damaged or not what it should be.
        GridMismatchError: Image and mask of the scene do not share one grid.
        MissingVariableError: What a feature of `features` is made from is missing.
        ValueError: An option makes no sense.
    """
    tile = load_scene(
        path,
        bands=bands,
        sentinel2_offset_dn=sentinel2_offset_dn,
        reflectance_scale=reflectance_scale,
        reflectance_offset=reflectance_offset,
    )
    auxiliary = load_auxiliary(
        geobox_of(tile), dem=dem, tcvis=tcvis, features=features, tpi_outer_radius_m=tpi_outer_radius_m
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
    features: Collection[str] | None = None,
    tpi_outer_radius_m: float = PreprocessingConfig.tpi_outer_radius_m,
) -> AuxiliaryRasters:
    """Read those parts of elevation and trends that the features of a tile need.

    Args:
        grid: Grid of the tile.
        dem: ArcticDEM raster, or a dataset, which is passed on.
        tcvis: TCVIS raster, or a dataset, which is passed on.
        features: Features that will be made; what none of them needs is not read. None: all that can be made.
        tpi_outer_radius_m: Radius of the surroundings in ``relative_elevation``.

    Returns:
        What `darts_preprocessing.preprocess` takes as ``dem=`` and ``tcvis=``; None where there is none or no need.

    Raises:
        SceneNotFoundError: A path holds nothing.
        SceneError: A file is damaged, not what it should be, or does not overlap the grid.
    """
    wanted = set(FEATURES if features is None else features)
    elevation = trends = None
    if dem is not None and wanted & set(DEM_FEATURES):
        elevation = _loaded(dem, load_arcticdem, grid, margin_m=tpi_outer_radius_m + _KERNEL_MARGIN_M)
    if tcvis is not None and wanted & set(TCVIS_BANDS):
        trends = _loaded(tcvis, load_tcvis, grid, margin_m=_KERNEL_MARGIN_M)
    return AuxiliaryRasters(elevation, trends)


def _loaded(given: Auxiliary, loader: Callable[..., xr.Dataset], grid: GeoBox, *, margin_m: float) -> xr.Dataset:
    return given if isinstance(given, xr.Dataset) else loader(given, grid=grid, margin_m=margin_m)
