"""Patches on their way into a training: drawn by seed and epoch, varied by seed, epoch and index, so that it can resume.

A draw carries its epoch with it, so that worker processes that live on never vary a sample as in an epoch before.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypedDict

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from darts_train_utils.augmentation import augment, crop_window
from darts_train_utils.config import AugmentationConfig, DataConfig
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.splits import Split
from darts_utils.errors import TrainingDataError
from darts_utils.inference import Normalization
from darts_utils.inference.normalization import normalize_into


class Draw(NamedTuple):
    """One sample of an epoch."""

    epoch: int
    """Counts from 0."""
    position: int
    """Of the sample in the epoch."""
    row: int
    """Of the patch in the store."""


class Sample(TypedDict):
    """What a network and its losses get; batches have the same keys."""

    image: torch.Tensor
    """``(C, H, W)`` finite float32."""
    labels: torch.Tensor
    """``(H, W)`` int64: 0, 1, 2 (ignored)."""
    name: str
    """``scene#patch``."""


class Batch(TypedDict):
    """Samples of one batch."""

    image: torch.Tensor
    """``(B, C, H, W)`` finite float32."""
    labels: torch.Tensor
    """``(B, H, W)`` int64."""
    name: list[str]
    """Of each."""


class PatchDataset(Dataset[Sample]):
    """Patches of a store as network input, by draw.

    Args:
        store: Where they are.
        normalization: Channels in order and how each is scaled: the same as at inference.
        seed: Of the variation.
        augmentation: How samples vary; None leaves them as they are.

    Raises:
        TrainingDataError: The store lacks a variable of `normalization`.
    """

    def __init__(
        self, store: PatchStore, *, normalization: Normalization, seed: int, augmentation: AugmentationConfig | None
    ) -> None:
        absent = [name for name in normalization.variables if name not in store.variables]
        if absent:
            raise TrainingDataError(
                f"expected patches with {', '.join(absent)}, but the store has {', '.join(store.variables)}: prepare anew"
            )
        self._store, self._scalings = store, dict(normalization.scalings)
        self._seed, self._augmentation = seed, augmentation

    def __getitem__(self, draw: Draw) -> Sample:
        """Read, scale and vary one sample."""
        batch = self.__getitems__([draw])
        return {"image": batch["image"][0], "labels": batch["labels"][0], "name": batch["name"][0]}

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """Read, scale and vary the samples of a batch, each straight into its place."""
        for place, draw in enumerate(draws):
            values, known = self._read(draw)
            if place == 0:
                image = np.empty((len(draws), len(self._scalings), *known.shape), "float32")
                labels = np.empty((len(draws), *known.shape), "int64")
            self._scale(values, image[place])
            if self._augmentation is not None:
                known = self._vary(image[place], values, known, draw=draw, config=self._augmentation)
            labels[place] = known
        names = [self._store.name_of(draw.row) for draw in draws]
        return {"image": torch.from_numpy(image), "labels": torch.from_numpy(labels), "name": names}

    def _read(self, draw: Draw) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        values, labels = self._store.read(draw.row, only=self._scalings)
        if self._augmentation is None or self._augmentation.crop_px is None:
            return values, labels
        window = crop_window(labels, **self._seeds(draw), config=self._augmentation)
        return {name: array[window] for name, array in values.items()}, labels[window]

    def _scale(self, values: dict[str, NDArray[Any]], image: NDArray[np.float32]) -> None:
        for channel, (name, scaling) in zip(image, self._scalings.items(), strict=True):
            normalize_into(channel, values[name], scaling)

    def _vary(
        self,
        image: NDArray[np.float32],
        values: dict[str, NDArray[Any]],
        labels: NDArray[np.uint8],
        *,
        draw: Draw,
        config: AugmentationConfig,
    ) -> NDArray[np.uint8]:
        """Vary a scaled image in its place, and return its labels."""
        for channel, name in zip(image, self._scalings, strict=True):
            if values[name].dtype.kind == "f":
                channel[~np.isfinite(values[name])] = np.nan
        varied, labels = augment(image, labels, **self._seeds(draw), config=config)
        for channel, source, scaling in zip(image, varied, self._scalings.values(), strict=True):
            np.fmax(source, np.float32(0 if scaling.clip else -np.inf), out=channel)  # NaN is what the other one is not
            if scaling.clip:
                np.minimum(channel, np.float32(1), out=channel)
            else:
                channel[np.isneginf(channel)] = 0
        return labels

    def _seeds(self, draw: Draw) -> dict[str, int]:
        return {"seed": self._seed, "epoch": draw.epoch, "index": draw.position}


class EpochSampler(Sampler[Draw]):
    """The draws of an epoch; the same for the same seed and epoch.

    Args:
        rows: Of the training patches.
        positive: For each, whether it shows the class.
        seed: Of the draws.
        config: How many, and how many of them show the class.
        rank: Of this process; it takes every `world_size`-th draw.
        world_size: Number of processes.

    Raises:
        TrainingDataError: A share of draws was asked for that no patch can serve, or there are no patches.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        positive: NDArray[np.bool_],
        *,
        seed: int,
        config: DataConfig,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        share = config.positive_share
        if len(rows) == 0:
            raise TrainingDataError("expected training patches, but there are none: look at the split")
        if share is not None and ((share > 0 and not positive.any()) or (share < 1 and positive.all())):
            raise TrainingDataError(
                f"expected patches with and without the class for positive_share = {share:g}, but {int(positive.sum())} of "
                f"{len(rows)} show it: leave positive_share out"
            )
        self._pools, self._rows = (rows[~positive], rows[positive]), rows
        self._seed, self._share = seed, share
        self._count = len(rows) if config.samples_per_epoch is None else config.samples_per_epoch
        self._count = -(-self._count // world_size) * world_size
        self._rank, self._world_size, self._epoch = rank, world_size, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning does it, also when a training resumes."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count // self._world_size

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self._seed, self._epoch])
        if self._share is None:
            rows = _cycled(self._rows, self._count, rng)
        else:
            positive = rng.random(self._count) < self._share
            rows = np.empty(self._count, "int64")
            for pool, chosen in zip(self._pools, (~positive, positive), strict=True):
                rows[chosen] = _cycled(pool, int(chosen.sum()), rng)
        for index in range(self._rank, self._count, self._world_size):
            yield Draw(self._epoch, index, int(rows[index]))


def _cycled(rows: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Take `count` rows, each once before any comes twice."""
    if count == 0:
        return rows[:0]
    rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(rounds)[:count]


class PatchDataModule(pl.LightningDataModule):
    """Loaders for training, validation and test; use it with ``Trainer(use_distributed_sampler=False)``.

    Args:
        store: The patches.
        split: Which rows are for what.
        normalization: Channels and scalings, as the checkpoint will carry them.
        seed: Of sampling and variation.
        config: Batches and workers.
        augmentation: How training samples vary; None leaves them.
    """

    def __init__(
        self,
        store: PatchStore,
        split: Split,
        *,
        normalization: Normalization,
        seed: int,
        config: DataConfig,
        augmentation: AugmentationConfig | None,
    ) -> None:
        super().__init__()
        self._store, self._split, self._seed, self._config = store, split, seed, config
        options = {"normalization": normalization, "seed": seed}
        self._varied = PatchDataset(store, **options, augmentation=augmentation)  # type: ignore[arg-type]
        self._plain = PatchDataset(store, **options, augmentation=None)  # type: ignore[arg-type]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return the varied training samples; every process its part."""
        rows = self._split.training
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        positive = self._store.patches.positive_shares[rows] > 0
        sampler = EpochSampler(rows, positive, seed=self._seed, config=self._config, rank=rank, world_size=world_size)
        return self._loader(self._varied, sampler)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the validation patches, in order."""
        return self._loader(self._plain, _in_order(self._split.validation))

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the test patches, in order."""
        return self._loader(self._plain, _in_order(self._split.test))

    def _loader(self, dataset: PatchDataset, sampler: Sampler[Draw] | list[Draw]) -> DataLoader[Sample]:
        workers = self._config.workers
        return DataLoader(
            dataset,
            batch_size=self._config.batch_size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=_as_it_is,
            persistent_workers=workers > 0,
            multiprocessing_context="spawn" if workers else None,
            pin_memory=torch.cuda.is_available(),
        )


def _in_order(rows: NDArray[np.int64]) -> list[Draw]:
    return [Draw(0, index, int(row)) for index, row in enumerate(rows)]


def _as_it_is(batch: Any) -> Any:
    """A batch is put together where it is read."""
    return batch
