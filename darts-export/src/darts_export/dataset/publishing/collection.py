"""STAC: the data set as a collection, each table as an item."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import pystac
import shapely
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.scientific import ScientificExtension
from pystac.extensions.table import Column as STACColumn
from pystac.extensions.table import Table as STACTable
from pystac.extensions.table import TableExtension

from darts_export.dataset.publishing import names
from darts_export.dataset.publishing.columns import Table
from darts_export.dataset.publishing.config import Publication
from darts_export.dataset.publishing.facts import Facts, joined
from darts_export.dataset.publishing.geographic import GEOGRAPHIC_CRS
from darts_export.dataset.publishing.record import PublishedFile

_PARQUET, _GEOPACKAGE = "application/vnd.apache.parquet", "application/geopackage+sqlite3"

_EVERYWHERE = (-180.0, -90.0, 180.0, 90.0)

_ANY_TIME = ("1900-01-01", "2100-01-01")
"""What a table without rows spans, so that no search misses it."""

_SHA256_MULTIHASH = "1220"

_DOCUMENTS = {
    names.README: ("Read me", "text/markdown", "metadata"),
    names.LICENCE: ("Licence", "text/plain", "metadata"),
    names.CITATION: ("How to cite", "application/yaml", "metadata"),
    names.DICTIONARIES[0]: ("Data dictionary", "text/markdown", "metadata"),
    names.DICTIONARIES[1]: ("Data dictionary", "text/csv", "metadata"),
    names.DICTIONARIES[2]: ("Data dictionary", "application/json", "metadata"),
    names.TILES: ("Tiles that the data set was made of", "text/csv", "metadata"),
}


def item_json(table: Table, facts: Facts, files: Mapping[str, PublishedFile], publication: Publication) -> str:
    """Describe a table as a STAC item, with its files as assets.

    Args:
        table: The table.
        facts: Its extent.
        files: The files of the data set by their names; those of the table are looked up.
        publication: What the data set says about itself.
    """
    start, end = _times(facts)
    box = _EVERYWHERE if facts.box is None else facts.box
    item = pystac.Item(
        id=f"{publication.identifier}-{table.name}",
        geometry=shapely.geometry.mapping(_outline(box)),
        bbox=list(box),
        datetime=None,
        start_datetime=start,
        end_datetime=end,
        properties={"title": table.title, "description": table.description},
        collection=publication.identifier,
    )
    described = TableExtension.ext(item, add_if_missing=True)
    described.columns = [
        STACColumn({"name": each.name, "type": each.dtype, "description": _described(each.description, each.unit)})
        for each in table.columns
    ]
    described.row_count = facts.rows
    described.primary_geometry = "geometry"
    for crs in names.CRSS:
        for key, name, media_type in (
            ("geoparquet", names.parquet_name(table.name, crs), _PARQUET),
            ("geopackage", names.geopackage_name(table.name, crs), _GEOPACKAGE),
        ):
            role = "data" if crs == GEOGRAPHIC_CRS else "alternate"
            asset = _asset(
                files[name], href=f"../{name}", title=f"{table.title}, {crs}", media_type=media_type, role=role
            )
            item.add_asset(f"{key}_{crs.replace(':', '').lower()}", asset)
            ProjectionExtension.ext(asset, add_if_missing=True).code = crs
            FileExtension.ext(asset, add_if_missing=True)
    content = item.to_dict(include_self_link=False, transform_hrefs=False)
    content["links"] = [
        {"rel": rel, "href": f"../{names.COLLECTION}", "type": "application/json"}
        for rel in ("root", "parent", "collection")
    ]
    return _text(content)


def collection_json(
    tables: Mapping[str, Table],
    facts: Mapping[str, Facts],
    files: Mapping[str, PublishedFile],
    publication: Publication,
) -> str:
    """Describe the data set as a STAC collection, whose items are its tables.

    Args:
        tables: The tables by name.
        facts: Their extents.
        files: The files of the data set by their names.
        publication: What the data set says about itself.
    """
    whole = joined(list(facts.values()))
    box = _EVERYWHERE if whole.box is None else whole.box
    extent = pystac.Extent(pystac.SpatialExtent([list(box)]), pystac.TemporalExtent([list(_times(whole))]))
    collection = pystac.Collection(
        id=publication.identifier,
        title=publication.title,
        description=publication.description,
        extent=extent,
        license=publication.licence,
        keywords=list(publication.keywords) or None,
        providers=[
            pystac.Provider(author.label, roles=[pystac.ProviderRole.PRODUCER]) for author in publication.authors
        ]
        or None,
        extra_fields={"version": publication.version},
    )
    if publication.doi is not None:
        ScientificExtension.ext(collection, add_if_missing=True).doi = publication.doi
    TableExtension.ext(collection, add_if_missing=True)
    collection.extra_fields["table:tables"] = [
        STACTable({"name": name, "description": table.description}).to_dict() for name, table in tables.items()
    ]
    for name, (title, media_type, role) in _DOCUMENTS.items():
        key = name.lower().replace(".", "_")
        collection.add_asset(key, _asset(files[name], href=f"./{name}", title=title, media_type=media_type, role=role))
    FileExtension.ext(collection.assets["readme_md"], add_if_missing=True)
    content = collection.to_dict(include_self_link=False, transform_hrefs=False)
    content["links"] = [
        {"rel": "root", "href": f"./{names.COLLECTION}", "type": "application/json"},
        {"rel": "license", "href": f"./{names.LICENCE}", "type": "text/plain"},
        *([{"rel": "cite-as", "href": f"https://doi.org/{publication.doi}"}] if publication.doi is not None else []),
        *({"rel": "item", "href": f"./{names.item_name(name)}", "type": "application/geo+json"} for name in tables),
    ]
    return _text(content)


def _asset(file: PublishedFile, *, href: str, title: str, media_type: str, role: str) -> pystac.Asset:
    known = {"file:size": file.size, "file:checksum": f"{_SHA256_MULTIHASH}{file.sha256}"}
    return pystac.Asset(href, title=title, media_type=media_type, roles=[role], extra_fields=known)


def _described(description: str, unit: str) -> str:
    return f"{description} Unit: {unit}." if unit else description


def _times(facts: Facts) -> tuple[dt.datetime, dt.datetime]:
    first, last = facts.days if facts.days is not None else _ANY_TIME
    start, end = (dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), tzinfo=dt.UTC) for day in (first, last))
    return start, end + dt.timedelta(days=1, seconds=-1)


def _outline(box: tuple[float, float, float, float]) -> shapely.Geometry:
    west, south, east, north = box
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.multipolygons([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
