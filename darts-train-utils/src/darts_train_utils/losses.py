"""Losses on logits; pixels labelled 2 do not count, whatever the network says there.

All are means or ratios over the known pixels of the whole batch, in single precision. A batch without a known pixel has
loss 0 and gradient 0. Dice and Jaccard have no opinion on a batch without a pixel of the class: 0 there, so sum them with
one that has. The formulas are those of segmentation-models-pytorch.
"""

from collections.abc import Callable

import segmentation_models_pytorch.losses as smp
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from darts_train_utils.config import IGNORE_LABEL, LossConfig
from darts_utils.errors import TrainingDataError


def weighted_loss(logits: torch.Tensor, labels: torch.Tensor, *, config: LossConfig) -> torch.Tensor:
    """Sum the losses of a config, each times its weight.

    Args:
        logits: ``(B, 1, H, W)`` or ``(B, H, W)`` of any float type.
        labels: ``(B, H, W)`` of any integer type: 0 background, 1 class, 2 ignored; on the device of `logits`.
        config: Weights and options.

    Returns:
        Scalar float32 on the device of `logits`.

    Raises:
        TrainingDataError: Shapes differ, or a label is not 0, 1 or 2.

    Examples:
        >>> labels = torch.tensor([[[0, 1], [1, 2]]])
        >>> good, bad = 8.0 * (2 * labels - 1), -8.0 * (2 * labels - 1)
        >>> config = LossConfig()
        >>> bool(weighted_loss(good, labels, config=config) < weighted_loss(bad, labels, config=config))
        True
    """
    terms = loss_terms(logits, labels, config=config)
    return torch.stack([getattr(config, name) * term for name, term in terms.items()]).sum()


def loss_terms(logits: torch.Tensor, labels: torch.Tensor, *, config: LossConfig) -> dict[str, torch.Tensor]:
    """Compute each loss that has a weight, without its weight: for a log.

    Args:
        logits: ``(B, 1, H, W)`` or ``(B, H, W)`` of any float type.
        labels: ``(B, H, W)`` of any integer type: 0 background, 1 class, 2 ignored.
        config: Which, and their options.

    Returns:
        Scalars float32 by name: ``bce``, ``dice``, ``jaccard``, ``lovasz``, ``focal``.

    Raises:
        TrainingDataError: Shapes differ, or a label is not 0, 1 or 2.
    """
    known_logits, known_labels = known_pixels(logits, labels)
    names = loss_names(config)
    if known_labels.numel() == 0:
        return {name: known_logits.sum() for name in names}
    return {name: _LOSSES[name](known_logits, known_labels, config) for name in names}


def loss_names(config: LossConfig) -> list[str]:
    """Name the losses that have a weight.

    Args:
        config: The weights.

    Examples:
        >>> loss_names(LossConfig(bce=0.0, focal=2.0))
        ['dice', 'focal']
    """
    return [name for name in _LOSSES if getattr(config, name) > 0]


def known_pixels(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Take the pixels of a batch whose label is not 2.

    Args:
        logits: ``(B, 1, H, W)`` or ``(B, H, W)`` of any float type.
        labels: ``(B, H, W)`` of any integer type: 0, 1 or 2.

    Returns:
        Two ``(P,)`` float32: their logits and their labels, 0 or 1.

    Raises:
        TrainingDataError: Shapes differ, or a label is not 0, 1 or 2.
    """
    flat = logits[:, 0] if logits.ndim == 4 and logits.shape[1] == 1 else logits
    if flat.shape != labels.shape:
        raise TrainingDataError(
            f"expected logits (B, 1, H, W) and labels (B, H, W) of one size, but got {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}: the network must have one output channel"
        )
    if labels.is_floating_point() or bool(((labels < 0) | (labels > IGNORE_LABEL)).any()):
        raise TrainingDataError(
            f"expected integer labels 0 (background), 1 (class) and {IGNORE_LABEL} (ignored), but got {labels.dtype} with "
            f"{sorted(set(labels.flatten()[:10_000].tolist()))[:8]}: recode them"
        )
    known = labels != IGNORE_LABEL
    return flat[known].float(), labels[known].float()


def _bce(logits: torch.Tensor, labels: torch.Tensor, config: LossConfig) -> torch.Tensor:
    weight = torch.tensor(config.positive_weight, device=logits.device)
    return binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)


def _dice(logits: torch.Tensor, labels: torch.Tensor, _: LossConfig) -> torch.Tensor:
    return _of_smp(smp.DiceLoss(smp.BINARY_MODE), logits, labels)


def _jaccard(logits: torch.Tensor, labels: torch.Tensor, _: LossConfig) -> torch.Tensor:
    return _of_smp(smp.JaccardLoss(smp.BINARY_MODE), logits, labels)


def _lovasz(logits: torch.Tensor, labels: torch.Tensor, _: LossConfig) -> torch.Tensor:
    return _of_smp(smp.LovaszLoss(smp.BINARY_MODE), logits, labels)


def _focal(logits: torch.Tensor, labels: torch.Tensor, config: LossConfig) -> torch.Tensor:
    loss = smp.FocalLoss(smp.BINARY_MODE, gamma=config.focal_gamma, alpha=config.focal_alpha)
    return _of_smp(loss, logits, labels)


def _of_smp(loss: torch.nn.Module, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    value: torch.Tensor = loss(logits[None, None], labels[None, None])
    return value


_LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor, LossConfig], torch.Tensor]] = {
    "bce": _bce,
    "dice": _dice,
    "jaccard": _jaccard,
    "lovasz": _lovasz,
    "focal": _focal,
}
