"""Model files of any framework: whether they can be used, and in another shape."""

from pathlib import Path

from darts_utils.errors import OutputError
from darts_utils.inference.checkpoint import Checkpoint, naming_file, read_checkpoint, write_checkpoint
from darts_utils.inference.safetensors_files import SUFFIX as SAFETENSORS
from darts_utils.inference.safetensors_files import twin_of
from darts_utils.models import model_class

SUFFIXES = (".pt", SAFETENSORS)
"""Endings of model files that are written."""


def check_usable(path: Path, checkpoint: Checkpoint) -> None:
    """Raise if no model can be made of a checkpoint.

    Args:
        path: Its file, for the message.
        checkpoint: What was read from it.

    Raises:
        CheckpointError: Network, weights and patch size do not fit together.
        UnknownFrameworkError: No installed package provides its framework.
    """
    make = model_class(checkpoint.framework)
    with naming_file(path):
        make(checkpoint, name=path.stem, device="cpu")


def convert_model(
    source: Path,
    target: Path,
    *,
    legacy_normalization: str | None = None,
    check: bool = True,
    overwrite: bool = False,
) -> list[Path]:
    """Write a model file of any shape in today's.

    Args:
        source: Model file or run folder, see `darts_utils.inference.read_checkpoint`.
        target: ``.pt``, or ``.safetensors``, which gets a JSON twin.
        legacy_normalization: How the inputs of an older model were scaled, where its file does not say.
        check: Whether the network is built first.
        overwrite: Whether files that exist are replaced.

    Returns:
        The files that were written.

    Raises:
        CheckpointError: `source` cannot be read, does not fit together, or does not say how its inputs were scaled.
        UnknownFrameworkError: No installed package provides its framework.
        OutputError: `target` has another ending, exists, or cannot be written.
    """
    if target.suffix not in SUFFIXES:
        raise OutputError(f"expected a model file to end in {' or '.join(SUFFIXES)}, but got '{target}': rename it")
    files = [target, twin_of(target)] if target.suffix == SAFETENSORS else [target]
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise OutputError(
            f"expected '{there[0]}' not to exist, but it does: choose another name, or replace it with --overwrite"
        )
    checkpoint = read_checkpoint(source, legacy_normalization=legacy_normalization)
    if check:
        check_usable(source, checkpoint)
    with naming_file(source):  # what cannot be written was in it
        write_checkpoint(target, checkpoint)
    return files
