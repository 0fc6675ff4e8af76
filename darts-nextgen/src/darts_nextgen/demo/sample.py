"""The demo's scene and models."""

import os
from pathlib import Path

from darts_utils.synthetic import DEMO_SEED, ScenePaths, synthetic_scene, write_scene

MODELS = Path(__file__).resolve().parent / "models"
"""Folder of the networks ``full.pt`` and ``optical.pt``, of the records of their training, and of their scores."""

SHAPE_PX = (768, 768)
"""Height and width of the scene."""

RESOLUTION_M = 3.0
"""Pixel size of the scene: PlanetScope's."""


def write_sample(out_dir: str | os.PathLike[str]) -> ScenePaths:
    """Write the demo's scene: a PlanetScope folder, an elevation model, trends, and the outlines of its slumps.

    The scene was never shown to the networks while they were trained.

    Args:
        out_dir: Folder; files of the same names are replaced.

    Returns:
        The paths.

    Raises:
        OutputError: The folder cannot be written.
    """
    scene = synthetic_scene(DEMO_SEED, sensor="planetscope", resolution_m=RESOLUTION_M, shape=SHAPE_PX)
    return write_scene(scene, out_dir)
