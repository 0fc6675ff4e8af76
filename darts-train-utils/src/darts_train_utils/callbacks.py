"""What watches a training: a line each epoch, the best epoch kept, an early stop, pictures, and no step on a NaN loss.

The trained module logs its scores with ``self.log`` and may offer ``probabilities(images)`` for pictures. Batches are those
of `darts_train_utils.data`.
"""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from PIL import Image

from darts_train_utils.config import MonitorConfig
from darts_utils.errors import TrainingError
from darts_utils.files import atomic_path
from darts_utils.logging import get_logger

_log = get_logger("training")


def training_callbacks(folder: Path, *, config: MonitorConfig) -> list[pl.Callback]:
    """Make all of them.

    Args:
        folder: Of the run: ``checkpoints/best.ckpt`` and ``last.ckpt``, ``pictures/``.
        config: What is watched.

    Returns:
        Callbacks for a Lightning trainer.
    """
    best = ModelCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor=config.monitor,
        mode=config.mode,
        save_last=True,
        enable_version_counter=False,
    )
    stop = EarlyStopping(config.monitor, mode=config.mode, patience=config.patience_epochs)
    return [StopOnNonFiniteLoss(), EpochLines(), SamplePictures(folder / "pictures", config=config), stop, best]


def training_loggers(folder: Path) -> list[Logger]:
    """Make the loggers: CSV and TensorBoard.

    Args:
        folder: Of the run: ``csv/metrics.csv`` and ``tensorboard/``.
    """
    return [CSVLogger(folder, name="csv", version=""), TensorBoardLogger(folder, name="tensorboard", version="")]


class StopOnNonFiniteLoss(pl.Callback):
    """Stops before the step that a NaN or infinite loss would spoil the weights with.

    Raises:
        TrainingError: Names epoch, batch and patches.
    """

    def __init__(self) -> None:
        self._batch = ""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember which batch it is."""
        self._batch = f"batch {batch_idx} of epoch {trainer.current_epoch} ({', '.join(batch['name'])})"

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor) -> None:
        """Look at the loss."""
        if not bool(torch.isfinite(loss).all()):
            raise TrainingError(
                f"expected a finite loss, but got {loss.item()} in {self._batch}: look at these patches, lower the learning "
                "rate, or train in single precision"
            )


class EpochLines(pl.Callback):
    """Logs a line with all scores after each epoch."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log it."""
        scores = ", ".join(f"{name} {float(value):.4f}" for name, value in sorted(trainer.callback_metrics.items()))
        _log.info("epoch %d of %s: %s", trainer.current_epoch + 1, trainer.max_epochs, scores)


class SamplePictures(pl.Callback):
    """Writes what is seen, what is true and what is said of the first validation batch, one row for each patch.

    Args:
        folder: Gets ``epoch-0000.png`` and so on.
        config: How often, and how many patches.
    """

    def __init__(self, folder: Path, *, config: MonitorConfig) -> None:
        self._folder, self._config = folder, config

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the picture of this epoch."""
        every = self._config.picture_every_epochs
        draws = getattr(pl_module, "probabilities", None)
        due = (
            every > 0 and trainer.current_epoch % every == 0 and trainer.is_global_zero and not trainer.sanity_checking
        )
        if batch_idx or not due or draws is None:
            return
        count = self._config.pictures
        images = batch["image"][:count]
        with torch.no_grad():
            said = draws(images).float().cpu().numpy()
        seen = images.float().cpu().numpy()[:, [0, min(1, images.shape[1] - 1), min(2, images.shape[1] - 1)]]
        true = batch["labels"][:count].cpu().numpy() / 2  # black, grey, white: white is ignored
        rows = [
            np.concatenate(
                [seen[k].transpose(1, 2, 0), *(np.repeat(each[k][..., None], 3, 2) for each in (true, said))], 1
            )
            for k in range(len(seen))
        ]
        picture = Image.fromarray((np.concatenate(rows).clip(0, 1) * 255).astype("uint8"))
        with atomic_path(self._folder / f"epoch-{trainer.current_epoch:04d}.png") as path:
            picture.save(path)
