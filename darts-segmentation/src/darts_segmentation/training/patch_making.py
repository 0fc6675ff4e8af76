"""One labelled tile to its patches in the store."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.features
import xarray as xr
from numpy.typing import NDArray

from darts_segmentation.training.labels import SceneLabels
from darts_segmentation.training.preparation_config import PreparationConfig
from darts_segmentation.training.traits import tile_traits
from darts_train_utils.config import IGNORE_LABEL
from darts_train_utils.patch_store import remove_scene, write_scene
from darts_utils.device import computed, to_numpy
from darts_utils.errors import TrainingDataError
from darts_utils.grids import geobox_of, tile_id
from darts_utils.patches import PatchWindow, patch_windows
from darts_utils.tile_io import read_tile
from darts_utils.tiles import require_variables

QUALITY = "quality_data_mask"
_SENSOR_MASKS = ("planet_udm1", "planet_udm2", "s2_scl")


@dataclass(frozen=True)
class SceneJob:
    """What one process needs to make the patches of one scene."""

    tile: xr.Dataset | Path
    """The tile, or its file."""
    scene: str
    """Its tile id."""
    region: str
    """Where it lies."""
    labels: SceneLabels
    """Its polygons."""
    out: Path
    """Folder of the store."""
    fingerprint: str
    """Of everything that the patches are made from."""
    config: PreparationConfig
    """Which patches there are."""


@dataclass(frozen=True)
class WindowStack:
    """Windows of one variable, cut out when they are asked for."""

    values: NDArray[Any]
    """``(y, x)``."""
    windows: Sequence[PatchWindow]
    """Of each patch."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, H, W)``."""
        size = self.windows[0].size if self.windows else 0
        return len(self.windows), size, size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.values.dtype

    def __getitem__(self, patches: slice) -> NDArray[Any]:
        """Return some of them: ``(n, H, W)``."""
        return np.stack([self.values[window.slices] for window in self.windows[patches]])


def make_patches(job: SceneJob) -> int:
    """Write the patches of one scene.

    Args:
        job: What to do.

    Returns:
        How many there are; 0 where all were left out.

    Raises:
        DartsError: The tile cannot be used, or the files cannot be written. The scene is not in the store then, nor is what
            it was before.
    """
    remove_scene(job.out, job.scene)  # what is not current must not be learnt from, whatever happens next
    config = job.config
    tile = read_tile(job.tile) if isinstance(job.tile, Path) else job.tile
    names = config.variables or input_variables(tile)
    require_variables(tile, [*names, QUALITY], consumer="prepare_training_data", hint="run preprocessing first")
    labels = rasterize_labels(tile, job.labels)
    windows = choose_windows(labels, scene=job.scene, config=config)
    if not windows:
        return 0
    transform = geobox_of(tile).affine
    corners = np.array([(window.row, window.column) for window in windows])
    left, top = transform.c + corners[:, 1] * transform.a, transform.f + corners[:, 0] * transform.e
    width, height = config.patch_px * transform.a, config.patch_px * transform.e
    write_scene(
        job.out,
        scene=job.scene,
        region=job.region,
        crs=_crs_text(tile),
        bounds=np.stack([left, top + height, left + width, top], axis=1),
        variables={name: WindowStack(to_numpy(computed(tile[name].data)), windows) for name in names},
        labels=WindowStack(labels, windows),
        corners_px=corners,
        date=str(tile.attrs.get("date", "unknown")),
        sensor=str(tile.attrs.get("sensor", "unknown")),
        fingerprint=job.fingerprint,
        traits=tile_traits(tile, names),
    )
    return len(windows)


def input_variables(tile: xr.Dataset) -> tuple[str, ...]:
    """Names of what a network may learn from: all variables but masks.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> input_variables(example_tile(["red", "s2_scl", "quality_data_mask"], shape=(2, 2)))
        ('red',)
    """
    return tuple(str(name) for name in tile.data_vars if name not in _SENSOR_MASKS and tile[name].dtype != bool)


def rasterize_labels(tile: xr.Dataset, labels: SceneLabels) -> NDArray[np.uint8]:
    """Burn polygons into the grid of a tile.

    Args:
        tile: Tile with
            ``quality_data_mask``  (y, x) bool: True where the image shows the ground.
        labels: Its polygons.

    Returns:
        ``(y, x)`` uint8: 1 where the centre of a pixel is in a polygon of the class; 2 where it is in an ignored one and in
        none of the class, and outside quality data; else 0.

    Notes:
        The rule for centres is that of GDAL without ``ALL_TOUCHED``: polygons that meet share no pixel.
    """
    shapes = [*((shape, IGNORE_LABEL) for shape in labels.ignored), *((shape, 1) for shape in labels.of_class)]
    grid = geobox_of(tile)
    burned = np.zeros(tuple(grid.shape), "uint8")
    if shapes:
        rasterio.features.rasterize(shapes, out=burned, transform=grid.affine, all_touched=False)
    burned[~to_numpy(computed(tile[QUALITY].data))] = IGNORE_LABEL
    return burned


def choose_windows(labels: NDArray[np.uint8], *, scene: str, config: PreparationConfig) -> list[PatchWindow]:
    """Decide which windows of a scene become patches.

    Args:
        labels: ``(y, x)`` uint8: 0, 1, 2 (ignored).
        scene: Its name, which decides the draw among patches without the class.
        config: Sizes and shares.

    Returns:
        Windows of which enough is known: all with the class, and the share that was asked for of the others.

    Raises:
        TrainingDataError: The scene is smaller than a patch.
    """
    if min(labels.shape) < config.patch_px:
        raise TrainingDataError(
            f"expected a scene of at least one patch ({config.patch_px} px), but {scene!r} has {labels.shape}: choose a smaller "
            "patch_px"
        )
    draws = np.random.default_rng([config.seed, zlib.crc32(scene.encode())])
    chosen = []
    for window in patch_windows(
        (labels.shape[0], labels.shape[1]), patch_px=config.patch_px, overlap_px=config.overlap_px
    ):
        patch, draw = labels[window.slices], draws.random()
        is_known = (patch != IGNORE_LABEL).mean() >= max(config.min_known_share, 1 / patch.size)
        if is_known and ((patch == 1).any() or draw < config.background_share):
            chosen.append(window)
    return chosen


def _crs_text(tile: xr.Dataset) -> str:
    crs = geobox_of(tile).crs
    return "" if crs is None else (f"EPSG:{crs.epsg}" if crs.epsg is not None else crs.to_wkt())


def tile_name(tile: xr.Dataset) -> str:
    """The name under which a tile's patches are stored.

    Raises:
        TrainingDataError: The tile has no id.
    """
    if "tile_id" not in tile.attrs:
        raise TrainingDataError("expected a tile with attrs['tile_id'], but got none: name it")
    return tile_id(tile)
