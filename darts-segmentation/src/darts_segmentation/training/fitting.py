"""Lightning at work: from the first network, or from the last complete epoch, to the last epoch."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.strategies import DDPStrategy

from darts_segmentation.training.config import TrainingConfig
from darts_segmentation.training.module import SegmentationModule
from darts_segmentation.training.plan import first_network
from darts_segmentation.training.run_folder import CHECKPOINTS, Run
from darts_train_utils.callbacks import training_callbacks, training_loggers
from darts_train_utils.config import DataConfig
from darts_train_utils.data import PatchDataModule
from darts_train_utils.epochs import LAST, SafeCheckpointIO
from darts_train_utils.patch_store import PatchStore
from darts_utils.errors import ConfigError
from darts_utils.inference.devices import resolve_device

_PRECISIONS: dict[str, Any] = {"32": "32-true"}


def fit(run: Run, store: PatchStore, *, extra_callbacks: Sequence[pl.Callback] = ()) -> None:
    """Train; go on after the last complete epoch where there is one.

    Args:
        run: What to do; its folder gets the files.
        store: The patches.
        extra_callbacks: More that watch.

    Raises:
        TrainingError: The loss is no number.
        ConfigError: Device and precision do not fit.
    """
    plan, config = run.plan, run.plan.config
    last = run.folder / CHECKPOINTS / LAST
    module = SegmentationModule(first_network(plan, run.start), config=config)
    data = PatchDataModule(
        store,
        plan.split,
        normalization=plan.normalization,
        seed=config.seed,
        config=_without_lone_patch(config, patches=len(plan.split.training)),
        augmentation=config.augmentation,
    )
    callbacks = training_callbacks(run.folder, config=config.monitor, has_validation=plan.has_validation)
    with _quiet_lightning(), _as_before():
        trainer = pl.Trainer(
            **_hardware(config),
            max_epochs=config.epochs,
            accumulate_grad_batches=config.accumulate_batches,
            gradient_clip_val=config.gradient_clip,
            deterministic=config.deterministic,
            use_distributed_sampler=False,
            limit_val_batches=1.0 if plan.has_validation else 0,
            num_sanity_val_steps=0,
            callbacks=[*callbacks, *extra_callbacks],
            logger=training_loggers(run.folder),
            plugins=[SafeCheckpointIO()],
            enable_progress_bar=sys.stderr.isatty(),
            enable_model_summary=False,
            default_root_dir=run.folder,
        )
        trainer.fit(module, datamodule=data, ckpt_path=last if last.is_file() else None, weights_only=True)


def _without_lone_patch(config: TrainingConfig, *, patches: int) -> DataConfig:
    """Let no epoch end with a batch of one patch, of which batch normalisation makes nothing: one more patch comes twice."""
    data = config.data
    count = patches if data.samples_per_epoch is None else data.samples_per_epoch
    of_each_process = -(-count // config.devices)
    if data.batch_size == 1 or of_each_process % data.batch_size != 1:
        return data
    return replace(data, samples_per_epoch=count + config.devices)


def _hardware(config: TrainingConfig) -> dict[str, Any]:
    device = resolve_device(config.device)
    if device.type == "cpu" and config.precision == "16-mixed":
        raise ConfigError(
            "expected a CUDA device for precision 16-mixed, but training is on a CPU: use bf16-mixed or 32"
        )
    if device.type == "cuda" and config.devices > torch.cuda.device_count():
        raise ConfigError(
            f"expected {config.devices} CUDA devices, but there are {torch.cuda.device_count()}: lower devices"
        )
    # processes that are spawned need no script that can be run again, as those of plain DDP do
    strategy: Any = DDPStrategy(start_method="spawn") if config.devices > 1 else "auto"
    return {
        "accelerator": "gpu" if device.type == "cuda" else "cpu",
        "devices": config.devices,
        "strategy": strategy,
        "sync_batchnorm": config.devices > 1 and device.type == "cuda",
        "precision": _PRECISIONS.get(config.precision, config.precision),
    }


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep advice on settings that are meant as they are, and advertisements, from the user."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    before = [each.level for each in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings(
            "ignore", "`isinstance\\(treespec, LeafSpec\\)`", FutureWarning
        )  # of Lightning's own code
        for each in loggers:
            each.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for each, level in zip(loggers, before, strict=True):
                each.setLevel(level)


@contextmanager
def _as_before() -> Iterator[None]:
    """Leave torch's global state, which Lightning changes, as it was."""
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    benchmark = torch.backends.cudnn.benchmark
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    with torch.random.fork_rng():
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            torch.backends.cudnn.benchmark = benchmark
            if workspace is None:
                os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
