"""A small store of patches for tests and examples: bright discs on dark ground, in three regions."""

import os
from collections.abc import Sequence

import numpy as np

from darts_train_utils.config import IGNORE_LABEL
from darts_train_utils.patch_store import write_scene


def write_example_store(
    folder: str | os.PathLike[str],
    *,
    regions: Sequence[str] = ("east", "north", "west"),
    patches: int = 4,
    patch_px: int = 32,
    seed: int = 0,
) -> None:
    """Write a store whose class can be learnt in a few steps.

    Args:
        folder: Of the store.
        regions: One scene for each.
        patches: In each scene; they lie side by side.
        patch_px: Edge length.
        seed: Of what is drawn.

    Notes:
        Variables are ``red`` (uint16, 5000 in a disc of the class, 2000 elsewhere, noisy) and ``slope`` (float32, noise, one
        pixel NaN). The first row of pixels of each patch is labelled 2.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:patch_px, :patch_px]
    for number, region in enumerate(regions):
        centres = rng.uniform(patch_px * 0.3, patch_px * 0.7, (patches, 2, 1, 1))
        radius = rng.uniform(patch_px * 0.15, patch_px * 0.3, (patches, 1, 1))
        labels = (np.hypot(y - centres[:, 0], x - centres[:, 1]) < radius).astype("uint8")
        red = 2000.0 + 3000.0 * labels + rng.normal(0, 200, labels.shape)
        slope = rng.uniform(0, 20, labels.shape).astype("float32")
        slope[:, 3, 4] = np.nan
        labels[:, 0] = IGNORE_LABEL
        left = 100_000.0 * number + 1000.0 * np.arange(patches)
        write_scene(
            folder,
            scene=f"scene-{number}",
            region=region,
            crs="EPSG:3413",
            bounds=np.stack([left, np.zeros(patches), left + 900, np.full(patches, 900.0)], axis=1),
            variables={"red": red.round().astype("uint16"), "slope": slope},
            labels=labels,
        )
