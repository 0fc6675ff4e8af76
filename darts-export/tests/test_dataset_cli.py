"""``darts dataset build | check | diff`` on a small archive, broken archives, and builds that are killed."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from darts_export import export_tile
from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.published import check_published, read_published
from darts_export.dataset.publishing.datasets import WORK, build_dataset
from darts_export.dataset.publishing.settings import read_settings
from darts_export.manifest import Origin
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import TEMPORARY_PREFIX, sole_writer
from darts_utils.testing import example_tile

Darts = Callable[..., tuple[int, str, str]]


def export(
    out_dir: Path,
    name: str,
    *,
    year: int = 2020,
    size_px: int = 8,
    model: str = "full",
    x: float = 0,
    date: str | None = None,
) -> Path:
    """Export a tile of 30 × 30 pixels of 10 m, in which a slump of 10 × `size_px` pixels lies; 0: none."""
    tile: xr.Dataset = example_tile(
        ("probabilities", "binarized_segmentation", "extent"), shape=(30, 30), crs="EPSG:3413"
    )
    centre = (np.arange(30) + 0.5) * 10
    left, top = -1_000_000.0 + x, 1_500_000.0
    tile = tile.assign_coords(x=left + centre, y=top - centre)
    tile.spatial_ref.attrs["GeoTransform"] = f"{left!r} 10 0 {top!r} 0 -10"
    tile.probabilities[:], tile.extent[:], tile.binarized_segmentation[:] = 0.75, False, 0
    tile.extent[1:-1, 1:-1] = True
    tile.binarized_segmentation[10:20, 5 : 5 + size_px] = 1
    tile = tile.assign_attrs(tile_id=name, date=f"{year}-07-01" if date is None else date, sensor="sentinel2")
    export_tile(
        tile,
        out_dir,
        products=("prediction_segments", "prediction_extent"),
        origin=Origin(models={model: f"{len(model):064d}"}),
    )
    return out_dir / name


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years of two places, one of them growing."""
    place = tmp_path_factory.mktemp("archive")
    for year in (2019, 2020):
        export(place, f"a-{year}", year=year, size_px=8 + 4 * (year - 2019))
        export(place, f"b-{year}", year=year, x=5000)
    return place


@pytest.fixture(scope="module")
def dataset(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of the archive."""
    out = tmp_path_factory.mktemp("built") / "dataset"
    build_dataset([archive], out)
    return out


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def rows_of(folder: Path) -> str:
    record = check_published(folder, sizes_only=True).record
    assert record is not None
    return ", ".join(f"{name} {count}" for name, count in record.rows.items())


def test_the_levels_are_those_of_the_archive(dataset: Path) -> None:
    observed = read_published(dataset, "level1", crs="EPSG:3413")
    assert sorted(observed.geometry.area) == [8000, 8000, 8000, 12000]
    assert sorted(read_published(dataset, "level2", crs="EPSG:4326").year) == [2019, 2019, 2020, 2020]


def test_editions_that_differ(archive: Path, dataset: Path, tmp_path: Path, darts: Darts) -> None:
    more = Path(shutil.copytree(archive, tmp_path / "archive"))
    export(more, "c-2020", x=10_000)
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
    export(more, "a-2018", year=2018, size_px=6)
    export(more, "a-2021", year=2021, size_px=20)
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
    export(place, "unfinished", x=10_000)
    (place / "unfinished" / "manifest.json").unlink()
    export(place, "undated", x=20_000, date="unknown")
    (export(place, "damaged", x=30_000) / "prediction_extent.parquet").write_bytes(b"")
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


def test_archives_without_objects_make_empty_data_sets(tmp_path: Path, darts: Darts) -> None:
    export(tmp_path / "archive", "none", size_px=0)
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
    export(other, "a-2019", year=2019, model="optical")
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


def test_options_from_a_file(archive: Path, tmp_path: Path, darts: Darts) -> None:
    file = tmp_path / "dataset.toml"
    (tmp_path / "own.txt").write_text("Be kind.")
    file.write_text(
        'cell_m = 500\nmin_overlap = 0.5\n[publication]\ntitle = "Mine"\nlicence = "LicenseRef-own"\nlicence_file = "own.txt"\n'
        'keywords = ["ice"]\n[[publication.authors]]\nname = "An Institute"\n'
    )
    options, publication = read_settings(file)
    assert (options, publication.title, publication.keywords) == ({"cell_m": 500, "min_overlap": 0.5}, "Mine", ("ice",))
    code, _, err = darts(
        "dataset", "build", archive / "a-2019", "--out", tmp_path / "out", "--config", file, "--cell-m", 200
    )
    assert code == 0
    assert "warning" not in err
    assert (tmp_path / "out" / "LICENSE").read_text() == "Be kind."
    assert len(read_published(tmp_path / "out", "coverage", crs="EPSG:3413")) > 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell = 1", "unknown key 'cell' in .*; nearest: cell_m"),
        ("[publication]\nlicense = 'MIT'", "unknown key 'license' in .publication. .*; nearest: licence"),
        ("[[publication.authors]]\nsurname = 'x'", "unknown key 'surname' in"),
        ("cell_m = 'wide'", "expected cell_m in .* to be a number, but got 'wide'"),
        ("workers = 1.5", "expected workers in .* to be a whole number, but got 1.5"),
        ("footprint = true", "expected footprint in .* to be text, but got True"),
        ("publication = 1", "expected a table in .publication. of .*, but got 1"),
        ("[publication", "expected a configuration in TOML at"),
    ],
)
def test_settings_that_make_no_sense(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_settings(tmp_path / "dataset.toml")


def test_every_option_of_the_configuration_is_one_of_the_command(darts: Darts) -> None:
    text = darts("dataset", "build", "--help")[1]
    for name in vars(DatasetConfig()):
        assert f"--{name.replace('_', '-')}" in text


_BUILD = "import sys; from darts_utils.cli import main; sys.argv[0] = 'darts'; main()"


def build_killed_after(seconds: float, archive: Path, out: Path) -> bool:
    """Build in a process of its own, and kill it; whether it was still at work."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _BUILD, "dataset", "build", archive, "--out", out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def assert_kills_do_not_matter(archive: Path, dataset: Path, out: Path, *, kills: int, seed: int) -> None:
    start = time.monotonic()
    assert not build_killed_after(500, archive, out)
    whole = time.monotonic() - start
    assert files_in(out) == files_in(dataset)
    chance = random.Random(seed)  # noqa: S311
    done = 0
    while done < kills:
        if chance.random() < 0.5 and not (out / WORK).exists():
            shutil.rmtree(out, ignore_errors=True)
        elif (out / "manifest.json").exists():  # also a data set that is replaced
            (out / "tiles.csv").unlink()
        done += build_killed_after(chance.uniform(0.2, 1) * whole, archive, out)
        if chance.random() < 0.3:
            build_killed_after(500, archive, out)
            assert files_in(out) == files_in(dataset)
    build_killed_after(500, archive, out)
    assert files_in(out) == files_in(dataset)
    assert not list(out.rglob(f"{TEMPORARY_PREFIX}*"))


def test_a_build_that_is_killed_ends_with_the_same_bytes(archive: Path, dataset: Path, tmp_path: Path) -> None:
    assert_kills_do_not_matter(archive, dataset, tmp_path / "out", kills=2, seed=1)


@pytest.mark.slow
def test_twenty_kills(archive: Path, dataset: Path, tmp_path: Path) -> None:
    assert_kills_do_not_matter(archive, dataset, tmp_path / "out", kills=20, seed=2)
