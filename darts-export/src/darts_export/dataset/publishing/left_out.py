"""The folders that a standing data set does without: whether they still cannot be used."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from darts_export.dataset.archive import Unused
from darts_export.dataset.results import content_of
from darts_export.dataset.tiles import UnusableTileError, read_tile
from darts_export.manifest import read_manifest
from darts_utils.errors import OutputError


def still_left_out(folders: Sequence[Path], *, used: frozenset[str]) -> tuple[Unused, ...] | None:
    """Judge anew the folders that are not in a data set; of the others, only those are read that others claim to be copies of.

    Args:
        folders: All folders of tiles that are named.
        used: Hashes of the content of the tiles that are in the data set.

    Returns:
        The folders that cannot be used, by name, with the reasons of today; None where one of them can be used by now.
    """
    contents = {folder: _content_of(folder) for folder in sorted(folders)}
    copies = Counter(contents.values())
    first: dict[str, Path] = {}
    unused = []
    for folder, content in contents.items():
        is_used = content is not None and content in used
        if is_used and copies[content] == 1:
            continue
        try:
            read_tile(folder)
        except UnusableTileError as error:
            unused.append(Unused(folder, str(error)))
            continue
        if content is None or not is_used:
            return None
        if content in first:
            unused.append(Unused(folder, f"doubled: '{first[content]}' holds the same"))
        else:
            first[content] = folder
    return tuple(unused)


def _content_of(folder: Path) -> str | None:
    try:
        manifest = read_manifest(folder)
    except OutputError:
        return None
    return None if manifest is None else content_of(manifest)
