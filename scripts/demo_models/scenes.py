"""Synthetic scenes on their way into a training or a score: preprocessed tiles, outlines of slumps, labels.

The numbers of scenes and patches are here; how the models are trained on them is in ``full.toml`` and ``optical.toml``.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely.geometry
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_preprocessing import preprocess
from darts_segmentation.training import PreparationConfig
from darts_utils.grids import coords_of, geobox_of
from darts_utils.synthetic import SceneSpec, SyntheticScene, scene_specs
from darts_utils.tile_io import write_tile

TRAIN_SCENES = 160
VALIDATION_SCENES = 12
TEST_SCENES = 24
COUNTERFACTUAL_SCENES = 8

OPTICAL_INPUTS = ("blue", "green", "red", "nir", "ndvi")
FULL_INPUTS = (*OPTICAL_INPUTS, "relative_elevation", "slope", "tc_brightness", "tc_greenness", "tc_wetness")

PREPARATION = PreparationConfig(patch_px=256, overlap_px=0, variables=FULL_INPUTS, unlabelled="background", processes=2)
"""Which patches the scenes become; those of the optical model are among the variables."""

IGNORE = 255
"""Label of pixels outside the quality mask in a score: they do not count."""

_PER_ROW = 16
_SPACING_M = 6_000.0
"""Larger than a scene."""


class Place(NamedTuple):
    """A scene of a split, and where it goes."""

    spec: SceneSpec
    """What makes it."""
    split: str
    """Name of the split, which is its region."""
    east_m: float
    """How far it is moved to the east."""
    north_m: float
    """And to the north."""


def places(train_scenes: int = TRAIN_SCENES, validation_scenes: int = VALIDATION_SCENES) -> Iterator[Place]:
    """Give each scene of the training ground of its own.

    All scenes of the synthetic Arctic lie in one place. Moved apart, no two share ground, as the splits of a training ask.
    """
    train = ((spec, "training") for spec in scene_specs("train", train_scenes))
    validation = ((spec, "validation") for spec in scene_specs("validation", validation_scenes))
    for index, (spec, split) in enumerate(chain(train, validation)):
        row, column = divmod(index, _PER_ROW)
        yield Place(spec, split, column * _SPACING_M, row * _SPACING_M)


def write_sample(place: Place, folder: Path) -> Path:
    """Write the preprocessed tile of a scene, moved to its place, and the outlines of its slumps; return the tile's file.

    A scene that is there already is left as it is.
    """
    path = folder / f"{place.spec.seed:06d}.nc"
    if not path.is_file():
        scene = place.spec.make()
        tile = preprocessed(scene)
        grid = geobox_of(tile)
        moved = GeoBox(grid.shape, Affine.translation(place.east_m, place.north_m) * grid.affine, grid.crs)
        folder.mkdir(parents=True, exist_ok=True)
        outlines_of(scene, moved).to_parquet(outlines_file(path))
        write_tile(tile.assign_coords(coords_of(moved)), path)
    return path


def outlines_file(tile: Path) -> Path:
    """Where the outlines that belong to a tile's file are."""
    return tile.with_suffix(".parquet")


def outlines_of(scene: SyntheticScene, grid: GeoBox) -> gpd.GeoDataFrame:
    """Outlines of the slumps, along the pixels' edges, as if the scene lay on another grid."""
    mask = scene.truth.slump_mask.values.astype("uint8")
    shapes = rasterio.features.shapes(mask, mask=mask == 1, transform=grid.affine)
    return gpd.GeoDataFrame(geometry=[shapely.geometry.shape(shape) for shape, _ in shapes], crs=str(grid.crs))


def preprocessed(scene: SyntheticScene) -> xr.Dataset:
    """Make the scene's tile with every feature of the models."""
    return preprocess(scene.tile, dem=scene.dem, tcvis=scene.tcvis)


def label_of(scene: SyntheticScene, tile: xr.Dataset) -> np.ndarray:
    """``(y, x)`` uint8: 1 slump, 0 not, 255 outside the quality mask."""
    label = scene.truth.slump_mask.values.astype("uint8")
    return np.where(tile.quality_data_mask.values, label, IGNORE).astype("uint8")
