"""A training of seconds and an untrained model, for tests and examples: on what `darts_train_utils.testing.write_example_store` writes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from darts_segmentation.networks import build_network
from darts_segmentation.training.config import TrainingConfig
from darts_train_utils.config import DataConfig, MonitorConfig
from darts_utils.inference.checkpoint import Checkpoint

SMALL_NETWORK: Mapping[str, Any] = MappingProxyType(
    {"arch": "Unet", "encoder_name": "tu-test_resnet", "decoder_channels": [8, 8, 8, 8, 8]}
)
"""Arguments of `darts_segmentation.networks.build_network`, without ``in_channels``."""


def small_training(**options: Any) -> TrainingConfig:
    """Make the config of such a training.

    Args:
        **options: Fields of `TrainingConfig`, in place of those chosen here.

    Examples:
        >>> small_training(epochs=2).epochs
        2
    """
    chosen: dict[str, Any] = {
        "network": dict(SMALL_NETWORK),
        "learning_rate": 5e-3,
        "data": DataConfig(batch_size=4),
        "monitor": MonitorConfig(picture_every_epochs=0),
    }
    return TrainingConfig(**{**chosen, **options})


def small_model(
    inputs: Sequence[str], *, network: Mapping[str, Any] = MappingProxyType({}), patch_px: int = 32, **said: Any
) -> Checkpoint:
    """Make a model with random weights.

    Args:
        inputs: Its input variables, in channel order; each is scaled by 1e-4.
        network: Arguments of `darts_segmentation.networks.build_network` beside or in place of those of `SMALL_NETWORK`.
        patch_px: Edge of its patches.
        **said: Further keys of its config, or others in place of those chosen here.

    Examples:
        >>> small_model(["red", "slope"], tcvis_rule="upstream").config["tcvis_rule"]
        'upstream'
    """
    described = {**SMALL_NETWORK, "in_channels": len(inputs), **network}
    config = {
        "model_framework": "smp",
        "model": described,
        "input_combination": list(inputs),
        "patch_size": patch_px,
        "normalization": {name: {"offset": 0.0, "scale": 1e-4, "clip": True} for name in inputs},
        **said,
    }
    return Checkpoint(config, build_network(described).state_dict())
