"""The streaming build: the same rows as in memory, whatever the partitions, and whatever happens meanwhile."""

import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset import DatasetConfig, coverage_cells, merge_years, observe, read_archive
from darts_export.dataset.building import build_levels
from darts_export.dataset.levels import LEVELS
from darts_export.dataset.processes import in_processes
from darts_export.dataset.testing.archives import random_archive, write_tile
from darts_export.dataset.testing.levels import assert_level3, digest, rows_of
from darts_export.dataset.tracking import track
from darts_utils.errors import OutputError, TileContractError


@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 99), most=st.sampled_from([1, 7, 40]), data=st.data())
def test_the_same_rows_as_in_memory_whatever_the_partitions_and_the_order(
    seed: int, most: int, data: st.DataObject
) -> None:
    folder = Path(tempfile.mkdtemp())
    random_archive(folder / "tiles", seed=seed)
    archive = read_archive([folder / "tiles"])
    reach = {"reach_m": 2.0, "edge_tolerance_m": 1.0}  # so that there are many sets
    observed = observe(archive.objects, archive.coverage, **reach)
    yearly = merge_years(observed, archive.coverage, edge_tolerance_m=1.0)
    cells = coverage_cells(archive.coverage, cell_m=50)
    tracks = track(yearly)
    folders = data.draw(st.permutations(sorted((folder / "tiles").iterdir())))
    config = DatasetConfig(**reach, partition_objects=most, cell_m=50)  # type: ignore[arg-type]
    levels = build_levels(folders, folder / "work", config=config)
    found = rows_of(levels)
    for name, expected in (("level1", observed), ("level2", yearly), ("coverage", cells)):
        pd.testing.assert_frame_equal(found[name], expected.to_wkb(), check_exact=True)
    assert_level3(found, {"level3": tracks.slumps, "level3_years": tracks.years, "level3_events": tracks.events})
    whole = build_levels([folder / "tiles"], folder / "whole", config=DatasetConfig(**reach, cell_m=50))  # type: ignore[arg-type]
    for name, table in rows_of(whole).items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True)
    shutil.rmtree(folder)


def test_a_second_build_makes_only_what_depends_on_what_has_changed(tmp_path: Path) -> None:
    for number in range(4):
        write_tile(tmp_path / "tiles", f"t{number}", (10_000.0 * number, 0), [(10_000 * number + 20, 20, 30)])
    config = DatasetConfig(partition_objects=1)
    before = build_levels([tmp_path / "tiles"], tmp_path / "work", config=config)
    times = {part.path: part.path.stat().st_mtime_ns for name in LEVELS for part in before[name].parts}
    again = build_levels([tmp_path / "tiles"], tmp_path / "work", config=config)
    assert digest(again) == digest(before)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in times.items())
    shutil.rmtree(tmp_path / "tiles" / "t3")
    write_tile(tmp_path / "tiles", "t3", (30_000, 0), [(30_020, 20, 50)])
    after = build_levels([tmp_path / "tiles"], tmp_path / "work", config=config)
    new = {part.path for part in after["level1"].parts} - {part.path for part in before["level1"].parts}
    assert len(new) == 1
    left = set((tmp_path / "work" / "parts").rglob("*.parquet"))
    assert left == {part.path for name in LEVELS for part in after[name].parts}
    fresh = build_levels([tmp_path / "tiles"], tmp_path / "fresh", config=config)
    assert digest(fresh) == digest(after)


def test_damaged_part_files_are_made_again(tmp_path: Path) -> None:
    write_tile(tmp_path / "tiles", "a", (0, 0), [(20, 20, 30)])
    before = build_levels([tmp_path / "tiles"], tmp_path / "work")
    expected = digest(before)
    before["level2"].parts[0].path.write_bytes(b"damaged")
    (before["level1"].parts[0].path.parent / "done.json").write_text("[")
    assert digest(build_levels([tmp_path / "tiles"], tmp_path / "work")) == expected


def test_workers_do_not_matter(tmp_path: Path) -> None:
    random_archive(tmp_path / "tiles", seed=1, tiles=4)
    config = DatasetConfig(partition_objects=20, edge_tolerance_m=1, reach_m=2)
    alone = build_levels([tmp_path / "tiles"], tmp_path / "one", config=config)
    together = build_levels(
        [tmp_path / "tiles"],
        tmp_path / "two",
        config=DatasetConfig(partition_objects=20, edge_tolerance_m=1, reach_m=2, workers=2),
    )
    assert digest(alone) == digest(together)


def test_without_any_tile_that_can_be_used(tmp_path: Path) -> None:
    (write_tile(tmp_path / "tiles", "a", (0, 0), []) / "manifest.json").unlink()
    levels = build_levels([tmp_path / "tiles"], tmp_path / "work")
    assert [levels[name].rows for name in LEVELS] == [0] * 6
    assert [len(list(levels[name].tables())) for name in LEVELS] == [1] * 6
    assert [each.reason for each in levels.unused] == ["not finished: there is no manifest.json"]
    write_tile(tmp_path / "tiles", "b", (0, 0), [(20, 20, 30)])
    some = build_levels([tmp_path / "tiles"], tmp_path / "more")
    for name in LEVELS:
        assert next(iter(some[name].tables())).dtypes.to_dict() == next(iter(levels[name].tables())).dtypes.to_dict()


def test_doubled_tiles_and_mixed_models(tmp_path: Path) -> None:
    write_tile(tmp_path / "one", "a", (0, 0), [(20, 20, 30)])
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    levels = build_levels([tmp_path / "one", tmp_path / "two"], tmp_path / "work")
    assert [each.folder for each in levels.unused] == [tmp_path / "two" / "a"]
    assert [(tile.tile_id, tile.objects) for tile in levels.tiles] == [("a", 1)]
    write_tile(tmp_path / "three", "a", (0, 0), [(20, 20, 40)])
    with pytest.raises(TileContractError, match="expected one result of tile 'a'"):
        build_levels([tmp_path / "one", tmp_path / "three"], tmp_path / "work")
    write_tile(tmp_path / "four", "a", (0, 0), [(20, 20, 40)], model="cd")
    both = build_levels([tmp_path / "one", tmp_path / "four"], tmp_path / "work")
    assert (both["level2"].rows, len(both.models)) == (2, 2)
    with pytest.raises(TileContractError, match="expected tiles of one set of models"):
        build_levels(
            [tmp_path / "one", tmp_path / "four"], tmp_path / "work", config=DatasetConfig(mixed_models="refuse")
        )


def test_a_work_folder_is_used_by_one_build_at_a_time(tmp_path: Path) -> None:
    write_tile(tmp_path / "tiles", "a", (0, 0), [])
    (tmp_path / "work").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        build_levels([tmp_path / "tiles"], tmp_path / "work")


def test_the_error_of_a_task_comes_out() -> None:
    assert list(in_processes(abs, [-1, 2], workers=1)) == [1, 2]
    with pytest.raises(TypeError, match="bad operand"):
        list(in_processes(abs, [1, "b", 3], workers=2))  # type: ignore[list-item, arg-type]
