"""The run on Ray: what the engine costs beside the work, and what it needs of the object store."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import segmentation_models_pytorch as smp
import torch

from benchmarks.harness import Row, as_seconds, benchmark
from benchmarks.ray_stages import SIDE_PX, VARIABLES, Worker, finish, loaded, passed, prepare
from benchmarks.ray_store import StoreWatch, started_ray
from darts_nextgen import RunConfig, read_report
from darts_nextgen.demo.sample import MODELS
from darts_nextgen.pipeline.local import Progress, log_progress
from darts_nextgen.pipeline.queueing import Queued
from darts_nextgen.pipeline.ray import run_ray
from darts_nextgen.pipeline.ray_cluster import node_resources
from darts_nextgen.pipeline.ray_feed import ended_scenes
from darts_nextgen.pipeline.ray_stream import Operators
from darts_nextgen.pipeline.report import RunReport, TileRow
from darts_nextgen.pipeline.resources import RayConfig, derive_resources
from darts_utils.synthetic import ScenePaths, synthetic_scene, write_scene

TILES = 8
WHOLE_TILE_BYTES = (VARIABLES + 2) * SIDE_PX**2 * 4
"""A tile of 640 MB with what preprocessing and inference add."""
CPUS = 2
_TURNS = 3
_WARMING = 2 * CPUS
"""Scenes without a tile that start the processes: as many model workers as CPUs, and as many tasks at once."""


def in_process() -> list[int]:
    sums = []
    for number in range(TILES):
        tile = loaded(number)
        for stage in ("preprocess", "inference", "postprocess", "export"):
            tile = passed(tile, stage)
        sums.append(int(tile.attrs["sum"]))
    return sums


@dataclass
class RayTurn:
    """One run on Ray; its clock begins when every process has had something to do."""

    sums: list[int] = field(default_factory=list)
    start_seconds: float = 0.0
    """Until then."""
    seconds: float = 0.0
    """From then on."""


def on_ray() -> RayTurn:
    resources = derive_resources(RayConfig(in_flight_gb=8.0), device="cpu", nodes=node_resources())
    operators = Operators(prepare=prepare, worker=Worker, worker_arguments=(), finish=finish)
    turn, started, all_warm = RayTurn(), time.perf_counter(), threading.Event()

    def scenes() -> Iterator[Queued]:
        for number in range(TILES, TILES + _WARMING):
            yield Queued(number, TileRow(str(number), Path("scene"), status="current"))
        all_warm.wait()
        turn.start_seconds = time.perf_counter() - started
        for number in range(TILES):
            yield Queued(number, TileRow(str(number), Path("scene")))

    found: dict[int, int] = {}
    for scene, row in ended_scenes(
        scenes(), lambda _: operators, resources=resources, needed_bytes=lambda _: WHOLE_TILE_BYTES
    ):
        found[scene.number] = row.objects or 0
        if len(found) == _WARMING:
            all_warm.set()
    turn.seconds = time.perf_counter() - started - turn.start_seconds
    turn.sums = [found[number] for number in range(TILES)]
    return turn


@benchmark("ray-overhead")
def overhead() -> Row:
    turns, alone = [], []
    with started_ray(cpus=CPUS, store_bytes=12_000_000_000):
        with StoreWatch() as store:  # which takes part of the CPUs
            first = on_ray()
        for _ in range(_TURNS):
            started = time.perf_counter()
            sums = in_process()
            alone.append(time.perf_counter() - started)
            turns.append(on_ray())
            if not first.sums == turns[-1].sums == sums:
                raise ValueError("the sums differ")
    mine, other = statistics.median(turn.seconds for turn in turns), statistics.median(alone)
    start = statistics.median(turn.start_seconds for turn in turns)
    return Row(
        f"five stages that read every byte and add a variable, {TILES} tiles of 640 MB, on Ray with {CPUS} CPUs",
        "the same in one process",
        as_seconds(mine),
        as_seconds(other),
        mine / other,
        2.5,
        at_most=True,
        note=f"sums equal; medians of {_TURNS}; before, {as_seconds(start)} until all processes had started; the first run, which "
        f"is watched, and for which the kernel clears the pages of the store, {as_seconds(first.seconds)}; store's peak "
        f"{store.peak_bytes / 1e9:.2f} GB, spilled {store.spilled_bytes / 1e9:.2f} GB",
    )


@benchmark("ray-demo")
def demo_models() -> Row:
    count, side_px = int(os.environ.get("RAY_DEMO_SCENES", "64")), 1024
    with _folder() as folder:
        around = write_scene(synthetic_scene(1, shape=(side_px + 40, side_px + 40)), folder / "around")
        made = [
            write_scene(synthetic_scene(500_000 + number, shape=(side_px, side_px)), folder / f"made{number}")
            for number in range(min(count, 6))
        ]
        config = _config(folder, made, around, count=count + _WARMING, models=MODELS)
        # Before and after, since the machine may be faster at one time than at the other.
        alone = [_tile_seconds(config, [paths.scene for paths in made], name="before")]
        with started_ray(cpus=CPUS, store_bytes=3_000_000_000):
            start, wall = _paced(config, folder / "list")
        alone.append(_tile_seconds(config, [paths.scene for paths in made], name="after"))
    tile_seconds = statistics.mean(alone)
    ideal = count * tile_seconds / CPUS
    return Row(
        f"the demo models over {count} scenes of {side_px}², on Ray with {CPUS} CPUs",
        f"ideal: the stages of {CPUS} runs in one process each, side by side ({as_seconds(alone[0])} a tile before, "
        f"{as_seconds(alone[1])} after), / {CPUS}",
        as_seconds(wall),
        as_seconds(ideal),
        wall / ideal,
        1.15,
        at_most=True,
        note=f"before, {as_seconds(start)} until all processes had started and mapped {_WARMING} scenes; {count / wall:.2f} tiles/s",
    )


def _paced(config: RunConfig, pipe: Path) -> tuple[float, float]:
    """Seconds until the first scenes were mapped, and from then on until all were; the others come only then."""
    scenes = [str(path) for pattern in config.scenes for path in sorted(Path(pattern).parent.iterdir())]
    os.mkfifo(pipe)
    all_warm, moments = threading.Event(), [time.perf_counter()]

    def write() -> None:
        with pipe.open("w") as lines:
            lines.write("".join(f"{scene}\n" for scene in scenes[:_WARMING]))
            lines.flush()
            all_warm.wait()
            moments.append(time.perf_counter())
            lines.write("".join(f"{scene}\n" for scene in scenes[_WARMING:]))

    def told(row: TileRow | None, *, finished: int, **_: object) -> None:
        if finished == _WARMING:
            all_warm.set()

    threading.Thread(target=write, daemon=True).start()
    _mapped(replace(config, scenes=(str(pipe),)), progress=told)
    return moments[1] - moments[0], time.perf_counter() - moments[1]


def _tile_seconds(config: RunConfig, scenes: Sequence[Path], *, name: str) -> float:
    """Seconds of all stages of a tile where as many processes run as there are CPUs, so that none waits for one."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [str(Path(sys.executable).with_name("darts")), "run", "--device", "cpu"]
    words += ["--models", *map(str, config.models), "--dem", str(config.dem), "--tcvis", str(config.tcvis)]
    words += [word for scene in scenes for word in ("--scenes", str(scene))]
    outs = [config.out.with_name(f"{name}{number}") for number in range(CPUS)]
    runs = [subprocess.Popen([*words, "--out", str(out)], env=environment) for out in outs]
    if any(run.wait() != 0 for run in runs):
        raise RuntimeError("a run in one process failed")
    # the first tile of a process is slower
    rows = [row for out in outs for row in read_report(out / "results.parquet").rows[1:]]
    return statistics.mean(sum(row.seconds.values()) for row in rows)


@benchmark("ray-store")
def object_store() -> Row:
    count, side_px, limit_bytes = int(os.environ.get("RAY_STORE_SCENES", "32")), 4096, 2_500_000_000
    with _folder() as folder:
        scene = synthetic_scene(2, shape=(side_px, side_px), slump_density_per_km2=2.0)
        around = write_scene(scene, folder / "around")
        config = _config(folder, [around], around, count=count, models=_cheap_model(folder / "cheap.pt"))
        config = replace(config, ray=replace(config.ray, in_flight_gb=limit_bytes / 1e9))
        with started_ray(cpus=CPUS, store_bytes=2 * limit_bytes), StoreWatch() as store:
            report, wall = _mapped(config)
    tile_bytes = side_px**2 * _PIXEL_BYTES
    return Row(
        f"peak of the object store over its limit + one tile ({tile_bytes / 1e6:.0f} MB), {count} scenes of {side_px}², a cheap "
        "network",
        f"ray.in_flight_gb = {limit_bytes / 1e9:g}",
        f"{store.peak_bytes / 1e9:.2f} GB",
        f"{(limit_bytes + tile_bytes) / 1e9:.2f} GB",
        store.peak_bytes / (limit_bytes + tile_bytes) if store.spilled_bytes == 0 else float("inf"),
        1.0,
        at_most=True,
        note=f"spilled {store.spilled_bytes} bytes; {len(report.done)} tiles in {wall:.0f} s; the store's own figures, "
        f"{store.samples} samples",
    )


_PIXEL_BYTES = 4 * 2 + 2 * 1 + 3 * 4 + 3 * 1 + 2 * 1 + 4
"""Bands, sensor masks, NDVI and terrain, trends, masks, probabilities."""


def _config(folder: Path, made: list[ScenePaths], around: ScenePaths, *, count: int, models: Path) -> RunConfig:
    """A run over so many scenes, copies of those that were made."""
    for number in range(count):
        name = f"202108{1 + number % 28:02d}_{number:06d}_00_{number:04x}"
        shutil.copytree(made[number % len(made)].scene, folder / "scenes" / name, copy_function=os.link)
    return RunConfig(
        scenes=(str(folder / "scenes" / "*"),), models=(models,), dem=around.dem, tcvis=around.tcvis, device="cpu",
        out=folder / "out",
    )  # fmt: skip


def _mapped(config: RunConfig, progress: Progress = log_progress) -> tuple[RunReport, float]:
    started = time.perf_counter()
    report = run_ray(config, progress=progress)
    wall = time.perf_counter() - started
    if report.exit_code != 0:
        raise RuntimeError(f"{len(report.failed)} scenes failed, the first: {report.failed[0].error}")
    return report, wall


def _cheap_model(path: Path) -> Path:
    """The demo's network with a thin decoder, one patch size up, that finds nothing."""
    config = dict(torch.load(MODELS / "full.pt", weights_only=True)["config"])
    config["model"] = {**config["model"], "decoder_channels": [8, 8, 8, 8, 8]}
    config |= {"name": "cheap", "patch_size": 1024}
    options = {name: value for name, value in config["model"].items() if name != "arch"}
    network = smp.create_model(config["model"]["arch"], **options)
    torch.nn.init.constant_(network.segmentation_head[0].bias, -50.0)
    torch.save({"config": config, "statedict": network.state_dict()}, path)
    return path


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Path(name)
