"""The results table while a run goes on."""

import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from darts_nextgen.pipeline import partitions
from darts_nextgen.pipeline.layout import RESULTS_FILE
from darts_nextgen.pipeline.partitions import KeptTable, kept_table
from darts_nextgen.pipeline.report import TileRow, read_report, write_rows
from darts_utils.errors import OutputError


def row_of(number, status="pending"):
    return TileRow(f"tile-{number}", f"/scenes/{number}", status=status, objects=number if status == "done" else None)


def filled(folder, count, **options):
    table = KeptTable(folder, rows_per_part=3, **options)
    for number in range(count):
        assert table.add(row_of(number)) == number
    table.write()
    return table


def test_rows_keep_the_order_of_the_scenes_over_all_parts(tmp_path):
    table = filled(tmp_path / "results.parquet", 8)
    for number in (7, 0, 4, 2, 1, 6, 3, 5):
        table.end(number, row_of(number, "done"))
    table.write()
    report = table.report()
    assert [path.name for path in table.parts] == [f"part-0000{part}.parquet" for part in range(3)]
    assert [row.tile_id for row in report.rows] == [f"tile-{number}" for number in range(8)]
    assert (len(report.rows), report.rows[-1].objects, report.rows[3].tile_id) == (8, 7, "tile-3")
    assert [row.objects for row in report.rows[2:5]] == [2, 3, 4]
    assert (report.objects, report.counts, report.exit_code) == (28, {"done": 8}, 0)
    assert read_report(tmp_path / "results.parquet") == report
    assert report.rows != list(report.rows)[:-1]
    with pytest.raises(IndexError):
        report.rows[8]


def test_at_any_moment_every_part_is_valid_and_what_has_not_ended_is_pending(tmp_path):
    table = filled(tmp_path / "results.parquet", 5, write_every_seconds=0)
    for number in range(4):
        table.end(number, row_of(number, "done"))
        rows = read_report(tmp_path / "results.parquet").rows
        assert [row.status for row in rows] == ["done"] * (number + 1) + ["pending"] * (4 - number)


def test_parts_that_are_complete_are_forgotten(tmp_path):
    table = filled(tmp_path / "results.parquet", 7)
    for number in range(6):
        table.end(number, row_of(number, "done"))
    table.write()
    assert list(table._open) == [2]


def test_a_write_that_fails_says_why_and_is_made_up_for(tmp_path, monkeypatch):
    def on_a_full_disk(rows, path):
        if path.name == "part-00001.parquet":
            raise OutputError("the disk is full")
        return write_rows(rows, path)

    with pytest.raises(OutputError, match="the disk is full"), kept_table(tmp_path) as table:
        table._rows_per_part = 2
        for number in range(4):
            table.add(row_of(number))
        for number in range(4):
            table.end(number, row_of(number, "done"))
        monkeypatch.setattr(partitions, "write_rows", on_a_full_disk)
        table.write()
    assert [row.status for row in table.report().rows] == ["done", "done"]
    monkeypatch.undo()
    table.write()
    assert [row.status for row in table.report().rows] == ["done"] * 4


def test_other_tools_read_it_as_one_table(tmp_path):
    filled(tmp_path / "results.parquet", 8)
    folder = tmp_path / "results.parquet"
    assert len(pd.read_parquet(folder)) == pq.read_table(folder).num_rows == ds.dataset(folder).count_rows() == 8


def test_the_table_of_another_run_goes(tmp_path):
    filled(tmp_path / "results.parquet", 8)
    filled(tmp_path / "results.parquet", 2)
    assert len(read_report(tmp_path / "results.parquet").rows) == 2


def test_a_file_of_that_name_goes_only_if_it_is_a_table_of_ours(tmp_path):
    filled(tmp_path / "other", 1)
    single = tmp_path / "results.parquet"
    (tmp_path / "other" / "part-00000.parquet").rename(single)
    assert len(filled(single, 2).report().rows) == 2
    text, other = tmp_path / "text.parquet", tmp_path / "other.parquet"
    text.write_text("not ours")
    pd.DataFrame({"scene": ["a"], "clouds": [0.5]}).to_parquet(other)
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(
            OutputError, match=r"table into '.*\.parquet', but a file of another origin is there: rename it"
        ):
            KeptTable(path)
        assert path.read_bytes() == before


def test_the_table_of_an_older_version_gives_way(tmp_path):
    single = tmp_path / "results.parquet"
    pd.DataFrame({"tile_id": ["a"], "scene": ["/a"], "status": ["done"], "seconds": [1.5]}).to_parquet(single)
    with pytest.raises(OutputError, match="expected a results table of this version at .* or run the scenes again"):
        read_report(single)
    assert [row.tile_id for row in filled(single, 1).report().rows] == ["tile-0"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="expected to write the results table into '.*', but cannot"):
        KeptTable(tmp_path / "file" / "results.parquet")


def test_the_table_is_up_to_date_when_a_run_ends_however_it_does(tmp_path):
    with pytest.raises(KeyboardInterrupt), kept_table(tmp_path) as table:
        table.add(row_of(0))
        table.add(row_of(1))
        table.end(0, row_of(0, "done"))
        raise KeyboardInterrupt
    assert [row.status for row in read_report(tmp_path / RESULTS_FILE).rows] == ["done", "pending"]
    assert partitions.ROWS_PER_PART >= 100
