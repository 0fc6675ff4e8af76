"""What a training leaves after each epoch, so that it goes on there after it was killed: weights, states, a table of scores.

Files appear complete or not at all. Lightning's checkpoints hold tensors and plain values, and are read as such: nothing in
them is ever run.
"""

import csv
import io
import math
import os
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from darts_train_utils.config import MonitorConfig
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_path
from darts_utils.inference.torch_files import read_torch
from darts_utils.logging import get_logger

LAST = "last.ckpt"
"""State of a training after its last complete epoch, for Lightning."""

BEST = "best.pt"
"""Weights of the best epoch: ``{"epoch", "score", "statedict"}``."""

_log = get_logger("training")


def save_atomically(content: Any, path: Path) -> None:
    """Do ``torch.save``; the file has its name when it is complete.

    Args:
        content: Tensors and plain values.
        path: The file.
    """
    buffer = io.BytesIO()  # given a path, torch writes the (temporary) name into the archive
    torch.save(content, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints, written atomically, and read without running code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write one."""
        save_atomically(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        """Read one, onto the CPU."""
        content: dict[str, Any] = read_torch(Path(os.fspath(path)))  # type: ignore[assignment]
        return content


class EpochTable(pl.Callback):
    """Logs a line with all scores after each epoch, and keeps them in a CSV file that a resumed training continues.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows of the epochs before."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a row."""
        scores = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        self.rows.append({"epoch": trainer.current_epoch + 1, **scores})
        if not trainer.is_global_zero:
            return
        said = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        _log.info("epoch %d of %s: %s", trainer.current_epoch + 1, trainer.max_epochs, said)
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with atomic_path(self._path) as path, path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)


class KeepEpochs(Checkpoint):
    """Keeps the weights of the best epoch, and the state after the last one.

    Args:
        folder: Gets ``best.pt`` and ``last.ckpt``.
        config: Which score decides; None: the last epoch is the best.

    Raises:
        ConfigError: No score of that name was logged.
    """

    def __init__(self, folder: Path, *, config: MonitorConfig | None) -> None:
        self._folder, self._config = folder, config
        self.best_score = math.nan
        self.best_epoch = -1

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch so far."""
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best epoch so far."""
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the files; the best one first, so that a training that goes on from the other finds it."""
        score = self._score(trainer)
        if self._is_better(score):
            self.best_score, self.best_epoch = score, trainer.current_epoch
            if trainer.is_global_zero:
                content = {"epoch": self.best_epoch, "score": score, "statedict": pl_module.state_dict()}
                save_atomically(content, self._folder / BEST)
        trainer.save_checkpoint(self._folder / LAST)

    def _score(self, trainer: pl.Trainer) -> float:
        if self._config is None:
            return math.nan
        score = trainer.callback_metrics.get(self._config.monitor)
        if score is None:
            raise ConfigError(
                f"expected monitor to be one of {', '.join(sorted(trainer.callback_metrics))}, but got "
                f"{self._config.monitor!r}: correct [monitor]"
            )
        return float(score)

    def _is_better(self, score: float) -> bool:
        if self._config is None or self.best_epoch < 0 or math.isnan(self.best_score):
            return True
        return score > self.best_score if self._config.mode == "max" else score < self.best_score
