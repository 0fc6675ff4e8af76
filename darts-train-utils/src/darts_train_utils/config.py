"""The one home of every default of this package; tables with unknown keys are refused."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from darts_utils.errors import ConfigError

IGNORE_LABEL = 2
"""Label of pixels that teach nothing and count nowhere; 0 is background, 1 the class."""

SplitMethod = Literal["random", "scene", "region", "blocks", "stratified"]
"""What stays together: overlapping patches, scenes, regions, blocks of ground; "stratified" is random, equal in labels."""

_Config = TypeVar("_Config")
_WORDS: Mapping[Any, str] = {bool: "true or false", str: "text"}


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
    """Draw one of the eight symmetries of the square; exact."""
    affine_probability: float = 0.3
    """How often a sample is turned and zoomed by interpolation, 0 … 1."""
    max_turn_deg: float = 30.0
    """Largest angle of such a turn."""
    max_zoom: float = 1.2
    """Largest factor of such a zoom, in or out; at least 1."""
    brightness_probability: float = 0.5
    """How often brightness changes, 0 … 1; for all channels together."""
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


def parse_table(cls: type[_Config], table: Mapping[str, Any], *, where: str = "the configuration") -> _Config:
    """Make a config from a plain table, as TOML gives it.

    Args:
        cls: A frozen dataclass of simple values and of such dataclasses.
        table: Keys and values; what is left out keeps its default.
        where: How errors name the table.

    Returns:
        The config.

    Raises:
        ConfigError: Names the unknown key and the nearest valid one, or the key whose value has the wrong type or size.

    Examples:
        >>> parse_table(TrainUtilsConfig, {"loss": {"dice": 0.5}}).loss.dice
        0.5
        >>> parse_table(LossConfig, {"dize": 1.0}, where="[loss]")
        Traceback (most recent call last):
        darts_utils.errors.ConfigError: unknown key 'dize' in [loss]: did you mean 'dice'?
    """
    hints = typing.get_type_hints(cls)
    known = [each.name for each in dataclasses.fields(cls)]  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ConfigError(f"unknown key {key!r} in {where}: {advice}")
        values[key] = _parse_value(hints[key], value, f"{key} in {where}")
    absent = [each.name for each in dataclasses.fields(cls) if each.name not in values and _is_required(each)]  # type: ignore[arg-type]
    if absent:
        raise ConfigError(
            f"expected {where} to have {', '.join(absent)}, but it has {', '.join(values) or 'nothing'}: add it"
        )
    return cls(**values)


def plain_table(config: Any) -> dict[str, Any]:
    """Turn a config into a table as TOML knows it, that `parse_table` takes; None is left out.

    Examples:
        >>> plain_table(DataConfig(batch_size=4))
        {'batch_size': 4, 'workers': 0}
    """
    values = {each.name: getattr(config, each.name) for each in dataclasses.fields(config)}
    return {name: _plain_value(value) for name, value in values.items() if value is not None}


def _plain_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return plain_table(value)
    if isinstance(value, Mapping):
        return {str(name): _plain_value(entry) for name, entry in value.items() if entry is not None}
    return [_plain_value(entry) for entry in value] if isinstance(value, list | tuple) else value


def _is_required(each: dataclasses.Field[Any]) -> bool:
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING


def _parse_value(hint: Any, value: Any, where: str) -> Any:
    name, _, place = where.partition(" in ")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return parse_table(hint, value, where=f"[{name}]")
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_parse_value(arguments[0], entry, f"{name}[{k}] in {place}") for k, entry in enumerate(value))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        if arguments[1] is Any:
            return dict(value)
        return {str(key): _parse_value(arguments[1], entry, f"{name}.{key} in {place}") for key, entry in value.items()}
    choices = arguments if origin is Literal else ()
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if not choices and float in kinds and int not in kinds and type(value) is int:
        return float(value)
    if (choices and value in choices) or (not choices and type(value) in kinds):
        return value
    wanted = " or ".join(map(repr, choices)) or _described(hint, origin)
    raise ConfigError(f"expected {where} to be {wanted}, but got {value!r}: correct it")


def _described(hint: Any, origin: Any) -> str:
    if origin is None and hint in _WORDS:
        return _WORDS[hint]
    if origin is tuple:
        return "a list"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table"
    return getattr(hint, "__name__", str(hint))


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
