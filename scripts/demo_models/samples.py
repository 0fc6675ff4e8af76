"""Preprocessed synthetic scenes, as arrays that training and the difficulty figures read."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import recipe
import xarray as xr

from darts_preprocessing import preprocess
from darts_utils.inference.normalization import network_input, parse_normalization
from darts_utils.synthetic import SceneSpec, SyntheticScene

IGNORE = 255
"""Label of pixels outside the quality mask: they neither teach nor count."""


def preprocessed(scene: SyntheticScene) -> xr.Dataset:
    """The scene's tile with every feature of the models."""
    return preprocess(scene.tile, dem=scene.dem, tcvis=scene.tcvis)


def label_of(scene: SyntheticScene, tile: xr.Dataset) -> np.ndarray:
    """``(y, x)`` uint8: 1 slump, 0 not, 255 outside the quality mask."""
    label = scene.truth.slump_mask.values.astype("uint8")
    return np.where(tile.quality_data_mask.values, label, IGNORE).astype("uint8")


def _store(job: tuple[SceneSpec, Path]) -> Path:
    spec, path = job
    scene = spec.make()
    tile = preprocessed(scene)
    # The channels of the optical model are the first ones of the full model.
    rules = parse_normalization({"normalization": recipe.NORMALIZATION}, variables=recipe.INPUTS["full"])
    inputs = network_input(tile, normalization=rules).astype("float16")
    np.savez(path, inputs=inputs, label=label_of(scene, tile))
    return path


def make_samples(specs: list[SceneSpec], folder: Path, *, processes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Make the samples of many scenes in parallel and return ``(inputs, label)`` pairs."""
    jobs = [(spec, folder / f"{spec.seed}.npz") for spec in specs]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        paths = list(pool.map(_store, jobs))
    samples = []
    for path in paths:
        with np.load(path) as stored:
            samples.append((stored["inputs"], stored["label"]))
    return samples
