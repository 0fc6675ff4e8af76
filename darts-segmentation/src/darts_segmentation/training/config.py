"""Every option of a training in one frozen dataclass: a TOML file, the command line and Python speak of the same one."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from darts_train_utils.config import TrainUtilsConfig, require
from darts_utils.config_tables import parse_table
from darts_utils.errors import ConfigError
from darts_utils.inference.normalization import Scaling

Precision = Literal["32", "bf16-mixed", "16-mixed"]
"""Numbers in which the network computes: single precision, or half precision with weights in single precision."""

Schedule = Literal["one-cycle", "cosine", "constant"]
"""Course of the learning rate over the whole training, step by step."""

DEFAULT_NETWORK: Mapping[str, Any] = {"arch": "Unet", "encoder_name": "resnet34"}
"""What is built where neither the config nor a start checkpoint says."""

_Config = TypeVar("_Config")


@dataclass(frozen=True)
class TrainingConfig(TrainUtilsConfig):
    """Everything that decides what a training does; each field is a key, each dataclass a table of its TOML file.

    Raises:
        ConfigError: A value makes no sense.

    Examples:
        >>> config = TrainingConfig(inputs=("red", "ndvi"), epochs=3)
        >>> config.loss.dice, config.schedule
        (1.0, 'one-cycle')
    """

    name: str = "model"
    """Of the model: its file is ``<name>.pt``, and ensembles call it so."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `darts_segmentation.networks.build_network`: ``arch``, ``encoder_name``, ``decoder_channels`` and so on;
    empty: those of the start checkpoint, else `DEFAULT_NETWORK`. ``in_channels`` follows from the inputs."""
    inputs: tuple[str, ...] = ()
    """Input variables in channel order; empty: those of the start checkpoint, else all of the data, in alphabetical order."""
    normalization: Mapping[str, Scaling] = field(default_factory=dict)
    """Network input = clip((x − offset) · scale, 0, 1), by variable; empty: that of the start checkpoint. A variable that is
    not named is scaled so that the middle 99.8 % of its values in the training patches fill 0 … 1."""
    patch_px: int | None = None
    """Edge length of patches at inference; None: that of the training patches."""
    epochs: int = 50
    """Passes over the training patches, at most."""
    learning_rate: float = 1e-3
    """Peak of the schedule."""
    schedule: Schedule = "one-cycle"
    """Course of the learning rate."""
    warmup_share: float = 0.15
    """Share of the training, 0 … 1, in which the learning rate rises; not for "constant"."""
    weight_decay: float = 1e-3
    """Of AdamW."""
    precision: Precision = "32"
    """Numbers in which the network computes."""
    accumulate_batches: int = 1
    """Batches whose gradients are summed before a step."""
    gradient_clip: float | None = 1.0
    """Largest norm of the gradient; None does not limit it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where; "auto" takes CUDA devices where there are some."""
    devices: int = 1
    """Number of processes, each with a CUDA device of its own or a part of the CPU."""
    deterministic: bool = False
    """Whether operations that do not repeat bit for bit are refused; on a CPU a training repeats without it, too, as far as
    its operations do."""
    apply_temperature: bool = True
    """Whether the temperature that is fitted on the validation patches changes the model's probabilities; else it is only told."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name or Path(self.name).name != self.name or self.name.startswith("."):
            raise ConfigError(f"expected name to be a file name without a folder, but got {self.name!r}: correct it")
        if len(set(self.inputs)) != len(self.inputs):
            raise ConfigError(f"expected inputs to name each variable once, but got {list(self.inputs)}: correct it")
        if self.inputs and not set(self.normalization) <= set(self.inputs):
            strangers = sorted(set(self.normalization) - set(self.inputs))
            raise ConfigError(f"expected a normalization of inputs only, but got {', '.join(strangers)}: remove it")
        for name in ("epochs", "accumulate_batches", "devices"):
            require(self, name, at_least=1)
        for name in ("learning_rate", "gradient_clip", "patch_px"):
            if getattr(self, name) is not None:
                require(self, name, above=0)
        require(self, "weight_decay", at_least=0)
        require(self, "warmup_share", at_least=0, below=1)


def parse_training_config(table: Mapping[str, Any]) -> TrainingConfig:
    """Make a config from a plain table.

    Args:
        table: Keys are the fields of `TrainingConfig`; what is left out keeps its default.

    Raises:
        ConfigError: Names the unknown key and the nearest valid one, or the key whose value is wrong.

    Examples:
        >>> parse_training_config({"epochs": 3, "loss": {"focal": 1.0}}).loss.focal
        1.0
        >>> parse_training_config({"epoch": 3})
        Traceback (most recent call last):
        darts_utils.errors.ConfigError: unknown key 'epoch' in the configuration: did you mean 'epochs'?
    """
    return parse_table(TrainingConfig, table)


def read_training_config(path: str | os.PathLike[str]) -> TrainingConfig:
    """Read a TOML file.

    Args:
        path: The file.

    Raises:
        ConfigError: There is no such file, it is no TOML, or `parse_training_config` refuses it; names the file.
    """
    table = read_toml(path)
    try:
        return parse_training_config(table)
    except ConfigError as error:
        raise ConfigError(f"'{path}': {error}") from error


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file into a plain table.

    Args:
        path: The file.

    Raises:
        ConfigError: There is no such file, or it is no TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"expected a TOML file at '{path}', but it cannot be read ({error}): check the path"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"expected '{path}' to be TOML, but {error}: correct it") from error
