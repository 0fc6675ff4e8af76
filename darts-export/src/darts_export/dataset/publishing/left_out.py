"""The folders that a standing data set does without: whether they still cannot be used."""

from collections.abc import Sequence
from pathlib import Path

from darts_export.dataset.archive import Unused
from darts_export.dataset.results import content_of
from darts_export.dataset.tiles import UnusableTileError, read_tile
from darts_export.manifest import read_manifest
from darts_utils.errors import OutputError


def still_left_out(folders: Sequence[Path], *, used: frozenset[str]) -> tuple[Unused, ...] | None:
    """Judge anew the folders that are not in a data set; the others are not read.

    Args:
        folders: All folders of tiles that are named.
        used: Hashes of the content of the tiles that are in the data set.

    Returns:
        The folders that cannot be used, by name, with the reasons of today; None where one of them can be used by now.
    """
    first: dict[str, Path] = {}
    unused = []
    for folder in sorted(folders):
        content = _content_of(folder)
        if content is not None and content in first:
            unused.append(Unused(folder, f"doubled: '{first[content]}' holds the same"))
        elif content is not None and content in used:
            first[content] = folder
        else:
            try:
                read_tile(folder)
            except UnusableTileError as error:
                unused.append(Unused(folder, str(error)))
            else:
                return None
    return tuple(unused)


def _content_of(folder: Path) -> str | None:
    try:
        manifest = read_manifest(folder)
    except OutputError:
        return None
    return None if manifest is None else content_of(manifest)
