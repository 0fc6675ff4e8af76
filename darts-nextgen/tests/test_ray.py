"""Runs on a Ray cluster: one of two CPUs for all tests of this file."""

import errno
import os
import shutil
from dataclasses import replace

import pyarrow as pa
import pytest
import ray
import torch
from ray.experimental import get_object_locations

from darts_nextgen import RunConfig, read_report, run_local
from darts_nextgen.pipeline import ray as engine
from darts_nextgen.pipeline.ray import run_ray
from darts_nextgen.pipeline.ray_cluster import check_versions, connected, node_resources, versions
from darts_nextgen.pipeline.ray_workers import prepare_scenes, retried, tile_rows, tile_table
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.resources import RayConfig, Resources, derive_resources
from darts_nextgen.pipeline.rows import from_row, to_row
from darts_utils.errors import ConfigError, SceneError
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
        if path.is_file() and path.name not in ("results.parquet", "run.toml")
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
    report = run_ray(replace(config, out=out), progress=lambda row, **counts: seen.append((row, counts["finished"])))
    assert [row.status for row in report.rows] == ["done", "done", "done", "failed"]
    assert [finished for _, finished in seen] == [0, 1, 2, 3, 4]
    assert read_report(report.table) == report
    for row, other in zip(report.rows, expected.rows, strict=True):
        assert set(row.seconds) == set(other.seconds)
        assert replace(row, seconds={}, products={}) == replace(other, seconds={}, products={})
        assert set(row.products) == set(other.products)
    ours, theirs = files_of(out), files_of(config.out)
    assert set(ours) == set(theirs)
    assert [name for name in theirs if ours[name] != theirs[name]] == []

    again = run_ray(replace(config, out=out))
    assert [row.status for row in again.rows] == ["current", "current", "current", "failed"]
    assert {row.tile_id for row in run_local(replace(config, out=out)).current} == {
        row.tile_id for row in again.current
    }


def test_several_tiles_share_the_calls_of_a_model_worker(cluster, config):
    several = replace(config, ray=RayConfig(tiles_per_call=3))
    report = run_ray(several)
    assert [row.status for row in report.rows] == ["done", "done", "done"]
    assert all(row.objects is not None for row in report.rows)


@pytest.mark.slow
def test_a_tile_that_kills_its_workers_fails_for_itself(cluster, config, monkeypatch):
    prepare, deadly = prepare_scenes, config.scene[2].name

    def killed(table, *, spec):
        if tile_rows(table)[0].tile_id == deadly:
            os._exit(1)
        yield from prepare(table, spec=spec)

    monkeypatch.setattr(engine, "prepare_scenes", killed)
    config = replace(config, scene=config.scene[1:], models=config.models[0] / "optical.pt", ray=RayConfig(retries=1))
    report = run_ray(config)
    assert [row.status for row in report.rows] == ["done", "failed"]
    assert report.rows[1].error.startswith("WorkerLost: each worker that had the tile was lost")
    assert report.exit_code == 1


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
    assert "# inference: 1 workers of 1 CPU and 0 GPU on cpu, 2 tiles per call" in out
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


def test_a_cluster_that_is_not_there_is_named(monkeypatch):
    def nobody(**_):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", nobody)
    message = "cannot use the Ray cluster at 'host:1' .nobody answers.: check ray.address"
    with pytest.raises(ConfigError, match=message), connected("host:1"):
        pass


def test_nodes_with_other_versions_are_refused():
    with pytest.raises(ConfigError, match=r"node a has numpy 1\.0 instead of .*, torch none instead of"):
        check_versions(
            {name: value for name, value in versions().items() if name != "torch"} | {"numpy": "1.0"},
            expected=versions(),
            node="a",
        )
    check_versions(versions(), expected=versions(), node="a")


@pytest.mark.parametrize(
    ("options", "device", "node", "message"),
    [
        ({}, "cuda", NODE, "expected a cluster with GPUs, but the cluster has 8 CPUs and 0 GPUs on 1 nodes"),
        ({"model_gpus": 1}, "auto", NODE, "expected a cluster with GPUs"),
        ({}, "cuda:1", NODE | {"GPU": 2.0}, "device='cuda:1' names a GPU of one machine"),
        ({"model_gpus": 1}, "cpu", NODE | {"GPU": 1.0}, "expected ray.model_gpus to be 0 with device='cpu', but got 1"),
        ({}, "auto", {"GPU": 1.0}, "expected a cluster with CPUs"),
        ({"task_cpus": 9}, "auto", NODE, "expected a node with 9 CPUs .* the largest with 8 CPUs"),
        ({"model_workers": 8}, "auto", NODE, "expected room for 8 model workers of 1 CPU"),
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
        ({"retries": -1}, "ray.retries must be at least 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        RayConfig(**options)


def test_gpus_decide_the_number_of_model_workers():
    found = derive_resources(RayConfig(model_gpus=0.5), device="auto", nodes=[NODE | {"GPU": 2.0}, NODE])
    assert found == Resources(1, 2_000_000_000, 4, 1, 0.5, 4, 8_000_000_000, "cuda")


def test_only_what_may_pass_is_tried_again():
    def failing(error, *, times):
        calls.append(error)
        if len(calls) <= times:
            raise SceneError("cannot read") from error
        return "read"

    calls = []
    assert retried(lambda: failing(OSError(errno.ESTALE, "stale"), times=2), retries=2, pause_seconds=0) == "read"
    calls = []
    with pytest.raises(SceneError, match="cannot read"):
        retried(lambda: failing(OSError(errno.ESTALE, "stale"), times=5), retries=2, pause_seconds=0)
    assert len(calls) == 3
    calls = []
    with pytest.raises(SceneError, match="cannot read"):
        retried(lambda: failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), times=1), retries=2, pause_seconds=0)
    assert len(calls) == 1


def test_what_has_become_of_a_tile_travels_with_it(tmp_path):
    row = TileRow(
        "a", tmp_path / "a", status="done", objects=3, warnings=("b",), seconds={"load": 0.5}, products={"x": "y"}
    )
    table = pa.concat_tables(
        [tile_table(row), tile_table(replace(row, status="pending"), example_tile(["red"]))], promote_options="default"
    )
    assert tile_rows(table) == [row, replace(row, status="pending")]
    assert from_row(table, index=1).identical(example_tile(["red"]))
