"""The network in training: one step, one look at the validation patches, the course of the learning rate."""

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from darts_segmentation.training.config import TrainingConfig
from darts_train_utils.losses import loss_terms, weighted_loss
from darts_train_utils.metrics import pixel_metrics, update_metrics
from darts_utils.errors import TrainingError
from darts_utils.inference.forward import logits_of

_LEAST_RATE = 1e-4
"""Last learning rate, as a share of the peak; and the first of a rise."""


class SegmentationModule(pl.LightningModule):
    """A network, its losses and its scores, for Lightning.

    Logs ``train/loss`` and ``train/<loss>``; ``val/loss``, ``val/iou``, ``val/f1``, ``val/precision``, ``val/recall``,
    ``val/ap``, ``val/auroc``.

    Args:
        network: ``(B, C, H, W)`` → logits ``(B, 1, H, W)``.
        config: Losses, learning rate, schedule, seed.
    """

    def __init__(self, network: torch.nn.Module, *, config: TrainingConfig) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self._config = config
        self._scores = pixel_metrics(prefix="val/")

    def probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """Answer a batch.

        Args:
            images: ``(B, C, H, W)``.

        Returns:
            ``(B, H, W)`` float32: 0 … 1.
        """
        return self._logits(images)[:, 0].float().sigmoid()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed what the network itself draws (dropout) by seed, epoch, batch and process: it can be drawn again."""
        numbers = [self._config.seed, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, "uint64")[0] >> np.uint64(1)))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch."""
        logits = self._logits(batch["image"])
        terms = loss_terms(logits, batch["labels"], config=self._config.loss)
        loss = torch.stack([getattr(self._config.loss, name) * term for name, term in terms.items()]).sum()
        size = len(batch["labels"])
        logged = {"train/loss": loss, **{f"train/{name}": term for name, term in terms.items()}}
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=size, sync_dist=self._is_shared)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Score a batch.

        Raises:
            TrainingError: The network says NaN; names the patches.
        """
        logits = self._logits(batch["image"]).float()
        if not bool(torch.isfinite(logits).all()):
            raise TrainingError(
                f"expected numbers from the network, but it says NaN of validation batch {batch_idx} in epoch "
                f"{self.current_epoch} ({', '.join(batch['name'])}): its weights are spoilt, lower the learning rate"
            )
        loss = weighted_loss(logits, batch["labels"], config=self._config.loss)
        self.log("val/loss", loss, batch_size=len(batch["labels"]), sync_dist=self._is_shared)
        update_metrics(self._scores, logits[:, 0].sigmoid(), batch["labels"])

    def on_validation_epoch_end(self) -> None:
        """Log the scores over all validation patches."""
        self.log_dict(self._scores.compute())
        self._scores.reset()

    def configure_optimizers(self) -> Any:
        """Make AdamW, and the schedule as a function of the step."""
        config = self._config
        optimizer = torch.optim.AdamW(self.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_share(step, steps=steps, config=config)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        return logits_of(self.network, images.contiguous(memory_format=torch.channels_last))

    @property
    def _is_shared(self) -> bool:
        return self.trainer.world_size > 1


def learning_rate_share(step: int, *, steps: int, config: TrainingConfig) -> float:
    """Return the learning rate at a step, as a share of its peak.

    Args:
        step: From 0.
        steps: Of the whole training.
        config: Schedule and share of the rise: along a cosine for "one-cycle", along a line for "cosine"; both fall along a
            cosine.

    Examples:
        >>> config = TrainingConfig(schedule="cosine", warmup_share=0.5)
        >>> [round(learning_rate_share(step, steps=8, config=config), 2) for step in (0, 2, 4, 6, 8)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if config.schedule == "constant":
        return 1.0
    rise = config.warmup_share * steps
    if step < rise:
        part = step / rise
        share = part if config.schedule == "cosine" else (1 - math.cos(math.pi * part)) / 2
    else:
        share = (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1.0, steps - rise)))) / 2
    return _LEAST_RATE + (1 - _LEAST_RATE) * share
