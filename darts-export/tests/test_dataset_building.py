"""The streaming build: the same rows as in memory, whatever the partitions, and whatever happens meanwhile."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset import DatasetConfig, coverage_cells, merge_years, observe, read_archive
from darts_export.dataset.building import build_levels
from darts_export.dataset.levels import LEVELS, Levels
from darts_export.dataset.processes import in_processes
from darts_export.dataset.tracking import Tracks, track
from darts_export.fingerprints import sha256_of
from darts_export.manifest import Manifest, Origin, WrittenFile, write_manifest
from darts_utils.errors import OutputError, TileContractError

Outline = tuple[float, float, float]
"""Corner and size of a square."""


def write_tile(
    out_dir: Path,
    name: str,
    corner: tuple[float, float],
    outlines: Sequence[Outline],
    *,
    date: str = "2021-07-01",
    model: str = "ab",
) -> Path:
    """Write the results of a tile of 100 × 100 m as an export does; what reaches over its border is cut."""
    tile = shapely.box(*corner, corner[0] + 100, corner[1] + 100)
    whole = [shapely.box(x, y, x + size, y + size) for x, y, size in outlines]
    cut = [outline & tile for outline in whole if (outline & tile).area > 0]
    image = {"tile_id": name, "date": date, "sensor": "sentinel2"}
    objects = geopandas.GeoDataFrame(
        {
            "segment_id": np.arange(1, len(cut) + 1),
            **{column: pd.array([value] * len(cut), dtype="string") for column, value in image.items()},
            "area_m2": shapely.area(cut),
            "npixel": np.ones(len(cut), dtype="int64"),
            **{f"probability_{each}": np.linspace(0.6, 0.9, len(cut)) for each in ("min", "max", "mean", "median")},
            "probability_std": np.full(len(cut), 0.1),
            "touches_edge": np.array([not tile.contains_properly(outline) for outline in cut], dtype=bool),
        },
        geometry=np.array(cut, dtype=object),
        crs="EPSG:3413",
    )
    area = geopandas.GeoDataFrame({key: [value] for key, value in image.items()}, geometry=[tile], crs="EPSG:3413")
    folder = out_dir / name
    folder.mkdir(parents=True)
    files = []
    for product, table in (("prediction_segments", objects), ("prediction_extent", area)):
        path = folder / f"{product}.parquet"
        table.to_parquet(path)
        files.append(WrittenFile(product, f"{product}_parquet", path.name, path.stat().st_size, sha256_of(path)))
    write_manifest(Manifest(name, Origin(models={"full": model * 32}), tuple(files)), folder)
    return folder


def rows_of(levels: Levels) -> dict[str, pd.DataFrame]:
    """The tables of a build, in memory, geometries as bytes."""
    return {name: pd.concat([_plain(table) for table in levels[name].tables()], ignore_index=True) for name in LEVELS}


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return table.to_wkb() if isinstance(table, geopandas.GeoDataFrame) else table


def digest(levels: Levels) -> str:
    """Fingerprint of all that a build has left."""
    noted = "".join(
        f"{name}{part.rows}{part.first}{sha256_of(part.path)}" for name in LEVELS for part in levels[name].parts
    )
    return hashlib.sha256(f"{noted}{levels.tiles}{levels.models}".encode()).hexdigest()


def random_archive(out_dir: Path, *, seed: int, tiles: int = 9) -> Path:
    """Overlapping tiles of four images that see the same squares, more or less."""
    rng = np.random.default_rng(seed)
    squares = np.column_stack([rng.integers(-20, 280, (25, 2)), rng.integers(5, 40, 25)])
    for date in ("2020-07-01", "2020-08-01", "2021-07-01", "2021-08-01"):
        for number in range(tiles):
            seen = squares[rng.random(len(squares)) < 0.8] + np.array([0, 0, 1]) * rng.integers(-2, 3)
            corner = 80.0 * (number % 3), 80.0 * (number // 3)
            write_tile(out_dir, f"{number}-{date}", corner, [tuple(each) for each in seen.tolist()], date=date)
    return out_dir


@settings(deadline=None, max_examples=5)
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
    for name, table, key in (
        ("level3", tracks.slumps, ["slump_id"]),
        ("level3_years", tracks.years, ["slump_id", "year"]),
        ("level3_events", tracks.events, ["kind", "year", "parents", "children"]),
    ):
        pd.testing.assert_frame_equal(
            found[name].sort_values(key, ignore_index=True),
            table.to_wkb().sort_values(key, ignore_index=True),
            check_exact=True,
        )
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


def tracks_of(levels: Levels) -> Tracks:
    """Level 3 of a build, in memory."""
    names = ("level3", "level3_years", "level3_events")
    return Tracks(*(pd.concat(list(levels[name].tables()), ignore_index=True) for name in names))


def names_of(levels: Levels) -> dict[int, set[str]]:
    """The slumps that begin in each thousand of metres along x."""
    years = tracks_of(levels).years
    return years.groupby((years.geometry.bounds.minx // 1000).astype(int)).slump_id.agg(set).to_dict()


def test_names_of_the_last_edition_are_kept_and_names_without_a_slump_are_retired(tmp_path: Path) -> None:
    for number in range(3):
        write_tile(tmp_path / "tiles", f"{number}-2020", (5000.0 * number, 0), [(5000 * number + 20, 20, 40)])
    first = build_levels([tmp_path / "tiles"], tmp_path / "one")
    before = names_of(first)
    for year, size in ((2018, 30), (2022, 50)):
        for number in (0, 3):
            square = (5000 * number + 20, 20, size)
            write_tile(tmp_path / "tiles", f"{number}-{year}", (5000.0 * number, 0), [square], date=f"{year}-07-01")
    shutil.rmtree(tmp_path / "tiles" / "1-2020")
    write_tile(tmp_path / "tiles", "1-2020", (5000, 0), [])
    fresh = names_of(build_levels([tmp_path / "tiles"], tmp_path / "fresh"))
    assert fresh[0] != before[0]  # else nothing is tested: the earliest outline is another one
    found = []
    for most in (1, 2, 1000):
        config = DatasetConfig(partition_objects=most)
        second = build_levels([tmp_path / "tiles"], tmp_path / f"two-{most}", config=config, previous=tracks_of(first))
        after = names_of(second)
        assert (after[0], after[10], after[15]) == (before[0], before[10], fresh[15])
        assert 5 not in after
        events = tracks_of(second).events
        assert list(zip(events.kind, events.parents, strict=True)) == [("retired", *before[5])]
        found.append(rows_of(second))
    for name, table in found[0].items():
        for other in found[1:]:
            pd.testing.assert_frame_equal(other[name], table, check_exact=True)
    third = build_levels([tmp_path / "tiles"], tmp_path / "three", previous=tracks_of(second))
    assert names_of(third) == after
    assert tracks_of(third).events.parents.tolist() == list(before[5])  # it is remembered


def test_a_retired_name_is_not_given_anew_where_it_was_made_of(tmp_path: Path) -> None:
    write_tile(tmp_path / "tiles", "a", (0, 0), [(20, 20, 40)])
    tracks = tracks_of(build_levels([tmp_path / "tiles"], tmp_path / "one"))
    (name,) = tracks.years.slump_id
    tracks.years["geometry"] = tracks.years.geometry.translate(20_000)
    for most in (1, 1000):
        config = DatasetConfig(partition_objects=most)
        found = tracks_of(build_levels([tmp_path / "tiles"], tmp_path / f"two-{most}", config=config, previous=tracks))
        assert (len(found.slumps), found.slumps.slump_id[0] == name) == (1, False)
        assert found.events.parents.tolist() == [name]


@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 99), most=st.sampled_from([1, 7, 40]))
def test_names_are_inherited_as_in_memory_whatever_the_partitions(seed: int, most: int) -> None:
    folder = Path(tempfile.mkdtemp())
    random_archive(folder / "tiles", seed=seed, tiles=4)
    random_archive(folder / "before", seed=seed + 1, tiles=5)
    reach = {"reach_m": 2.0, "edge_tolerance_m": 1.0}
    before = tracks_of(build_levels([folder / "before"], folder / "one", config=DatasetConfig(**reach)))  # type: ignore[arg-type]
    archive = read_archive([folder / "tiles"])
    observed = observe(archive.objects, archive.coverage, **reach)
    tracks = track(merge_years(observed, archive.coverage, edge_tolerance_m=1.0), previous=before)
    found = []
    for size in (most, 1000):
        config = DatasetConfig(**reach, partition_objects=size)  # type: ignore[arg-type]
        levels = build_levels([folder / "tiles"], folder / f"two-{size}", config=config, previous=before)
        found.append(rows_of(levels))
    for name, table in found[0].items():
        pd.testing.assert_frame_equal(found[1][name], table, check_exact=True)
    assert "retired" in set(tracks.events.kind)
    for name, table, key in (
        ("level3", tracks.slumps, ["slump_id"]),
        ("level3_years", tracks.years.drop(columns="object_id"), ["slump_id", "year"]),
        ("level3_events", tracks.events, ["kind", "year", "parents", "children"]),
    ):
        pd.testing.assert_frame_equal(
            found[0][name][table.columns].sort_values(key, ignore_index=True),
            table.to_wkb().sort_values(key, ignore_index=True),
            check_exact=True,
        )
    shutil.rmtree(folder)


def test_the_last_edition_decides_only_what_it_is_near_to(tmp_path: Path) -> None:
    for number in range(3):
        write_tile(tmp_path / "tiles", f"{number}", (5000.0 * number, 0), [(5000 * number + 20, 20, 40)])
    config = DatasetConfig(partition_objects=1)
    first = build_levels([tmp_path / "tiles"], tmp_path / "work", config=config)
    tracks, names = tracks_of(first), names_of(first)
    years = tracks.years.iloc[:1]
    some = Tracks(tracks.slumps, years, tracks.events)
    second = build_levels([tmp_path / "tiles"], tmp_path / "work", config=config, previous=some)
    made = {part.path for part in second["level3"].parts} - {part.path for part in first["level3"].parts}
    assert len(made) == 1
    assert names_of(second) == names
    other = Tracks(some.slumps, years.assign(slump_id=pd.array(["another"], dtype="string")), some.events)
    third = build_levels([tmp_path / "tiles"], tmp_path / "work", config=config, previous=other)
    assert "another" in set(tracks_of(third).slumps.slump_id)


_BUILD = """
import sys
from pathlib import Path
from darts_export.dataset import DatasetConfig
from darts_export.dataset.building import build_levels

if __name__ == "__main__":
    config = DatasetConfig(partition_objects=10, edge_tolerance_m=1, reach_m=2, workers=int(sys.argv[3]))
    build_levels([Path(sys.argv[1])], Path(sys.argv[2]), config=config)
"""


@pytest.mark.parametrize(
    ("kills", "workers"), [pytest.param(5, 1, id="few"), pytest.param(20, 2, id="many", marks=pytest.mark.slow)]
)
def test_a_build_that_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, kills: int, workers: int) -> None:
    random_archive(tmp_path / "tiles", seed=2)
    config = DatasetConfig(partition_objects=10, edge_tolerance_m=1, reach_m=2)
    expected = digest(build_levels([tmp_path / "tiles"], tmp_path / "undisturbed", config=config))
    script = tmp_path / "build.py"
    script.write_text(_BUILD)
    chance = np.random.default_rng(kills)
    work = tmp_path / "work"
    for _ in range(kills):
        command = [sys.executable, str(script), str(tmp_path / "tiles"), str(work), str(workers)]
        build = subprocess.Popen(command, start_new_session=True)
        written = _files_in(work)
        aim = written + int(chance.integers(0, 7))
        while build.poll() is None and _files_in(work) <= aim:
            time.sleep(0.002)
        os.kill(build.pid, signal.SIGKILL)
        build.wait()
    assert digest(build_levels([tmp_path / "tiles"], work, config=config)) == expected
    assert not list(work.rglob(".darts-incomplete-*"))


def _files_in(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))
