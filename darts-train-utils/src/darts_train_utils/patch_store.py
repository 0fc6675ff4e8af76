"""Patches of labelled scenes on disk: values as the tile had them in Zarr, what they are in Parquet.

=====================================  ==================================================================================
``scenes/<scene>/patches.zarr``         Zarr v3 group: variables of one dtype stacked as ``(N, C, H, W)``, ``labels`` ``(N, H, W)``
``scenes/<scene>/patches.parquet``      a row for each patch: scene, region, date, sensor, CRS, window, bounds, shares
=====================================  ==================================================================================

A scene's folder gets its name when everything in it is complete and on disk: a writer that was killed leaves nothing of its
scene, several processes may write different scenes, and of two that write the same one the last counts, as a whole.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

from darts_train_utils.config import IGNORE_LABEL
from darts_train_utils.shards import PatchStack, ShardedArray, create_array, shard_slices
from darts_train_utils.splits import Patches
from darts_utils.dates import UNKNOWN_DATE
from darts_utils.errors import OutputError, TrainingDataError
from darts_utils.files import atomic_folder, remove_folder

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LABELS = "labels"
_ARRAYS, _TABLE = "patches.zarr", "patches.parquet"
_FACTS = b"darts"
"""Key of the table's metadata under which a scene's fingerprint and traits are, as JSON."""


def has_scene(folder: str | os.PathLike[str], scene: str) -> bool:
    """Whether a scene is in a store, complete.

    Args:
        folder: Of the store; it may be absent.
        scene: Name of the scene.
    """
    return scene_table(folder, scene).is_file()


def stored_scenes(folder: str | os.PathLike[str]) -> list[str]:
    """Names of all complete scenes of a store, sorted: what a training learns from.

    Args:
        folder: Of the store; it may be absent.
    """
    return sorted(path.parent.name for path in Path(folder).glob(f"scenes/[!.]*/{_TABLE}"))


def scene_table(folder: str | os.PathLike[str], scene: str) -> Path:
    """Path of the Parquet file of a scene, whether it is there or not."""
    return Path(folder) / "scenes" / scene / _TABLE


def scene_fingerprint(folder: str | os.PathLike[str], scene: str) -> str | None:
    """Return what a scene was made from, as `write_scene` was told; None where there is no such scene, or it cannot be read.

    Args:
        folder: Of the store; it may be absent.
        scene: Name of the scene.
    """
    try:
        return str(_facts_of(pq.read_schema(scene_table(folder, scene)))["fingerprint"])
    except (OSError, ValueError, LookupError):  # Arrow's errors are of these kinds
        return None


def remove_scene(folder: str | os.PathLike[str], scene: str) -> None:
    """Remove a scene from a store, all at once; it may be absent.

    Args:
        folder: Of the store.
        scene: Name of the scene.

    Raises:
        OutputError: It cannot be removed.
    """
    if not _NAME.fullmatch(scene):  # no scene has such a name, but a folder outside the store may be at '../x'
        return
    path = scene_table(folder, scene).parent
    try:
        remove_folder(path)
    except OSError as error:
        raise OutputError(f"cannot remove '{path}' ({error}): check the permissions") from error


def write_scene(
    folder: str | os.PathLike[str],
    *,
    scene: str,
    region: str,
    crs: str,
    bounds: NDArray[np.float64],
    variables: Mapping[str, PatchStack],
    labels: PatchStack,
    corners_px: NDArray[np.int64] | None = None,
    date: str = UNKNOWN_DATE,
    sensor: str = "unknown",
    fingerprint: str = "",
    traits: Mapping[str, str | float] | None = None,
) -> Path:
    """Write the patches of a scene; one of that name is replaced.

    Args:
        folder: Of the store; created if missing.
        scene: Its name: letters, digits, ``_``, ``-``, ``.``.
        region: Where it lies, for splits and scores.
        crs: Of `bounds`, as pyproj reads it.
        bounds: ``(N, 4)``: left, bottom, right, top of each patch.
        variables: ``(N, H, W)`` of each input variable, in its own dtype; asked for a few patches at a time.
        labels: ``(N, H, W)`` uint8: 0, 1, 2 (ignored).
        corners_px: ``(N, 2)``: first row and column of each patch in the scene; −1 where not given.
        date: Of the image.
        sensor: Of the image.
        fingerprint: What the scene is made from; `scene_fingerprint` returns it.
        traits: What must be alike in all scenes that a model learns from, such as a radius.

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
    shapes = {name: tuple(values.shape) for name, values in {**variables, _LABELS: labels}.items()}
    if _LABELS in variables or not variables or len(labels.shape) != 3 or len({*shapes.values()}) != 1:
        raise TrainingDataError(f"expected variables and labels (N, H, W) of one shape, but got {shapes}")
    count = labels.shape[0]
    corners = np.full((count, 2), -1) if corners_px is None else corners_px
    if count == 0 or bounds.shape != (count, 4) or corners.shape != (count, 2):
        raise TrainingDataError(
            f"expected bounds (N, 4) and corners (N, 2) of {count} patches, at least 1, but got {bounds.shape}, {corners.shape}"
        )
    if labels.dtype != np.uint8:
        raise TrainingDataError(f"expected uint8 labels 0, 1, {IGNORE_LABEL}, but got {labels.dtype}: recode them")
    path = scene_table(folder, scene)
    with atomic_folder(path.parent) as place:
        shares = _write_arrays(place / _ARRAYS, variables, labels)
        columns = {
            "scene": [scene] * count,
            "region": [region] * count,
            "date": [date] * count,
            "sensor": [sensor] * count,
            "crs": [crs] * count,
            "patch": np.arange(count),
            "row_px": corners[:, 0],
            "column_px": corners[:, 1],
            **dict(zip(("left", "bottom", "right", "top"), np.asarray(bounds, "float64").T, strict=True)),
            "positive_share": shares[:, 0],
            "known_share": shares[:, 1],
        }
        facts = json.dumps({"fingerprint": fingerprint, "traits": dict(traits or {})}, sort_keys=True)
        table = pa.table(columns).replace_schema_metadata({_FACTS: facts.encode()})
        pq.write_table(table, place / _TABLE)
    return path


def _write_arrays(path: Path, variables: Mapping[str, PatchStack], labels: PatchStack) -> NDArray[np.float64]:
    """Write all values; return the share of the class and of what is known of each patch."""
    count, height, width = labels.shape
    stacks: dict[str, list[str]] = {}
    for name, values in variables.items():
        stacks.setdefault(str(values.dtype), []).append(name)
    patch_bytes = height * width * (1 + sum(values.dtype.itemsize for values in variables.values()))
    shard, slices = shard_slices(count, patch_bytes)
    group = zarr.open_group(path, mode="w", zarr_format=3)
    arrays = {
        dtype: create_array(
            group,
            dtype,
            shape=(count, len(names), height, width),
            dtype=np.dtype(dtype),
            shard=shard,
            attributes={"variables": names},
        )
        for dtype, names in stacks.items()
    }
    of_labels = create_array(
        group, _LABELS, shape=labels.shape, dtype=labels.dtype, shard=shard, attributes={"ignored": IGNORE_LABEL}
    )
    shares = []
    for patches in slices:
        for dtype, names in stacks.items():
            arrays[dtype][patches] = np.stack([variables[name][patches] for name in names], axis=1)
        block = np.ascontiguousarray(labels[patches])
        if not (block <= IGNORE_LABEL).all():
            raise TrainingDataError(f"expected uint8 labels 0, 1, {IGNORE_LABEL}, but got {block.max()}: recode them")
        of_labels[patches] = block
        known, positive = ((block != IGNORE_LABEL).sum(axis=(1, 2)), (block == 1).sum(axis=(1, 2)))
        shares.append(np.stack([positive / np.maximum(known, 1), known / block[0].size], axis=1))
    return np.concatenate(shares)


class PatchStore:
    """Patches of all complete scenes of a folder, by row; scenes in order of their names.

    Args:
        folder: Of the store.

    Raises:
        TrainingDataError: There is no complete scene, one cannot be read, or scenes differ in variables, dtypes, patch size
            or traits.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        files = [scene_table(folder, scene) for scene in stored_scenes(folder)]
        if not files:
            raise TrainingDataError(
                f"expected scenes in '{folder}', but there is none that is complete: prepare them first"
            )
        tables = {path.parent.name: _read_table(path) for path in files}
        self.table: pa.Table = pa.concat_tables([table.replace_schema_metadata(None) for table in tables.values()])
        self._scenes: list[str] = self.table["scene"].to_pylist()
        self._patch: NDArray[np.int64] = self.table["patch"].to_numpy()
        self._arrays = {scene: _open_arrays(path.parent / _ARRAYS) for scene, path in zip(tables, files, strict=True)}
        self.traits: dict[str, str | float] = _only(
            "traits", {n: _facts_of(t.schema)["traits"] for n, t in tables.items()}
        )
        kinds = {scene: {name: _kind(array) for name, array in each.items()} for scene, each in self._arrays.items()}
        kind = _only("arrays", kinds)
        self.variables: tuple[str, ...] = tuple(sorted(name for _, _, names in kind.values() for name in names))

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

    def read(self, row: int, *, only: Iterable[str] | None = None) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        """Read one patch.

        Args:
            row: From 0.
            only: Names of the variables that are wanted; all if not given.

        Returns:
            ``(H, W)`` of each variable in its own dtype, and the labels.

        Raises:
            TrainingDataError: A file is damaged.
        """
        wanted = {*self.variables} if only is None else {*only}
        arrays, patch = self._arrays[self._scenes[row]], int(self._patch[row])
        values: dict[str, NDArray[Any]] = {}
        for array in arrays.values():
            names = array.attributes.get("variables", ())
            if wanted.intersection(names):
                values.update(zip(names, array.read(patch), strict=True))
        return {name: values[name] for name in self.variables if name in wanted}, arrays[_LABELS].read(patch)


def _read_table(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
        _facts_of(table.schema)
    except (OSError, ValueError, LookupError) as error:
        raise TrainingDataError(f"cannot read '{path}' ({error}): prepare the scene anew") from error
    return table


def _facts_of(schema: pa.Schema) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((schema.metadata or {})[_FACTS])
    return facts


def _open_arrays(path: Path) -> dict[str, ShardedArray]:
    try:
        names = sorted(each.name for each in path.iterdir() if each.is_dir())
    except OSError as error:
        raise TrainingDataError(f"cannot read '{path}' ({error}): prepare the scene anew") from error
    return {name: ShardedArray(path / name) for name in names}


def _kind(array: ShardedArray) -> tuple[str, tuple[int, ...], tuple[str, ...]]:
    return str(array.dtype), array.shape, tuple(array.attributes.get("variables", ()))


def _only(what: str, found: Mapping[str, Any]) -> Any:
    """The one value that all scenes have."""
    first = next(iter(found))
    for scene, value in found.items():
        if value != found[first]:
            raise TrainingDataError(
                f"expected scenes of one kind, but the {what} of {first!r} are {found[first]} and those of {scene!r} {value}: "
                "prepare anew"
            )
    return found[first]
