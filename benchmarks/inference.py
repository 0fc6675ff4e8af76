"""The sliding window on the CPU, against MONAI: the network's own time, what is beside it, precision, memory."""

import statistics
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
import xarray as xr
from monai.inferers.utils import sliding_window_inference
from numpy.typing import NDArray

from benchmarks.harness import Row, Timer, as_megabytes, as_seconds, benchmark
from benchmarks.memory import peak_bytes
from darts_preprocessing import preprocess
from darts_segmentation import Segmenter
from darts_utils.inference import (
    InferenceConfig,
    Normalization,
    Scaling,
    network_input,
    predict_probabilities,
    rewrite_for_inference,
)
from darts_utils.patches import patch_weights
from darts_utils.synthetic import synthetic_scene
from darts_utils.testing import example_tile

PATCH_PX, OVERLAP_PX = 512, 128
CHANNELS = Normalization(
    {name: Scaling(0.0, 1e-4) for name in ("blue", "green", "red", "nir")}
    | {"ndvi": Scaling(-1.0, 0.5), "relative_elevation": Scaling(-50.0, 0.01), "slope": Scaling(0.0, 1 / 90)}
)
CPU = torch.device("cpu")
_LARGE, _SMALL = 4096, 1536
_DEMO = Path(__file__).parent.parent / "darts-nextgen/src/darts_nextgen/demo/models"
_HELD_OUT_SEED = 990_001


class Timed(torch.nn.Module):
    """A network that adds up the seconds of its calls."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seconds = 0.0

    def forward(self, images: torch.Tensor) -> Any:
        """Call the network."""
        started = time.perf_counter()
        answer = self.network(images)
        self.seconds += time.perf_counter() - started
        return answer


@benchmark("inference-outside")
def outside() -> list[Row]:
    """From a tile to probabilities with a network that does next to nothing; the image that MONAI needs is made by our kernels."""
    rows = []
    tile = tile_of(_LARGE)
    network = Timed(pointwise())
    for batch_size in (4, 1):
        sides: dict[str, Callable[[], Any]] = {
            "ours": partial(predicted, network, tile, batch_size=batch_size),
            "MONAI": lambda size=batch_size: monai(network, image_of(tile), batch_size=size),
        }
        difference = _difference(sides["ours"](), sides["MONAI"]())
        beside: dict[str, list[float]] = {name: [] for name in sides}
        totals: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(5):
            for name, run in sides.items():
                network.seconds, started = 0.0, time.perf_counter()
                run()
                totals[name].append(time.perf_counter() - started)
                beside[name].append(totals[name][-1] - network.seconds)
        ours, theirs = (statistics.median(beside[name]) for name in sides)
        rows.append(
            Row(
                f"outside a 1x1 network, {_LARGE}² px x 7, 512/128, batches of {batch_size}",
                "MONAI sliding_window_inference",
                as_seconds(ours),
                as_seconds(theirs),
                theirs / ours,
                1.6,
                note=f"differ by {difference:.1e}; MONAI's includes to scale and stack the bands; with the network {as_seconds(statistics.median(totals['ours']))} and "
                f"{as_seconds(statistics.median(totals['MONAI']))}",
            )
        )
    return rows


@benchmark("inference-share")
def share() -> Row:
    """Time that is not the network's, of a real network; two runs, since each takes a minute."""
    tile, network = tile_of(_LARGE), Timed(unet())
    predicted(network, tile_of(PATCH_PX))
    shares, seconds = [], []
    for _ in range(2):
        network.seconds, started = 0.0, time.perf_counter()
        predicted(network, tile)
        total = time.perf_counter() - started
        shares.append((total - network.seconds) / network.seconds)
        seconds.append((total, network.seconds))
    total, forward = seconds[int(np.argmax(shares))]
    return Row(
        f"U-Net/ResNet-34 float32, {_LARGE}² px x 7, 512/128: engine beside the network",
        "the network's own time",
        as_seconds(total - forward),
        as_seconds(forward),
        max(shares),
        0.05,
        at_most=True,
        note="the worse of 2 runs",
    )


@benchmark("inference-network")
def against_monai() -> list[Row]:
    """A real network, moved by MONAI as it was trained, and by ours, float32 and bfloat16."""
    tile, plain, rewritten = tile_of(_SMALL), unet(rewritten=False), unet()
    image = image_of(tile)
    sides: dict[str, Callable[[], Any]] = {
        "MONAI, batches of 4": lambda: monai(plain, image, batch_size=4),
        "MONAI, batches of 1": lambda: monai(plain, image, batch_size=1),
        "float32": lambda: predicted(rewritten, tile),
        "bfloat16": lambda: predicted(rewritten, tile, precision="bfloat16"),
    }
    expected = sides["MONAI, batches of 4"]()
    differences = {name: _difference(sides[name](), expected) for name in ("float32", "bfloat16")}
    timer = Timer(runs=3)
    seconds = timer.compare(sides, warm=False)
    return [
        Row(
            f"U-Net/ResNet-34 {name}, {_SMALL}² px x 7, 512/128",
            f"{peer}, float32",
            as_seconds(seconds[name]),
            as_seconds(seconds[peer]),
            seconds[peer] / seconds[name],
            limit if peer.endswith("4") else None,
            note=f"medians of {timer.runs}; random weights, probabilities differ by {differences[name]:.1e}",
        )
        for name, limit in (("float32", 1.4), ("bfloat16", 2.5))
        for peer in ("MONAI, batches of 4", "MONAI, batches of 1")
    ]


@benchmark("inference-precision")
def precision() -> list[Row]:
    """The trained networks of the demo in bfloat16 and float16, on a scene that no network has seen."""
    scene = synthetic_scene(seed=_HELD_OUT_SEED)
    tile = preprocess(scene.tile, dem=scene.dem, tcvis=scene.tcvis)
    rows = []
    for name in ("full", "optical"):
        model = Segmenter.load(_DEMO / f"{name}.pt", device="cpu")
        exact = model.inference(tile).probabilities.values
        for half in ("bfloat16", "float16"):
            found = model.inference(tile, options=InferenceConfig(precision=half)).probabilities.values
            union = int(((found > 0.5) | (exact > 0.5)).sum())
            overlap = int(((found > 0.5) & (exact > 0.5)).sum()) / union
            what = f"demo model {name!r}, {half} against float32: "
            rows += [
                Row(
                    what + "largest difference of a probability",
                    "float32",
                    f"{_difference(found, exact):.4f}",
                    "0",
                    _difference(found, exact),
                    0.02,
                    at_most=True,
                ),
                Row(what + "IoU above 0.5", "float32", f"{overlap:.4f}", "1", overlap, 0.99, note=f"{union} px"),
            ]
    return rows


@benchmark("inference-half-empty")
def half_empty() -> Row:
    """A tile whose western half holds no data."""
    full, network = tile_of(_LARGE), unet()
    valid = full.valid_data_mask.values.copy()
    valid[:, : _LARGE // 2] = False
    half = full.assign(valid_data_mask=full.valid_data_mask.copy(data=valid))
    timer = Timer(runs=2)
    seconds = timer.compare(
        {
            "half": lambda: predicted(network, half, precision="bfloat16"),
            "full": lambda: predicted(network, full, precision="bfloat16"),
        },
        warm=False,
    )
    return Row(
        f"U-Net/ResNet-34 bfloat16, {_LARGE}² px, half of it empty",
        "the full tile",
        as_seconds(seconds["half"]),
        as_seconds(seconds["full"]),
        seconds["half"] / seconds["full"],
        0.6,
        at_most=True,
        note="medians of 2",
    )


@benchmark("inference-memory")
def memory() -> list[Row]:
    """Memory beside the tile and the result."""
    beside = {
        size: peak_bytes("inference", "memory_work", str(size)) - size * size * np.dtype("float32").itemsize
        for size in (_LARGE, 4 * _LARGE)
    }
    small, large = beside.values()
    return [
        Row(
            f"memory beside tile and result, 1x1 network, {_LARGE}² px x 7, 512/128",
            "limit",
            as_megabytes(small),
            "250 MB",
            small / 1e6,
            250,
            at_most=True,
        ),
        Row(
            f"the same at {4 * _LARGE}² px: how much more",
            "limit",
            as_megabytes(large - small),
            "64 MB",
            (large - small) / 1e6,
            64,
            at_most=True,
        ),
    ]


def memory_work(size: str) -> Callable[[], Any]:
    """What `memory` measures, in a process of its own."""
    tile, network = tile_of(int(size)), pointwise()
    predicted(network, tile.isel(y=slice(0, 1024), x=slice(0, 1024)))
    return lambda: predicted(network, tile)


@cache
def tile_of(size_px: int) -> xr.Dataset:
    """A tile without missing pixels; larger ones repeat a block."""
    names = [*CHANNELS.variables, "valid_data_mask"]
    block = example_tile(names, shape=(512, 512), seed=1)
    tile = example_tile([], shape=(size_px, size_px))
    times = -(-size_px // 512)
    for name in names:
        values = np.tile(block[name].values, (times, times))[:size_px, :size_px]
        if name == "valid_data_mask":
            values = np.ones_like(values)
        tile = tile.assign({name: (("y", "x"), np.ascontiguousarray(values))})
    return tile


def pointwise() -> torch.nn.Module:
    """The trivial network."""
    torch.manual_seed(0)
    return torch.nn.Conv2d(len(CHANNELS.variables), 1, 1).eval()


def unet(*, rewritten: bool = True) -> torch.nn.Module:
    """A U-Net with a ResNet-34, random weights, as it is after training, or as `Segmenter` has it."""
    torch.manual_seed(0)
    network: torch.nn.Module = smp.Unet(
        "resnet34", encoder_weights=None, in_channels=len(CHANNELS.variables), classes=1
    ).eval()
    if not rewritten:
        return network
    return rewrite_for_inference(network, channels=len(CHANNELS.variables), patch_px=PATCH_PX)


def predicted(network: torch.nn.Module, tile: xr.Dataset, **options: Any) -> NDArray[np.float32]:
    """Our side."""
    (probabilities,) = predict_probabilities(
        network,
        [tile],
        normalization=CHANNELS,
        patch_px=PATCH_PX,
        options=InferenceConfig(overlap_px=OVERLAP_PX, **options),
        device=CPU,
    )
    return probabilities


def monai(network: torch.nn.Module, image: torch.Tensor, *, batch_size: int) -> NDArray[np.float32]:
    """MONAI's side: the mean of probabilities with the same weights and steps."""
    weights = torch.from_numpy(patch_weights(patch_px=PATCH_PX, overlap_px=OVERLAP_PX))
    with torch.inference_mode():
        answer: Any = sliding_window_inference(
            image,
            (PATCH_PX, PATCH_PX),
            batch_size,
            lambda patches: torch.sigmoid(network(patches)),
            overlap=OVERLAP_PX / PATCH_PX,
            roi_weight_map=weights,
        )
    result: NDArray[np.float32] = answer[0, 0].numpy()
    return result


def image_of(tile: xr.Dataset) -> torch.Tensor:
    """The normalised, stacked image that MONAI works on."""
    return torch.from_numpy(network_input(tile, normalization=CHANNELS))[None]


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.nanmax(np.abs(one - other)))
