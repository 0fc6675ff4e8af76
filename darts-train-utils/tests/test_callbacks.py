import csv
import logging

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from darts_train_utils.callbacks import training_callbacks, training_loggers
from darts_train_utils.config import LossConfig, MonitorConfig
from darts_train_utils.losses import weighted_loss
from darts_utils.errors import TrainingError

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning gives advice on workers, devices and log intervals


class Dot(pl.LightningModule):
    def __init__(self, nan_in=None):
        super().__init__()
        self.network, self.nan_in = torch.nn.Conv2d(2, 1, 1), nan_in

    def training_step(self, batch, batch_idx):
        loss = weighted_loss(self.network(batch["image"]), batch["labels"], config=LossConfig())
        return loss * float("nan") if batch_idx == self.nan_in else loss

    def validation_step(self, batch, batch_idx):
        self.log("val/iou", 0.5)

    def probabilities(self, images):
        return self.network(images)[:, 0].sigmoid()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(module, folder, **config):
    samples = [
        {"image": torch.rand(2, 8, 8), "labels": torch.randint(0, 3, (8, 8)), "name": f"s#{k}"} for k in range(6)
    ]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=20,
        callbacks=training_callbacks(folder, config=MonitorConfig(**config)),
        logger=training_loggers(folder),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(samples, 2), DataLoader(samples, 2))
    return trainer


def test_a_run_stops_early_keeps_the_best_and_leaves_pictures_and_logs(tmp_path, caplog):
    caplog.set_level(logging.INFO, "darts.training")
    trainer = fit(Dot(), tmp_path, patience_epochs=2, picture_every_epochs=2, pictures=2)
    assert trainer.current_epoch == 3
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.pt", "last.ckpt"}
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in pictures] == ["epoch-0000.png", "epoch-0002.png"]
    assert np.asarray(Image.open(pictures[0])).shape == (16, 24, 3)
    table = list(csv.DictReader((tmp_path / "epochs.csv").read_text().splitlines()))
    assert [(row["epoch"], row["val/iou"]) for row in table] == [("1", "0.5"), ("2", "0.5"), ("3", "0.5")]
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert "epoch 3 of 20: val/iou 0.5000" in caplog.text


def test_a_nan_loss_stops_and_names_the_batch(tmp_path):
    module = Dot(nan_in=1)
    with pytest.raises(TrainingError, match=r"got nan in batch 1 of epoch 0 \(s#2, s#3\)"):
        fit(module, tmp_path)
    assert all(torch.isfinite(each).all() for each in module.parameters())
