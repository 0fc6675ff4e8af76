"""How many scenes are on their way at once, so that their tiles never need more of the object store than they may."""

import threading
import warnings
from collections.abc import Collection
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from darts_nextgen.pipeline.config import RunConfig
from darts_preprocessing.loading.sources import RASTER_SUFFIXES
from darts_utils.variables import VARIABLES

_RASTERS = (*RASTER_SUFFIXES, ".jp2")

_ALWAYS_BYTES = 12
"""Bytes of a pixel that every tile has: four bands of 16 bits, two masks and the sensor's."""


class Admission:
    """Lets scenes in while there is room for their tiles.

    A tile may be in the store twice, as it came and with its probabilities: from when it is given to a process with models until
    Ray has freed what came, up to a second after the answer. So each counts twice.

    Args:
        limit_bytes: Most bytes in the store.
        least: So many tiles are let in whatever they need, because with fewer nothing would go on.
    """

    def __init__(self, limit_bytes: int, *, least: int) -> None:
        self._limit_bytes = limit_bytes
        self._least = least
        self._inside: dict[int, int] = {}
        self._factor = 1.0
        self._changed = threading.Condition()
        self._is_closed = False

    @property
    def inside(self) -> int:
        """Number of tiles that are on their way."""
        return len(self._inside)

    @property
    def is_closed(self) -> bool:
        """Whether the run has ended."""
        return self._is_closed

    def enter(self, number: int, *, expected_bytes: int) -> bool:
        """Wait until there is room for a tile.

        Args:
            number: What it is known by.
            expected_bytes: What it is going to need, with its probabilities.

        Returns:
            False where the run has ended meanwhile.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._has_room(expected_bytes))
            if not self._is_closed:
                self._inside[number] = expected_bytes
            return not self._is_closed

    def leave(self, number: int, *, measured_bytes: int = 0) -> None:
        """Say that a tile has ended.

        Args:
            number: What it is known by.
            measured_bytes: What it has needed; 0 where it never was one. Where that is more than was expected, more is expected
                of all others.
        """
        with self._changed:
            expected = self._inside.pop(number, 0)
            if expected > 0:
                self._factor = max(self._factor, measured_bytes / expected)
            self._changed.notify_all()

    def close(self) -> None:
        """Let nothing in any more, and nobody wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _has_room(self, expected_bytes: int) -> bool:
        if len(self._inside) < self._least:
            return True
        needed = [*self._inside.values(), expected_bytes]
        return self._factor * 2 * sum(needed) <= self._limit_bytes


def expected_bytes(scene: Path, *, config: RunConfig, features: Collection[str], models: int) -> int:
    """What a tile will need with its probabilities; only the header of its largest raster is read.

    Args:
        scene: Folder of the scene, or its file.
        config: The run.
        features: Features that preprocessing makes.
        models: Number of models.

    Returns:
        Bytes; 0 where there is nothing that can be read, and so nothing that will need memory.
    """
    of_a_pixel = _ALWAYS_BYTES + sum(np.dtype(VARIABLES[name].dtype).itemsize for name in features)
    answers = 1 + (models if config.postprocessing.keep_members else 0)
    answers += "probabilities_std" in config.export.products
    return _pixels(scene) * (of_a_pixel + 4 * answers)


def _pixels(scene: Path) -> int:
    try:
        files = [scene] if scene.is_file() else [each for each in scene.rglob("*") if each.suffix.lower() in _RASTERS]
        largest = max(files, key=lambda each: each.stat().st_size, default=None)
        if largest is None:
            return 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(largest) as raster:
                return int(raster.width * raster.height)
    except (OSError, RasterioError):
        return 0
