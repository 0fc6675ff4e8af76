"""The folder of work that consists of many trainings, so that nothing else is continued in it."""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from darts_segmentation.training.run_folder import write_json
from darts_utils.errors import ConfigError
from darts_utils.inference.checkpoint import Checkpoint

RECORD = "study.json"
"""What the folder is for; written first."""


def open_study_folder(folder: Path, record: Mapping[str, Any]) -> None:
    """Begin in a folder, or make sure that it is the same work that goes on.

    Args:
        folder: It exists.
        record: What the work is: plain data.

    Raises:
        ConfigError: The folder holds other work; says what differs.
    """
    path = folder / RECORD
    wanted = json.loads(json.dumps(record))
    if not path.is_file():
        write_json(path, wanted)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = differing_keys(found, wanted)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"expected '{path}' to say what the folder is for, but it is damaged: start anew") from error
    if differing:
        raise ConfigError(
            f"expected to go on in '{folder}' with what was begun there, but another {', '.join(differing)} was asked for: choose "
            "another folder, or ask for the same"
        )


def differing_keys(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Compare two records of work.

    Args:
        found: Plain data.
        wanted: The same.

    Returns:
        Keys whose values differ, sorted.

    Examples:
        >>> differing_keys({"kind": "tuning", "space": {"low": 1}}, {"kind": "tuning", "space": {"low": 2}})
        ['space']
    """
    return sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))


def hash_of_model(model: Checkpoint) -> str:
    """SHA-256 over config and weights of a model, by which it is the same wherever its file is.

    Args:
        model: Its tensors may be on any device.
    """
    digest = hashlib.sha256(json.dumps(model.config, default=str, skipkeys=True).encode())
    for name, tensor in sorted(model.statedict.items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for this folder, and keep them out until it ends, however it does.

    Args:
        folder: It exists; gets an empty file ``.lock``. Where its file system knows no locks, nobody waits.
    """
    with (folder / ".lock").open("a") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
