"""The sliding window: patches of all tiles share the network's batches, whatever the tiles' shapes.

Every batch has the same shape, the last one is filled up, so what the network says about a patch does not depend on
the tiles that came with it. At most one batch of patches is in memory, and sums for a band of rows of the tiles that it
touches.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from darts_utils.errors import CheckpointError
from darts_utils.inference.canvas import Canvas
from darts_utils.inference.config import InferenceConfig
from darts_utils.inference.normalization import Normalization
from darts_utils.patches import PatchWindow, axis_weights

_LEAST_WEIGHT = 1e-15
"""Along one axis. At the border under ``ramp="closed"`` all patches have the weight 0 along that axis: there it counts the
same for all of them, and the weights along the other axis decide."""

_FAULTS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)
"""What networks raise about an input that they were not made for."""


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
        patch_px: Edge length of a patch; ``options.patch_px`` does not count here.
        options: Overlap, batch size, padding and blending.
        device: Where the network is.

    Returns:
        For each tile ``(H, W)`` float32 on the CPU: ``Σ w·σ(logit) / Σ w`` over the patches that cover a pixel, NaN
        outside ``valid_data_mask``.

    Raises:
        CheckpointError: The network gives another shape, or NaN at a valid pixel.
        ConfigError: The overlap is not smaller than the patch.

    Notes:
        Patches without a valid pixel are not sent. NaN and infinity in a variable are 0 in the network's input, never a lost
        patch.
        Tiles smaller than a patch are filled up with missing pixels.
    """
    overlap_px = options.overlap_for(patch_px)
    line = np.maximum(axis_weights(patch_px=patch_px, overlap_px=overlap_px, ramp=options.ramp), _LEAST_WEIGHT)
    weights = np.outer(line, line)
    canvases = [
        Canvas(
            tile,
            normalization=normalization,
            patch_px=patch_px,
            overlap_px=overlap_px,
            padding_px=options.padding_px,
            line=line,
        )
        for tile in tiles
    ]
    finished: dict[int, NDArray[np.float32]] = {}
    images = np.empty((options.batch_size, len(normalization.scalings), patch_px, patch_px), "float32")
    for batch in _batches(_jobs(canvases), size=options.batch_size):
        for image, (index, window, _) in zip(images, batch, strict=False):
            canvases[index].read(window, image)
        images[len(batch) :] = 0
        probabilities = _probabilities(network, images, device=device)
        has_nan = bool(np.isnan(probabilities).any())
        for patch, (index, window, is_last) in zip(probabilities, batch, strict=False):
            if has_nan:
                canvases[index].check(window, patch)
            canvases[index].add(window, weights * patch)
            if is_last:
                finished[index] = canvases[index].close()
    return [finished[index] if index in finished else canvas.close() for index, canvas in enumerate(canvases)]


def check_network(network: torch.nn.Module, *, channels: int, patch_px: int, device: torch.device) -> None:
    """Raise if a network cannot answer a patch; it is tried with one of zeros.

    Args:
        network: In evaluation mode, on `device`.
        channels: Number of input channels.
        patch_px: Edge length of the patch.
        device: Where the network is.

    Raises:
        CheckpointError: The network fails, or does not give one logit per pixel.
    """
    try:
        with torch.inference_mode():
            _logits(network, torch.zeros(1, channels, patch_px, patch_px, device=device))
    except CheckpointError as error:
        raise CheckpointError(f"the network does not fit patches of {patch_px} px: {error}") from error
    except _FAULTS as error:
        raise CheckpointError(
            f"the network does not fit patches of {patch_px} px, {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


Job = tuple[int, PatchWindow, bool]
"""Index of the tile, window, and whether it is the tile's last."""


def _jobs(canvases: Sequence[Canvas]) -> Iterator[Job]:
    for index, canvas in enumerate(canvases):
        if canvas.windows:
            canvas.open()  # only now: tiles that wait their turn stay as they are
        for number, window in enumerate(canvas.windows, start=1):
            yield index, window, number == len(canvas.windows)


def _batches(jobs: Iterable[Job], *, size: int) -> Iterator[list[Job]]:
    batch: list[Job] = []
    for job in jobs:
        batch.append(job)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _probabilities(
    network: torch.nn.Module, images: NDArray[np.float32], *, device: torch.device
) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits = _logits(network, torch.from_numpy(images).to(device))
        result: NDArray[np.float32] = torch.sigmoid(logits.float())[:, 0].cpu().numpy()
    return result


def _logits(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    logits = network(images)
    expected = (images.shape[0], 1, *images.shape[2:])
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != expected:
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise CheckpointError(f"expected the network to give one logit per pixel, shape {expected}, but got {got}")
    return logits
