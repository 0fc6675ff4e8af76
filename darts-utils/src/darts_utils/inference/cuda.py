"""A batch on its way to a CUDA device and back: raw values travel, in pinned memory and on a stream of their own.

uint8 and uint16 take a quarter and a half of the bytes of the float32 that they become on the device; the formula and its
order of operations are those of `normalization`, so the bits are the same.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from darts_utils.inference.batches import Job
from darts_utils.inference.forward import Forward
from darts_utils.inference.normalization import Normalization, Scaling
from darts_utils.kernels import thread_count

_CARRIERS = {"uint8": torch.uint8, "uint16": torch.int16, "float32": torch.float32}
"""Types that travel as they are; uint16 as int16 with the same bits, since torch computes little with uint16."""

_LARGEST = float(np.finfo("float32").max)
_MOST_THREADS = 4


def travelling_dtypes(tiles: Sequence[xr.Dataset], *, variables: Sequence[str]) -> list[np.dtype[Any]]:
    """Choose the type in which the values of each variable travel.

    Args:
        tiles: The tiles.
        variables: Channels of the network's input.

    Returns:
        The type that all tiles have, where it is uint8 or uint16; else float32.
    """
    found = [{tile[name].dtype for tile in tiles} for name in variables]
    return [
        next(iter(dtypes)) if len(dtypes) == 1 and str(next(iter(dtypes))) in _CARRIERS else np.dtype("float32")
        for dtypes in found
    ]


def scaled(raw: torch.Tensor, scaling: Scaling, *, dtype: np.dtype[Any]) -> torch.Tensor:
    """Scale the values of one variable where they are.

    Args:
        raw: ``(B, P, P)`` as it travelled.
        scaling: Of this variable.
        dtype: What the values are: uint8, uint16 or float32.

    Returns:
        ``(B, P, P)`` finite float32, the same bits as `normalization.normalize_into`.
    """
    values = raw.to(torch.int32).bitwise_and_(0xFFFF) if dtype == "uint16" else raw
    result = (values.to(torch.float32) - np.float32(scaling.offset).item()).mul_(np.float32(scaling.scale).item())
    limit = _LARGEST if dtype.kind == "f" or not scaling.clip else math.inf
    missing = ~(result.abs() <= limit)
    if scaling.clip:
        result.clamp_(0, 1)
    return result.masked_fill_(missing, 0)


class CudaLane:
    """A lane to a CUDA device; on the CPU it does the same without pinned memory and streams, which tests use.

    Args:
        forward: The network.
        normalization: Channels of its input.
        dtypes: From `travelling_dtypes`.
        batch_size: Patches in a batch.
        patch_px: Edge length of a patch.
        device: Where the network is.
        copying: Stream for the way there; None on the CPU.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        normalization: Normalization,
        dtypes: Sequence[np.dtype[Any]],
        batch_size: int,
        patch_px: int,
        device: torch.device,
        copying: "torch.cuda.Stream | None",
    ) -> None:
        self._forward = forward
        self._scalings = tuple(normalization.scalings.values())
        self._dtypes = tuple(dtypes)
        self._device = device
        self._copying = copying
        shape, pinned = (batch_size, patch_px, patch_px), copying is not None
        self._raw = [torch.zeros(shape, dtype=_CARRIERS[str(dtype)], pin_memory=pinned) for dtype in self._dtypes]
        self._answers = torch.empty(shape, dtype=torch.float32, pin_memory=pinned)
        self._extents: list[tuple[int, int]] = [(0, 0)] * batch_size

    def load(self, jobs: Sequence[Job]) -> None:
        """Fill the batch, several places at the same time.

        Args:
            jobs: As many as the batch has places, or fewer.
        """
        self._extents = [(0, 0)] * len(self._extents)
        with ThreadPoolExecutor(min(_MOST_THREADS, thread_count())) as pool:
            list(pool.map(self._fill, range(len(jobs)), jobs))

    def _fill(self, place: int, job: Job) -> None:
        for raw, dtype, seen in zip(self._raw, self._dtypes, job.canvas.cut(job.window), strict=True):
            height, width = self._extents[place] = (seen.shape[0], seen.shape[1])
            target: NDArray[Any] = raw[place].numpy().view(dtype)
            with np.errstate(over="ignore"):  # beyond single precision is missing
                target[:height, :width] = seen

    def send(self) -> None:
        """Start the copy and the network behind it; returns before they are done."""
        if self._copying is None:
            self._answers.copy_(self._forward(self._images([raw.to(self._device) for raw in self._raw])))
            return
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copying):
            there = [raw.to(self._device, non_blocking=True) for raw in self._raw]
        computing.wait_stream(self._copying)
        for values in there:
            values.record_stream(computing)
        self._answers.copy_(self._forward(self._images(there)), non_blocking=True)
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._done.record(computing)

    def meet(self) -> NDArray[np.float32]:
        """Wait, and return the network's answers, ``(B, P, P)`` float32."""
        if self._copying is not None:
            self._done.synchronize()
        answers: NDArray[np.float32] = self._answers.numpy()
        return answers

    def _images(self, there: list[torch.Tensor]) -> torch.Tensor:
        with torch.inference_mode():
            images = torch.empty((len(self._extents), len(there), *there[0].shape[1:]), device=self._device)
            for channel, (raw, scaling, dtype) in enumerate(zip(there, self._scalings, self._dtypes, strict=True)):
                images[:, channel] = scaled(raw, scaling, dtype=dtype)
            for place, (height, width) in enumerate(self._extents):
                images[place, :, height:] = 0
                images[place, :, :height, width:] = 0
        return images
