"""Preprocessed synthetic scenes, as arrays that training and the difficulty figures read."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import recipe
import xarray as xr

from darts_preprocessing import preprocess
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


def _normalised(tile: xr.Dataset) -> np.ndarray:
    """``(C, y, x)`` float16 network inputs of the full model; the optical model reads the first channels."""
    channels = []
    for name in recipe.INPUTS["full"]:
        rule = recipe.NORMALIZATION[name]
        scaled = (tile[name].values.astype("float32") - rule["offset"]) * rule["scale"]
        channels.append(np.nan_to_num(np.clip(scaled, 0, 1), nan=0))
    return np.stack(channels).astype("float16")


def _store(job: tuple[SceneSpec, Path]) -> Path:
    spec, path = job
    scene = spec.make()
    tile = preprocessed(scene)
    np.savez(path, inputs=_normalised(tile), label=label_of(scene, tile))
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
