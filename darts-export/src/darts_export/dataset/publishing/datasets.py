"""From folders of tiles to a published data set: levels, files, manifest."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_export.checking import tile_folders
from darts_export.contents import SOFTWARE
from darts_export.dataset.archive import Unused
from darts_export.dataset.building import build_levels
from darts_export.dataset.config import CRS, DatasetConfig
from darts_export.dataset.levels import LEVELS, Levels
from darts_export.dataset.published import require_published
from darts_export.dataset.publishing import names
from darts_export.dataset.publishing.batches import batches_of
from darts_export.dataset.publishing.checksums import checksums
from darts_export.dataset.publishing.collection import collection_json, item_json
from darts_export.dataset.publishing.config import Publication
from darts_export.dataset.publishing.dictionary import dictionary_csv, dictionary_json, dictionary_markdown
from darts_export.dataset.publishing.documents import citation, readme, tiles_csv
from darts_export.dataset.publishing.facts import facts_of
from darts_export.dataset.publishing.geographic import GEOGRAPHIC_CRS, to_geographic
from darts_export.dataset.publishing.geopackages import layers_of, write_layers
from darts_export.dataset.publishing.geoparquet import read_rows, write_rows
from darts_export.dataset.publishing.licences import licence_text
from darts_export.dataset.publishing.record import RECORD_FILE, PublishedFile, Record, read_record
from darts_export.dataset.publishing.staging import Staging
from darts_export.dataset.publishing.tables import TABLES
from darts_export.fingerprints import sha256_of
from darts_export.manifest import MANIFEST_FILE
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import sole_writer
from darts_utils.logging import get_logger

WORK = ".darts-work"
"""Folder within a data set that is being built: everything that is not complete; it goes when the build is done."""

_WITHOUT_EFFECT = ("partition_m", "workers")
"""Options on which no result depends."""

_logger = get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What `build_dataset` did."""

    record: Record
    """The manifest of the data set."""
    unused: tuple[Unused, ...]
    """Folders that were not used, with the reasons; empty where nothing was to be done."""
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
        paths: Folders of tiles, and folders of results, which hold folders of tiles; in any mixture of CRSs.
        out: Folder of the data set: new, empty, or one that holds a data set, which stays complete until its successor is.
        config: How tiles become a data set.
        publication: What the data set says about itself.
        previous: The edition before, whose slumps keep their names.
        force: Build in any case, also what is current.
        progress: Called with the number of files that are made, and of all.

    Returns:
        What was done. An interrupted build goes on where it was, and ends with the same bytes.

    Raises:
        ConfigError: An option makes no sense, a path is no folder of results, or `previous` is `out`.
        TileContractError: One tile has two different results, or the models are mixed and may not be.
        OutputError: A folder cannot be read or written, `out` holds something else, another build is at work there, or
            `previous` is not complete.
    """
    options = config if config is not None else DatasetConfig()
    about = publication if publication is not None else Publication()
    text = licence_text(about)
    if previous is not None and previous.resolve() == out.resolve():
        raise ConfigError(
            f"expected the previous data set elsewhere than in '{out}', where the new one goes: copy it first"
        )
    _check_folder(out)
    with sole_writer(out):
        before = None if previous is None else require_published(previous)
        origin = _origin(paths, options, about, text, None if previous is None else previous / RECORD_FILE)
        standing = _standing(out)
        if not force and standing is not None and standing.origin == origin and _is_whole(standing, out):
            shutil.rmtree(out / WORK, ignore_errors=True)
            return Outcome(standing, (), is_new=False)
        levels = build_levels(paths, out / WORK / "levels", config=options)
        if before is not None:
            _logger.debug("the previous edition has %d files", len(before.files))
        key = _key(origin, levels)
        staging = Staging(out / WORK / "published", key=key, out=out)
        record = _staged(
            levels, staging, origin=origin, publication=about, licence=text, workers=options.workers, progress=progress
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


def _standing(out: Path) -> Record | None:
    return read_record(out)


def _is_whole(record: Record, out: Path) -> bool:
    try:
        return all((out / file.name).stat().st_size == file.size for file in record.files)
    except OSError:
        return False


def _origin(
    paths: Sequence[Path], options: DatasetConfig, about: Publication, licence: str, previous: Path | None
) -> dict[str, Any]:
    chosen = {name: value for name, value in dataclasses.asdict(options).items() if name not in _WITHOUT_EFFECT}
    said = dataclasses.asdict(about)
    said["licence_file"] = None if about.licence_file is None else hashlib.sha256(licence.encode()).hexdigest()
    origin = {
        "inputs": _inputs(paths),
        "previous": None if previous is None else sha256_of(previous),
        "options": chosen,
        "publication": said,
        "software": SOFTWARE,
    }
    plain: dict[str, Any] = json.loads(json.dumps(origin))
    return plain


def _inputs(paths: Sequence[Path]) -> str:
    """Hash of what the folders of tiles say they are, wherever and however often they are."""
    found = set()
    for folder in tile_folders(paths):
        manifest = folder / MANIFEST_FILE
        if manifest.is_file():
            found.add(f"{folder.name} {sha256_of(manifest)}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def _key(origin: Mapping[str, Any], levels: Levels) -> str:
    parts = [
        [name, part.path.name, part.rows, dict(part.first)]
        for name, level in levels.levels.items()
        for part in level.parts
    ]
    return hashlib.sha256(json.dumps([origin, parts], sort_keys=True).encode()).hexdigest()


def _staged(
    levels: Levels,
    staging: Staging,
    *,
    origin: Mapping[str, Any],
    publication: Publication,
    licence: str,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> Record:
    """Make all files of the data set, each once."""
    tables = {name: TABLES[name] for name in LEVELS if name in levels.levels}
    rounds = _rounds(levels, staging, list(tables))
    total, files = sum(len(each) for each in rounds), dict[str, PublishedFile]()
    with ThreadPoolExecutor(workers) as pool:
        for tasks in rounds:
            made = pool.map(lambda task: staging.make(*task), tasks.items())
            for file in made:
                files[file.name] = file
                _logger.debug("%s: %d bytes", file.name, file.size)
                if progress is not None:
                    progress(len(files), total)
    facts = {
        name: facts_of(staging.path(names.parquet_name(name, GEOGRAPHIC_CRS)), table) for name, table in tables.items()
    }
    described = list(tables.values())
    texts = {
        names.README: readme(publication, tables, facts, levels, SOFTWARE),
        names.LICENCE: licence,
        names.CITATION: citation(publication),
        names.TILES: tiles_csv(levels.tiles),
        **dict(zip(names.DICTIONARIES, (make(described) for make in _DICTIONARIES), strict=True)),
    }
    files |= {name: staging.make_text(name, text) for name, text in texts.items()}
    for name, table in tables.items():
        item = names.item_name(name)
        files[item] = staging.make_text(item, item_json(table, facts[name], files, publication))
    files[names.COLLECTION] = staging.make_text(names.COLLECTION, collection_json(tables, facts, files, publication))
    files[names.CHECKSUMS] = staging.make_text(names.CHECKSUMS, checksums(files.values()))
    counts = {"tiles": len(levels.tiles), "repaired": levels.repaired, "dropped": levels.dropped}
    rows = {name: found.rows for name, found in facts.items()}
    return Record(origin, rows, counts, tuple(files[name] for name in sorted(files)))


_DICTIONARIES = (dictionary_markdown, dictionary_csv, dictionary_json)


def _rounds(levels: Levels, staging: Staging, tables: list[str]) -> list[dict[str, Callable[[Path], object]]]:
    """The files of the tables, those of a round made of those of the round before."""
    first: dict[str, Callable[[Path], object]] = {}
    second: dict[str, Callable[[Path], object]] = {}
    third: dict[str, Callable[[Path], object]] = {}
    for name in tables:
        first[names.parquet_name(name, CRS)] = _on_map(levels, name)
        second[names.parquet_name(name, GEOGRAPHIC_CRS)] = _in_degrees(staging, name)
        for crs in names.CRSS:
            package = names.geopackage_name(name, crs)
            sharing = [other for other in tables if names.geopackage_name(other, crs) == package]
            third[package] = _packed(staging, sharing, crs)
    return [first, second, third]


def _on_map(levels: Levels, name: str) -> Callable[[Path], object]:
    table = TABLES[name]
    return lambda path: write_rows(batches_of(levels[name].tables(), table), path, table=table, crs=CRS)


def _in_degrees(staging: Staging, name: str) -> Callable[[Path], object]:
    table, source = TABLES[name], names.parquet_name(name, CRS)

    def write(path: Path) -> None:
        batches = (
            dataclasses.replace(batch, geometries={key: to_geographic(each) for key, each in batch.geometries.items()})
            for batch in read_rows(staging.path(source), table=table)
        )
        write_rows(batches, path, table=table, crs=GEOGRAPHIC_CRS)

    return write


def _packed(staging: Staging, tables: list[str], crs: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        layers = [
            layer for name in tables for layer in layers_of(TABLES[name], staging.path(names.parquet_name(name, crs)))
        ]
        write_layers(tuple(layers), path, crs=crs)

    return write
