"""How the run on Ray scales: the stages of a recorded run are slept through on a simulated cluster of fake GPUs.

The plan (`darts_nextgen.pipeline.resources.derive_resources`), the operators and how scenes are let in
(`darts_nextgen.pipeline.ray_feed`) are those of a real run. A tile has no pixels, and a stage sleeps as long as the recorded one
took, divided by ``--speed``: the engine has to move that many more tiles each second than in reality, on the few cores of this
machine.

Linear is what the model workers would do if they never waited: their number divided by the mean seconds of an inference.
Scenes are handed in when all workers are there. What is compared to it is what the workers did from the moment when the last of
them has begun its first call until the first of them has ended its last, so that neither the start of processes nor the last
tiles count; of a call that only partly lies in that time its part counts.

Usage: ``python scripts/ray_scaling/simulate.py [--workers 4 16 64] [--speed 1] [--calls 12] [--plot FILE.svg]``
"""

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from darts_nextgen.pipeline.queueing import Queued
from darts_nextgen.pipeline.ray_cluster import keep_processes, node_resources
from darts_nextgen.pipeline.ray_feed import ended_scenes
from darts_nextgen.pipeline.ray_stream import Operators
from darts_nextgen.pipeline.ray_workers import tile_rows, tile_table
from darts_nextgen.pipeline.report import TileRow
from darts_nextgen.pipeline.resources import RayConfig, Resources, derive_resources

FOLDER = Path(__file__).parent
BEFORE, MODEL, AFTER = ("load", "preprocess"), ("inference",), ("postprocess", "export")

ON_THE_WAY = 6
"""Calls of each worker that are on their way at once, as far as the object store goes: two that it is given, and as many before and
after them."""

Profile = list[dict[str, float]]


@dataclass(frozen=True)
class Rate:
    """What a simulated cluster did."""

    workers: int
    """Model workers."""
    tiles: int
    """Tiles of the run."""
    tiles_per_second: float
    """In the time that counts."""
    linear: float
    """The same if no worker ever waited."""
    wall_seconds: float
    """The whole run, with the start of the processes."""

    @property
    def share(self) -> float:
        """Part of what is linear."""
        return self.tiles_per_second / self.linear


def seconds_of(row: TileRow, profile: Profile, stages: tuple[str, ...], *, speed: float) -> float:
    """What the stages take for a tile."""
    recorded = profile[int(row.tile_id) % len(profile)]
    return sum(recorded[stage] for stage in stages) / speed


def slept(table: pa.Table, *, profile: Profile, stages: tuple[str, ...], speed: float) -> Iterator[pa.Table]:
    """A task that takes its time."""
    for row in tile_rows(table):
        time.sleep(seconds_of(row, profile, stages, speed=speed))
        yield tile_table(row)


class SleepingWorker:
    """A model worker that takes its time; a call gives its tiles back together."""

    def __init__(self, profile: Profile, speed: float, folder: Path) -> None:
        self._profile, self._speed = profile, speed
        (folder / str(os.getpid())).touch()  # says that it is there

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """Sleep for all tiles of the call, and note who did and when."""
        rows = tile_rows(table)
        begun = time.time()
        time.sleep(sum(seconds_of(row, self._profile, MODEL, speed=self._speed) for row in rows))
        noted = {"worker": str(os.getpid()), "begun": str(begun), "ended": str(time.time())}
        for row in rows:
            yield tile_table(replace(row, products=noted))


def simulate(workers: int, profile: Profile, *, speed: float, calls: int) -> Rate:
    """Replay the profile on a cluster with so many fake GPUs.

    Args:
        workers: GPUs, and thus model workers of the derived plan.
        profile: Recorded seconds of each tile.
        speed: How much faster than recorded.
        calls: Calls of each worker in the mean.
    """
    before_after = sum(sum(tile[stage] for stage in BEFORE + AFTER) for tile in profile)
    inference = sum(tile["inference"] for tile in profile)
    tasks = math.ceil(1.5 * workers * before_after / inference) + 1  # half as many more CPUs as would be busy
    keep_processes()
    ray.init(
        address="local", num_cpus=workers + tasks, num_gpus=workers, object_store_memory=500_000_000,
        include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
    )  # fmt: skip
    try:
        resources = derive_resources(RayConfig(), device="auto", nodes=node_resources())
        if resources.model_workers != workers:
            raise RuntimeError(f"expected a plan with {workers} model workers, but got {resources}")
        tiles = workers * resources.tiles_per_call * calls
        started = time.time()
        with tempfile.TemporaryDirectory() as folder:
            rows = _run(tiles, profile, resources, speed=speed, folder=Path(folder))
        wall = time.time() - started
    finally:
        ray.shutdown()
    if sorted(int(row.tile_id) for row in rows) != list(range(tiles)):
        raise RuntimeError(f"expected {tiles} tiles, each once, but got {len(rows)}")
    linear = workers / (inference / len(profile) / speed)
    return Rate(workers, tiles, _steady_rate(rows, resources), linear, wall)


def _run(tiles: int, profile: Profile, resources: Resources, *, speed: float, folder: Path) -> list[TileRow]:
    operators = Operators(
        prepare=partial(slept, profile=profile, stages=BEFORE, speed=speed),
        worker=SleepingWorker,
        worker_arguments=(profile, speed, folder),
        finish=partial(slept, profile=profile, stages=AFTER, speed=speed),
    )

    def scenes() -> Iterator[Queued]:
        while len([*folder.iterdir()]) < resources.model_workers:
            time.sleep(0.1)
        yield from (Queued(number, TileRow(str(number), Path("scene"))) for number in range(tiles))

    tiles_on_the_way = ON_THE_WAY * resources.tiles_per_call * resources.model_workers
    needed = resources.in_flight_bytes // (2 * tiles_on_the_way)  # a tile is counted twice
    ended = ended_scenes(scenes(), lambda _: operators, resources=resources, needed_bytes=lambda _: needed)
    return [row for _, row in ended]


def _steady_rate(rows: list[TileRow], resources: Resources) -> float:
    """Tiles per second that the workers did while all of them were there and there was enough to do."""
    calls: dict[str, list[tuple[float, float]]] = {}  # of each worker; as many times as a call had tiles
    for row in rows:
        noted = row.products
        calls.setdefault(noted["worker"], []).append((float(noted["begun"]), float(noted["ended"])))
    if len(calls) != resources.model_workers:
        raise RuntimeError(f"expected {resources.model_workers} workers, but {len(calls)} had tiles: raise --calls")
    first = max(min(begun for begun, _ in each) for each in calls.values())
    last = min(max(ended for _, ended in each) for each in calls.values())
    if last <= first:
        raise RuntimeError("the last worker had not begun when the first had ended: raise --calls")
    done = sum(
        max(0.0, min(ended, last) - max(begun, first)) / (ended - begun)
        for each in calls.values()
        for begun, ended in each
    )
    return done / (last - first)


def draw(rates: list[Rate], path: Path, *, where: str, speed: float) -> None:
    """Tiles per second over model workers, beside what would be linear."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "darts", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    workers = [rate.workers for rate in rates]
    axes.loglog(workers, [rate.linear for rate in rates], color="0.6", linestyle="--", label="linear")
    axes.loglog(workers, [rate.tiles_per_second for rate in rates], color="C0", marker="o", label="simulated")
    for rate in rates:
        axes.annotate(f"{rate.share:.0%}", (rate.workers, rate.tiles_per_second), (6, -12), textcoords="offset points")
    axes.set(
        xlabel="model workers (fake GPUs)",
        ylabel="tiles / s",
        title=where if speed == 1 else f"{where}, {speed:g} times as fast",
    )
    axes.set_xticks(workers, [str(number) for number in workers], minor=False)
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--calls", type=int, default=12, help="calls of each worker in the mean")
    parser.add_argument("--profile", type=Path, default=FOLDER / "profile.json")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    recorded: dict[str, Any] = json.loads(options.profile.read_text())
    rates = []
    for workers in options.workers:
        rate = simulate(workers, recorded["seconds"], speed=options.speed, calls=options.calls)
        rates.append(rate)
        print(
            f"{workers:>3} workers: {rate.tiles_per_second:.2f} tiles/s, {rate.share:.1%} of linear; {rate.tiles} tiles in "
            f"{rate.wall_seconds:.0f} s",
            flush=True,
        )
    if options.plot is not None:
        draw(rates, options.plot, where=recorded["where"], speed=options.speed)


if __name__ == "__main__":
    main()
