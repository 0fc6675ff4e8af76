"""What the workers of a Ray run do with tables of tiles; called here in this process, without a cluster."""

import errno
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest
import torch

from darts_nextgen import RunConfig
from darts_nextgen.pipeline import ray_workers
from darts_nextgen.pipeline.plan import plan_run
from darts_nextgen.pipeline.ray_workers import ModelWorker, RaySpec, prepare_scenes, tile_rows, tile_table
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.rows import from_row
from darts_nextgen.pipeline.runfiles import write_config
from darts_utils.inference.config import InferenceConfig

BATCH_SIZE = 7
"""No number of patches of these tiles is a multiple of it, so that batches hold patches of several tiles."""


@pytest.fixture(scope="module")
def spec(planet, sentinel, models, tmp_path_factory):
    """A run that leaves out models that lack something."""
    folder = tmp_path_factory.mktemp("workers")
    other = folder / "20210821_000000_00_0001"
    shutil.copytree(planet.scene, other)
    config = RunConfig(
        scene=(planet.scene, sentinel.scene, other), models=models, dem=planet.dem, tcvis=planet.tcvis, missing="skip",
        sentinel2_offset_dn=0, device="cpu", out=folder / "out", inference=InferenceConfig(batch_size=BATCH_SIZE),
    )  # fmt: skip
    plan = plan_run(config)
    return RaySpec(plan.config, plan.features, dict(plan.model_hashes))


@pytest.fixture(scope="module")
def prepared(spec):
    """A table for each scene, as tasks hand them on; the second has no elevation, so that a model is left out there."""
    scenes = [TileRow(path.name, path) for path in spec.config.scene]
    tables = [table for row in scenes for table in prepare_scenes(tile_table(row), spec=spec)]
    tables[1] = tile_table(*tile_rows(tables[1]), from_row(tables[1]).drop_vars(["slope", "relative_elevation"]))
    return tables


@pytest.fixture
def one_thread():
    """The network computes with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_tiles_that_share_a_call_are_as_if_each_came_alone(spec, prepared, one_thread, monkeypatch):
    worker, calls, infer = ModelWorker(spec), [], ray_workers.infer_tiles

    def counted(tiles, **options):
        calls.append(len(tiles))
        return infer(tiles, **options)

    monkeypatch.setattr(ray_workers, "infer_tiles", counted)
    alone = [table for each in prepared for table in worker(each)]
    together = list(worker(pa.concat_tables(prepared, promote_options="default")))
    assert calls == [1, 1, 1, 3]  # nothing is computed twice, though there are warnings
    for ours, theirs in zip(together, alone, strict=True):
        assert from_row(ours).identical(from_row(theirs))  # to the last bit
        (row,), (other,) = tile_rows(ours), tile_rows(theirs)
        assert (row.tile_id, row.warnings, row.bytes) == (other.tile_id, other.warnings, other.bytes)
    first, second, third = (tile_rows(table)[0].warnings for table in together)
    assert any("does without model" in note for note in second)
    assert not any("does without model" in note for note in (*first, *third))


def test_where_a_call_fails_its_tiles_go_one_by_one(spec, prepared, monkeypatch):
    infer, deadly = ray_workers.infer_tiles, tile_rows(prepared[1])[0].tile_id

    def failing(tiles, **options):
        if deadly in {tile.attrs["tile_id"] for tile in tiles}:
            raise RuntimeError("this one")
        return infer(tiles, **options)

    monkeypatch.setattr(ray_workers, "infer_tiles", failing)
    rows = [
        row
        for table in ModelWorker(spec)(pa.concat_tables(prepared, promote_options="default"))
        for row in tile_rows(table)
    ]
    assert [row.status for row in rows] == ["pending", "failed", "pending"]
    assert (rows[1].failed_stage, rows[1].error) == ("inference", "RuntimeError: this one")
    assert rows[1].traceback.exists()


def test_each_tile_comes_back_in_its_own_place(spec, prepared):
    worker = ModelWorker(spec)
    ended = [tile_table(replace(tile_rows(table)[0], status="current")) for table in prepared]
    for tables in (
        prepared,
        [prepared[0], ended[1], prepared[2]],
        [prepared[0], prepared[1], ended[2]],
        [*ended[:2], prepared[2]],
    ):
        given = pa.concat_tables(tables, promote_options="default")
        found = [tile_rows(table)[0] for table in worker(given)]
        assert [(row.tile_id, row.status) for row in found] == [(row.tile_id, row.status) for row in tile_rows(given)]


class Tries:
    """A board in this process."""

    def __init__(self):
        self.counts = Counter()

    def begin(self, stage, tile_ids):
        self.counts.update(tile_ids := [(stage, each) for each in tile_ids])
        return [self.counts[each] for each in tile_ids]

    def end(self, stage, tile_ids):
        for each in tile_ids:
            self.counts.pop((stage, each), None)


def test_tiles_with_which_a_worker_was_lost_go_one_by_one_and_the_deadly_one_fails(spec, prepared, monkeypatch):
    infer, calls, deadly = ray_workers.infer_tiles, [], tile_rows(prepared[1])[0].tile_id

    def fatal(tiles, **options):
        calls.append([tile.attrs["tile_id"] for tile in tiles])
        if deadly in calls[-1]:
            raise KeyboardInterrupt  # no error of a tile: the worker ends
        return infer(tiles, **options)

    monkeypatch.setattr(ray_workers, "infer_tiles", fatal)
    watched = replace(spec, board=Tries(), config=replace(spec.config, retries=1))
    table = pa.concat_tables(prepared, promote_options="default")
    names = [row.tile_id for row in tile_rows(table)]
    for _ in range(3):  # together, then alone, as often as it may be tried
        with pytest.raises(KeyboardInterrupt):
            list(ModelWorker(watched)(table))
    rows = [tile_rows(each)[0] for each in ModelWorker(watched)(table)]
    assert [row.status for row in rows] == ["pending", "failed", "pending"]
    assert rows[1].error.startswith("WorkerLost: 2 workers were lost while they had the tile")
    assert calls == [names, names[:1], names[1:2], names[:1], names[1:2], names[:1], names[2:]]
    assert not watched.board.counts  # nothing is remembered of what has ended


def test_models_that_storage_did_not_give_are_loaded_again(spec, prepared, monkeypatch):
    load, failures = (
        ray_workers.load_models,
        [OSError(errno.ESTALE, "stale"), OSError(errno.EIO, "broken"), ValueError("no")],
    )

    def failing(config):
        if failures:
            raise failures.pop(0)
        return load(config)

    monkeypatch.setattr(ray_workers, "load_models", failing)
    worker = ModelWorker(replace(spec, config=replace(spec.config, retries=1)))
    assert [str(each) for each in failures] == ["no"]  # what may pass was tried once more at once
    (failed,) = (tile_rows(table)[0] for table in worker(prepared[0]))
    assert failed.error == "CheckpointError: the models cannot be used on this node: ValueError: no"
    (mapped,) = (tile_rows(table)[0] for table in worker(prepared[0]))
    assert mapped.status == "pending"
    assert mapped.error is None


TASKS_WITHOUT_MODELS = """
import sys
from pathlib import Path
from darts_nextgen import read_config
from darts_nextgen.pipeline.ray_workers import RaySpec, finish_tiles, prepare_scenes, tile_rows, tile_table
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.rows import from_row

config = read_config(sys.argv[1])
spec = RaySpec(config, ("ndvi", "slope"), {"some": "ab" * 32})
(table,) = prepare_scenes(tile_table(TileRow(config.scene[0].name, config.scene[0])), spec=spec)
(row,), tile = tile_rows(table), from_row(table)
tile = tile.assign(probabilities=tile.slope.where(tile.quality_data_mask == 2) / 90)
(ended,) = tile_rows(*finish_tiles(tile_table(row, tile.assign_attrs(darts_models='["some"]')), spec=spec))
print(ended.status, ended.error)
sys.exit("torch" in sys.modules)
"""


def test_tasks_that_have_no_models_do_without_torch(spec, tmp_path):
    config = write_config(spec.config, tmp_path / "run.toml")
    command = [sys.executable, "-c", TASKS_WITHOUT_MODELS, str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done None\n"), done.stderr
