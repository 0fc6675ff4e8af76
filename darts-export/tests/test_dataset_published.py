"""What `check_published` says about data sets that are not as they were built."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from darts_export.dataset.levels import Level, Levels, Part
from darts_export.dataset.published import check_published, require_published
from darts_export.dataset.publishing.checksums import parse_checksums
from darts_export.dataset.publishing.columns import Column, Table
from darts_export.dataset.publishing.config import Publication
from darts_export.dataset.publishing.files import make_files
from darts_export.dataset.publishing.record import read_record, record_json
from darts_export.dataset.publishing.staging import Staging
from darts_export.dataset.publishing.tables import TABLES
from darts_export.vector_files import write_geoparquet
from darts_utils.errors import OutputError
from darts_utils.files import TEMPORARY_PREFIX

ROWS = {"year": np.array([2020, 2021]), "models": ["full@12"] * 2, "column": np.array([1, 1]), "row": np.array([2, 2])}


def publish(out: Path, frame: geopandas.GeoDataFrame) -> Path:
    """Publish a data set of the coverage alone."""
    part = out.parent / f"{out.name}.parquet"
    write_geoparquet(frame, part)
    levels = Levels({"coverage": Level("coverage", (Part(part, len(frame)),))}, (), (), 0, 0, ())
    out.mkdir()
    staging = Staging(out.parent / "stage", key=out.name, out=out)
    staging.hand_over(make_files(levels, staging, origin={}, publication=Publication()), before=None)
    return out


def coverage(**changes: object) -> geopandas.GeoDataFrame:
    outlines = [shapely.box(0, 1e6, 100, 1e6 + 100), shapely.box(0, 1.1e6, 100, 1.1e6 + 100)]
    rows = {**ROWS, "n_observations": np.array([1, 2]), "valid_area_m2": np.array([1e4, 1e4])}
    return geopandas.GeoDataFrame({**rows, "geometry": outlines, **changes}, crs="EPSG:3413")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("published") / "dataset", coverage())


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> Path:
    """A data set of its own for each test."""
    return Path(shutil.copytree(original, tmp_path / "dataset"))


def test_what_is_complete(dataset: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = check_published(dataset, progress=lambda done, total: seen.append((done, total)))
    assert found.problems == ()
    assert seen[-1][0] == seen[-1][1] == len(seen)
    assert require_published(dataset) == found.record


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "problems"),
    [
        (lambda it: (it / "README.md").unlink(), ["missing: README.md"]),
        (lambda it: (it / "README.md").write_text("x"), ["damaged: README.md has 1 bytes instead of"]),
        (
            lambda it: damaged(it / "epsg4326" / "coverage.gpkg"),
            ["damaged: epsg4326/coverage.gpkg has another content"],
        ),
        (lambda it: (it / "items" / "old.json").touch(), ["unknown: items/old.json is not of this data set"]),
        (lambda it: (it / f"{TEMPORARY_PREFIX}0-1-x").touch(), [f"unfinished: {TEMPORARY_PREFIX}0-1-x"]),
        (lambda it: (it / "manifest.json").unlink(), ["not finished: there is no manifest.json"]),
        (lambda it: damaged(it / "manifest.json"), ["manifest: expected the manifest of a data set at"]),
        (
            lambda it: (
                (it / "README.md").unlink(),
                (it / ".darts-work" / "a").mkdir(parents=True),
                (it / ".darts-work/b").touch(),
            ),
            ["missing: README.md", "unfinished: .darts-work"],
        ),
    ],
)
def test_what_is_wrong_is_named(dataset: Path, harm: Callable[[Path], object], problems: list[str]) -> None:
    harm(dataset)
    found = check_published(dataset).problems
    assert len(found) == len(problems)
    assert all(problem.startswith(expected) for problem, expected in zip(found, problems, strict=True))


def test_sizes_only(dataset: Path) -> None:
    damaged(dataset / "epsg4326" / "coverage.gpkg")
    assert check_published(dataset, sizes_only=True).problems == ()


def test_rows_that_are_wrong(tmp_path: Path) -> None:
    doubled = publish(tmp_path / "doubled", coverage(year=np.array([2020, 2020])))
    assert check_published(doubled).problems == tuple(
        f"{crs}/coverage.parquet: 1 rows whose year, models, column, row another row has too"
        for crs in ("epsg3413", "epsg4326")
    )
    bow_tie = shapely.Polygon([(0, 1e6), (20, 1e6 + 20), (20, 1e6), (0, 1e6 + 20)])
    invalid = publish(tmp_path / "invalid", coverage(geometry=[bow_tie, shapely.box(0, 0, 1, 1)]))
    assert check_published(invalid).problems == ("epsg3413/coverage.parquet: 1 invalid geometries",)


def test_tables_that_are_not_those_of_the_registry(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["coverage"]
    more = Table(**{**vars(table), "columns": (*table.columns, Column("more", "bool", "", "More."))})
    monkeypatch.setitem(TABLES, "coverage", more)  # type: ignore[arg-type]
    assert [problem.split(" are ")[0] for problem in check_published(dataset).problems] == [
        "epsg3413/coverage.parquet: columns",
        "epsg4326/coverage.parquet: columns",
    ]
    monkeypatch.delitem(TABLES, "coverage")  # type: ignore[arg-type]
    assert check_published(dataset).problems == ("unknown: table coverage is not in the registry",)


def test_counts_and_checksums_that_the_manifest_contradicts(dataset: Path) -> None:
    record = read_record(dataset)
    assert record is not None
    changed = type(record)(record.origin, {"coverage": 3}, record.counts, record.files[:-1])
    (dataset / "manifest.json").write_text(record_json(changed))
    (dataset / "tiles.csv").unlink()
    assert check_published(dataset).problems == (
        "damaged: SHA256SUMS and manifest.json disagree",
        "epsg3413/coverage.parquet: 2 rows instead of 3",
        "epsg3413/coverage.gpkg: layer coverage has 2 features instead of 3",
        "epsg4326/coverage.parquet: 2 rows instead of 3",
        "epsg4326/coverage.gpkg: layer coverage has 2 features instead of 3",
    )
    with pytest.raises(ValueError, match="expected lines of a hash and a name, but got 'x'"):
        parse_checksums("x\n")


def test_data_sets_that_are_required(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"expected a data set at '.*', but there is no manifest.json"):
        require_published(tmp_path / "gone")
    (dataset / "LICENSE").unlink()
    with pytest.raises(OutputError, match="expected a complete data set at '.*', but got missing: LICENSE"):
        require_published(dataset)
    for text, message in (
        ('{"kind": "darts-dataset", "format": 9}', "manifest of a data set of format 1 at '.*', but got 9"),
        (json.dumps({"format": 2, "tile_id": "a"}), "but it is that of something else"),
        ("[", "but it is damaged"),
    ):
        (dataset / "manifest.json").write_text(text)
        with pytest.raises(OutputError, match=message):
            require_published(dataset)
    (dataset / "manifest.json").write_bytes(b"\xff")
    with pytest.raises(OutputError, match="but it cannot be read"):
        require_published(dataset)
