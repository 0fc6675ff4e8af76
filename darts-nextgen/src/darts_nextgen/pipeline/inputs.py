"""Which files a tile is made from, and what they and the models were when they were looked at."""

import hashlib
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from darts_ensemble.sources import model_files
from darts_export.fingerprints import Fingerprint, fingerprint
from darts_export.staleness import InputPaths
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.scene_options import SceneOptions
from darts_nextgen.pipeline.tasks import SceneTask
from darts_preprocessing.preprocessing import DEM_FEATURES
from darts_utils.errors import CheckpointError
from darts_utils.files import TEMPORARY_PREFIX, is_file
from darts_utils.inference.legacy.run_folder import last_epoch, run_of_epoch
from darts_utils.variables import TCVIS_BANDS

SCENE = "scene"
"""Role of the files of the scene."""

LARGEST_HASHED_AUXILIARY = 2 * 1024**3
"""Elevation and trends are shared by many tiles and may be mosaics of any size: files of more bytes than this are known by
size and time alone."""

MOST_HASHED_AUXILIARY = 16
"""Where elevation or trends have more files than this, all of them are known by size and time alone."""


def input_paths(task: SceneTask, *, config: SceneOptions, features: Collection[str]) -> InputPaths:
    """Find the files that a tile is made from.

    Args:
        task: The scene.
        config: The options of the scenes.
        features: The features that preprocessing makes; what none of them needs is not read.

    Returns:
        Role (``"scene"``, ``"dem"``, ``"tcvis"``) → name → path. A folder (a scene, the tiles of an elevation model) has all
        files in it, but for the folder of the results; a raster has all that GDAL reads with it, the sources of a VRT too. Names start at the
        scene's folder, or at that of the raster, so that everything may move.
    """
    found = {SCENE: _raster_files(task.path, results=config.out)}
    for role, path, needing in (("dem", config.dem, DEM_FEATURES), ("tcvis", config.tcvis, TCVIS_BANDS)):
        if path is not None and set(needing) & set(features):
            found[role] = _raster_files(path, results=config.out)
    return found


def input_fingerprints(paths: InputPaths) -> dict[str, tuple[Fingerprint, ...]]:
    """Look at the files; to be done before they are read.

    Raises:
        OSError: A file cannot be read.
    """
    return {
        role: tuple(
            fingerprint(path, name=name, largest_hashed=None if role == SCENE else _largest_hashed(files))
            for name, path in files.items()
        )
        for role, files in paths.items()
    }


def _largest_hashed(files: Mapping[str, Path]) -> int:
    """What to hash of elevation or trends: all files, or none where there are many, which are tiles of a mosaic."""
    return LARGEST_HASHED_AUXILIARY if len(files) <= MOST_HASHED_AUXILIARY else -1


def model_hashes(config: RunConfig) -> dict[str, str]:
    """Hash the model files; to be done before they are loaded.

    Returns:
        Name of each model → SHA-256 of its file, or of the hashes of its files where it has several (a JSON twin, the
        configuration of a run folder); in the order of the ensemble.

    Raises:
        CheckpointError: A file or folder is absent or cannot be read.
        ConfigError: Two files would have the same name.
    """
    return {name: _hash_of_model(name, path) for name, path in model_files(list(config.models)).items()}


def _hash_of_model(name: str, path: Path) -> str:
    try:
        parts = [fingerprint(each, name=each.name).sha256 or "" for each in _files_of_model(path)]
    except OSError as error:
        raise CheckpointError(
            f"expected model {name!r} at '{path}', but it cannot be read ({error.strerror}): check path and permissions"
        ) from error
    return parts[0] if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _files_of_model(path: Path) -> list[Path]:
    """The files that `darts_utils.inference` reads for a model: its weights, and what stands beside them."""
    run = path if path.is_dir() else run_of_epoch(path)
    if run is not None:
        return [last_epoch(run) if path.is_dir() else path, run / "config.yml"]
    twin = path.with_suffix(".json")
    return [path, twin] if path.suffix == ".safetensors" and is_file(twin) else [path]


def _raster_files(path: Path, *, results: Path) -> Mapping[str, Path]:
    if is_file(path):
        return _named_files(path)
    return {each.relative_to(path).as_posix(): each for each in _files_below(path, results=results)}


def _files_below(folder: Path, *, results: Path) -> Iterator[Path]:
    """The files in a folder, those in folders that are links too, each folder once."""
    passed = {results.resolve(), folder.resolve()}
    for place, folders, files in os.walk(folder, followlinks=True):
        targets = {each: Path(place, each).resolve() for each in sorted(folders)}
        folders[:] = [each for each, target in targets.items() if target not in passed]
        passed.update(targets.values())
        yield from (Path(place, name) for name in sorted(files) if not name.startswith(TEMPORARY_PREFIX))


def _named_files(raster: Path) -> Mapping[str, Path]:
    if not is_file(raster):  # reading says what is wrong
        return {}
    found = raster.stat()
    return {
        os.path.relpath(each, raster.parent): Path(each)
        for each in _read_with(raster, found.st_size, found.st_mtime_ns)
    }


@lru_cache(maxsize=1000)
def _read_with(raster: Path, _size: int, _mtime_ns: int) -> tuple[str, ...]:
    """The files that GDAL reads with a raster; looked up once for each size and time."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(raster) as opened:
                return tuple(dict.fromkeys([str(raster), *opened.files]))
    except RasterioIOError:
        return (str(raster),)  # reading the scene says what is wrong
