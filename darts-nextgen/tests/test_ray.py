"""Runs on a Ray cluster: one of two CPUs for all tests of this file."""

import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import rasterio
import ray
import torch
from benchmarks.ray_store import StoreWatch
from rasterio.transform import from_origin
from ray.data import DataContext
from ray.experimental import get_object_locations

from darts_nextgen import RunConfig, read_report, run_local, run_ray
from darts_nextgen.pipeline import ray as engine
from darts_nextgen.pipeline import ray_feed
from darts_nextgen.pipeline.admission import expected_bytes
from darts_nextgen.pipeline.plan import plan_run
from darts_nextgen.pipeline.ray_board import Board
from darts_nextgen.pipeline.ray_cluster import (
    KEEP_PROCESSES,
    check_files,
    check_nodes,
    check_paths,
    connected,
    node_resources,
    path_troubles,
)
from darts_nextgen.pipeline.ray_workers import prepare_scenes, tile_rows, tile_table
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.resources import RayConfig, Resources, derive_resources
from darts_nextgen.pipeline.rows import from_row, to_row
from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.testing import example_tile

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NODE = {"CPU": 8.0, "memory": 16e9, "object_store_memory": 8e9}


@pytest.fixture(scope="session")
def cluster():
    """Two CPUs and a small object store."""
    environment = {
        "OMP_NUM_THREADS": "1",
        "OGR_CURRENT_DATE": "2026-01-01T00:00:00.000Z",
        "SOURCE_DATE_EPOCH": "1767225600",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # beside other tests, workers that give way to all would starve
        ray.init(
            address="local", num_cpus=2, num_gpus=0, object_store_memory=300_000_000, include_dashboard=False,
            log_to_driver=False, runtime_env={"env_vars": environment},
        )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture
def config(planet, sentinel, models, tmp_path):
    other = tmp_path / "20210821_000000_00_0001"
    shutil.copytree(planet.scene, other)
    return RunConfig(
        scene=(planet.scene, sentinel.scene, other), models=models, dem=planet.dem, tcvis=planet.tcvis, missing="skip",
        sentinel2_offset_dn=0, device="cpu", out=tmp_path / "local",
    )  # fmt: skip


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "run.toml" and path.parent.name not in ("results.parquet", "errors")
    }


def test_a_row_has_the_size_that_the_object_store_says(cluster):
    table = to_row(example_tile(["red", "ndvi", "valid_data_mask"], shape=(800, 700)))
    reference = ray.put(table)
    stored = get_object_locations([reference])[reference]["object_size"]
    assert abs(stored - table.nbytes) < 8 * 1500 + 10_000
    back = ray.get(reference)
    first, second = (from_row(ray.get(reference))["red"].values for _ in range(2))
    assert not first.flags.writeable
    assert first.__array_interface__["data"] == second.__array_interface__["data"]  # both are views of the store
    assert back.nbytes == table.nbytes


def test_results_are_those_of_one_process_byte_for_byte(cluster, config, monkeypatch):
    monkeypatch.setenv("OGR_CURRENT_DATE", "2026-01-01T00:00:00.000Z")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    broken = config.out.parent / "20210822_000000_00_dead"
    broken.mkdir()
    config = replace(config, scene=(*config.scene, broken))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = run_local(config)
    finally:
        torch.set_num_threads(threads)
    seen = []
    out = config.out.with_name("ray")
    report = run_ray(
        replace(config, out=out), progress=lambda row, *, finished, total, rates: seen.append((row, finished, rates))
    )
    assert [row.status for row in report.rows] == ["done", "done", "done", "failed"]
    assert [finished for _, finished, _ in seen] == [0, 1, 2, 3, 4]
    assert seen[-1][2].remaining_seconds == 0
    assert 0 < seen[-1][2].device_share <= 1
    assert read_report(report.table) == report
    for row, other in zip(report.rows, expected.rows, strict=True):
        assert set(row.seconds) == set(other.seconds)
        assert row.bytes == other.bytes
        volatile = {"seconds": {}, "products": {}, "traceback": None}
        assert replace(row, **volatile) == replace(other, **volatile)
        assert set(row.products) == set(other.products)
        assert (row.traceback is None) == (other.traceback is None) == (row.status == "done")
    assert (out / "errors" / "20210822_000000_00_dead.txt").read_text().startswith(f"{broken}\nload: Scene")
    assert report.rows[3].traceback == out / "errors" / "20210822_000000_00_dead.txt"
    ours, theirs = files_of(out), files_of(config.out)
    assert set(ours) == set(theirs)
    assert [name for name in theirs if ours[name] != theirs[name]] == []

    stale = out / "errors" / f"{report.rows[0].tile_id}.txt"
    stale.write_text("of a run that was killed when it had mended this")
    again = run_ray(replace(config, out=out))
    assert [row.status for row in again.rows] == ["current", "current", "current", "failed"]
    assert [path.name for path in stale.parent.iterdir()] == ["20210822_000000_00_dead.txt"]
    assert {row.tile_id for row in run_local(replace(config, out=out)).current} == {
        row.tile_id for row in again.current
    }


def test_several_tiles_that_share_calls_have_the_same_results_byte_for_byte(cluster, config, monkeypatch):
    monkeypatch.setenv("OGR_CURRENT_DATE", "2026-01-01T00:00:00.000Z")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    config = replace(config, scene=(config.scene[0], config.scene[2]))
    report = run_ray(replace(config, ray=RayConfig(tiles_per_call=2, model_workers=1)))
    assert [row.status for row in report.rows] == ["done", "done"]
    first, second = (row.seconds["inference"] for row in report.rows)
    assert first == second  # they were in one call
    expected = config.out.with_name("alone")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run_local(replace(config, out=expected))
    finally:
        torch.set_num_threads(threads)
    ours, theirs = files_of(config.out), files_of(expected)
    assert set(ours) == set(theirs)
    assert [name for name in theirs if ours[name] != theirs[name]] == []


def test_tiles_on_their_way_never_need_more_of_the_store_than_they_may(cluster, config, monkeypatch, tmp_path):
    side_px, count = 400, 16
    shape = (side_px, side_px)
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for number in range(count):
        profile = {
            "driver": "GTiff",
            "width": side_px,
            "height": side_px,
            "count": 4,
            "dtype": "uint8",
            "compress": "deflate",
        }
        with rasterio.open(scenes / f"scene{number}.tif", "w", **profile, transform=from_origin(0, 0, 3, 3)) as file:
            file.write(np.zeros((4, *shape), "uint8"))
    config = replace(
        config, scene=(), scenes=(str(scenes / "*.tif"),), models=config.models[0] / "optical.pt", missing="raise",
        bands={"blue": 1, "green": 2, "red": 3, "nir": 4}, ray=RayConfig(in_flight_gb=0.05),
    )  # fmt: skip
    features = plan_run(config).features
    tile_bytes = expected_bytes(scenes / "scene0.tif", config=config, features=features, models=1)
    columns = tile_bytes // side_px**2 - 4  # of a byte each; the probabilities have four

    def prepared(table, *, spec):
        for row in tile_rows(table):
            tile = example_tile(["red"], shape=shape).drop_vars("red")
            zeros = {f"v{column}": (("y", "x"), np.zeros(shape, "uint8")) for column in range(columns)}
            yield tile_table(row, tile.assign(zeros) if row.status == "pending" else None)

    class Worker:
        def __init__(self, spec):
            pass

        def __call__(self, table):
            time.sleep(0.1)  # tasks are faster, and would fill the store
            for index, row in enumerate(tile_rows(table)):
                tile = from_row(table, index=index) if row.status == "pending" else None
                answer = {"p": (("y", "x"), np.zeros(shape, "float32"))}
                yield tile_table(row, None if tile is None else tile.assign(answer))

    def finished(table, *, spec):
        for row in tile_rows(table):
            yield tile_table(replace(row, status="done", bytes={"inference": table.nbytes}))

    for name, made in (("prepare_scenes", prepared), ("ModelWorker", Worker), ("finish_tiles", finished)):
        monkeypatch.setattr(engine, name, made)
    with StoreWatch(every_seconds=0.02) as store:
        report = run_ray(config)
    assert report.counts == {"done": count}
    assert 2 * tile_bytes <= store.peak_bytes <= 50_000_000 + tile_bytes
    assert store.spilled_bytes == 0
    # Where each tile is larger than the limit, one must have left before the next comes.
    alone = replace(config, scenes=(str(scenes / "scene1?.tif"),), ray=RayConfig(in_flight_gb=1e-6))
    assert run_ray(alone).counts == {"done": 6}


@pytest.mark.slow
def test_a_tile_that_kills_its_workers_fails_for_itself(cluster, config, monkeypatch, tmp_path):
    prepare, deadly, deaths = prepare_scenes, config.scene[2].name, tmp_path / "deaths"

    def killed(table, *, spec):
        kills = [row.tile_id == deadly for row in tile_rows(table)]
        for prepared in prepare(table, spec=spec):
            if any(kills):
                if tile_rows(prepared)[0].status == "failed":  # without having been tried
                    yield prepared
                    continue
                with deaths.open("a") as file:
                    file.write("x")
                os._exit(1)
            yield prepared

    monkeypatch.setattr(engine, "prepare_scenes", killed)
    config = replace(config, scene=config.scene[1:], models=config.models[0] / "optical.pt", retries=1)
    report = run_ray(config)
    assert [row.status for row in report.rows] == ["done", "failed"]
    assert report.rows[1].error.startswith("WorkerLost: 2 workers were lost while they had the tile")
    assert deaths.read_text() == "xx"
    assert report.rows[1].failed_stage == "load"
    assert report.exit_code == 1


def test_scenes_that_arrive_during_the_run_are_mapped_as_they_come(cluster, config, tmp_path, monkeypatch):
    # The workers are in another folder than this process; and Ray would end what makes no progress for a while.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DataContext.get_current(), "execution_no_progress_timeout_s", 0.5)
    pipe = tmp_path / "scenes"
    os.mkfifo(pipe)
    ended = threading.Event()

    def write():
        with pipe.open("w") as lines:
            lines.write(f"{config.scene[0]}\n{tmp_path / 'gone'}\n")
            lines.flush()
            ended.wait(300)  # the pipe stays open until the first one is mapped, though two tiles share a call
            lines.write(f"{config.scene[2]}\n")

    def told(row, *, finished, total, rates):
        assert (total, rates.remaining_seconds) == (None, None)
        if row is not None and row.status == "done":
            ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    streamed = replace(
        config, scene=(), scenes=("scenes",), models=config.models[0] / "optical.pt", out=Path("results"),
        ray=RayConfig(tiles_per_call=2, model_workers=1),
    )  # fmt: skip
    report = run_ray(streamed, progress=told)
    writer.join()
    assert [row.status for row in report.rows] == ["done", "failed", "done"]
    assert read_report(tmp_path / "results" / "results.parquet") == report
    assert (tmp_path / "results" / report.rows[0].tile_id / "manifest.json").exists()


@pytest.mark.slow
def test_a_long_list_takes_little_memory(cluster, config, tmp_path):
    count = 1500
    (tmp_path / "list.txt").write_text("".join(f"{tmp_path / 'gone'}/scene{number}\n" for number in range(count)))
    memory = []

    def told(row, *, finished, total, rates):
        if finished in (count // 3, count):
            memory.append(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))  # noqa: PTH123, SIM115

    listed = replace(config, scene=(), scenes=(str(tmp_path / "list.txt"),), models=config.models[0] / "optical.pt")
    report = run_ray(listed, progress=told)
    assert report.counts == {"failed": count}
    assert [row.tile_id for row in report.rows] == [f"scene{number}" for number in range(count)]
    assert memory[1] - memory[0] < 50e6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors:UserWarning")  # of the last stream
def test_streams_of_ray_follow_each_other_where_there_are_many_scenes(cluster, config, monkeypatch):
    monkeypatch.setattr(ray_feed, "_SCENES_PER_STREAM", 2)
    gone = [config.out / "gone" / f"scene{number}" for number in range(5)]
    (config.out.parent / "list.txt").write_text("\n".join(map(str, gone)))
    listed = replace(config, scene=(), scenes=(str(config.out.parent / "list.txt"),))
    assert run_ray(listed).counts == {"failed": 5}


def test_a_board_hands_out_scenes_counts_tries_and_forgets(cluster):
    board = Board.beside_driver()
    rows = [tile_table(TileRow(name, config_path)) for name, config_path in (("a", "/a"), ("b", "/b"))]
    for row in rows:
        board.post(row)
    board.take_down(0)
    board.close()
    blank = tile_table(TileRow("", "/", status="current"))
    found = [row.tile_id for batch in board.scenes(blank=blank).iter_batches(batch_size=None, batch_format="pyarrow")
             for row in tile_rows(batch)]  # fmt: skip
    assert found == ["", "b"]  # the first one has ended, and needs not be given again
    assert board.begin("load", ["a", "b"]) == [1, 1]
    assert board.begin("load", ["a"]) == [2]
    assert board.begin("export", ["a"]) == [1]
    board.end("load", ["a"])
    assert board.begin("load", ["a", "b"]) == [1, 2]


def test_nodes_that_cannot_read_or_write_what_they_must_are_named(cluster, tmp_path):
    check_nodes(read=[tmp_path], write=tmp_path / "not" / "yet")
    with pytest.raises(ConfigError, match="on node .* '.*/gone' cannot be read: mount the storage there"):
        check_nodes(read=[tmp_path, tmp_path / "gone"])
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="'.*/file/out' cannot be written into"):
        check_nodes(write=tmp_path / "file" / "out")

    driver = os.getpid()

    def unlike():
        if os.getpid() != driver:
            raise CheckpointError("no model here")
        return {}

    def slow():
        time.sleep(0 if os.getpid() == driver else 5)
        return {}

    with pytest.raises(ConfigError, match="on node .* CheckpointError: no model here: mount the storage there"):
        check_nodes(same=unlike)
    with pytest.raises(ConfigError, match=r"expected node .* to say within 0\.5 s which software and files it has"):
        check_nodes(same=slow, timeout_seconds=0.5)
    assert path_troubles([str(tmp_path)], None) == []
    with pytest.raises(ConfigError, match=r"on node a 1; 2; 3: mount"):
        check_paths(["1", "2", "3", "4"], node="a")


def test_the_plan_is_printed_and_nothing_is_written(cluster, config, darts):
    options = [
        "--scene",
        config.scene[0],
        "--models",
        config.models[0] / "optical.pt",
        "--out",
        config.out,
        "--dry-run",
    ]
    code, out, _ = darts("run", *options, "--engine", "ray", "--tiles-per-call", 2, "--device", "cpu")
    assert code == 0
    assert "# inference: 1 worker of 0.5 CPU and 0 GPU on cpu, 2 tiles per call" in out  # for one scene
    assert not config.out.exists()
    code, _, err = darts("run", *options, "--engine", "ray", "--device", "cuda")
    assert code == 2
    assert "expected a cluster with GPUs, but the cluster has 2 CPUs and 0 GPUs on 1 nodes" in err
    code, _, err = darts("run", *options, "--engine", "dask")
    assert code == 2
    assert "expected --engine to be local or ray, but got 'dask'" in err


def test_a_cluster_that_is_there_is_used(cluster):
    with connected("somewhere:1"):
        assert [node["CPU"] for node in node_resources()] == [2]
    assert ray.is_initialized()


def test_without_an_address_nobody_elses_cluster_is_used(monkeypatch):
    begun = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda *, address, **_: begun.append(address))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for address in (None, "host:1"):
        with connected(address):
            pass
    monkeypatch.setenv("RAY_ADDRESS", "other:1")
    for address in (None, "host:1"):
        with connected(address):
            pass
    assert begun == ["local", "host:1", "other:1", "host:1"]


def test_a_node_with_other_models_is_named():
    check_files({"model 'a'": "1", "model 'b'": "2"}, expected={"model 'a'": "1"}, node="n")
    message = "expected the same files on every node, but on node n model 'a', model 'c' differs: copy the files"
    with pytest.raises(ConfigError, match=message):
        check_files({"model 'a'": "1"}, expected={"model 'a'": "2", "model 'c'": "3"}, node="n")


def test_a_cluster_that_is_not_there_is_named(monkeypatch):
    def nobody(**_):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", nobody)
    message = "cannot use the Ray cluster at 'host:1' .nobody answers.: check ray.address"
    with pytest.raises(ConfigError, match=message), connected("host:1"):
        pass


@pytest.mark.parametrize(
    ("options", "device", "node", "message"),
    [
        ({}, "cuda", NODE, "expected a cluster with GPUs, but the cluster has 8 CPUs and 0 GPUs on 1 nodes"),
        ({"model_gpus": 1}, "auto", NODE, "expected a cluster with GPUs"),
        ({}, "cuda:1", NODE | {"GPU": 2.0}, "device='cuda:1' names a GPU of one machine"),
        ({"model_gpus": 1}, "cpu", NODE | {"GPU": 1.0}, "expected ray.model_gpus to be 0 with device='cpu', but got 1"),
        ({}, "auto", {"GPU": 1.0}, "expected a cluster with CPUs"),
        ({"task_cpus": 9}, "auto", NODE, "expected a node with 9 CPUs .* of which have 8 CPUs and 16.0 GB"),
        ({"model_workers": 8, "model_cpus": 1}, "auto", NODE, "expected room for 8 model workers of 1 CPU"),
    ],
)
def test_what_the_cluster_does_not_have_is_refused(options, device, node, message):
    with pytest.raises(ConfigError, match=message):
        derive_resources(RayConfig(**options), device=device, nodes=[node])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task_cpus": 0}, "ray.task_cpus must be a finite number above 0, but got 0"),
        ({"model_workers": 0}, "ray.model_workers must be at least 1, but got 0"),
        ({"model_gpus": -1}, "ray.model_gpus must be a finite number of at least 0"),
        ({"in_flight_gb": 0}, "ray.in_flight_gb must be a finite number above 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        RayConfig(**options)


def test_gpus_decide_the_number_of_model_workers():
    found = derive_resources(RayConfig(model_gpus=0.5), device="auto", nodes=[NODE | {"GPU": 2.0}, NODE])
    assert found == Resources(1, 2_000_000_000, 4, 1, 0.5, 4, 8_000_000_000, "cuda")


def test_what_has_become_of_a_tile_travels_with_it(tmp_path):
    row = TileRow(
        "a",
        tmp_path / "a",
        status="done",
        objects=3,
        warnings=("b",),
        seconds={"load": 0.5},
        products={"x": "y"},
        bytes={"load": 7},
        area_km2=1.5,
        traceback=tmp_path / "a.txt",
    )
    table = pa.concat_tables(
        [tile_table(row), tile_table(replace(row, status="pending"), example_tile(["red"]))], promote_options="default"
    )
    assert tile_rows(table) == [row, replace(row, status="pending")]
    assert from_row(table, index=1).identical(example_tile(["red"]))


def test_the_nodes_of_a_new_cluster_keep_processes_that_wait_for_longer_than_one_needs_to_start(monkeypatch):
    monkeypatch.setenv(KEEP_PROCESSES, "")
    monkeypatch.delenv(KEEP_PROCESSES)
    begun = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: begun.append(int(os.environ[KEEP_PROCESSES])))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with connected(None):
        pass
    assert begun[0] >= 60_000
    monkeypatch.setenv(KEEP_PROCESSES, "5")
    with connected(None):
        pass
    assert begun[1] == 5
