"""Finding the files of a scene in its folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

from darts_utils.errors import SceneError, SceneNotFoundError
from darts_utils.files import TEMPORARY_PREFIX


def matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Files of a folder that match one of the patterns, without unfinished ones."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not path.name.startswith(TEMPORARY_PREFIX))


def scene_name(folder: Path) -> str:
    """Name of a scene's folder, also where its path ends in ``.`` or ``..``."""
    absolute = folder.absolute()  # keeps the name of a symbolic link, which is the scene's, not its target's
    return (absolute.resolve() if absolute.name in ("", "..") else absolute).name


@overload
def only_file(folder: Path, patterns: Sequence[str], *, what: str) -> Path: ...
@overload
def only_file(folder: Path, patterns: Sequence[str], *, what: str, optional: Literal[True]) -> Path | None: ...


def only_file(folder: Path, patterns: Sequence[str], *, what: str, optional: bool = False) -> Path | None:
    """The one file of a folder that matches.

    Args:
        folder: Where to look.
        patterns: Glob patterns, for example ``("*_SR.tif", "*_SR_clip.tif")``.
        what: What the file is, for the message.
        optional: Return None where there is no such file.

    Raises:
        SceneNotFoundError: The folder does not exist or is empty, or no file matches.
        SceneError: Several files match.
    """
    if not folder.is_dir():
        raise SceneNotFoundError(f"expected a scene folder at '{folder}', but there is none: check the path")
    found = matching(folder, patterns)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise SceneError(f"'{folder}' must hold {what} once, but has {names}: keep one of them")
    if found:
        return found[0]
    if optional:
        return None
    holds = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise SceneNotFoundError(
        f"'{folder}' must hold {what} ({' or '.join(patterns)}), but holds {holds}: complete the download"
    )
