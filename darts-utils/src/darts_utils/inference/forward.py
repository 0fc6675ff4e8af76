"""What is asked of a network: probabilities for a batch, in the precision wanted, in the memory that there is."""

import warnings

import torch

from darts_utils.errors import CheckpointError, DartsWarning, DeviceError
from darts_utils.inference.augmentation import mean_over_symmetries
from darts_utils.inference.precision import computing_in


class Forward:
    """A network, called with batches of one size.

    Args:
        network: In evaluation mode, on `device`: ``(B, C, P, P)`` float32 → logits ``(B, 1, P, P)``.
        device: Where it is.
        dtype: Numbers in which it computes.
        symmetries: Whether to take the mean over the eight views of each patch.

    Notes:
        Where the device's memory does not suffice for a batch, it is halved for this and all later ones, with a warning. What
        the network says may then differ in its last digits.
    """

    def __init__(
        self, network: torch.nn.Module, *, device: torch.device, dtype: torch.dtype, symmetries: bool = False
    ) -> None:
        self._network = network
        self._device = device
        self._dtype = dtype
        self._symmetries = symmetries
        self._at_once: int | None = None

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Answer a batch.

        Args:
            images: ``(B, C, P, P)`` float32 on the device.

        Returns:
            ``(B, P, P)`` float32 on the device: probabilities.

        Raises:
            CheckpointError: The network does not give one logit per pixel.
            DeviceError: The memory does not even suffice for one patch.
        """
        size = len(images)
        at_once = size if self._at_once is None else self._at_once
        answers: list[torch.Tensor] = []
        done = 0
        while done < size:
            try:
                answers.append(self._answer(images[done : done + at_once]))
            except torch.OutOfMemoryError as error:
                if at_once == 1:
                    raise DeviceError(
                        f"the memory of device {str(self._device)!r} does not suffice for one patch of "
                        f"{images.shape[-1]} px: choose a smaller patch_px, or device='cpu'"
                    ) from error
            else:
                done += at_once
                continue
            # only here, when the error with its traceback is gone, can the memory that it held be given back
            at_once = self._at_once = self._halved(at_once)
        return answers[0] if len(answers) == 1 else torch.cat(answers)

    def _halved(self, at_once: int) -> int:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        half = at_once // 2
        warnings.warn(
            f"the memory of device {str(self._device)!r} does not suffice for {at_once} patches at once: going on with "
            f"{half}; batch_size={half} avoids this warning",
            DartsWarning,
            stacklevel=2,
        )
        return half

    def _answer(self, images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), computing_in(self._dtype, device=self._device):
            if self._symmetries:
                probabilities = mean_over_symmetries(self._probabilities, images)
            else:
                probabilities = self._probabilities(images)
        return probabilities[:, 0]

    def _probabilities(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(logits_of(self._network, images).float())


def logits_of(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Call a network.

    Args:
        network: In evaluation mode.
        images: ``(B, C, P, P)``, where the network is.

    Returns:
        ``(B, 1, P, P)``.

    Raises:
        CheckpointError: It gives another shape, or no tensor.
    """
    logits = network(images)
    expected = (images.shape[0], 1, *images.shape[2:])
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != expected:
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise CheckpointError(f"expected the network to give one logit per pixel, shape {expected}, but got {got}")
    return logits
