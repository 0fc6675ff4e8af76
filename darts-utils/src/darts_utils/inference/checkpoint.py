"""Model files: ``{"config": {...}, "statedict": {...}}``, read without ever running code that comes with them.

The format is that of ``torch.save``; it is read with ``weights_only=True``, which knows tensors and plain data and
nothing else. ``config`` carries at least

- ``model_framework``: the key of the entry-point group ``darts.models``, e.g. ``"smp"``;
- ``model``: what the framework builds the network from;
- ``input_combination``: names of the input variables, in channel order;
- ``patch_size``: edge length in pixels of the patches the network was trained on;
- ``normalization``: see `darts_utils.inference.normalization`.
"""

import contextlib
import io
import lzma
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # only the class of error that torch raises; nothing is unpickled here
from typing import Any

import torch

from darts_utils.errors import CheckpointError
from darts_utils.files import atomic_path
from darts_utils.inference.legacy import refuse_legacy, refuse_legacy_folder, refuse_lightning
from darts_utils.inference.normalization import parse_normalization
from darts_utils.inference.weights import check_statedict

_DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, OSError),
    *(zipfile.BadZipFile, struct.error, zlib.error, lzma.LZMAError),
)
"""What torch and zipfile raise, depending on where a damaged file breaks."""

_PICKLE_START = b"\x80"
"""First byte of a bare pickle."""

_ARCHIVE_START = b"PK"
"""First bytes of a ZIP archive, which is what ``torch.save`` writes."""

_FOLDER_BIT = 0x10
"""In the attributes of a part of a ZIP archive."""


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


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a model file.

    Args:
        path: File written by `write_checkpoint`, or by ``torch.save`` in the same shape.

    Returns:
        The checkpoint, with its tensors on the CPU.

    Raises:
        CheckpointError: There is no such file; it is damaged; it holds code; it is no model of ours, an incomplete one, or
            one of an older shape.
    """
    content = _load(Path(path))
    with naming_file(path):
        return _assembled(content)


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


def _load(path: Path) -> object:
    refuse_legacy_folder(path)
    if not path.is_file():
        raise CheckpointError(f"expected a model file at '{path}', but there is none: check the path")
    try:
        with path.open("rb") as file:
            start = file.read(2)
        is_archive = start == _ARCHIVE_START or zipfile.is_zipfile(path)
        if is_archive:
            _check_archive(path)
        with warnings.catch_warnings():  # what torch finds strange is refused, in fewer words
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if not is_archive and start[:1] != _PICKLE_START:
            raise _damaged(path, error) from error
        with naming_file(path):
            refuse_lightning(_pickled(path) if is_archive else b"")
        raise CheckpointError(
            f"model file '{path}' was refused: it holds more than tensors and plain data, and code from a model file "
            "is never run; save config and state_dict alone"
        ) from error
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _check_archive(path: Path) -> None:
    """Compare each part of a file with its checksum: torch does not, and a hole of zeros would pass for weights."""
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        # of a part that is marked as a folder torch reads nothing, and takes what is in memory for its content
        folders = [part.filename for part in archive.infolist() if part.is_dir() or part.external_attr & _FOLDER_BIT]
    if broken is not None or folders:
        raise zipfile.BadZipFile(broken or folders[0])


def _pickled(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"model file '{path}' is damaged or no model file ({type(error).__name__}): copy or download it again"
    )


def _assembled(content: object) -> Checkpoint:
    refuse_legacy(content)
    if not isinstance(content, Mapping) or not {"config", "statedict"} <= set(content):
        found = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise CheckpointError(
            f"expected the keys config and statedict, but got {found}: write it with write_checkpoint"
        )
    return Checkpoint(content["config"], content["statedict"])


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
