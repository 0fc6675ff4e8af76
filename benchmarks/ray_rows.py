"""What it costs to send tiles from stage to stage of Ray Data: as pickled objects, as tensor columns, in fewer stages."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray.data
import xarray as xr
from ray.data import DataContext

from benchmarks.harness import Row, Timer, as_seconds, benchmark
from benchmarks.ray_stages import loaded, passed
from benchmarks.ray_store import started_ray
from darts_nextgen.pipeline.rows import from_row, to_row

TILES, SIDE_PX = 4, 2000  # 10 variables of float32: 160 MB
STAGES = ("preprocess", "inference", "postprocess", "export")
PLOT = Path(__file__).parent.parent / "docs" / "plots" / "cost-of-xarray.svg"


@dataclass(frozen=True)
class Way:
    """A way to send tiles."""

    load: Callable[[dict[str, Any]], Any]
    """Number of a tile → what is sent."""
    stage: Callable[..., Any]
    """What is sent, and the names of stages → what is sent next."""
    read: Callable[[Any], list[int]]
    """What comes back → sums of the tiles."""
    batch_format: str | None
    """How Ray Data hands it over; None: row by row."""


@dataclass(frozen=True)
class PickledTile:
    """The wrapper that one writes first; Ray Data pickles it, as every object that it does not know."""

    dataset: xr.Dataset
    """The tile."""


def _load_object(row: dict[str, Any]) -> dict[str, Any]:
    return {"tile": PickledTile(loaded(int(row["id"]), side_px=SIDE_PX))}


def _stage_object(row: dict[str, Any], *, stages: tuple[str, ...]) -> dict[str, Any]:
    return {"tile": PickledTile(_passed(row["tile"].dataset, stages))}


def _load_columns(table: pa.Table) -> Iterator[pa.Table]:
    for number in table["id"].to_pylist():
        yield to_row(loaded(number, side_px=SIDE_PX))


def _stage_columns(table: pa.Table, *, stages: tuple[str, ...]) -> Iterator[pa.Table]:
    for index in range(table.num_rows):
        yield to_row(_passed(from_row(table, index=index), stages))


def _passed(tile: xr.Dataset, stages: tuple[str, ...]) -> xr.Dataset:
    for stage in stages:
        tile = passed(tile, stage)
    return tile


OBJECTS = Way(_load_object, _stage_object, lambda row: [int(row["tile"].dataset.attrs["sum"])], None)
COLUMNS = Way(
    _load_columns,
    _stage_columns,
    lambda table: [int(from_row(table, index=index).attrs["sum"]) for index in range(table.num_rows)],
    "pyarrow",
)


def send(way: Way, groups: tuple[tuple[str, ...], ...]) -> tuple[list[int], float]:
    """Send the tiles through stages that Ray does not fuse, since each asks for another share of a CPU.

    Returns:
        Sums of the tiles, and the bytes that Ray believes one tile to have after the last stage.
    """
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1
    with DataContext.current(context):
        stream: Any = ray.data.range(TILES, override_num_blocks=TILES)
        works = [way.load, *(partial(way.stage, stages=group) for group in groups)]
        for number, work in enumerate(works):
            options: dict[str, Any] = {"num_cpus": 0.5 + number / 100}
            if way.batch_format is None:
                stream = stream.map(work, **options)
            else:
                stream = stream.map_batches(work, batch_size=None, batch_format=way.batch_format, **options)
        done = stream.materialize()
        size_bytes = done.size_bytes() / TILES
        if way.batch_format is None:
            sums = [total for row in done.iter_rows() for total in way.read(row)]
        else:
            batches = done.iter_batches(batch_size=None, batch_format=way.batch_format)
            sums = [total for batch in batches for total in way.read(batch)]
    return sorted(sums), size_bytes


def in_process() -> tuple[list[int], float]:
    """The same without Ray; the size is the true one."""
    sums, size_bytes = [], 0
    for number in range(TILES):
        tile = _passed(loaded(number, side_px=SIDE_PX), STAGES)
        sums.append(int(tile.attrs["sum"]))
        size_bytes = tile.nbytes
    return sorted(sums), float(size_bytes)


@benchmark("ray-rows")
def rows() -> list[Row]:
    single = tuple((stage,) for stage in STAGES)
    sides = {
        "pickled tiles, five stages": partial(send, OBJECTS, single),
        "tensor columns, five stages": partial(send, COLUMNS, single),
        "tensor columns, three stages": partial(send, COLUMNS, (STAGES[:2], STAGES[2:])),
        "one process": in_process,
    }
    with started_ray(cpus=2, store_bytes=6_000_000_000):
        found = {name: side() for name, side in sides.items()}
        if len({tuple(sums) for sums, _ in found.values()}) != 1:
            raise ValueError("the sums differ")
        medians = Timer(runs=3).compare(sides, warm=False)
    sizes = {name: size_bytes for name, (_, size_bytes) in found.items()}
    _draw(medians, sizes)
    true = sizes["one process"]
    what = f"{TILES} tiles of {true / 1e6:.0f} MB through stages that read every byte and add a variable"
    columns = medians["tensor columns, five stages"]
    return [
        *(
            Row(
                f"{what}: tensor columns in five stages",
                name,
                as_seconds(columns),
                as_seconds(medians[name]),
                medians[name] / columns,
                None,
                note="sums equal; medians of 3",
            )
            for name in sides
            if name != "tensor columns, five stages"
        ),
        *(
            Row(
                f"bytes of a tile that Ray counts: {name}",
                "true size",
                f"{sizes[name] / 1e6:.3g} MB",
                f"{true / 1e6:.3g} MB",
                sizes[name] / true,
                None,
            )
            for name in sides
            if name != "one process"
        ),
    ]


def _draw(seconds: dict[str, float], sizes: dict[str, float]) -> None:
    """Seconds of the run and the bytes that Ray counts, way by way."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "darts", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.4), sharey=True, layout="constrained")
    names = list(seconds)[::-1]
    left.bar_label(left.barh(names, [seconds[name] for name in names], color="C0"), fmt="%.1f", padding=2)
    right.bar_label(right.barh(names, [sizes[name] / 1e6 for name in names], color="C1"), fmt="%.3g", padding=2)
    left.set(xlabel=f"seconds for {TILES} tiles", xlim=(0, 1.2 * max(seconds.values())))
    right.set(xlabel="MB of a tile, as Ray counts", xlim=(0, 1.25 * max(sizes.values()) / 1e6))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})
