"""Local files to raw tiles.

`load_scene` looks at a path and picks the loader; the loaders read digital numbers as stored, the sensor's masks and the
metadata. `load_arcticdem` and `load_tcvis` read the window that a tile needs, in the raster's own projection.
"""

from darts_preprocessing.loading.arcticdem import load_arcticdem
from darts_preprocessing.loading.geotiff import load_geotiff, parse_bands
from darts_preprocessing.loading.planet import load_planet_scene
from darts_preprocessing.loading.safe import load_safe
from darts_preprocessing.loading.scenes import load_scene
from darts_preprocessing.loading.sentinel2 import load_sentinel2_scene
from darts_preprocessing.loading.tcvis import load_tcvis

__all__ = [
    "load_arcticdem",
    "load_geotiff",
    "load_planet_scene",
    "load_safe",
    "load_scene",
    "load_sentinel2_scene",
    "load_tcvis",
    "parse_bands",
]
