"""From local files to tiles that models understand.

Loaders (`darts_preprocessing.loading`) read a scene folder or a GeoTIFF into a *raw* tile: digital numbers as stored, the
sensor's masks, metadata. `preprocess` turns it into harmonised reflectance × 10 000, two masks and the features that
models ask for; elevation and trends come in their own projections and are aligned exactly, with a margin, so that a tile's
border is as good as its middle. `load_and_preprocess` does both; `load_auxiliary` reads what it needs of the rasters.

The single steps are verbs of their own, each with a ``_batched`` twin: `derive_masks`, `harmonize_reflectance`,
`calculate_ndvi`, `calculate_relative_elevation`, `calculate_slope`; `align` warps any raster onto any grid.
"""

from darts_preprocessing.alignment import align
from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.from_files import load_and_preprocess, load_and_preprocess_batched, load_auxiliary
from darts_preprocessing.masks import derive_masks, derive_masks_batched
from darts_preprocessing.preprocessing import FEATURES, preprocess, preprocess_batched
from darts_preprocessing.reflectance import harmonize_reflectance, harmonize_reflectance_batched
from darts_preprocessing.relative_elevation import calculate_relative_elevation, calculate_relative_elevation_batched
from darts_preprocessing.spectral_indices import calculate_ndvi, calculate_ndvi_batched
from darts_preprocessing.terrain import calculate_slope, calculate_slope_batched

__all__ = [
    "FEATURES",
    "PreprocessingConfig",
    "align",
    "calculate_ndvi",
    "calculate_ndvi_batched",
    "calculate_relative_elevation",
    "calculate_relative_elevation_batched",
    "calculate_slope",
    "calculate_slope_batched",
    "derive_masks",
    "derive_masks_batched",
    "harmonize_reflectance",
    "harmonize_reflectance_batched",
    "load_and_preprocess",
    "load_and_preprocess_batched",
    "load_auxiliary",
    "preprocess",
    "preprocess_batched",
]
