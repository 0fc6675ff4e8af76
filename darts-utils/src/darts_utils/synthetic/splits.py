"""Which scenes train a model and which are held out: one list, used by training, scoring and the difficulty figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from darts_utils.synthetic.config import Sensor
from darts_utils.synthetic.scene import SyntheticScene, synthetic_scene

Split = Literal["train", "validation", "test"]

FIRST_SEED: Final = {"train": 0, "validation": 50_000, "test": 100_000}
"""First seed of each split; a split counts upwards from there."""

DEMO_SEED: Final = 150_000
"""Seed of the demo's scene, in no split."""


@dataclass(frozen=True)
class SceneSpec:
    """What `synthetic_scene` needs to know to make a scene of a split."""

    seed: int
    """Seed of the scene."""
    sensor: Sensor
    """Which sensor."""
    resolution_m: float
    """Pixel size."""
    shape: tuple[int, int]
    """``(height, width)`` in pixels."""

    def make(self, *, stripes: bool = True, scarps: bool = True) -> SyntheticScene:
        """Make the scene, on request without stripes or dark scarps."""
        return synthetic_scene(
            self.seed,
            sensor=self.sensor,
            resolution_m=self.resolution_m,
            shape=self.shape,
            stripes=stripes,
            scarps=scarps,
        )


def scene_specs(split: Split, count: int) -> Iterator[SceneSpec]:
    """Yield the first `count` scenes of a split: PlanetScope at 3 m and Sentinel-2 at 10 m by turns.

    Sentinel-2 scenes are smaller in pixels: at 10 m they hold far more slumps.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        count: Number of scenes.

    Examples:
        >>> [spec.sensor for spec in scene_specs("test", 3)]
        ['planetscope', 'sentinel2', 'planetscope']
    """
    for index in range(count):
        seed = FIRST_SEED[split] + index
        if index % 2 == 0:
            yield SceneSpec(seed, "planetscope", 3.0, (512, 512))
        else:
            yield SceneSpec(seed, "sentinel2", 10.0, (384, 384))
