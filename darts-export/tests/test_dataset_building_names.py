"""The streaming build and the last edition: names are kept, whatever the partitions."""

import shutil
import tempfile
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.dataset import DatasetConfig, merge_years, observe, read_archive
from darts_export.dataset.building import build_levels
from darts_export.dataset.levels import Levels
from darts_export.dataset.testing.archives import random_archive, write_tile
from darts_export.dataset.testing.levels import assert_level3, rows_of, tracks_of
from darts_export.dataset.tracking import Tracks, track


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


@settings(deadline=None, max_examples=2)
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
    years = tracks.years.drop(columns="object_id")
    expected = {"level3": tracks.slumps, "level3_years": years, "level3_events": tracks.events}
    assert_level3({name: found[0][name][table.columns] for name, table in expected.items()}, expected)
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
