"""How a batch travels to the network and back: on the CPU by a short way, to a CUDA device by `cuda`.

A lane holds the buffers of one batch. It is loaded, sent and met again; the engine has as many lanes as batches can be on
their way at the same time.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from darts_utils.inference.batches import Job
from darts_utils.inference.forward import Forward
from darts_utils.inference.normalization import Normalization, normalize_into


class Lane(Protocol):
    """The buffers of one batch."""

    def load(self, jobs: Sequence[Job]) -> None:
        """Fill the batch; places without a job are filled with zeros.

        Args:
            jobs: As many as the batch has places, or fewer.
        """

    def send(self) -> None:
        """Start the network on the batch."""

    def meet(self) -> NDArray[np.float32]:
        """Wait for the network, and return its answers: ``(B, P, P)`` float32, until the lane is loaded again."""


class HostLane:
    """A lane on the CPU: values are scaled straight from the tile into the network's input.

    Args:
        forward: The network.
        normalization: Channels of its input.
        batch_size: Patches in a batch.
        patch_px: Edge length of a patch.
    """

    def __init__(self, forward: Forward, *, normalization: Normalization, batch_size: int, patch_px: int) -> None:
        self._forward = forward
        self._scalings = tuple(normalization.scalings.values())
        self._images = np.empty((batch_size, len(self._scalings), patch_px, patch_px), "float32")

    def load(self, jobs: Sequence[Job]) -> None:
        """Fill the batch.

        Args:
            jobs: As many as the batch has places, or fewer.
        """
        for image, job in zip(self._images, jobs, strict=False):
            for channel, seen, scaling in zip(image, job.canvas.cut(job.window), self._scalings, strict=True):
                height, width = seen.shape
                normalize_into(channel[:height, :width], seen, scaling)
                channel[height:] = 0
                channel[:height, width:] = 0
        self._images[len(jobs) :] = 0

    def send(self) -> None:
        """Run the network."""
        self._answers = self._forward(torch.from_numpy(self._images))

    def meet(self) -> NDArray[np.float32]:
        """Return the network's answers, ``(B, P, P)`` float32."""
        answers: NDArray[np.float32] = self._answers.numpy()
        del self._answers
        return answers
