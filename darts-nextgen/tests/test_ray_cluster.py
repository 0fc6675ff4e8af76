"""Runs on a cluster of several nodes on this machine, each with its own raylet and object store; the driver is outside."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darts_nextgen import read_report
from darts_utils.synthetic import synthetic_scene, write_scene

pytestmark = pytest.mark.slow

PRODUCTS = (
    "probabilities,binarized,prediction_segments,prediction_extent,thumbnail,stac,optical,dem,tcvis,"
    "probabilities_std,probabilities-optical,binarized-optical,prediction_segments-optical"
)
SHAPES_PX = [(150, 170), (210, 180), (96, 240), (256, 256), (131, 77), (180, 300)]
KILLED = {"node": "", "model worker": "ray::MapWorker", "raylet": "raylet"}
"""What is killed → what its processes are called; all of the node if nothing."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """12 scenes of mixed size, both sensors; the elevation and the trends of the largest cover them all."""
    folder = tmp_path_factory.mktemp("scenes")
    largest = synthetic_scene(7, shape=(330, 330), resolution_m=10.0, sensor="sentinel2")
    write_scene(largest, folder / "around")
    for number, shape in enumerate(SHAPES_PX):
        density = {"slump_density_per_km2": 14.0}
        write_scene(synthetic_scene(200_000 + number, shape=shape, **density), folder / f"planet{number}")
        other = synthetic_scene(300_000 + number, shape=shape, resolution_m=10.0, sensor="sentinel2", **density)
        write_scene(other, folder / f"sentinel{number}")
    return folder


def command(scenes, out, *options):
    """`darts run`, in a process of its own."""
    words = [Path(sys.executable).with_name("darts"), "run", "--out", out, "--models", scenes / "models", *options]
    words += ["--scenes", scenes / "planet*" / "2*", "--scenes", scenes / "sentinel*" / "2*"]
    words += ["--dem", scenes / "around" / "arcticdem.tif", "--tcvis", scenes / "around" / "tcvis.tif"]
    words += ["--sentinel2-offset-dn", 0, "--device", "cpu", "--keep-members", "--products", PRODUCTS]
    return [str(word) for word in words]


def begin(words, log, *, nodes):
    with log.open("w") as file:
        return subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **nodes.environment})


def finish(process, log, *, code=0):
    try:
        assert process.wait(timeout=400) == code, log.read_text()[-5000:]
    finally:
        process.kill()
    return log.read_text()


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "run.toml" and path.parent.name not in ("results.parquet", "errors")
    }


def differences(folder, expected):
    ours = files_of(folder)
    return {name for name in {*ours, *expected} if ours.get(name) != expected.get(name)}


def wait_for_tiles(out, process, *, count):
    """Wait until a run has completed some tiles."""
    while len(list(out.glob("*/manifest.json"))) < count:
        assert process.poll() is None
        time.sleep(0.02)


@pytest.fixture(scope="module")
def expected(scenes, models, ray_nodes, tmp_path_factory):
    """What the run in one process leaves."""
    shutil.copytree(models, scenes / "models")
    out, log = tmp_path_factory.mktemp("local") / "out", scenes / "local.log"
    finish(begin(command(scenes, out), log, nodes=ray_nodes), log)
    files = files_of(out)
    assert len([name for name in files if name.endswith("manifest.json")]) == 12
    assert sum(row.objects for row in read_report(out / "results.parquet").rows) > 20
    return files


@pytest.fixture
def two_nodes(ray_nodes):
    """The cluster with two nodes that work; what a test has killed is started anew."""
    for node in [node for node in ray_nodes.workers if not node.processes("raylet")]:
        ray_nodes.remove(node)
    started = [ray_nodes.start() for _ in range(2 - len(ray_nodes.workers))]
    for node in started:
        node.wait()
    return ray_nodes


@pytest.mark.parametrize("tiles_per_call", [1, 3])
def test_two_nodes_make_of_12_scenes_what_one_process_makes(two_nodes, scenes, expected, tmp_path, tiles_per_call):
    out, log = tmp_path / "out", tmp_path / "log"
    options = ["--engine", "ray", "--address", two_nodes.address, "--tiles-per-call", tiles_per_call]
    finish(begin(command(scenes, out, *options), log, nodes=two_nodes), log)
    assert differences(out, expected) == set()
    report = read_report(out / "results.parquet")
    assert [row.status for row in report.rows] == ["done"] * 12
    assert len({row.tile_id for row in report.rows}) == 12


@pytest.mark.parametrize(
    ("what", "seed", "tiles_per_call"), [*((what, seed, 1) for what in KILLED for seed in range(3)), ("node", 3, 3)]
)
def test_what_is_killed_in_the_middle_costs_nothing(two_nodes, scenes, expected, tmp_path, what, seed, tiles_per_call):
    chance = random.Random(f"{what} {seed}")  # noqa: S311
    out, log = tmp_path / "out", tmp_path / "log"
    options = ["--engine", "ray", "--address", two_nodes.address, "--tiles-per-call", tiles_per_call]
    process = begin(command(scenes, out, *options), log, nodes=two_nodes)
    wait_for_tiles(out, process, count=chance.randint(1, 6))
    time.sleep(chance.random())
    victims = [node for node in two_nodes.workers if node.processes(KILLED[what])]
    assert chance.choice(victims).kill(KILLED[what]) > 0
    finish(process, log)
    assert differences(out, expected) == set()
    rows = read_report(out / "results.parquet").rows
    assert {row.status for row in rows} <= {"done", "current"}
    assert len({row.tile_id for row in rows}) == len(rows) == 12


def test_a_run_without_nodes_says_so_and_goes_on_when_one_joins(two_nodes, scenes, expected, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    process = begin(command(scenes, out, "--engine", "ray", "--address", two_nodes.address), log, nodes=two_nodes)
    wait_for_tiles(out, process, count=2)
    for node in two_nodes.workers:
        node.kill("")
    ended = time.monotonic() + 120
    while "none left: the run waits until one joins the cluster" not in log.read_text():
        assert process.poll() is None
        assert time.monotonic() < ended
        time.sleep(0.5)
    two_nodes.start().wait()
    assert "has joined the cluster, 1 now" in finish(process, log)
    assert differences(out, expected) == set()


def test_a_run_goes_on_where_its_driver_was_killed(two_nodes, scenes, expected, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    words = command(scenes, out, "--engine", "ray", "--address", two_nodes.address)
    process = begin(words, log, nodes=two_nodes)
    wait_for_tiles(out, process, count=3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finish(begin(words, log, nodes=two_nodes), log)
    assert differences(out, expected) == set()
    statuses = [row.status for row in read_report(out / "results.parquet").rows]
    assert statuses.count("current") >= 3
    assert set(statuses) == {"current", "done"}


@contextlib.contextmanager
def one_more(nodes, **options):
    """A node that is not like the others."""
    node = nodes.start(**options)
    try:
        node.wait()
        yield
    finally:
        nodes.remove(node)


def mounted(place, *, size):
    """What begins a process for which a folder is an empty file system of its own, of so many bytes."""
    wrapper = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    wrapper += [f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"', str(place)]
    if shutil.which("unshare") is None or subprocess.run([*wrapper, "true"], check=False).returncode != 0:
        pytest.skip("needs unshare(1) and permission to mount")
    return wrapper


def test_a_node_with_another_version_is_refused(ray_nodes, two_nodes, scenes, expected, tmp_path):
    other = tmp_path / "site" / "xarray-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: xarray\nVersion: 0.0.1\n")
    path = os.pathsep.join([str(other.parent), os.environ.get("PYTHONPATH", "")])
    log = tmp_path / "log"
    with one_more(ray_nodes, environment={"PYTHONPATH": path}):
        words = command(scenes, tmp_path / "out", "--engine", "ray", "--address", two_nodes.address, "--dry-run")
        said = finish(begin(words, log, nodes=two_nodes), log, code=2)
    assert "expected the same versions on every node, but node" in said
    assert "has xarray 0.0.1 instead of" in said
    assert not (tmp_path / "out").exists()


def test_a_node_that_cannot_see_the_scenes_is_refused(ray_nodes, two_nodes, scenes, expected, tmp_path):
    log = tmp_path / "log"
    with one_more(ray_nodes, wrapper=mounted(scenes, size=1_000_000)):
        words = command(scenes, tmp_path / "out", "--engine", "ray", "--address", two_nodes.address, "--dry-run")
        said = finish(begin(words, log, nodes=two_nodes), log, code=2)
    assert "expected the same paths on every node, but on node" in said
    assert "cannot be read" in said


def test_a_full_disk_on_one_node_fails_the_tiles_that_end_there(ray_nodes, two_nodes, scenes, expected, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    out.mkdir()
    words = command(scenes, out, "--engine", "ray", "--address", two_nodes.address)
    two_nodes.remove(two_nodes.workers[0])
    with one_more(ray_nodes, wrapper=mounted(out, size=20_000)):
        finish(begin(words, log, nodes=two_nodes), log, code=1)
    failed = read_report(out / "results.parquet").failed
    assert 0 < len(failed) < 12
    assert all("the disk is full" in row.error for row in failed)
    assert differences(out, {name: expected[name] for name in files_of(out)}) == set()
    finish(begin(words, log, nodes=two_nodes), log)
    assert differences(out, expected) == set()
