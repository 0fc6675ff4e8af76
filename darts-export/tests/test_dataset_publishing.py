"""The published form of levels, read with tools that others wrote."""

import csv
import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import geopandas
import geoparquet_validator
import jsonschema
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pystac
import pystac.validation
import pytest
import shapely
import yaml

from darts_export.dataset.levels import LEVELS, Level, Levels, Part, UsedTile
from darts_export.dataset.published import check_published, read_published
from darts_export.dataset.publishing.batches import batches_of
from darts_export.dataset.publishing.config import Author, Publication
from darts_export.dataset.publishing.facts import facts_of
from darts_export.dataset.publishing.files import make_files
from darts_export.dataset.publishing.geoparquet import read_rows, write_rows
from darts_export.dataset.publishing.record import PublishedFile, Record
from darts_export.dataset.publishing.staging import Staging
from darts_export.dataset.publishing.tables import TABLES
from darts_export.vector_files import write_geoparquet
from darts_utils.errors import ConfigError, OutputError, TileContractError

SCHEMAS = {
    path.stem: jsonschema.Draft7Validator(json.loads(path.read_text()))
    for path in sorted((Path(__file__).parent / "stac_schemas").glob("*.json"))
}

PUBLICATION = Publication(
    identifier="example",
    title='Slumps: "an example"',
    version="2.1.0",
    authors=(Author(family_names="Doe", given_names="Jane", orcid="0000-0002-1825-0097"), Author(name="An Institute")),
    doi="10.5281/zenodo.123",
    released="2024-05-06",
)

X, Y = -1_700_000.0, 1_700_000.0  # on the antimeridian


def frame_of(name: str, outlines: list[shapely.Geometry]) -> geopandas.GeoDataFrame:
    """A table of the registry with made-up values and given outlines."""
    table, count = TABLES[name], len(outlines)
    values: dict[str, object] = {}
    for column in table.columns:
        if column.may_lack:
            continue
        values[column.name] = {
            "int64": pd.array(np.arange(1, count + 1), dtype="int64"),
            "float64": np.linspace(0, 1, count),
            "bool": np.arange(count) % 2 == 0,
            "string": pd.array([f"text {number}" for number in range(count)], dtype="string"),
            "geometry": geopandas.GeoSeries(outlines, crs="EPSG:3413"),
        }[column.dtype]
    for column in {*table.dates}:
        text = table.dates[0] in ("date", "first_date")
        values[column] = (
            pd.array([f"202{number % 3}-07-0{1 + number % 9}" for number in range(count)], dtype="string")
            if text
            else pd.array([2020 + number % 3 for number in range(count)], dtype="int64")
        )
    return geopandas.GeoDataFrame(values, geometry="geometry", crs="EPSG:3413")


OUTLINES = [
    shapely.box(X - 50, Y - 50, X + 60, Y + 70),
    shapely.box(X + 500, Y, X + 600, Y + 100),
    shapely.MultiPolygon([shapely.box(X, Y + 900, X + 50, Y + 950), shapely.box(X + 60, Y + 900, X + 90, Y + 950)]),
    shapely.box(X + 2000, Y + 2000, X + 2100, Y + 2100).difference(shapely.box(X + 2020, Y + 2020, X + 2030, Y + 2030)),
]


def levels_in(work: Path, *, outlines: list[shapely.Geometry] = OUTLINES, parts: int = 1) -> Levels:
    """Levels as a build leaves them, in any number of parts."""
    levels = {}
    for name in LEVELS:
        frame = frame_of(name, outlines)
        if name == "level2" and outlines:
            frame["median_footprint"] = geopandas.GeoSeries([shapely.MultiPolygon(), *outlines[1:]], crs="EPSG:3413")
        pieces = []
        for number, rows in enumerate(np.array_split(np.arange(len(frame)), parts)):
            path = work / f"{name}-{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_geoparquet(frame.iloc[rows], path)
            pieces.append(Part(path, len(rows)))
        levels[name] = Level(name, tuple(pieces))
    tile = UsedTile("a", "2020-07-01", "sentinel2", "full@12", len(outlines), "ab" * 32)
    return Levels(levels, (tile,), (), 1, 0, ("full@12",))


def publish(
    out: Path, *, outlines: list[shapely.Geometry] = OUTLINES, parts: int = 1, publication: Publication = PUBLICATION
) -> Record:
    work = out.parent / f"{out.name}-work"
    staging = Staging(work / "published", key="key", out=out)
    out.mkdir(parents=True, exist_ok=True)
    record = make_files(
        levels_in(work, outlines=outlines, parts=parts), staging, origin={"inputs": "none"}, publication=publication
    )
    staging.hand_over(record, before=None)
    return record


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("published") / "dataset"
    publish(out)
    return out


def test_a_data_set_is_complete(published: Path) -> None:
    found = check_published(published)
    assert found.problems == ()
    assert found.record is not None
    assert found.record.rows == dict.fromkeys(LEVELS, 4)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=published, check=True)


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:4326"])
@pytest.mark.parametrize("name", LEVELS)
def test_geoparquet(published: Path, name: str, crs: str) -> None:
    path = published / crs.replace(":", "").lower() / f"{name}.parquet"
    report = geoparquet_validator.check(str(path))
    assert report["version"] == "1.1.0"
    assert not set(geoparquet_validator.failed(report))
    table, expected = geopandas.read_parquet(path), frame_of(name, OUTLINES)
    assert table.crs == crs
    for column in TABLES[name].columns:
        if column.dtype == "geometry":
            continue
        if column.may_lack:
            assert table[column.name].isna().all()
        else:
            assert table[column.name].tolist() == expected[column.name].tolist()
    back = table.geometry.to_crs("EPSG:3413")
    assert back.area.tolist() == pytest.approx(expected.area.tolist(), rel=1e-6)
    west, south, _, _ = table.geometry[3].bounds
    assert len(geopandas.read_parquet(path, bbox=(west, south, west, south))) >= 1


@pytest.mark.parametrize("crs", ["epsg3413", "epsg4326"])
def test_geopackages(published: Path, crs: str) -> None:
    layers = {path.name: pyogrio.list_layers(path)[:, 0].tolist() for path in sorted((published / crs).glob("*.gpkg"))}
    assert layers == {
        "coverage.gpkg": ["coverage"],
        "level1.gpkg": ["level1"],
        "level2.gpkg": ["level2", "level2_median_footprint"],
        "level3.gpkg": ["level3", "level3_years", "level3_events"],
    }
    rows = geopandas.read_parquet(published / crs / "level2.parquet")
    features = geopandas.read_file(published / crs / "level2.gpkg", layer="level2")
    assert features.geometry.geom_equals(rows.geometry).all()
    assert features.drop(columns="geometry").to_dict("list") == rows[features.columns.drop("geometry")].to_dict("list")
    medians = geopandas.read_file(published / crs / "level2.gpkg", layer="level2_median_footprint")
    assert medians.object_id.tolist() == [2, 3, 4]  # the first one is empty
    with closing(sqlite3.connect(published / crs / "level3.gpkg")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert set(database.execute("SELECT last_change FROM gpkg_contents")) == {("1970-01-01T00:00:00.000Z",)}
        assert database.execute(
            "SELECT count(*) FROM gpkg_extensions WHERE extension_name LIKE '%rtree%'"
        ).fetchone() == (3,)


def test_every_column_that_is_written_is_in_the_registry_and_the_other_way_round(published: Path) -> None:
    with (published / "data_dictionary.csv").open(newline="") as file:
        listed = [(row["table"], row["column"]) for row in csv.DictReader(file)]
    written = [
        (name, column) for name in LEVELS for column in pq.read_schema(published / "epsg4326" / f"{name}.parquet").names
    ]
    assert [each for each in written if not each[1].endswith("bbox")] == listed
    described = json.loads((published / "data_dictionary.json").read_text())
    assert [(name, column["name"]) for name, table in described.items() for column in table["columns"]] == listed
    markdown = (published / "data_dictionary.md").read_text()
    assert all(f"| `{column}` |" in markdown for _, column in listed)
    assert all(column.description.endswith(".") for table in TABLES.values() for column in table.columns)


def test_the_collection_and_its_items_are_valid(published: Path) -> None:
    collection = pystac.Collection.from_file(str(published / "collection.json"))
    items = list(collection.get_items())
    assert [item.id for item in items] == [f"example-{name}" for name in LEVELS]
    for path in (published / "collection.json", *sorted((published / "items").glob("*.json"))):
        stored = json.loads(path.read_text())
        pystac.validation.validate_dict({**stored, "stac_extensions": []})
        assert stored["stac_extensions"]
        for address in stored["stac_extensions"]:
            name, version = address.split("/")[3:5]
            SCHEMAS[f"{name}-{version}"].validate(stored)
        for asset in stored["assets"].values():
            file = path.parent / asset["href"]
            assert file.stat().st_size == asset["file:size"]
    assert collection.extent.spatial.bboxes[0][0] > collection.extent.spatial.bboxes[0][2]  # across the antimeridian
    first, last = collection.extent.temporal.intervals[0]
    assert (first.date().isoformat(), last.date().isoformat()) == ("2020-01-01", "2022-12-31")
    assert items[1].properties["table:row_count"] == 4
    assert items[1].geometry["type"] == "MultiPolygon"


def test_citation_licence_and_tiles(published: Path, tmp_path: Path) -> None:
    cited = yaml.safe_load((published / "CITATION.cff").read_text())
    assert (cited["cff-version"], cited["type"], cited["title"]) == ("1.2.0", "dataset", 'Slumps: "an example"')
    assert (cited["doi"], cited["version"], cited["date-released"]) == ("10.5281/zenodo.123", "2.1.0", "2024-05-06")
    assert cited["authors"] == [
        {"family-names": "Doe", "given-names": "Jane", "orcid": "https://orcid.org/0000-0002-1825-0097"},
        {"name": "An Institute"},
    ]
    assert (published / "LICENSE").read_text().startswith("Attribution 4.0 International")
    assert (published / "tiles.csv").read_text().splitlines()[1] == f"a,2020-07-01,sentinel2,full@12,4,{'ab' * 32}"
    assert "| `level3` | 4 |" in (published / "README.md").read_text()
    own = tmp_path / "licence.txt"
    own.write_text("Do what is right.")
    out = tmp_path / "own"
    publish(out, outlines=OUTLINES[:1], publication=Publication(licence="LicenseRef-own", licence_file=own))
    assert (out / "LICENSE").read_text() == "Do what is right."
    assert yaml.safe_load((out / "CITATION.cff").read_text())["authors"] == [{"name": "anonymous"}]


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_bytes_do_not_depend_on_parts_and_time(published: Path, tmp_path: Path) -> None:
    publish(tmp_path / "again", parts=3)
    assert files_in(tmp_path / "again") == files_in(published)


def test_an_empty_data_set_is_valid(tmp_path: Path) -> None:
    publish(tmp_path / "empty", outlines=[])
    found = check_published(tmp_path / "empty")
    assert found.problems == ()
    assert found.record is not None
    assert set(found.record.rows.values()) == {0}
    for name in LEVELS:
        assert len(read_published(tmp_path / "empty", name, crs="EPSG:4326")) == 0
    for path in (tmp_path / "empty").glob("items/*.json"):
        pystac.validation.validate_dict({**json.loads(path.read_text()), "stac_extensions": []})


def test_rows_are_shared_among_row_groups_alike(tmp_path: Path) -> None:
    table = TABLES["level1"]
    frame = frame_of("level1", OUTLINES * 3)
    for cuts in ([], [1], [5, 6], [0, 4, 8]):
        pieces = [frame.iloc[rows] for rows in np.split(np.arange(len(frame)), cuts)]
        path = tmp_path / f"{len(cuts)}.parquet"
        assert write_rows(batches_of(pieces, table, rows=5), path, table=table, crs="EPSG:3413") == 12
        with pq.ParquetFile(path) as file:
            assert [file.metadata.row_group(each).num_rows for each in range(file.num_row_groups)] == [5, 5, 2]
        assert path.read_bytes() == (tmp_path / "0.parquet").read_bytes()
    assert sum(batch.values.num_rows for batch in read_rows(path, table=table)) == 12


def test_columns_that_the_registry_does_not_know_are_refused() -> None:
    table, frame = TABLES["level1"], frame_of("level1", OUTLINES)
    with pytest.raises(TileContractError, match=r"columns of level1 .* without \['rule'\] and with \['law'\]"):
        list(batches_of([frame.rename(columns={"rule": "law"})], table))


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(10.0, 12.0)], (10.0, 12.0)),
        ([(-170.0, -160.0), (150.0, 160.0)], (150.0, -160.0)),
        ([(-180.0, -179.5), (179.0, 180.0)], (179.0, -179.5)),
        ([(-30.0, 20.0), (100.0, 120.0)], (-30.0, 120.0)),
        ([(-180.0, 180.0)], (-180.0, 180.0)),
    ],
)
def test_extents_go_the_shortest_way_around(
    boxes: list[tuple[float, float]], expected: tuple[float, float], tmp_path: Path
) -> None:
    frame = frame_of("coverage", [shapely.box(west, 70, east, 71) for west, east in boxes])
    table = TABLES["coverage"]
    write_rows(batches_of([frame], table), tmp_path / "coverage.parquet", table=table, crs="EPSG:4326")
    facts = facts_of(tmp_path / "coverage.parquet", table)
    assert facts.box == (expected[0], 70.0, expected[1], 71.0)
    assert facts.rows == len(boxes)


def test_staged_files_are_made_once_and_known_where_they_are(tmp_path: Path) -> None:
    out, calls = tmp_path / "out", list[str]()
    out.mkdir()

    def writer(text: str) -> Callable[[Path], object]:
        return lambda path: (calls.append(text), path.write_text(text))

    staging = Staging(tmp_path / "stage", key="a", out=out)
    first = staging.make("x/one.txt", writer("one"))
    assert staging.make("x/one.txt", writer("again")) == first
    (out / "old.txt").touch()
    before = Record({}, {}, {}, (PublishedFile("old.txt", 0, ""),))
    staging.hand_over(Record({}, {}, {}, (first,)), before=before)
    assert (out / "x" / "one.txt").read_text() == "one"
    assert not (out / "old.txt").exists()
    assert (
        Staging(tmp_path / "stage", key="a", out=out).make("x/one.txt", writer("again")) == first
    )  # it is there already
    assert calls == ["one"]
    (out / "x" / "one.txt").write_text("two")
    Staging(tmp_path / "stage", key="a", out=out).make("x/one.txt", writer("one"))
    Staging(tmp_path / "stage", key="b", out=out).make("x/one.txt", writer("other"))
    assert calls == ["one", "one", "other"]
    assert [path.name for path in (tmp_path / "stage").iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licence": "WTFPL"}, "licence to be one of CC-BY-4.0, CC0-1.0, but got 'WTFPL': name the file"),
        (
            {"licence_file": Path("/nowhere/licence")},
            "text of the licence at '/nowhere/licence', but it cannot be read",
        ),
    ],
)
def test_licences_whose_text_nobody_has(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        publish(tmp_path / "x", outlines=OUTLINES[:1], publication=replace(PUBLICATION, **change))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Author(), "expected an author with family_names"),
        (lambda: Author(name="a", family_names="b"), "expected an author with family_names .* got 'b a'"),
        (lambda: Author(name="a", orcid="1"), "expected an orcid like"),
        (lambda: Publication(identifier="a b"), "publication.identifier of letters"),
        (lambda: Publication(title=" "), "publication.title to say something"),
        (lambda: Publication(doi="https://doi.org/10.1/2"), "leave out the resolver"),
        (lambda: Publication(released="yesterday"), "publication.released: expected a date"),
        (lambda: Publication(title="a\0b"), "publication.title to be text that files can hold"),
    ],
)
def test_publications_that_make_no_sense(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_geopackage_that_cannot_be_written(published: Path, tmp_path: Path) -> None:
    from darts_export.dataset.publishing.geopackages import layers_of, write_layers

    layers = layers_of(TABLES["coverage"], published / "epsg3413" / "coverage.parquet")
    with pytest.raises(OSError, match="the GeoPackage '.*' cannot be written"):
        write_layers(layers, tmp_path / "nowhere" / "x.gpkg", crs="EPSG:3413")


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot read '.*level1.parquet' .*: check the data set"):
        read_published(tmp_path, "level1", crs="EPSG:3413")
