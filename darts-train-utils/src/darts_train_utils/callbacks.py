"""What watches a training: a line each epoch, the best epoch kept, an early stop, pictures, and no step on a NaN loss.

The trained module logs its scores with ``self.log`` and may offer ``probabilities(images)`` for pictures. Batches are those
of `darts_train_utils.data`. What a training needs to go on after it was killed is in `darts_train_utils.epochs`.
"""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from PIL import Image

from darts_train_utils.config import MonitorConfig
from darts_train_utils.epochs import EpochTable, KeepEpochs
from darts_utils.errors import TrainingError
from darts_utils.files import atomic_path


def training_callbacks(folder: Path, *, config: MonitorConfig, has_validation: bool = True) -> list[pl.Callback]:
    """Make all of them.

    Args:
        folder: Of the run: ``checkpoints/best.pt`` and ``last.ckpt``, ``epochs.csv``, ``pictures/``.
        config: What is watched.
        has_validation: Whether there are validation patches; without, the last epoch is the best one, and there are neither
            an early stop nor pictures.

    Returns:
        Callbacks for a Lightning trainer.
    """
    always = [StopOnNonFiniteLoss(), EpochTable(folder / "epochs.csv")]
    keep = KeepEpochs(folder / "checkpoints", config=config if has_validation else None)
    if not has_validation:
        return [*always, keep]
    return [*always, SamplePictures(folder / "pictures", config=config), StopEarly(config), keep]


def training_loggers(folder: Path) -> list[Logger]:
    """Make the loggers: TensorBoard; the CSV file is written by the callbacks, so that a resumed training continues it.

    Args:
        folder: Of the run: ``tensorboard/``.
    """
    return [TensorBoardLogger(folder, name="tensorboard", version="")]


class StopEarly(EarlyStopping):
    """Stops when the monitored score has not become better for some epochs; also when a training resumes then.

    Args:
        config: What is watched, and how long.
    """

    def __init__(self, config: MonitorConfig) -> None:
        super().__init__(
            config.monitor,
            mode=config.mode,
            patience=config.patience_epochs,
            check_finite=False,  # a score may be no number for want of objects; a loss that is none stops elsewhere
            check_on_train_epoch_end=True,
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop before the first epoch where the last one before the interruption was to be the last."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


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
