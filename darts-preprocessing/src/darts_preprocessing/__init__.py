"""From local files to tiles that models understand.

Loaders (`darts_preprocessing.loading`) read a scene folder or a GeoTIFF into a *raw* tile: digital numbers as stored, the
sensor's masks, metadata. `preprocess` turns it into harmonised reflectance × 10 000, two masks and the features that
models ask for; elevation and trends come in their own projections and are aligned exactly, with a margin, so that a tile's
border is as good as its middle. `load_and_preprocess` does both; `load_auxiliary` reads what it needs of the rasters.

The single steps are verbs of their own, each with a ``_batched`` twin: `derive_masks`, `harmonize_reflectance`,
`calculate_ndvi` and `calculate_index` (any of `index_names`), `calculate_relative_elevation`, `calculate_slope`,
`calculate_aspect`, `calculate_hillshade`, `calculate_curvature`, `calculate_terrain_ruggedness`,
`calculate_vector_ruggedness`, `calculate_dissection`; `align` warps any raster onto any grid. They run on NumPy arrays with
compiled kernels, and on CuPy arrays with the twins of these.
"""

from darts_preprocessing.alignment import align
from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.exposure import (
    calculate_aspect,
    calculate_aspect_batched,
    calculate_hillshade,
    calculate_hillshade_batched,
)
from darts_preprocessing.from_files import load_and_preprocess, load_and_preprocess_batched, load_auxiliary
from darts_preprocessing.masks import derive_masks, derive_masks_batched
from darts_preprocessing.preprocessing import FEATURES, preprocess, preprocess_batched
from darts_preprocessing.reflectance import harmonize_reflectance, harmonize_reflectance_batched
from darts_preprocessing.relative_elevation import calculate_relative_elevation, calculate_relative_elevation_batched
from darts_preprocessing.ruggedness import (
    calculate_dissection,
    calculate_dissection_batched,
    calculate_terrain_ruggedness,
    calculate_terrain_ruggedness_batched,
    calculate_vector_ruggedness,
    calculate_vector_ruggedness_batched,
)
from darts_preprocessing.spectral_indices import (
    calculate_index,
    calculate_index_batched,
    calculate_ndvi,
    calculate_ndvi_batched,
    index_names,
)
from darts_preprocessing.terrain import (
    calculate_curvature,
    calculate_curvature_batched,
    calculate_slope,
    calculate_slope_batched,
)

__all__ = [
    "FEATURES",
    "PreprocessingConfig",
    "align",
    "calculate_aspect",
    "calculate_aspect_batched",
    "calculate_curvature",
    "calculate_curvature_batched",
    "calculate_dissection",
    "calculate_dissection_batched",
    "calculate_hillshade",
    "calculate_hillshade_batched",
    "calculate_index",
    "calculate_index_batched",
    "calculate_ndvi",
    "calculate_ndvi_batched",
    "calculate_relative_elevation",
    "calculate_relative_elevation_batched",
    "calculate_slope",
    "calculate_slope_batched",
    "calculate_terrain_ruggedness",
    "calculate_terrain_ruggedness_batched",
    "calculate_vector_ruggedness",
    "calculate_vector_ruggedness_batched",
    "derive_masks",
    "derive_masks_batched",
    "harmonize_reflectance",
    "harmonize_reflectance_batched",
    "index_names",
    "load_and_preprocess",
    "load_and_preprocess_batched",
    "load_auxiliary",
    "preprocess",
    "preprocess_batched",
]
