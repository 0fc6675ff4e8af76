"""The sliding window on a CUDA device; run by ``make bench-gpu``, and an error where there is none."""

import time
from typing import Any

import torch

from benchmarks.harness import Row, Timer, as_seconds, benchmark
from benchmarks.inference import CHANNELS, OVERLAP_PX, PATCH_PX, tile_of, unet
from darts_utils.inference import InferenceConfig, predict_probabilities, resolve_device
from darts_utils.inference.cuda import travelling_dtypes
from darts_utils.patches import patch_starts

_SIZE = 8192
_PIXEL_KM2 = 0.003**2


class Busy(torch.nn.Module):
    """A network that marks on the device when it begins and ends."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.marks: list[tuple[Any, Any]] = []

    def forward(self, images: torch.Tensor) -> Any:
        """Call the network between two marks."""
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        answer = self.network(images)
        end.record()
        self.marks.append((begin, end))
        return answer

    def seconds(self) -> float:
        """Seconds that the device was in the network since the last call of this."""
        torch.cuda.synchronize()
        spent = sum(begin.elapsed_time(end) for begin, end in self.marks) / 1000
        self.marks.clear()
        return float(spent)


@benchmark("gpu-inference")
def throughput() -> list[Row]:
    """One large tile: patches and area for each unit of time, how busy the device is, what travels to it."""
    device = resolve_device("cuda")
    tile, network = tile_of(_SIZE), Busy(unet().to(device))
    patches = len(patch_starts(_SIZE, patch_px=PATCH_PX, overlap_px=OVERLAP_PX)) ** 2
    _predicted(network, [tile], device)
    network.seconds()
    started = time.perf_counter()
    _predicted(network, [tile], device)
    seconds = time.perf_counter() - started
    busy = network.seconds() / seconds
    name = f"{torch.cuda.get_device_name(device)}: U-Net/ResNet-34, {_SIZE}² px x 7, 512/128"
    travelling = sum(dtype.itemsize for dtype in travelling_dtypes([tile], variables=CHANNELS.variables))
    return [
        Row(f"{name}, patches per second", "-", f"{patches / seconds:.0f}", "-", patches / seconds, 0),
        Row(
            f"{name}, km² per hour at 3 m",
            "-",
            f"{_SIZE**2 * _PIXEL_KM2 / seconds * 3600:.0f}",
            "-",
            _SIZE**2 * _PIXEL_KM2 / seconds * 3600,
            0,
        ),
        Row(f"{name}, share of time in the network", "-", f"{busy:.2f}", "1", busy, 0.9),
        Row(
            f"{name}, bytes to the device for a pixel of a patch",
            "float32",
            f"{travelling}",
            f"{4 * len(CHANNELS.variables)}",
            4 * len(CHANNELS.variables) / travelling,
            1,
        ),
    ]


@benchmark("gpu-small-tiles")
def small_tiles() -> Row:
    """Many tiles smaller than a patch in one call, against one by one."""
    device = resolve_device("cuda")
    tiles = [tile_of(300)] * 64
    network = unet().to(device)
    seconds = Timer().compare(
        {
            "together": lambda: _predicted(network, tiles, device),
            "one by one": lambda: [_predicted(network, [tile], device) for tile in tiles],
        }
    )
    return Row(
        f"{torch.cuda.get_device_name(device)}: 64 tiles of 300² px in one call",
        "one by one",
        as_seconds(seconds["together"]),
        as_seconds(seconds["one by one"]),
        seconds["one by one"] / seconds["together"],
        3,
    )


def _predicted(network: torch.nn.Module, tiles: list[Any], device: torch.device) -> list[Any]:
    return predict_probabilities(
        network,
        tiles,
        normalization=CHANNELS,
        patch_px=PATCH_PX,
        options=InferenceConfig(overlap_px=OVERLAP_PX),
        device=device,
    )
