"""From folders of tiles to a published data set: levels, files, manifest."""

import csv
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_export.checking import tile_folders
from darts_export.contents import SOFTWARE
from darts_export.dataset.archive import Unused
from darts_export.dataset.building import build_levels
from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.levels import Levels
from darts_export.dataset.published import read_tracks, require_published
from darts_export.dataset.publishing import names
from darts_export.dataset.publishing.config import Publication
from darts_export.dataset.publishing.documents import contents_of
from darts_export.dataset.publishing.files import make_files
from darts_export.dataset.publishing.left_out import still_left_out
from darts_export.dataset.publishing.licences import licence_text
from darts_export.dataset.publishing.record import RECORD_FILE, Record, read_record
from darts_export.dataset.publishing.staging import Staging
from darts_export.dataset_folders import WORK
from darts_export.fingerprints import sha256_of
from darts_export.manifest import MANIFEST_FILE
from darts_export.staleness import damage_of
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import remove_leftovers, sole_writer

_WITHOUT_EFFECT = ("partition_objects", "workers")
"""Options on which no result depends."""


@dataclass(frozen=True)
class Outcome:
    """What `build_dataset` did."""

    record: Record
    """The manifest of the data set."""
    unused: tuple[Unused, ...]
    """Folders that were not used, with the reasons of today."""
    is_new: bool
    """Whether something was built; False: the data set is that of these tiles and options already."""

    @property
    def is_empty(self) -> bool:
        """Whether no tile that was used has an object."""
        return self.record.rows["level1"] == 0


def build_dataset(
    paths: Sequence[Path],
    out: Path,
    *,
    config: DatasetConfig | None = None,
    publication: Publication | None = None,
    previous: Path | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Make a data set of the results of many tiles, in the form in which a repository publishes it.

    Args:
        paths: Folders of tiles, and folders of results, which hold folders of tiles; in any mixture of CRSs. Data sets in
            them are left out.
        out: Folder of the data set: new, empty, or one that holds a data set, which stays complete until its successor is; it
            may lie in a folder of results.
        config: How tiles become a data set.
        publication: What the data set says about itself.
        previous: The last edition, a published data set: its slumps keep their names. None: this is the first.
        force: Build in any case, also what is current.
        progress: Called with the number of files that are made, and of all.

    Returns:
        What was done. An interrupted build goes on where it was, and ends with the same bytes.

    Raises:
        ConfigError: An option makes no sense, or a path is no folder of results, or `previous` is `out`.
        TileContractError: One tile has two different results, or the models are mixed and may not be.
        OutputError: A folder cannot be read or written, `out` holds something else, or another build is at work there; or there is no
            complete data set at `previous`.
    """
    options = config if config is not None else DatasetConfig()
    about = publication if publication is not None else Publication()
    text = licence_text(about)
    _check_folder(out)
    folders = tile_folders(paths, without=out)
    origin = _origin(folders, options, about, text)
    if previous is not None:
        origin["previous"] = _edition(previous, out)
    with sole_writer(out) as is_certain:
        remove_leftovers(out, all_writers=is_certain)
        standing = read_record(out)
        if not force and standing is not None and standing.origin == origin and _is_whole(standing, out):
            unused = still_left_out(folders, used=_used(out))
            if unused is not None:
                shutil.rmtree(out / WORK, ignore_errors=True)
                return Outcome(standing, unused, is_new=False)
        tracks = None if previous is None else read_tracks(previous)
        levels = build_levels(paths, out / WORK / "levels", config=options, previous=tracks)
        key = _key(origin, levels)
        staging = Staging(out / WORK / "published", key=key, out=out)
        record = make_files(
            levels, staging, origin=origin, publication=about, workers=options.workers, progress=progress
        )
        staging.hand_over(record, before=standing)
        shutil.rmtree(out / WORK, ignore_errors=True)
    return Outcome(record, levels.unused, is_new=True)


def _check_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"expected a folder at '{out}', but a file has this name: choose another path")
    found = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if not found or WORK in found:
        return
    if RECORD_FILE not in found:
        raise OutputError(
            f"expected an empty folder or a data set at '{out}', but it holds {found[0]!r} and no {RECORD_FILE}: choose another folder"
        )
    try:
        read_record(out)
    except OutputError as error:
        raise OutputError(f"{error}; choose another folder, or remove that one") from error


def _is_whole(record: Record, out: Path) -> bool:
    return all(damage_of(file, out, sizes_only=True) is None for file in record.files)


def _origin(folders: Sequence[Path], options: DatasetConfig, about: Publication, licence: str) -> dict[str, Any]:
    chosen = {name: value for name, value in dataclasses.asdict(options).items() if name not in _WITHOUT_EFFECT}
    said = dataclasses.asdict(about)
    said["licence_file"] = None if about.licence_file is None else hashlib.sha256(licence.encode()).hexdigest()
    origin = {
        "inputs": _inputs(folders),
        "options": chosen,
        "publication": said,
        "software": SOFTWARE,
    }
    plain: dict[str, Any] = json.loads(json.dumps(origin))
    return plain


def _edition(previous: Path, out: Path) -> str:
    """Hash of what the last edition says it is."""
    if previous.resolve() == out.resolve():
        raise ConfigError(
            f"expected the last edition to be another data set than the one that is built, but both are '{out}': build this "
            "edition in a new folder"
        )
    require_published(previous)
    return sha256_of(previous / RECORD_FILE)


def _inputs(folders: Sequence[Path]) -> str:
    """Hash of what the folders of tiles say they are, wherever and however often they are."""
    found = set()
    for folder in folders:
        manifest = folder / MANIFEST_FILE
        if manifest.is_file():
            found.add(f"{folder.name} {sha256_of(manifest)}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def _used(out: Path) -> frozenset[str]:
    try:
        return contents_of((out / names.TILES).read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, csv.Error):
        return frozenset()  # the list was changed by hand: no tile is known to be used


def _key(origin: Mapping[str, Any], levels: Levels) -> str:
    parts = [
        [name, *part.path.parts[-2:], part.rows, dict(part.first)]
        for name, level in levels.levels.items()
        for part in level.parts
    ]
    return hashlib.sha256(json.dumps([origin, parts], sort_keys=True).encode()).hexdigest()
