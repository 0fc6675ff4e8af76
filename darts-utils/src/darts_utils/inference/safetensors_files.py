"""Model files for publishing: weights as ``NAME.safetensors``, everything else beside them as ``NAME.json``.

The JSON twin holds ::

    {"format": "darts-checkpoint", "format_version": 1,
     "config": {...}, "weights": {"file": "NAME.safetensors", "sha256": "..."}}

The checksum is that of the file of weights, so twins that do not belong together are refused.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch

from darts_utils.errors import CheckpointError
from darts_utils.files import atomic_path, is_file
from darts_utils.inference.nesting import check_nesting

SUFFIX = ".safetensors"

_DAMAGE = (SafetensorError, LookupError, ValueError, TypeError, RuntimeError)
"""What safetensors and torch raise about a damaged file, or one with types that this torch does not know."""

_FORMAT, _VERSION = "darts-checkpoint", 1


def twin_of(path: Path) -> Path:
    """The JSON file that belongs to a file of weights."""
    return path.with_suffix(".json")


def write_safetensors(path: Path, config: Mapping[str, Any], statedict: Mapping[str, torch.Tensor]) -> None:
    """Write weights and JSON twin; each has its name only when it is complete.

    Args:
        path: The file of weights; the twin is written last.
        config: Plain data.
        statedict: Dense tensors, none of which shares memory with another.

    Raises:
        CheckpointError: The config holds numbers that JSON does not know (NaN, infinity).
        OutputError: A file cannot be written.
    """
    weights = safetensors_torch.save(dict(statedict))
    twin = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "config": config,
        "weights": {"file": path.name, "sha256": hashlib.sha256(weights).hexdigest()},
    }
    try:
        text = json.dumps(twin, indent=2, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise CheckpointError(
            f"expected finite numbers in the config, which JSON can hold, but got NaN or infinity: replace them ({error})"
        ) from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(weights)
    with atomic_path(twin_of(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read weights and JSON twin.

    Args:
        path: The file of weights.

    Returns:
        ``config`` and ``statedict``, unchecked.

    Raises:
        CheckpointError: One of the two is absent, damaged, of another format, or they do not belong together.
    """
    file = Path(path)
    twin_file = twin_of(file)
    if not is_file(twin_file):
        raise CheckpointError(
            f"expected the config of '{file.name}' in '{twin_file.name}' beside it, but there is none: copy both files"
        )
    try:
        twin = json.loads(twin_file.read_text(encoding="utf-8"))
        weights = file.read_bytes()
    except (ValueError, OSError, RecursionError) as error:
        raise CheckpointError(
            f"'{twin_file.name}' or '{file.name}' is damaged ({error}): copy both files again"
        ) from error
    check_nesting(twin)
    if not isinstance(twin, dict) or twin.get("format") != _FORMAT or twin.get("format_version") != _VERSION:
        raise CheckpointError(
            f"expected '{twin_file.name}' to be a {_FORMAT} of version {_VERSION}, but it is not: write both files with "
            "darts_utils.inference.write_checkpoint"
        )
    stated = twin.get("weights", {}).get("sha256") if isinstance(twin.get("weights"), dict) else None
    found = hashlib.sha256(weights).hexdigest()
    if stated != found:
        raise CheckpointError(
            f"expected the weights that '{twin_file.name}' was written for (SHA-256 {str(stated)[:12]}…), but '{file.name}' is "
            f"damaged or another one ({found[:12]}…): copy both files again"
        )
    try:
        statedict = safetensors_torch.load(weights)
    except _DAMAGE as error:
        raise CheckpointError(
            f"'{file.name}' is damaged or no file of safetensors ({error}): write it again"
        ) from error
    return {"config": twin.get("config"), "statedict": statedict}
