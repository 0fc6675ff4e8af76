"""Which model files a user means: a file, a folder, several of these, or names and files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.files import exists, is_file
from darts_utils.inference.legacy import is_run_folder

StrPath = str | os.PathLike[str]
Source = StrPath | Sequence[StrPath] | Mapping[str, StrPath]
"""A model file, a folder of them, a list of files and folders, or a table from name to file."""

SUFFIXES = (".pt", ".safetensors")
"""What model files in a folder end in."""


def model_files(source: Source) -> dict[str, Path]:
    """Find the model files of a source.

    Args:
        source: A file (named after its stem), a folder (all its ``*.pt`` and ``*.safetensors``, by name; a run folder of
            thaw-slump-segmentation is one model), a list of these, or name → file.

    Returns:
        Name → path, in order. Whether a file can be read is not looked at.

    Raises:
        CheckpointError: A file or folder does not exist, a folder holds no model file, or nothing is named at all.
        ConfigError: Two files would have the same name.
    """
    if isinstance(source, Mapping):
        files = {name: Path(path) for name, path in source.items()}
    else:
        places = [source] if isinstance(source, str | os.PathLike) else source
        files = {}
        for path in (path for place in places for path in _files_at(Path(place))):
            name = path.name if is_run_folder(path) else path.stem
            if name in files and not _same_file(path, files[name]):
                raise ConfigError(
                    f"expected each model to have a name of its own, but '{files[name]}' and '{path}' are both "
                    f"{name!r}: rename one of the files, or give a table from name to file"
                )
            files[name] = path
    if not files:
        raise CheckpointError("expected at least one model file, but got none: name a file or a folder")
    return files


def _files_at(place: Path) -> list[Path]:
    if not exists(place):
        raise CheckpointError(
            f"expected a model file or a folder at '{place}', but there is none that can be read: check the path"
        )
    if is_file(place) or is_run_folder(place):
        return [place]
    inside = (path for path in place.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    found = sorted(path for path in inside if path.is_file())
    if not found:
        wanted = " or ".join(f"*{suffix}" for suffix in SUFFIXES)
        raise CheckpointError(
            f"expected model files ({wanted}) in the folder '{place}', but found none: check the path"
        )
    return found


def _same_file(first: Path, second: Path) -> bool:
    return first.absolute() == second.absolute()
