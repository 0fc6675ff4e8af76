"""Whether the files of a tile are complete and current, and why not: a decision that only looks, from any process."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from darts_export.fingerprints import changes_of, sha256_of
from darts_export.manifest import Manifest, read_manifest
from darts_export.options import plain_options
from darts_export.products import member_of
from darts_utils.errors import OutputError

InputPaths = Mapping[str, Mapping[str, Path]]
"""Role of an input → name of each of its files → where the file is."""


@dataclass(frozen=True)
class Demand:
    """What the files of a tile should be, and from what."""

    products: tuple[str, ...]
    """Names of the products."""
    inputs: InputPaths
    """What would be read."""
    models: Mapping[str, str]
    """Name of each model → SHA-256 of its file, in order."""
    config: Mapping[str, object]
    """The options that decide the content."""
    software: Mapping[str, str]
    """Name of each distribution → its version."""


@dataclass(frozen=True)
class Verdict:
    """What `judge` found."""

    reasons: tuple[str, ...]
    """Why the tile is to be exported, one line each; empty where its files are complete and current."""
    manifest: Manifest | None
    """The manifest of the folder, where there is one."""

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to do."""
        return not self.reasons


def judge(folder: str | os.PathLike[str], demand: Demand) -> Verdict:
    """Compare the folder of a tile with what it should be; writes nothing.

    Args:
        folder: ``<out_dir>/<tile_id>``; it may be absent.
        demand: What the folder should hold.

    Returns:
        The reasons to export the tile. A folder that holds more products than are asked for is current: they are of the
        same pass. Every file is read, so damage that keeps the size is seen.
    """
    place = Path(folder)
    try:
        manifest = read_manifest(place)
    except OutputError as error:
        return Verdict((f"manifest: {error}",), None)
    if manifest is None:
        return Verdict((_without_manifest(place),), None)
    return Verdict(tuple(_reasons(manifest, place, demand)), manifest)


def other_tile(manifest: Manifest, folder: Path) -> str | None:
    """Say that a manifest is not that of the tile whose folder it lies in; None where it is."""
    if manifest.tile_id == Path(os.path.abspath(folder)).name:  # noqa: PTH100 - a link has the name of the tile
        return None
    return f"another tile: the manifest is that of {manifest.tile_id}"


class KnownFile(Protocol):
    """A file whose size and content are known."""

    @property
    def name(self) -> str:
        """Its path in the folder."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of its content."""
        ...


def damage_of(file: KnownFile, folder: Path, *, sizes_only: bool = False) -> str | None:
    """Say what is wrong with a file of an export, or of a data set; None where nothing is.

    Args:
        file: The file as it was written.
        folder: Where it should be.
        sizes_only: Do not read it.
    """
    path = folder / file.name
    try:
        if not path.is_file():
            return f"missing: {file.name}"
        size = path.stat().st_size
        if size != file.size:
            return f"damaged: {file.name} has {size} bytes instead of {file.size}"
        if not sizes_only and sha256_of(path) != file.sha256:
            return f"damaged: {file.name} has another content than was written"
    except OSError as error:
        return f"damaged: {file.name} cannot be read ({error.strerror})"
    return None


def _without_manifest(folder: Path) -> str:
    try:
        return "not finished: there is no manifest" if any(folder.iterdir()) else "new"
    except OSError:
        return "new"


def _reasons(manifest: Manifest, folder: Path, demand: Demand) -> Iterator[str]:
    if (stranger := other_tile(manifest, folder)) is not None:
        yield stranger
    yield from _software_changes(manifest.origin.software, demand.software)
    yield from _model_changes(manifest.origin.models, demand.models)
    yield from config_changes(manifest.origin.config, plain_options(demand.config))
    yield from _input_changes(manifest, demand.inputs)
    possible = [name for name in demand.products if member_of(name) not in manifest.origin.left_out]
    yield from (f"product added: {name}" for name in possible if name not in manifest.products)
    yield from (f"file {damage}" for file in manifest.files if (damage := damage_of(file, folder)) is not None)


def _software_changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield f"software changed: {name} {before.get(name, 'absent')} → {now.get(name, 'absent')}"


def _model_changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    yield from (f"model added: {name}" for name in now if name not in before)
    yield from (f"model removed: {name}" for name in before if name not in now)
    yield from (f"model changed: {name}" for name in now if name in before and now[name] != before[name])
    if list(before) != list(now) and set(before) == set(now):
        yield f"models in another order: {', '.join(before)} → {', '.join(now)}"


def config_changes(before: Mapping[str, Any], now: Mapping[str, Any], *, prefix: str = "") -> Iterator[str]:
    """Name the options that differ, with their old and new values.

    Examples:
        >>> list(config_changes({"export": {"block_px": 512}}, {"export": {"block_px": 256}, "date": "2021-08-21"}))
        ['option changed: export.block_px 512 → 256', "option changed: date not set → '2021-08-21'"]
    """
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from config_changes(old, new, prefix=f"{prefix}{name}.")
        elif old != new:
            yield f"option changed: {prefix}{name} {_stated(old)} → {_stated(new)}"


def _stated(value: Any) -> str:
    return "not set" if value is None else repr(value)


def _input_changes(manifest: Manifest, inputs: InputPaths) -> Iterator[str]:
    before = manifest.origin.inputs
    yield from (f"input added: {role}" for role in inputs if role not in before)
    yield from (f"input removed: {role}" for role in before if role not in inputs)
    for role, files in inputs.items():
        if role in before:
            yield from (f"input changed: {role}: {change}" for change in changes_of(before[role], files))


def lacking(products: Collection[str], manifest: Manifest | None, folder: Path) -> bool:
    """Whether a folder is without a product, or without a file that its manifest lists; sizes only."""
    if manifest is None or not set(products) <= set(manifest.products):
        return True
    return any(damage_of(file, folder, sizes_only=True) is not None for file in manifest.files)
