"""Runs that end badly: whatever happens, a re-run leaves what an undisturbed run leaves, and what was wrong is named."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
import tomli_w

from darts_export.checking import check_tile_folder, tile_folders
from darts_export.manifest import MANIFEST_FILE
from darts_nextgen import read_report
from darts_nextgen.pipeline.layout import ERRORS_FOLDER, RESULTS_FILE
from darts_nextgen.pipeline.stages import STAGE_NAMES
from darts_utils.files import TEMPORARY_PREFIX, sole_writer
from darts_utils.synthetic import synthetic_scene, write_scene

PRODUCTS = "probabilities,binarized,prediction_segments,optical,thumbnail,stac"

SERVER = """
import logging, os, sys
from darts_nextgen.pipeline.config import parse_config
from darts_nextgen.pipeline.local import run_local
from darts_nextgen.pipeline.runfiles import read_table

def run(out):
    return run_local(parse_config({**read_table(sys.argv[1]), "out": out})).exit_code

run(sys.argv[2])  # so that children need not import, compile or load anything
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        logging.disable()
        os._exit(run(line.rstrip()))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Has imported everything, and forks a run for each folder that it is told: runs that can be killed, without the wait."""


class ForkedRuns:
    """Runs of one configuration into folders of choice."""

    def __init__(self, config, *, undisturbed):
        self.undisturbed = undisturbed
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER, config, undisturbed],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # a child that is forked never gets an OpenMP pool to answer
        )  # fmt: skip
        assert self._read() == "ready"

    def start(self, out):
        """Start a run; returns the id of its process."""
        self._server.stdin.write(f"{out}\n")
        self._server.stdin.flush()
        return int(self._read())

    def wait(self):
        """Exit code of the run, or minus the signal that has killed it."""
        return int(self._read())

    def close(self):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def _read(self):
        return self._server.stdout.readline().strip()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Two small scenes of one content."""
    folder = tmp_path_factory.mktemp("scenes")
    paths = write_scene(synthetic_scene(100_018, shape=(96, 100), slump_density_per_km2=30.0), folder)
    other = folder / "20210821_000000_00_0001"
    shutil.copytree(paths.scene, other)
    return paths.scene, other


@pytest.fixture(scope="module")
def runs(scenes, models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    config = {"scene": [str(scene) for scene in scenes], "models": [str(models / "optical.pt")], "out": "never"}
    config["export"] = {
        "products": ["probabilities", "binarized", "prediction_segments", "optical", "thumbnail", "stac"]
    }
    (folder / "config.toml").write_text(tomli_w.dumps(config))
    started = ForkedRuns(folder / "config.toml", undisturbed=folder / "undisturbed")
    yield started
    started.close()


def tile_files(out):
    """Name and content of all files of tiles, without those that are unfinished."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
        and path.parent not in (out, out / RESULTS_FILE, out / ERRORS_FOLDER)
        and not path.name.startswith(TEMPORARY_PREFIX)
    }


def facts(out):
    """What the report says that does not depend on the time."""
    measured = [f"{name}_{unit}" for name in STAGE_NAMES for unit in ("seconds", "bytes")]
    rows = pq.read_table(out / RESULTS_FILE).drop_columns(["status", "area_km2", *measured]).to_pylist()
    return [{**row, "products": [(key, os.path.relpath(path, out)) for key, path in row["products"]]} for row in rows]


def assert_undisturbed(out, runs):
    expected = runs.undisturbed
    assert tile_files(out) == tile_files(expected)
    assert sorted(path.name for path in out.rglob("*")) == sorted(path.name for path in expected.rglob("*"))
    assert (out / "run.toml").read_text() == (expected / "run.toml").read_text().replace(str(expected), str(out))
    assert facts(out) == facts(expected)
    assert read_report(out / "results.parquet").exit_code == 0
    assert all(check_tile_folder(folder).problems == () for folder in tile_folders([out]))


def kill_at_random(runs, out, chance, *, duration):
    """Start a run and kill it at any moment, or at any moment after the first file of a tile has been begun."""
    process = runs.start(out)
    started = time.monotonic()
    if chance.random() < 0.5:
        while time.monotonic() - started < duration and not list(out.glob(f"*/{TEMPORARY_PREFIX}*")):
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.15))
    else:
        time.sleep(chance.uniform(0, duration))
    with contextlib.suppress(ProcessLookupError):  # it was faster
        os.kill(process, signal.SIGKILL)
    return runs.wait()


def kill_and_finish(runs, folder, *, kills, seed):
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    expected = tile_files(runs.undisturbed)
    out, killed = folder / "0", 0
    runs.start(folder / "measured")
    started = time.monotonic()
    assert runs.wait() == 0
    duration = time.monotonic() - started
    while killed < kills:
        code = kill_at_random(runs, out, chance, duration=duration)
        assert code in {0, -signal.SIGKILL}
        killed += code != 0
        found = tile_files(out)
        assert found.items() <= expected.items()  # what has its final name is complete
        for manifest in (name for name in found if name.endswith(MANIFEST_FILE)):
            tile = manifest.partition("/")[0]
            assert {name for name in found if name.startswith(tile)} == {
                each for each in expected if each.startswith(tile)
            }
        if code == 0 or chance.random() < 0.25 or killed == kills:
            runs.start(out)
            assert runs.wait() == 0
            assert_undisturbed(out, runs)
            out = out.with_name(str(int(out.name) + 1))


def test_runs_that_are_killed(runs, tmp_path):
    kill_and_finish(runs, tmp_path, kills=3, seed=1)


@pytest.mark.slow
def test_runs_that_are_killed_fifty_times(runs, tmp_path):
    kill_and_finish(runs, tmp_path, kills=50, seed=2)


@pytest.fixture
def finished(runs, tmp_path):
    """A copy of the results of the undisturbed run."""
    return shutil.copytree(runs.undisturbed, tmp_path / "finished")


@pytest.fixture
def explain(scenes, models, darts):
    """The lines of ``darts run --explain`` by tile, and the options that give them."""

    def lines(out, *changes, model=models / "optical.pt"):
        options = [*(f"--scene={scene}" for scene in scenes), "--models", model, "--out", out, "--products", PRODUCTS]
        code, text, err = darts("run", *options, *changes, "--explain")
        assert code == 0, err
        return dict(line.split(": ", 1) for line in text.splitlines())

    return lines


def states(out):
    """Time and number of each file: those that were not written again keep theirs."""
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in out.glob("*/*")
        if path.parent != out / RESULTS_FILE
    }


def test_what_is_current_is_left_alone(runs, scenes, finished, explain):
    assert set(explain(finished).values()) == {"current"}
    before, content = states(finished), tile_files(finished)
    runs.start(finished)
    assert runs.wait() == 0
    assert states(finished) == before
    report = read_report(finished / "results.parquet")
    assert [row.status for row in report.rows] == ["current", "current"]
    assert facts(finished) == facts(runs.undisturbed)
    assert (report.done, len(report.complete), report.exit_code) == ((), 2, 0)
    assert set(explain(finished, "--force").values()) == {"forced"}
    assert tile_files(finished) == content


def test_only_the_tile_that_is_damaged_is_made_again(runs, scenes, finished, explain):
    first, second = (finished / scene.name for scene in scenes)
    raster = first / "probabilities.tif"
    content = raster.read_bytes()
    raster.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    lines = explain(finished)
    assert lines == {
        first.name: "file damaged: probabilities.tif has another content than was written",
        second.name: "current",
    }
    before = states(finished)
    runs.start(finished)
    assert runs.wait() == 0
    assert_undisturbed(finished, runs)
    assert [row.status for row in read_report(finished / "results.parquet").rows] == ["done", "current"]
    assert {path for path, state in states(finished).items() if before[path] != state} == set(first.iterdir())
    (second / "thumbnail.jpg").unlink()
    assert explain(finished)[second.name] == "file missing: thumbnail.jpg"
    runs.start(finished)
    assert runs.wait() == 0
    assert_undisturbed(finished, runs)


def test_stale_products_are_named(scenes, models, finished, explain, tmp_path):
    name = scenes[0].name
    assert explain(finished, "--threshold", 0.4)[name] == "option changed: postprocessing.threshold 0.5 → 0.4"
    assert explain(finished, "--batch-size", 3)[name] == "current"  # how fast, not what
    assert explain(finished, "--date", "2021-08-01")[name] == "option changed: date not set → '2021-08-01'"
    assert explain(finished, "--products", "probabilities")[name] == "current"
    assert explain(finished, "--products", "probabilities,ndvi")[name] == "product added: ndvi"
    other = tmp_path / "optical.pt"
    shutil.copy2(models / "full.pt", other)
    options = ["--dem", scenes[0].parent / "arcticdem.tif", "--tcvis", scenes[0].parent / "tcvis.tif"]
    assert (
        explain(finished, *options, model=other)[name] == "model changed: optical; input added: dem; input added: tcvis"
    )
    shutil.copy(models / "optical.pt", other)
    assert explain(finished, model=other)[name] == "current"  # the same content elsewhere


def test_a_changed_scene_is_made_again(runs, scenes, models, finished, darts, tmp_path):
    moved = [shutil.copytree(scene, tmp_path / "moved" / scene.name) for scene in scenes]
    options = ["--scenes", tmp_path / "moved" / "2021*", "--models", models / "optical.pt", "--products", PRODUCTS]
    (metadata,) = moved[0].glob("*_metadata.json")
    metadata.write_text(metadata.read_text() + "\n")
    code, out, _ = darts("run", *options, "--out", finished, "--explain")
    assert f"{moved[0].name}: input changed: scene: {metadata.name} has" in out
    assert f"{moved[1].name}: current" in out
    code, out, _ = darts("run", *options, "--out", finished)
    assert code == 0
    assert "1 of 2 scenes mapped, 1 were current" in out
    code, out, _ = darts("run", *options, "--out", finished)
    assert "0 of 2 scenes mapped, 2 were current" in out


def test_two_runs_into_one_folder(runs, scenes, models, tmp_path, darts):
    out = tmp_path / "out"
    with sole_writer(out):
        code, _, err = darts("run", "--scene", scenes[0], "--models", models / "optical.pt", "--out", out)
    assert code == 2
    assert f"expected to be the only writer of '{out}', but another process is writing there" in err
    assert list(out.iterdir()) == []


@pytest.fixture
def disk(tmp_path):
    """A small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=100k", "none", folder]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root, and a machine that allows it")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_and_a_read_only_one(runs, scenes, models, disk, darts):
    out = disk / "out"
    options = [*(f"--scene={scene}" for scene in scenes), "--models", models / "optical.pt", "--products", PRODUCTS]
    code, _, err = darts("run", *options, "--out", out)
    assert code == 1
    for scene in scenes:
        assert f"failed: {scene} (export): OutputError: cannot write '{out / scene.name}" in err
        assert not (out / scene.name / MANIFEST_FILE).exists()
    assert "the disk is full: free some space or choose another folder" in err
    assert tile_files(out).items() <= tile_files(runs.undisturbed).items()
    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    runs.start(out)
    assert runs.wait() == 0
    assert_undisturbed(out, runs)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    code, _, err = darts("run", *options, "--out", out)
    assert code == 2
    assert "the file system is read-only: choose another folder" in err
    assert len(err.strip().splitlines()) == 1
    code, text, _ = darts("run", *options, "--out", out, "--explain")  # looks, and writes nothing
    assert code == 0
    assert text.count("current") == 2
