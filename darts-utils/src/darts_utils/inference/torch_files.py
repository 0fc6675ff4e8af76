"""Files of ``torch.save``, read without ever running code that comes with them.

Reading uses ``weights_only=True``, which knows tensors and plain data and nothing else.
"""

import lzma
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from pickle import UnpicklingError  # only the class of error that torch raises; nothing is unpickled here

import torch

from darts_utils.errors import CheckpointError
from darts_utils.inference.legacy import refuse_objects_of_lightning
from darts_utils.inference.nesting import check_nesting

_DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, OSError),
    *(zipfile.BadZipFile, struct.error, zlib.error, lzma.LZMAError),
)
"""What torch and zipfile raise, depending on where a damaged file breaks."""

_PICKLE_START = b"\x80"
"""First byte of a bare pickle."""

_ARCHIVE_START = b"PK"
"""First bytes of a ZIP archive, which is what ``torch.save`` writes."""

_PROGRAM = "constants.pkl"
"""A part that programs of TorchScript have."""

_FOLDER_BIT = 0x10
"""In the attributes of a part of a ZIP archive."""


def read_torch(path: Path) -> object:
    """Read a file of ``torch.save``.

    Args:
        path: The file, which exists.

    Returns:
        What was saved, with its tensors on the CPU.

    Raises:
        CheckpointError: It is damaged, compressed, a TorchScript program, or holds more than tensors and plain data.
    """
    try:
        with path.open("rb") as file:
            start = file.read(2)
        is_archive = start == _ARCHIVE_START or zipfile.is_zipfile(path)
        if is_archive:
            _check_archive(path)
        # what torch finds strange is refused, in fewer words; older configs hold dict(...), called with plain data
        with warnings.catch_warnings(), torch.serialization.safe_globals([dict]):
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:  # a ValueError, but not one of torch
        raise
    except UnpicklingError as error:
        if not is_archive and start[:1] != _PICKLE_START:
            raise _damaged(error) from error
        refuse_objects_of_lightning(_pickled(path) if is_archive else b"")
        raise CheckpointError(
            "it was refused, because it holds more than tensors and plain data, and code from a model file is never run: save config "
            "and state_dict alone"
        ) from error
    except _DAMAGE as error:
        raise _damaged(error) from error
    check_nesting(content)
    return content


def _check_archive(path: Path) -> None:
    """Refuse what torch would take: compressed parts, programs, and parts that do not match their checksum.

    torch looks at no checksum, so a hole of zeros would pass for weights.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
            raise CheckpointError(
                "it was refused, because its parts are larger than the file: it is damaged, or compressed, which torch.save never "
                "does, and a small file could fill the memory: copy it again, or save it again with torch.save"
            )
        if any(name.endswith(_PROGRAM) for name in archive.namelist()):
            raise CheckpointError(
                "it was refused, because it is a program (TorchScript), and code from a model file is never run: save config and "
                "state_dict of the network that it was made from"
            )
        broken = archive.testzip()
        # of a part that is marked as a folder torch reads nothing, and takes what is in memory for its content
        folders = [part.filename for part in archive.infolist() if part.is_dir() or part.external_attr & _FOLDER_BIT]
    if broken is not None or folders:
        raise zipfile.BadZipFile(broken or folders[0])


def _pickled(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))


def _damaged(error: Exception) -> CheckpointError:
    return CheckpointError(f"it is damaged or no model file ({type(error).__name__}): copy or download it again")
