"""The chip of the Peel Plateau, its experts, and its halves."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import xarray as xr

from darts_preprocessing import load_and_preprocess
from darts_preprocessing.loading import parse_bands
from darts_utils.errors import DartsWarning
from darts_utils.grids import geobox_of

SCENE = "peel/S2_20210821T210019_20210821T210020_T08WMA.tif"
OUTLINES = "peel/expert_outlines.gpkg"
BANDS = parse_bands("blue=1,green=2,red=3,nir=7")
MAJORITY = 6
"""A pixel is a slump where at least so many of the 12 experts outlined it."""

NDVI_THRESHOLD = 0.2

Window = tuple[slice, slice]
"""Rows and columns."""


def iou(found: np.ndarray, known: np.ndarray) -> float:
    """Pixels in both divided by pixels in either; NaN where there are none."""
    either = int((found | known).sum())
    return int((found & known).sum()) / either if either else float("nan")


def expert_masks(path: Path, *, shape: tuple[int, int], transform: rasterio.Affine, crs: str) -> np.ndarray:
    """``(expert, y, x)`` bool: the pixels whose centre an expert outlined."""
    outlines = gpd.read_file(path).to_crs(crs)
    drawn = [
        rasterio.features.rasterize(group.geometry, out_shape=shape, transform=transform, dtype="uint8")
        for _, group in outlines.groupby("expert")
    ]
    return np.stack(drawn) == 1


@dataclass(frozen=True)
class Chip:
    """What is known of the scene."""

    tile: xr.Dataset
    """Preprocessed: bands at the top of the atmosphere × 10 000, NDVI."""
    experts: np.ndarray
    """``(expert, y, x)`` bool."""

    @property
    def majority(self) -> np.ndarray:
        """``(y, x)`` bool: where at least `MAJORITY` experts outlined a slump."""
        found: np.ndarray = self.experts.sum(axis=0) >= MAJORITY
        return found

    @property
    def bare(self) -> np.ndarray:
        """``(y, x)`` bool: NDVI below `NDVI_THRESHOLD`."""
        found: np.ndarray = self.tile.ndvi.values < NDVI_THRESHOLD
        return found


def read_chip(data: Path) -> Chip:
    """Read the scene and the outlines from the folder of real data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DartsWarning)
        tile = load_and_preprocess(data / SCENE, bands=BANDS)
    grid = geobox_of(tile)
    experts = expert_masks(data / OUTLINES, shape=grid.shape, transform=grid.affine, crs=str(grid.crs))
    return Chip(tile, experts)
