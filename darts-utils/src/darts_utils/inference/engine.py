"""The sliding window: patches of all tiles share the network's batches, whatever the tiles' shapes.

Every batch has the same shape, the last one is filled up, so what the network says about a patch does not depend on
the tiles that came with it. In memory are two batches of patches, so that one is prepared while the network works on the
other, and sums for a band of rows of the tiles that they touch.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from darts_utils.errors import CheckpointError
from darts_utils.inference.augmentation import check_symmetries
from darts_utils.inference.batches import Job, grouped, jobs_of
from darts_utils.inference.canvas import Canvas
from darts_utils.inference.config import InferenceConfig, Precision
from darts_utils.inference.cuda import CudaLane, travelling_dtypes
from darts_utils.inference.forward import Forward, logits_of
from darts_utils.inference.lanes import HostLane, Lane
from darts_utils.inference.network_faults import NETWORK_FAULTS
from darts_utils.inference.normalization import Normalization
from darts_utils.inference.precision import computing_in, resolve_precision
from darts_utils.patches import axis_weights

_LEAST_WEIGHT = 1e-15
"""Along one axis. At the border under ``ramp="closed"`` all patches have the weight 0 along that axis: there it counts the
same for all of them, and the weights along the other axis decide."""


def predict_probabilities(
    network: torch.nn.Module,
    tiles: Sequence[xr.Dataset],
    *,
    normalization: Normalization,
    patch_px: int,
    options: InferenceConfig,
    device: torch.device,
) -> list[NDArray[np.float32]]:
    """Move a network over tiles.

    Args:
        network: In evaluation mode, on `device`: ``(B, C, patch, patch)`` float32 → logits ``(B, 1, patch, patch)``.
        tiles: Tiles with the variables of `normalization` and ``valid_data_mask``; of any shape, grid and CRS.
        normalization: The channels of the network's input.
        patch_px: Edge length of a patch; ``options.patch_px`` does not count here, nor does ``options.compile_network``.
        options: Overlap, batch size, padding, blending, precision, symmetries.
        device: Where the network is.

    Returns:
        For each tile ``(H, W)`` float32 on the CPU: ``Σ w·σ(logit) / Σ w`` over the patches that cover a pixel, NaN
        outside ``valid_data_mask``.

    Raises:
        CheckpointError: The network gives another shape, or NaN at a valid pixel.
        ConfigError: The overlap is not smaller than the patch, or symmetries are asked for with an input that has a direction.
        DeviceError: The device's memory does not suffice for one patch.

    Notes:
        Patches without a valid pixel are not sent. NaN and infinity in a variable are 0 in the network's input, never a lost
        patch.
        Tiles smaller than a patch are filled up with missing pixels.
        At equal batch size, number of threads and precision the same network gives the same answer about a patch on a CPU,
        bit for bit, as far as its own operations do. Where the device's memory does not suffice for a batch, it is halved, with a
        warning, and answers may differ in their last digits.
    """
    overlap_px = options.overlap_for(patch_px)
    if options.symmetries:
        check_symmetries(normalization.variables)
    if not tiles:
        return []
    line = np.maximum(axis_weights(patch_px=patch_px, overlap_px=overlap_px, ramp=options.ramp), _LEAST_WEIGHT)
    canvases = [
        Canvas(
            tile,
            variables=normalization.variables,
            overlap_px=overlap_px,
            padding_px=options.padding_px,
            line=line,
        )
        for tile in tiles
    ]
    forward = Forward(
        network,
        device=device,
        dtype=resolve_precision(options.precision, device=device),
        symmetries=options.symmetries,
    )
    batch_size = options.batch_size_for(patch_px, device_type=device.type)
    lanes = _lanes(forward, tiles, normalization=normalization, batch_size=batch_size, patch_px=patch_px, device=device)
    finished = _run(lanes, grouped(jobs_of(canvases), size=batch_size))
    return [finished[index] if index in finished else canvas.nothing() for index, canvas in enumerate(canvases)]


def _run(lanes: Sequence[Lane], batches: Iterable[list[Job]]) -> dict[int, NDArray[np.float32]]:
    """Send all batches; this thread calls the network, a helper does what comes before and after.

    The helper works through its queue in order: a lane is blended before it is loaded again, and windows are added in theirs.
    """
    finished: dict[int, NDArray[np.float32]] = {}
    loaded: deque[tuple[Lane, list[Job], Future[None]]] = deque()
    blended: deque[Future[None]] = deque()

    with ThreadPoolExecutor(1) as helper:

        def send_the_oldest() -> None:
            lane, jobs, loading = loaded.popleft()
            loading.result()
            lane.send()
            blended.append(helper.submit(_blend, lane, jobs, finished))

        for lane, jobs in zip(cycle(lanes), batches, strict=False):
            loaded.append((lane, jobs, helper.submit(_load, lane, jobs)))
            if len(loaded) == len(lanes):
                send_the_oldest()
            while blended and blended[0].done():
                blended.popleft().result()  # raises what went wrong there
        while loaded:
            send_the_oldest()
        for blending in blended:
            blending.result()
    return finished


def check_network(
    network: torch.nn.Module,
    *,
    channels: int,
    patch_px: int,
    device: torch.device,
    precision: Precision | None = None,
) -> None:
    """Raise if a network cannot answer a patch; it is tried with one of zeros.

    Args:
        network: In evaluation mode, on `device`.
        channels: Number of input channels.
        patch_px: Edge length of the patch.
        device: Where the network is.
        precision: Numbers in which it computes; None by device.

    Raises:
        CheckpointError: The network fails, does not give one logit per pixel, or gives NaN.
    """
    dtype = resolve_precision(precision, device=device)
    what = f"patches of {patch_px} px" + ("" if dtype == torch.float32 else f" in {str(dtype).removeprefix('torch.')}")
    try:
        with torch.inference_mode(), computing_in(dtype, device=device):
            logits = logits_of(network, torch.zeros(1, channels, patch_px, patch_px, device=device))
    except CheckpointError as error:
        raise CheckpointError(f"the network does not fit {what}: {error}") from error
    except NETWORK_FAULTS as error:
        raise CheckpointError(
            f"the network does not fit {what}, {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    if bool(logits.isnan().any()):
        raise CheckpointError(
            f"expected numbers from the network for {what}, but it gave NaN for a patch of zeros: its weights hold NaN or "
            "infinity, or overflow: where they are sound, choose precision='float32'"
        )


def _lanes(
    forward: Forward,
    tiles: Sequence[xr.Dataset],
    *,
    normalization: Normalization,
    batch_size: int,
    patch_px: int,
    device: torch.device,
) -> list[Lane]:
    """Two: one is loaded while the network works on the other."""
    if device.type == "cpu":
        return [
            HostLane(forward, normalization=normalization, batch_size=batch_size, patch_px=patch_px) for _ in range(2)
        ]
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return [
        CudaLane(
            forward,
            normalization=normalization,
            dtypes=travelling_dtypes(tiles, variables=normalization.variables),
            batch_size=batch_size,
            patch_px=patch_px,
            device=device,
            copying=copying,
        )
        for _ in range(2)
    ]


def _load(lane: Lane, jobs: Sequence[Job]) -> None:
    """Fill a lane; a tile is opened with its first patch, those that wait their turn stay as they are."""
    for job in jobs:
        if job.is_first:
            job.canvas.open()
    lane.load(jobs)


def _blend(lane: Lane, jobs: Sequence[Job], finished: dict[int, NDArray[np.float32]]) -> None:
    """Add the answers to their tiles, and hand over the tiles that are finished with them."""
    answers = lane.meet()
    has_nan = bool(np.isnan(answers[: len(jobs)].sum()))
    for answer, job in zip(answers, jobs, strict=False):
        if has_nan:
            job.canvas.check(job.window, answer)
        job.canvas.add(job.window, answer)
        if job.is_last:
            finished[job.index] = job.canvas.close()
