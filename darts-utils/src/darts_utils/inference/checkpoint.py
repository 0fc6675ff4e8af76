"""Model files: ``{"config": {...}, "statedict": {...}}``, read without ever running code that comes with them.

The format is that of ``torch.save``; it is read with ``weights_only=True``, which knows tensors and plain data and
nothing else. ``config`` carries at least

- ``model_framework``: the key of the entry-point group ``darts.models``, e.g. ``"smp"``;
- ``model``: what the framework builds the network from;
- ``input_combination``: names of the input variables, in channel order;
- ``patch_size``: edge length in pixels of the patches the network was trained on;
- ``normalization``: see `darts_utils.inference.normalization`.
"""

import io
import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # only the class of error that torch raises; nothing is unpickled here
from typing import Any

import torch

from darts_utils.errors import CheckpointError
from darts_utils.files import atomic_path
from darts_utils.inference.normalization import parse_normalization

_DAMAGE = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, OSError)
"""What torch raises, depending on where a damaged file breaks."""

_PICKLE_START = b"\x80"
"""First byte of a bare pickle."""


@dataclass(frozen=True)
class Checkpoint:
    """A model file in memory, checked.

    Raises:
        CheckpointError: A key is missing or malformed, or a weight is not finite.
    """

    config: Mapping[str, Any]
    """Everything about the model that is not a weight; plain data."""
    statedict: Mapping[str, torch.Tensor]
    """``network.state_dict()``, on any device."""

    def __post_init__(self) -> None:
        _check_config(self.config)
        _check_statedict(self.statedict)

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


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a model file.

    Args:
        path: File written by `write_checkpoint`, or by ``torch.save`` in the same shape.

    Returns:
        The checkpoint, with its tensors on the CPU.

    Raises:
        CheckpointError: There is no such file; it is damaged; it holds code; it is no model of ours, or an incomplete one.
    """
    content = _load(Path(path))
    try:
        return _assembled(content)
    except CheckpointError as error:
        raise CheckpointError(f"model file '{path}' cannot be used: {error}") from error


def read_framework(path: str | os.PathLike[str]) -> str:
    """Return ``config["model_framework"]`` of a model file.

    Raises:
        CheckpointError: As `read_checkpoint`.
    """
    return read_checkpoint(path).framework


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> Path:
    """Write a model file; it has its name only when it is complete.

    Args:
        path: The file; its folder is created.
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
    content = {
        "config": _plain(checkpoint.config, "config"),
        "statedict": {
            name: tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.statedict.items()
        },
    }
    buffer = io.BytesIO()  # given a path, torch writes the (temporary) name into the archive
    torch.save(content, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return Path(path)


def load_weights(network: torch.nn.Module, statedict: Mapping[str, torch.Tensor]) -> None:
    """Put weights into a network, all of them.

    Args:
        network: Changed in place.
        statedict: ``state_dict()`` of a network of the same architecture.

    Raises:
        CheckpointError: The weights belong to another architecture; names the first that do not fit.
    """
    expected = network.state_dict()
    mismatches = [f"{name} is missing" for name in expected if name not in statedict]
    mismatches += [f"{name} is unknown" for name in statedict if name not in expected]
    mismatches += [
        f"{name} has shape {tuple(statedict[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in statedict and statedict[name].shape != tensor.shape
    ]
    if mismatches:
        raise CheckpointError(
            f"expected the weights of the network that config['model'] describes, but {_listed(mismatches, '; ')}: "
            "weights and config come from different models"
        )
    network.load_state_dict(dict(statedict))


def _load(path: Path) -> object:
    if not path.is_file():
        raise CheckpointError(f"expected a model file at '{path}', but there is none: check the path")
    try:
        with warnings.catch_warnings():  # the errors below say it in fewer words
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if zipfile.is_zipfile(path) or path.read_bytes()[:1] == _PICKLE_START:
            raise CheckpointError(
                f"model file '{path}' was refused: it holds more than tensors and plain data, and code from a model file "
                "is never run; save config and state_dict alone"
            ) from error
        raise _damaged(path, error) from error
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _assembled(content: object) -> Checkpoint:
    if not isinstance(content, Mapping) or not {"config", "statedict"} <= set(content):
        found = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise CheckpointError(
            f"expected the keys config and statedict, but got {found}: write it with write_checkpoint"
        )
    return Checkpoint(content["config"], content["statedict"])


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"model file '{path}' is damaged or no model file ({type(error).__name__}): copy or download it again"
    )


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
    inputs = config["input_combination"]
    if not isinstance(inputs, list | tuple) or not inputs or not all(isinstance(name, str) for name in inputs):
        raise CheckpointError(f"expected input_combination to list the input variables in order, but got {inputs!r}")
    if len(set(inputs)) != len(inputs):
        raise CheckpointError(f"expected input_combination to name each variable once, but got {list(inputs)}")
    patch = config["patch_size"]
    if isinstance(patch, bool) or not isinstance(patch, int) or patch < 1:
        raise CheckpointError(f"expected patch_size to be a whole number of pixels, but got {patch!r}")


def _check_statedict(statedict: object) -> None:
    if not isinstance(statedict, Mapping) or not statedict:
        found = "an empty one" if isinstance(statedict, Mapping) else type(statedict).__name__
        raise CheckpointError(f"expected statedict to be the network's state_dict(), but got {found}")
    strangers = [str(name) for name, value in statedict.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise CheckpointError(f"expected statedict to hold tensors only, but not so {_listed(strangers)}")
    broken = [
        str(name)
        for name, tensor in statedict.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    if broken:
        raise CheckpointError(
            f"expected finite weights, but NaN or infinity in {_listed(broken)}: training diverged, take an earlier state"
        )


def _listed(names: Sequence[str], separator: str = ", ", *, shown: int = 3) -> str:
    rest = len(names) - shown
    return separator.join(names[:shown]) + (f"{separator}and {rest} more" if rest > 0 else "")


def _plain(value: object, where: str) -> object:
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
