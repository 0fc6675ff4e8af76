"""The results table: rows to Parquet and back."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_nextgen.pipeline.report import RunReport, TileRow, read_report, write_rows
from darts_nextgen.pipeline.stages import STAGE_NAMES
from darts_utils.errors import OutputError

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
rows = st.builds(
    TileRow,
    tile_id=texts,
    scene=st.just(Path("/scenes/a")),
    status=st.sampled_from(["pending", "done", "current", "failed"]),
    failed_stage=st.none() | st.sampled_from(STAGE_NAMES),
    error=st.none() | texts,
    traceback=st.none() | st.just(Path("/errors/a.txt")),
    warnings=st.lists(texts, max_size=3).map(tuple),
    objects=st.none() | st.integers(0, 10**6),
    area_km2=st.none() | st.floats(0, 1e6),
    seconds=st.dictionaries(st.sampled_from(STAGE_NAMES), st.floats(0, 1e6)),
    bytes=st.dictionaries(st.sampled_from(STAGE_NAMES), st.integers(0, 2**50)),
    products=st.dictionaries(texts, texts, max_size=3),
)


@settings(deadline=None, max_examples=50)
@given(written=st.lists(rows, max_size=4))
def test_rows_survive_the_table(written, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "part-00000.parquet"
    assert write_rows(written, path) == path
    report = read_report(path)
    assert (report.rows, report.table) == (written, path)
    assert list(report.rows) == written


def test_the_columns_are_those_that_people_ask_for(tmp_path):
    write_rows([TileRow("a", Path("/a"), status="done", objects=3, seconds={"load": 1.5})], tmp_path / "r.parquet")
    (row,) = pq.read_table(tmp_path / "r.parquet").to_pylist()
    assert set(row) == {
        "tile_id", "scene", "status", "failed_stage", "error", "traceback", "warnings", "objects", "area_km2", "products",
        *(f"{name}_seconds" for name in STAGE_NAMES),
        *(f"{name}_bytes" for name in STAGE_NAMES),
    }  # fmt: skip
    assert (row["tile_id"], row["status"], row["objects"], row["load_seconds"]) == ("a", "done", 3, 1.5)
    assert row["inference_seconds"] is None


def test_a_report_counts(tmp_path):
    done, failed, pending = (
        TileRow("a", tmp_path, status="done", objects=3),
        TileRow("b", tmp_path, status="failed", error="no"),
        TileRow("c", tmp_path),
    )
    report = RunReport((done, failed, pending), tmp_path)
    assert (report.done, report.failed, report.objects, report.exit_code) == ((done,), (failed,), 3, 1)
    assert RunReport((done,), tmp_path).exit_code == 0
    assert RunReport((done, pending), tmp_path).exit_code == 1
    current = TileRow("d", tmp_path, status="current", objects=2)
    report = RunReport((done, current), tmp_path)
    assert (report.current, report.complete, report.objects, report.exit_code) == ((current,), (done, current), 5, 0)


def test_what_is_no_results_table_is_named(tmp_path):
    with pytest.raises(
        OutputError, match="expected a results table at '.*gone.parquet', but there is none: run the scenes"
    ):
        read_report(tmp_path / "gone.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(OutputError, match="but it cannot be read .*: run the scenes again"):
        read_report(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(
        OutputError,
        match="expected a results table of this version at '.*', but its columns are a: name results.parquet",
    ):
        read_report(tmp_path / "other.parquet")


def test_a_table_is_replaced_only_when_it_is_complete(tmp_path):
    path = tmp_path / "results.parquet"
    write_rows([TileRow("a", tmp_path)], path)
    before = path.read_bytes()
    with pytest.raises(pa.ArrowException):
        write_rows([TileRow("b", tmp_path, objects="many")], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
