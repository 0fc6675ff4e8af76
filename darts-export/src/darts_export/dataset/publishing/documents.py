"""What readers find beside the tables: README, citation, and the list of tiles."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from darts_export.dataset.levels import Levels, UsedTile
from darts_export.dataset.publishing import names
from darts_export.dataset.publishing.columns import Table
from darts_export.dataset.publishing.config import Author, Publication
from darts_export.dataset.publishing.facts import Facts

_ANONYMOUS = Author(name="anonymous")


def citation(publication: Publication) -> str:
    """The text of ``CITATION.cff``; whoever names no authors is anonymous.

    References:
        Citation File Format 1.2.0, doi:10.5281/zenodo.5171937
    """
    authors = [_cff_author(author) for author in publication.authors or (_ANONYMOUS,)]
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this data set, please cite it as below.",
        "type": "dataset",
        "title": publication.title,
        "abstract": publication.description,
        "version": publication.version,
        "license": publication.licence,
        "doi": publication.doi,
        "date-released": publication.released,
        "url": publication.url,
        "keywords": list(publication.keywords) or None,
        "authors": authors,
    }
    return "".join(f"{key}:{_yaml(value)}\n" for key, value in content.items() if value is not None)


def tiles_csv(tiles: Sequence[UsedTile]) -> str:
    """The tiles that are in the data set, one line each."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("tile_id", "date", "sensor", "models", "objects", "sha256"))
    writer.writerows((each.tile_id, each.date, each.sensor, each.models, each.objects, each.sha256) for each in tiles)
    return buffer.getvalue()


def contents_of(tiles_csv: str) -> frozenset[str]:
    """Read the hashes of the content of the tiles in a list of `tiles_csv`.

    Examples:
        >>> sorted(contents_of(tiles_csv([UsedTile("a", "2020-07-01", "sentinel2", "full@12", 3, "ab")])))
        ['ab']
    """
    return frozenset(row["sha256"] for row in csv.DictReader(io.StringIO(tiles_csv, newline="")))


def readme(
    publication: Publication, tables: Mapping[str, Table], facts: Mapping[str, Facts], levels: Levels, software: str
) -> str:
    """The text of the data set's ``README.md``."""
    authors = ", ".join(author.label for author in publication.authors or (_ANONYMOUS,))
    lines = [f"# {publication.title}", "", publication.description, ""]
    lines += [f"Version {publication.version}, by {authors}. Licence: {publication.licence}, see `{names.LICENCE}`."]
    lines += [f"DOI: https://doi.org/{publication.doi}"] if publication.doi is not None else []
    lines += ["", "| table | rows | days | what a row is |", "|---|---|---|---|"]
    for name, table in tables.items():
        found = facts[name]
        days = "" if found.days is None else " to ".join(found.days)
        lines.append(f"| `{name}` | {found.rows} | {days} | {table.description} |")
    lines += ["", *_files(), ""]
    lines += [
        (
            f"Made by {software} of {len(levels.tiles)} tiles (`{names.TILES}`) and these models: "
            f"{'; '.join(levels.models) or 'none'}. Results of different models are never mixed in a row. {levels.repaired} "
            f"geometries were invalid and have been made valid, {levels.dropped} held no area and are left out."
        ),
        "",
    ]
    return "\n".join(lines)


def _files() -> list[str]:
    first, second = (names.parquet_name("level3", crs) for crs in names.CRSS)
    return [
        "| files | |",
        "|---|---|",
        f"| `{first}`, … | GeoParquet 1.1 in EPSG:3413, metres: one map of the Arctic |",
        f"| `{second}`, … | the same in longitude and latitude: cut at the antimeridian, up to 90° around the pole |",
        "| `*.gpkg` | the same as GeoPackages; of Level 3 with three layers, of Level 2 with a second one of median footprints |",
        f"| `{names.DICTIONARIES[0]}`, `.csv`, `.json` | what every column says |",
        f"| `{names.COLLECTION}`, `items/` | STAC |",
        f"| `{names.TILES}` | the tiles that the data set was made of, with a hash of what was read of them |",
        f"| `{names.CITATION}`, `{names.LICENCE}` | how to cite, what is allowed |",
        f"| `{names.CHECKSUMS}` | `sha256sum -c {names.CHECKSUMS}` |",
        "| `manifest.json` | what it was made from; `darts dataset check` compares the files with it |",
        "",
        "Areas and lengths are those on the ellipsoid, in both CRSs.",
    ]


def _cff_author(author: Author) -> dict[str, str]:
    fields = {
        "family-names": author.family_names,
        "given-names": author.given_names,
        "name": author.name,
        "affiliation": author.affiliation if author.family_names is not None else None,
        "orcid": None if author.orcid is None else f"https://orcid.org/{author.orcid}",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _yaml(value: object) -> str:
    """JSON is YAML, and what it quotes is text whatever it looks like."""
    if isinstance(value, list):
        return "".join(f"\n  - {json.dumps(each, ensure_ascii=False)}" for each in value)
    return f" {json.dumps(value, ensure_ascii=False)}"
