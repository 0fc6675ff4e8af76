"""The files of a data set: which there are, what each is made of, and in what order."""

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from darts_export.contents import SOFTWARE
from darts_export.dataset.config import CRS
from darts_export.dataset.levels import LEVELS, Levels
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
from darts_export.dataset.publishing.record import PublishedFile, Record
from darts_export.dataset.publishing.staging import Staging
from darts_export.dataset.publishing.tables import TABLES
from darts_utils.logging import get_logger

_logger = get_logger(__name__)


def make_files(
    levels: Levels,
    staging: Staging,
    *,
    origin: Mapping[str, Any],
    publication: Publication,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Record:
    """Make all files of a data set, each once.

    Args:
        levels: The tables.
        staging: Where the files wait.
        origin: What decides the content, for the manifest.
        publication: What the data set says about itself.
        workers: Number of files that are made at a time.
        progress: Called with the number of files of tables that are made, and of all.

    Returns:
        The manifest, to be handed over with the files.

    Raises:
        ConfigError: Nobody has the text of the licence.
        TileContractError: A table has other columns than the registry names.
        OutputError: A file cannot be written.
    """
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
        names.LICENCE: licence_text(publication),
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
