"""``darts dataset build | check | diff`` on a small archive, and on broken ones."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.published import check_published, read_published
from darts_export.dataset.publishing.datasets import build_dataset
from darts_export.dataset.testing.archives import export_example, files_in
from darts_export.dataset_folders import WORK
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import sole_writer

Darts = Callable[..., tuple[int, str, str]]


def rows_of(folder: Path) -> str:
    record = check_published(folder, sizes_only=True).record
    assert record is not None
    return ", ".join(f"{name} {count}" for name, count in record.rows.items())


def test_a_data_set_is_built_checked_and_left_alone(archive: Path, dataset: Path, tmp_path: Path, darts: Darts) -> None:
    out = tmp_path / "dataset"
    code, text, err = darts("dataset", "build", archive, "--out", out)
    assert code == 0
    assert "built:" in text
    assert "names no authors" in err
    assert files_in(out) == files_in(dataset)
    assert not (out / WORK).exists()
    assert darts("dataset", "check", out)[:2] == (
        0,
        f"{len(files_in(out)) - 1} files; rows: {rows_of(out)}\ncomplete\n",
    )
    before = (out / "README.md").stat().st_ino
    assert darts("dataset", "build", archive / "b-2020", archive, "--out", out, "--partition-objects", 7)[1].startswith(
        "current"
    )
    assert (out / "README.md").stat().st_ino == before
    assert darts("dataset", "build", archive, "--out", out, "--force")[1].startswith("built")
    assert (out / "README.md").stat().st_ino != before
    assert files_in(out) == files_in(dataset)
    assert darts("dataset", "diff", dataset, out)[0] == 0
    (out / "LICENSE").unlink()
    assert darts("dataset", "check", "--fast", out)[1].startswith("missing: LICENSE\n")
    assert darts("dataset", "build", archive, "--out", out)[1].startswith("built")
    assert files_in(out) == files_in(dataset)


def test_the_levels_are_those_of_the_archive(dataset: Path) -> None:
    observed = read_published(dataset, "level1", crs="EPSG:3413")
    assert sorted(observed.geometry.area) == [8000, 8000, 8000, 12000]
    assert sorted(read_published(dataset, "level2", crs="EPSG:4326").year) == [2019, 2019, 2020, 2020]


def test_editions_that_differ(archive: Path, dataset: Path, tmp_path: Path, darts: Darts) -> None:
    more = Path(shutil.copytree(archive, tmp_path / "archive"))
    export_example(more, "c-2020", x=10_000)
    shutil.rmtree(more / "b-2020")
    darts("dataset", "build", more, "--out", tmp_path / "new")
    table = tmp_path / "rows.csv"
    code, text, _ = darts("dataset", "diff", dataset, tmp_path / "new", "--tables", "level1,level2", "--out", table)
    assert code == 1
    assert text.splitlines()[0] == "level1: 1 gained, 1 lost, 0 changed, 3 unchanged"
    assert text.splitlines()[1] == "level2: 1 gained, 1 lost, 0 changed, 3 unchanged"
    assert pd.read_csv(table).change.tolist() == ["gained", "lost"] * 2
    for arguments, message in (
        (["--tables", "level9"], "expected --tables to name some of level1"),
        (["--out", tmp_path / "rows.txt"], r"expected --out to be a *.csv or *.parquet file"),
    ):
        code, _, err = darts("dataset", "diff", dataset, dataset, *arguments)
        assert code == 2
        assert message in err


def test_the_next_edition_keeps_the_names(archive: Path, dataset: Path, tmp_path: Path, darts: Darts) -> None:
    more = Path(shutil.copytree(archive, tmp_path / "archive"))
    export_example(more, "a-2018", year=2018, size_px=6)
    export_example(more, "a-2021", year=2021, size_px=20)
    shutil.copytree(dataset, tmp_path / "last")
    arguments = ("dataset", "build", more, "--out", tmp_path / "out", "--previous", tmp_path / "last")
    assert darts(*arguments)[0] == 0
    before, after = (read_published(each, "level3", crs="EPSG:3413") for each in (dataset, tmp_path / "out"))
    assert set(after.slump_id) == set(before.slump_id)
    assert sorted(after.n_years) == [2, 4]
    assert darts("dataset", "check", tmp_path / "out")[0] == 0
    assert darts(*arguments)[1].startswith("current")
    build_dataset([archive], tmp_path / "last", force=True, config=DatasetConfig(cell_m=5000))
    assert darts(*arguments)[1].startswith("built")


def test_last_editions_that_cannot_be_used(archive: Path, dataset: Path, tmp_path: Path, darts: Darts) -> None:
    lacking, changed, undone = (Path(shutil.copytree(dataset, tmp_path / name)) for name in ("one", "two", "three"))
    years = next(path.relative_to(dataset) for path in dataset.rglob("*level3_years*.parquet") if "3413" in str(path))
    (lacking / years).unlink()
    content = bytearray((changed / years).read_bytes())
    content[len(content) // 2] ^= 1
    (changed / years).write_bytes(content)
    (undone / "manifest.json").unlink()
    for previous, message in (
        (lacking, "expected a complete data set at .* missing: .*level3_years"),
        (changed, "expected Level 3 of the data set at .* as it was written, but got damaged: .*level3_years"),
        (undone, "expected a data set at .* there is no manifest.json"),
        (tmp_path / "gone", "expected a data set at"),
    ):
        code, _, err = darts("dataset", "build", archive, "--out", tmp_path / "out", "--previous", previous)
        assert code == 2
        assert re.search(message, " ".join(err.split()))
        assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(ConfigError, match="expected the last edition to be another data set"):
        build_dataset([archive], dataset, previous=dataset.parent / "." / dataset.name)


def test_folders_that_cannot_be_used_are_named(archive: Path, dataset: Path, tmp_path: Path, darts: Darts) -> None:
    place = Path(shutil.copytree(archive, tmp_path / "archive"))
    export_example(place, "unfinished", x=10_000)
    (place / "unfinished" / "manifest.json").unlink()
    export_example(place, "undated", x=20_000, date="unknown")
    (export_example(place, "damaged", x=30_000) / "prediction_extent.parquet").write_bytes(b"")
    shutil.copytree(archive / "a-2019", tmp_path / "again" / "a-2019")
    code, text, err = darts("dataset", "build", place, tmp_path / "again", "--out", tmp_path / "out")
    assert code == 1
    assert "4 tiles" in text
    named = [line for line in err.splitlines() if line.startswith("not used")]
    assert len(named) == 4
    for word in ("unfinished: not finished", "undated: undated", "damaged: damaged", "doubled"):
        assert any(word in line for line in named)
    for name, content in files_in(tmp_path / "out").items():
        if name != "manifest.json":  # it says which folders were named
            assert content == files_in(dataset)[name]


def test_tiles_that_arrive_after_their_manifests_are_taken_up(
    archive: Path, dataset: Path, tmp_path: Path, darts: Darts
) -> None:
    place, out = Path(shutil.copytree(archive, tmp_path / "archive")), tmp_path / "out"
    shutil.copytree(archive / "a-2019", tmp_path / "again" / "a-2019")
    late = place / "b-2020" / "prediction_extent.parquet"
    content = late.read_bytes()
    late.unlink()
    arguments = ("dataset", "build", place, tmp_path / "again", "--out", out)
    for verdict in ("built", "current"):
        code, text, err = darts(*arguments)
        assert (code, text.split(":")[0]) == (1, verdict)
        named = [line.split(str(tmp_path))[1] for line in err.splitlines() if line.startswith("not used")]
        assert named[0].startswith("/archive/a-2019: doubled")
        assert named[1:] == ["/archive/b-2020: missing: prediction_extent.parquet"]
    late.write_bytes(content)
    for verdict in ("built", "current"):
        code, text, err = darts(*arguments)
        assert (code, text.split(":")[0]) == (1, verdict)
        assert "b-2020" not in err
    assert files_in(out) == files_in(dataset)


def test_of_copies_the_one_that_can_be_read_is_used(archive: Path, dataset: Path, tmp_path: Path, darts: Darts) -> None:
    place, out = Path(shutil.copytree(archive, tmp_path / "archive")), tmp_path / "out"
    for name in ("more", "rest", "some"):
        shutil.copytree(archive / "a-2019", tmp_path / name / "a-2019")
    damaged = [place / "a-2019", tmp_path / "rest" / "a-2019"]
    for folder in damaged:
        table = folder / "prediction_segments.parquet"
        table.write_bytes(bytes(table.stat().st_size))
    for verdict in ("built", "current"):
        code, text, err = darts(
            "dataset", "build", *(tmp_path / name for name in ("archive", "more", "rest", "some")), "--out", out
        )
        assert (code, text.split(":")[0]) == (1, verdict)
        named = [line.split(str(tmp_path), 1)[1] for line in err.splitlines() if line.startswith("not used")]
        assert [line.split(":")[:2] for line in named] == [
            ["/archive/a-2019", " damaged"],
            ["/rest/a-2019", " damaged"],
            ["/some/a-2019", " doubled"],
        ]
        assert named[2].endswith("more/a-2019' holds the same")
    (tmp_path / "more" / "a-2019" / "prediction_segments.parquet").unlink()
    assert "/some/a-2019" not in darts("dataset", "build", place, tmp_path / "more", tmp_path / "some", "--out", out)[2]
    assert files_in(out) == files_in(dataset)


def test_a_list_of_tiles_that_was_changed_is_made_anew(
    archive: Path, dataset: Path, tmp_path: Path, darts: Darts
) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out"))
    listed = (out / "tiles.csv").read_bytes()
    for changed in (b"\xff" + listed[1:], listed[:-9] + b"deadbeef\n", listed.replace(b"sha256", b"sha255")):
        (out / "tiles.csv").write_bytes(changed)
        assert darts("dataset", "build", archive, "--out", out)[:2] == (
            0,
            f"built: {out}: 4 tiles; rows: {rows_of(out)}\n",
        )
    assert files_in(out) == files_in(dataset)


@pytest.mark.parametrize("name", ["dataset", "published/dataset"])
def test_a_data_set_may_lie_in_a_folder_of_results(
    archive: Path, dataset: Path, tmp_path: Path, darts: Darts, name: str
) -> None:
    results = Path(shutil.copytree(archive, tmp_path / "results"))
    out = results / name
    out.mkdir(parents=True)
    for verdict in ("built", "current"):
        assert darts("dataset", "build", results, "--out", out)[:2] == (
            0,
            f"{verdict}: {out}: 4 tiles; rows: {rows_of(out)}\n",
        )
    assert files_in(out) == files_in(dataset)
    (out / "manifest.json").unlink()
    (out / WORK).mkdir()  # as a kill leaves it
    assert darts("dataset", "build", *results.iterdir(), out, "--out", out)[0] == 0
    assert files_in(out) == files_in(dataset)
    if out.parent == results:
        told = "dataset: a data set, see darts dataset check\n4 of 4 tiles complete\n"
        assert darts("export", "check", results)[:2] == (0, told)
    for command in (("export", "check", out), ("dataset", "build", out, "--out", tmp_path / "other")):
        code, _, err = darts(*command)
        assert (code, "is or holds nothing but a data set" in " ".join(err.split())) == (2, True)


def test_a_collection_alone_makes_no_data_set(archive: Path, tmp_path: Path, darts: Darts) -> None:
    place = Path(shutil.copytree(archive / "a-2019", tmp_path / "a-2019"))
    (place / "collection.json").touch()
    assert darts("export", "check", place)[1].startswith("a-2019: unknown: collection.json")
    (place / "manifest.json").write_text("{")
    assert darts("export", "check", place)[1].startswith("a-2019: manifest: ")


def test_archives_without_objects_make_empty_data_sets(tmp_path: Path, darts: Darts) -> None:
    export_example(tmp_path / "archive", "none", size_px=0)
    code, _, err = darts("dataset", "build", tmp_path / "archive", "--out", tmp_path / "out")
    assert code == 0
    assert "the data set is empty" in err
    assert darts("dataset", "check", tmp_path / "out")[0] == 0
    (tmp_path / "archive" / "none" / "manifest.json").unlink()
    code, _, err = darts("dataset", "build", tmp_path / "archive", "--out", tmp_path / "nothing")
    assert code == 1
    assert "the data set is empty" in err
    assert darts("dataset", "check", tmp_path / "nothing")[0] == 0


def test_mixed_models_are_kept_apart_or_refused(archive: Path, tmp_path: Path, darts: Darts) -> None:
    other = tmp_path / "other"
    export_example(other, "a-2019", year=2019, model="optical")
    code, _, err = darts("dataset", "build", archive, other, "--out", tmp_path / "out", "--mixed-models", "refuse")
    assert code == 2
    assert "expected tiles of one set of models" in err
    assert darts("dataset", "build", archive, other, "--out", tmp_path / "out")[0] == 0
    assert len(read_published(tmp_path / "out", "level1", crs="EPSG:3413")) == 5
    assert set(read_published(tmp_path / "out", "level2", crs="EPSG:3413").models.str.split("@").str[0]) == {
        "full",
        "optical",
    }


def test_folders_that_are_something_else(archive: Path, dataset: Path, tmp_path: Path, darts: Darts) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    (tmp_path / "file").touch()
    for out, message in (
        (tmp_path / "photos", "expected an empty folder or a data set at"),
        (archive / "a-2019", "but it is that of something else"),
        (tmp_path / "file", "but a file has this name"),
    ):
        before = sorted(out.rglob("*"))
        code, _, err = darts("dataset", "build", archive, "--out", out)
        assert code == 2
        assert message in err
        assert sorted(out.rglob("*")) == before
    assert darts("dataset", "build", tmp_path / "gone", "--out", tmp_path / "out")[0] == 2
    assert darts("dataset", "check", tmp_path / "gone")[0] == 2
    out = Path(shutil.copytree(dataset, tmp_path / "busy"))
    with sole_writer(out), pytest.raises(OutputError, match="expected to be the only writer"):
        build_dataset([archive], out)
