"""Patches of labelled scenes on disk: values as the tile had them in Zarr, what they are in Parquet.

=============================  ==========================================================================
``scenes/<scene>.zarr``        Zarr v3 group: each variable and ``labels`` as ``(N, H, W)``, a patch a chunk
``scenes/<scene>.parquet``     a row for each patch: scene, region, CRS, bounds, share of the class, share known
=============================  ==========================================================================

A scene is there when its Parquet file is, which is written last: a writer that was killed starts that scene again, and
several processes may write different scenes.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

from darts_train_utils.config import IGNORE_LABEL
from darts_train_utils.splits import Patches
from darts_utils.errors import TrainingDataError
from darts_utils.files import TEMPORARY_PREFIX, atomic_path, sync_folder

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LABELS = "labels"


def has_scene(folder: str | os.PathLike[str], scene: str) -> bool:
    """Whether a scene is in a store, complete.

    Args:
        folder: Of the store; it may be absent.
        scene: Name of the scene.
    """
    return (Path(folder) / "scenes" / f"{scene}.parquet").is_file()


def write_scene(
    folder: str | os.PathLike[str],
    *,
    scene: str,
    region: str,
    crs: str,
    bounds: NDArray[np.float64],
    variables: Mapping[str, NDArray[Any]],
    labels: NDArray[np.uint8],
) -> Path:
    """Write the patches of a scene; one of that name is replaced.

    Args:
        folder: Of the store; created if missing.
        scene: Its name: letters, digits, ``_``, ``-``, ``.``.
        region: Where it lies, for splits and scores.
        crs: Of `bounds`, as pyproj reads it.
        bounds: ``(N, 4)``: left, bottom, right, top of each patch.
        variables: ``(N, H, W)`` of each input variable, in its own dtype.
        labels: ``(N, H, W)`` uint8: 0, 1, 2 (ignored).

    Returns:
        The Parquet file.

    Raises:
        TrainingDataError: The name would be no file name, shapes differ, a label is unknown, or there is no patch.
        OutputError: The files cannot be written.
    """
    if not _NAME.fullmatch(scene):
        raise TrainingDataError(
            f"expected a scene name of letters, digits, '_', '-', '.', but got {scene!r}: rename it"
        )
    shapes = {name: values.shape for name, values in {**variables, _LABELS: labels}.items()}
    if _LABELS in variables or not variables or labels.ndim != 3 or len({*shapes.values()}) != 1:
        raise TrainingDataError(f"expected variables and labels (N, H, W) of one shape, but got {shapes}")
    if len(labels) == 0 or bounds.shape != (len(labels), 4):
        raise TrainingDataError(f"expected bounds (N, 4) of {len(labels)} patches, at least 1, but got {bounds.shape}")
    if labels.dtype != np.uint8 or not (labels <= IGNORE_LABEL).all():
        raise TrainingDataError(f"expected uint8 labels 0, 1, {IGNORE_LABEL}, but got {labels.dtype}: recode them")
    target = Path(folder) / "scenes" / f"{scene}.zarr"
    done = target.with_suffix(".parquet")
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{target.name}")
    for stale in (temporary, target):
        done.unlink(missing_ok=True)
        shutil.rmtree(stale, ignore_errors=True)
    group = zarr.open_group(temporary, mode="w", zarr_format=3)
    for name, values in {**variables, _LABELS: labels}.items():
        group.create_array(name, data=np.ascontiguousarray(values), chunks=(1, *labels.shape[1:]))
    temporary.replace(target)
    sync_folder(target.parent)
    with atomic_path(done) as path:
        pq.write_table(_table(scene, region, crs, bounds, labels), path)
    return done


def _table(scene: str, region: str, crs: str, bounds: NDArray[np.float64], labels: NDArray[np.uint8]) -> pa.Table:
    known = (labels != IGNORE_LABEL).sum(axis=(1, 2))
    positive = (labels == 1).sum(axis=(1, 2)) / np.maximum(known, 1)
    count = len(labels)
    sides = dict(zip(("left", "bottom", "right", "top"), np.asarray(bounds, "float64").T, strict=True))
    return pa.table(
        {
            "scene": [scene] * count,
            "region": [region] * count,
            "crs": [crs] * count,
            "patch": np.arange(count),
            **sides,
            "positive_share": positive,
            "known_share": known / labels[0].size,
        }
    )


class PatchStore:
    """Patches of all complete scenes of a folder, by row; scenes in order of their names.

    Args:
        folder: Of the store.

    Raises:
        TrainingDataError: There is no complete scene, or scenes differ in variables, dtypes or patch size.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder) / "scenes"
        files = sorted(self._folder.glob("[!.]*.parquet"))
        if not files:
            raise TrainingDataError(
                f"expected scenes in '{folder}', but there is none that is complete: prepare them first"
            )
        self.table: pa.Table = pa.concat_tables([pq.read_table(path) for path in files])
        self._scenes: list[str] = self.table["scene"].to_pylist()
        self._patch: NDArray[np.int64] = self.table["patch"].to_numpy()
        self._groups: dict[str, dict[str, zarr.Array[Any]]] = {}
        shapes = {name: self._shape_of(name) for name in dict.fromkeys(self._scenes)}
        first = next(iter(shapes))
        for name, shape in shapes.items():
            if shape != shapes[first]:
                raise TrainingDataError(
                    f"expected scenes of one kind, but {first!r} has {shapes[first]} and {name!r} has {shape}: prepare anew"
                )
        self.variables: tuple[str, ...] = tuple(name for name in shapes[first] if name != _LABELS)

    def __len__(self) -> int:
        return len(self._scenes)

    @property
    def patches(self) -> Patches:
        """What splits need to know, in order of the rows."""
        column = self.table.column
        bounds = np.stack([column(name).to_numpy() for name in ("left", "bottom", "right", "top")], axis=1)
        regions, crs = column("region").to_pylist(), column("crs").to_pylist()
        return Patches(self._scenes, regions, crs, bounds, column("positive_share").to_numpy())

    def name_of(self, row: int) -> str:
        """Return ``scene#patch``, for messages."""
        return f"{self._scenes[row]}#{self._patch[row]}"

    def read(self, row: int) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        """Read one patch.

        Args:
            row: From 0.

        Returns:
            ``(H, W)`` of each variable in its own dtype, and the labels.
        """
        arrays, patch = self._arrays(self._scenes[row]), int(self._patch[row])
        values = {name: np.asarray(array[patch]) for name, array in arrays.items()}
        return {name: values[name] for name in self.variables}, values[_LABELS]

    def _arrays(self, scene: str) -> dict[str, Any]:
        if scene not in self._groups:
            group = zarr.open_group(self._folder / f"{scene}.zarr", mode="r")
            self._groups[scene] = dict(sorted(group.arrays()))
        return self._groups[scene]

    def _shape_of(self, scene: str) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {name: (str(array.dtype), array.shape[1:]) for name, array in self._arrays(scene).items()}
