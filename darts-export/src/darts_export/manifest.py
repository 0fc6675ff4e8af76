"""Manifests: what a tile's files were made from, and what they must be; a folder with a true manifest is complete."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts_export.fingerprints import Fingerprint
from darts_utils.errors import OutputError
from darts_utils.files import atomic_path

MANIFEST_FILE = "manifest.json"
"""Name of the manifest in the folder of a tile; it is the last file that an export writes."""

FORMAT = 2
"""Version of the manifest's format; another one is refused, and its tile is made again."""


@dataclass(frozen=True)
class Origin:
    """Everything that decides the content of a tile's files; where nothing of it has changed, the files are current."""

    inputs: Mapping[str, tuple[Fingerprint, ...]] = field(default_factory=dict)
    """What was read, by its role (``"scene"``, ``"dem"``, …), as it was before it was read."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Name of each model → SHA-256 of its file, in the order of the ensemble."""
    left_out: tuple[str, ...] = ()
    """Those of `models` that the tile does without, because it lacks what they need."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The options that decide the content, as JSON has them."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Name of each distribution → its version."""


@dataclass(frozen=True)
class WrittenFile:
    """A file of an export."""

    product: str
    """The product that it belongs to."""
    asset: str
    """Its key in the STAC item."""
    name: str
    """Its name in the folder."""
    size: int
    """Bytes."""
    sha256: str
    """Hash of its content."""


@dataclass(frozen=True)
class Manifest:
    """What an export has written, all of it in one pass, and from what."""

    tile_id: str
    """The tile."""
    origin: Origin
    """What the files were made from."""
    files: tuple[WrittenFile, ...]
    """The files, in the order of writing."""
    summary: Mapping[str, int] = field(default_factory=dict)
    """Numbers that are worth knowing without opening a file, such as ``objects``."""

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products, each once."""
        return tuple(dict.fromkeys(file.product for file in self.files))


def write_manifest(manifest: Manifest, folder: str | os.PathLike[str]) -> Path:
    """Write a manifest into the folder of its tile.

    Raises:
        OutputError: It cannot be written.
    """
    path = Path(folder) / MANIFEST_FILE
    content = _content_of(manifest)
    text = json.dumps({**content, "checksum": _checksum(content)}, indent=1, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")
    return path


def read_manifest(folder: str | os.PathLike[str]) -> Manifest | None:
    """Read the manifest in the folder of a tile.

    Returns:
        The manifest; None where there is none.

    Raises:
        OutputError: It cannot be read, is damaged, or has another format; the message is one line.
    """
    path = Path(folder) / MANIFEST_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"expected a manifest at '{path}', but it cannot be read ({error}): export again") from error
    try:
        content = json.loads(text)
        if content["format"] == FORMAT:
            return _verified(content)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"expected a manifest at '{path}', but it is damaged, or was changed by hand: export again"
        ) from error
    raise OutputError(
        f"expected a manifest of format {FORMAT} at '{path}', but got {content['format']!r}: export again, or use the version "
        "of DARTS that wrote it"
    )


def _verified(content: Mapping[str, Any]) -> Manifest:
    """Turn what a file holds into a manifest; whatever is wrong with it is one of the errors of Python."""
    noted = {name: value for name, value in content.items() if name != "checksum"}
    if content["checksum"] != _checksum(noted):
        raise ValueError("the checksum is that of another content")
    return _manifest_of(noted)


def _content_of(manifest: Manifest) -> dict[str, Any]:
    origin = manifest.origin
    return {
        "format": FORMAT,
        "tile_id": manifest.tile_id,
        "software": dict(origin.software),
        "config": dict(origin.config),
        "models": [{"name": name, "sha256": sha256} for name, sha256 in origin.models.items()],
        "left_out": list(origin.left_out),
        "inputs": {role: [dataclasses.asdict(file) for file in files] for role, files in origin.inputs.items()},
        "files": [dataclasses.asdict(file) for file in manifest.files],
        "summary": dict(manifest.summary),
    }


def _manifest_of(content: Mapping[str, Any]) -> Manifest:
    origin = Origin(
        inputs={role: tuple(Fingerprint(**file) for file in files) for role, files in content["inputs"].items()},
        models={model["name"]: model["sha256"] for model in content["models"]},
        left_out=tuple(content["left_out"]),
        config=content["config"],
        software=content["software"],
    )
    files = tuple(WrittenFile(**file) for file in content["files"])
    return Manifest(content["tile_id"], origin, files, content["summary"])


def _checksum(content: Mapping[str, Any]) -> str:
    """Hash of everything else in the manifest."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
