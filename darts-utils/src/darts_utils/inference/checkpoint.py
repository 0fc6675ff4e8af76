"""Model files: config and weights, read without ever running code that comes with them.

========================  ==================================================================================
``NAME.pt``               ``torch.save({"config": {...}, "statedict": {...}})``
``NAME.safetensors``      for publishing, with ``NAME.json`` beside it, see `darts_utils.inference.safetensors_files`
older shapes              read only, see `darts_utils.inference.legacy`
========================  ==================================================================================

``config`` carries at least

- ``model_framework``: the key of the entry-point group ``darts.models``, e.g. ``"smp"``;
- ``model``: what the framework builds the network from;
- ``input_combination``: names of the input variables, in channel order;
- ``patch_size``: edge length in pixels of the patches the network was trained on;
- ``normalization``: see `darts_utils.inference.normalization`.
"""

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from darts_utils.errors import CheckpointError
from darts_utils.files import atomic_path, is_file
from darts_utils.inference import safetensors_files
from darts_utils.inference.legacy import convert_content, convert_run, is_run_folder, last_epoch, run_of_epoch
from darts_utils.inference.normalization import parse_normalization
from darts_utils.inference.torch_files import read_torch
from darts_utils.inference.weights import check_statedict


@dataclass(frozen=True)
class Checkpoint:
    """A model file in memory, checked.

    Raises:
        CheckpointError: A key is missing or malformed, or a weight is no dense tensor of finite real numbers.
    """

    config: Mapping[str, Any]
    """Everything about the model that is not a weight; plain data."""
    statedict: Mapping[str, torch.Tensor]
    """``network.state_dict()``, on any device."""

    def __post_init__(self) -> None:
        _check_config(self.config)
        check_statedict(self.statedict)

    @property
    def framework(self) -> str:
        """Key of the entry-point group ``darts.models``."""
        return str(self.config["model_framework"])

    @property
    def input_combination(self) -> tuple[str, ...]:
        """Names of the input variables, in channel order."""
        return tuple(self.config["input_combination"])

    @property
    def patch_px(self) -> int:
        """Edge length in pixels of the patches the network was trained on."""
        return int(self.config["patch_size"])


def read_checkpoint(path: str | os.PathLike[str], *, legacy_normalization: str | None = None) -> Checkpoint:
    """Read a model file.

    Args:
        path: ``.pt`` or ``.safetensors`` of `write_checkpoint`, or a file of an older shape; a run folder of
            thaw-slump-segmentation, of which the last epoch counts, or the file of one epoch in it.
        legacy_normalization: How the inputs of an older model were scaled, where its file does not say; one of
            `darts_utils.inference.LEGACY_NORMALIZATIONS`.

    Returns:
        The checkpoint in today's shape, with its tensors on the CPU. One that was converted says so in
        ``config["converted_from"]``.

    Raises:
        CheckpointError: There is no such file; it is damaged; it holds code; it is no model of ours, an incomplete one, or
            does not say how its inputs were scaled; or it does, and `legacy_normalization` was given nevertheless.
    """
    place = Path(path)
    with naming_file(place):
        config, weights = _config_and_weights(place, legacy_normalization=legacy_normalization)
        return Checkpoint(config, weights)


@contextlib.contextmanager
def naming_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let every `CheckpointError` of the block say which model file it is about.

    Args:
        path: The model file.
    """
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"model file '{path}' cannot be used: {error}") from error


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> Path:
    """Write a model file; it has its name only when it is complete.

    Args:
        path: The file; its folder is created. ``.safetensors`` gets a JSON twin beside it, anything else is a file of
            ``torch.save``.
        checkpoint: What to write. Tensors are moved to the CPU.

    Returns:
        The path.

    Raises:
        CheckpointError: The config holds more than plain data, which could not be read back, or no valid normalisation.
        OutputError: The file cannot be written.

    Notes:
        Equal checkpoints give equal bytes.
    """
    parse_normalization(checkpoint.config, variables=checkpoint.input_combination)
    config = _plain(checkpoint.config, "config")
    statedict = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.statedict.items()}
    if Path(path).suffix == safetensors_files.SUFFIX:
        safetensors_files.write_safetensors(Path(path), config, statedict)
        return Path(path)
    buffer = io.BytesIO()  # given a path, torch writes the (temporary) name into the archive
    torch.save({"config": config, "statedict": statedict}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return Path(path)


def _config_and_weights(place: Path, *, legacy_normalization: str | None) -> tuple[Any, Any]:
    if is_run_folder(place):
        weights_file = last_epoch(place)
        with naming_file(weights_file):
            weights = read_torch(weights_file)
        return convert_run(place, weights_file, weights, legacy_normalization=legacy_normalization)
    if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        raise CheckpointError(
            "expected a model file, or a run folder with config.yml and checkpoints/, but it is another folder: name a file in it"
        )
    if not is_file(place):
        raise CheckpointError("expected a model file, but there is none: check the path")
    if place.suffix.lower() == safetensors_files.SUFFIX:
        content: object = safetensors_files.read_safetensors(place)
    else:
        content = read_torch(place)
        run = run_of_epoch(place)
        if run is not None:
            return convert_run(run, place, content, legacy_normalization=legacy_normalization)
    return convert_content(content, legacy_normalization=legacy_normalization)


def _check_config(config: object) -> None:
    if not isinstance(config, Mapping):
        raise CheckpointError(f"expected config to be a table, but got {type(config).__name__}")
    absent = [key for key in ("model_framework", "model", "input_combination", "patch_size") if key not in config]
    if absent:
        raise CheckpointError(
            f"expected config to have {', '.join(absent)}, but it has {', '.join(map(str, config)) or 'nothing'}"
        )
    if not isinstance(config["model_framework"], str):
        raise CheckpointError(f"expected model_framework to be a name, but got {config['model_framework']!r}")
    if not isinstance(config["model"], Mapping):
        raise CheckpointError(f"expected model to be a table of the network's arguments, but got {config['model']!r}")
    unnamed = [key for key in config["model"] if not isinstance(key, str)]
    if unnamed:
        raise CheckpointError(f"expected the arguments in model to have names (text), but got {unnamed}: rename them")
    inputs = config["input_combination"]
    if not isinstance(inputs, list | tuple) or not inputs or not all(isinstance(name, str) for name in inputs):
        raise CheckpointError(f"expected input_combination to list the input variables in order, but got {inputs!r}")
    if len(set(inputs)) != len(inputs):
        raise CheckpointError(f"expected input_combination to name each variable once, but got {list(inputs)}")
    patch = config["patch_size"]
    if isinstance(patch, bool) or not isinstance(patch, int) or patch < 1:
        raise CheckpointError(f"expected patch_size to be a whole number of pixels, but got {patch!r}")


def _plain(value: object, where: str) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, f"{where}[{key!r}]") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, f"{where}[{index}]") for index, entry in enumerate(value)]
    # exact types: a NumPy float is a float too, but is stored as NumPy's
    if value is None or type(value) in {str, int, float, bool}:
        return value
    raise CheckpointError(
        f"expected plain data (text, numbers, lists, tables) in the config, but {where} is {type(value).__name__}: convert it"
    )
