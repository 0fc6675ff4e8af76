"""The one home of every default of this package."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from darts_utils.errors import ConfigError

IGNORE_LABEL = 2
"""Label of pixels that teach nothing and count nowhere; 0 is background, 1 the class."""

SplitMethod = Literal["random", "scene", "region", "blocks", "stratified"]
"""What stays together: overlapping patches, scenes, regions, blocks of ground; "stratified" is random, equal in labels."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses that are summed, and their options.

    Raises:
        ConfigError: A weight is negative, all are 0, or an option makes no sense.
    """

    bce: float = 1.0
    """Weight of binary cross entropy; 0 leaves it out, here and below."""
    dice: float = 1.0
    """Weight of the Dice loss."""
    jaccard: float = 0.0
    """Weight of the Jaccard loss."""
    lovasz: float = 0.0
    """Weight of the Lovász hinge."""
    focal: float = 0.0
    """Weight of the focal loss."""
    positive_weight: float = 1.0
    """How many background pixels a pixel of the class counts for, in binary cross entropy."""
    focal_gamma: float = 2.0
    """Exponent of the focal loss: 0 makes it cross entropy."""
    focal_alpha: float | None = None
    """Share of the class's pixels in the focal loss, 0 … 1; None weighs both alike."""

    def __post_init__(self) -> None:
        for name in ("bce", "dice", "jaccard", "lovasz", "focal", "focal_gamma"):
            require(self, name, at_least=0.0)
        require(self, "positive_weight", above=0.0)
        if self.focal_alpha is not None:
            require(self, "focal_alpha", at_least=0.0, at_most=1.0)
        if self.bce + self.dice + self.jaccard + self.lovasz + self.focal == 0:
            raise ConfigError("expected at least one loss with a weight above 0, but all are 0: set dice = 1.0, say")


@dataclass(frozen=True)
class SplitConfig:
    """How patches are shared among training, validation and test.

    Raises:
        ConfigError: The shares leave nothing for training, or a number makes no sense.
    """

    method: SplitMethod = "region"
    """What stays together."""
    validation_share: float = 0.15
    """Share of patches for validation, 0 … 1."""
    test_share: float = 0.15
    """Share of patches for the test, 0 … 1; 0 asks for none."""
    block_m: float = 10_000.0
    """Edge of a block in metres of EPSG:3413, for "blocks"."""
    seed: int = 0
    """Of the draw."""

    def __post_init__(self) -> None:
        require(self, "validation_share", at_least=0.0, below=1.0)
        require(self, "test_share", at_least=0.0, below=1.0)
        require(self, "block_m", above=0.0)
        require(self, "seed", at_least=0)
        if self.validation_share + self.test_share >= 1:
            raise ConfigError(
                "expected validation_share + test_share below 1, but got "
                f"{self.validation_share:g} + {self.test_share:g}: leave something for training"
            )


@dataclass(frozen=True)
class AugmentationConfig:
    """How training samples are varied. Values are those of the network's input, mostly 0 … 1.

    Raises:
        ConfigError: A number makes no sense.
    """

    symmetries: bool = True
    """Draw one of the eight symmetries of the square; exact, but not for variables with a direction, see
    `darts_utils.variables.directional_variables`."""
    affine_probability: float = 0.3
    """How often a sample is turned and zoomed by interpolation, 0 … 1."""
    max_turn_deg: float = 30.0
    """Largest angle of such a turn."""
    max_zoom: float = 1.2
    """Largest factor of such a zoom, in or out; at least 1."""
    brightness_probability: float = 0.5
    """How often brightness changes, 0 … 1."""
    brightness_by_variable: bool = False
    """Whether each variable then changes by a gain and a shift of its own, as between sensors; else all by the same, as between
    exposures."""
    max_gain: float = 0.1
    """Values are multiplied by 1 ± at most this."""
    max_shift: float = 0.05
    """Then at most this is added or subtracted."""
    noise_probability: float = 0.3
    """How often noise is added, 0 … 1."""
    max_noise: float = 0.02
    """Largest standard deviation of Gaussian noise."""
    band_dropout_probability: float = 0.1
    """How often one channel is missing, 0 … 1; never the only one."""
    crop_px: int | None = None
    """Edge of the square that is cut out of a patch, drawn anew for each sample; None takes the whole patch."""
    crop_on_class_share: float = 0.5
    """How often such a square shows a drawn pixel of the class, where the patch has one, 0 … 1; the others are anywhere."""

    def __post_init__(self) -> None:
        for name in ("affine", "brightness", "noise", "band_dropout"):
            require(self, f"{name}_probability", at_least=0.0, at_most=1.0)
        require(self, "max_turn_deg", at_least=0.0, at_most=180.0)
        require(self, "max_zoom", at_least=1.0)
        require(self, "max_gain", at_least=0.0, below=1.0)
        require(self, "max_shift", at_least=0.0)
        require(self, "max_noise", at_least=0.0)
        require(self, "crop_on_class_share", at_least=0.0, at_most=1.0)
        if self.crop_px is not None:
            require(self, "crop_px", at_least=1)


@dataclass(frozen=True)
class DataConfig:
    """How batches are drawn and read.

    Raises:
        ConfigError: A number makes no sense.
    """

    batch_size: int = 8
    """Patches in a batch."""
    workers: int = 0
    """Processes that read; 0 reads in the training's own."""
    samples_per_epoch: int | None = None
    """Patches drawn in an epoch; None: each training patch once."""
    positive_share: float | None = None
    """Share of draws, 0 … 1, that show the class, whatever their share among the patches; None leaves it."""

    def __post_init__(self) -> None:
        require(self, "batch_size", at_least=1)
        require(self, "workers", at_least=0)
        if self.samples_per_epoch is not None:
            require(self, "samples_per_epoch", at_least=1)
        if self.positive_share is not None:
            require(self, "positive_share", at_least=0.0, at_most=1.0)


@dataclass(frozen=True)
class MonitorConfig:
    """What is watched during a training, and when it stops.

    Raises:
        ConfigError: A number makes no sense.
    """

    monitor: str = "val/iou"
    """Name of the logged score that decides which epoch is best."""
    mode: Literal["max", "min"] = "max"
    """Whether more of it is better, or less."""
    patience_epochs: int = 10
    """Epochs without a better score after which the training stops."""
    picture_every_epochs: int = 5
    """A picture of the first validation batch after every so many epochs; 0 makes none."""
    pictures: int = 4
    """Patches in a picture."""

    def __post_init__(self) -> None:
        require(self, "patience_epochs", at_least=1)
        require(self, "picture_every_epochs", at_least=0)
        require(self, "pictures", at_least=1)


@dataclass(frozen=True)
class TrainUtilsConfig:
    """Everything of this package that a training can set.

    Raises:
        ConfigError: The seed is negative.
    """

    seed: int = 0
    """Of sampling and augmentation."""
    loss: LossConfig = field(default_factory=LossConfig)
    """What is minimised."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Which patches train, validate, test."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """How training samples are varied."""
    data: DataConfig = field(default_factory=DataConfig)
    """How batches are drawn and read."""
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    """What is watched."""

    def __post_init__(self) -> None:
        require(self, "seed", at_least=0)


def require(
    config: Any,
    name: str,
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Raise if a number of a config is not finite or out of its limits.

    Args:
        config: The config.
        name: Of its field.
        at_least: Smallest value.
        at_most: Largest value.
        above: It must be larger.
        below: It must be smaller.

    Raises:
        ConfigError: Names the field, its limits and its value.
    """
    value = getattr(config, name)
    if not (math.isfinite(value) and at_least <= value <= at_most and above < value < below):
        limits = {"at least": at_least, "at most": at_most, "above": above, "below": below}
        wanted = ", ".join(f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit)) or "finite"
        raise ConfigError(f"expected {name} to be {wanted}, but got {value!r}: correct it")
