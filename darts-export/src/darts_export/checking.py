"""What is complete in folders of results, and what is not."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darts_export.dataset_folders import is_dataset
from darts_export.manifest import MANIFEST_FILE, read_manifest
from darts_export.naming import RUN_FOLDERS
from darts_export.staleness import damage_of, other_tile
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import TEMPORARY_PREFIX


@dataclass(frozen=True)
class FolderCheck:
    """What `check_tile_folder` found."""

    folder: Path
    """The folder of a tile."""
    files: int
    """Number of files that its manifest lists; 0 where there is no manifest."""
    problems: tuple[str, ...]
    """What is wrong, one line each; empty where the folder is complete and holds nothing else."""


def check_tile_folder(folder: str | os.PathLike[str], *, sizes_only: bool = False) -> FolderCheck:
    """Compare the folder of a tile with its manifest.

    Args:
        folder: ``<out_dir>/<tile_id>``.
        sizes_only: Look at the sizes of the files, and do not read them.

    Returns:
        What is missing or damaged, unfinished files, a manifest that is that of another tile, and files that are not of
        the export that the manifest describes.

    Raises:
        OutputError: The folder cannot be looked into.

    Examples:
        >>> import tempfile
        >>> from darts_export import export_tile
        >>> from darts_utils.testing import example_tile
        >>> written = export_tile(example_tile(["ndvi"], shape=(8, 8)), tempfile.mkdtemp(), products=["ndvi"])
        >>> check_tile_folder(written["ndvi"].parent).problems
        ()
        >>> written["ndvi"].unlink()
        >>> check_tile_folder(written["ndvi"].parent).problems
        ('missing: ndvi.tif',)
    """
    place = Path(folder)
    names = _names_in(place)
    unfinished = [f"unfinished: {name}" for name in names if name.startswith(TEMPORARY_PREFIX)]
    try:
        manifest = read_manifest(place)
    except OutputError as error:
        return FolderCheck(place, 0, (f"manifest: {error}", *unfinished))
    if manifest is None:
        return FolderCheck(place, 0, (f"not finished: there is no {MANIFEST_FILE}", *unfinished))
    damages = [
        other_tile(manifest, place),
        *(damage_of(file, place, sizes_only=sizes_only) for file in manifest.files),
    ]
    known = {MANIFEST_FILE, *(file.name for file in manifest.files)}
    others = [
        f"unknown: {name} is not of this export"
        for name in names
        if name not in known and not name.startswith(TEMPORARY_PREFIX)
    ]
    return FolderCheck(
        place, len(manifest.files), (*(damage for damage in damages if damage is not None), *unfinished, *others)
    )


def tile_folders(paths: Sequence[Path], *, without: Path | None = None) -> list[Path]:
    """Find the folders of tiles that a user names.

    Args:
        paths: Folders of tiles, and folders of results, which hold folders of tiles; data sets among them are left out.
        without: A folder that is going to be written: it is no tile, and neither is one without a manifest that it lies in.

    Returns:
        The folders, each once, in the order given, those of a folder of results by name.

    Raises:
        ConfigError: A path is no folder, or holds neither a manifest nor folders; or there are data sets only.
        OutputError: A folder cannot be looked into.
    """
    written = None if without is None else without.resolve()
    found: dict[Path, Path] = {}
    for path in named_folders(paths):  # a link has the name of the tile, what it points to may have another
        resolved = path.resolve()
        if resolved not in found and not is_dataset(path) and not _is_for(written, resolved):
            found[resolved] = Path(os.path.abspath(path))  # noqa: PTH100
    if paths and not found:
        raise ConfigError(
            f"expected folders of results, or of tiles, but '{paths[0]}' is or holds nothing but a data set: name the folders of "
            "the tiles, or look at it with darts dataset check"
        )
    return list(found.values())


def named_folders(paths: Sequence[Path]) -> Iterator[Path]:
    """Find the folders of tiles and of data sets that a user names, maybe some of them twice.

    Args:
        paths: As for `tile_folders`.

    Raises:
        ConfigError: A path is no folder, or holds neither a manifest nor folders.
        OutputError: A folder cannot be looked into.
    """
    for path in paths:
        if not path.is_dir():
            raise ConfigError(f"expected a folder of results, or of a tile, at '{path}', but there is none")
        is_one = (path / MANIFEST_FILE).exists() or is_dataset(path)
        inside = [path] if is_one else list(_folders_in(path))
        if not inside:
            raise ConfigError(
                f"expected a folder of results, or of a tile, at '{path}', but it holds neither {MANIFEST_FILE} nor folders"
            )
        yield from inside


def unfinished_beside(folders: Sequence[Path]) -> list[Path]:
    """Find unfinished files beside folders of tiles: of reports, for example."""
    parents = dict.fromkeys(folder.parent for folder in folders)
    return [found for parent in parents for found in sorted(parent.glob(f"{TEMPORARY_PREFIX}*"))]


def _is_for(written: Path | None, folder: Path) -> bool:
    """Whether a folder is, or is only there to hold, the one that is going to be written."""
    return written is not None and folder in (written, *written.parents) and not (folder / MANIFEST_FILE).exists()


def _folders_in(path: Path) -> Iterator[Path]:
    names = (name for name in _names_in(path) if not name.startswith(".") and name not in RUN_FOLDERS)
    return (path / name for name in names if (path / name).is_dir())


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise OutputError(f"cannot look into '{folder}' ({error.strerror}): check path and permissions") from error
