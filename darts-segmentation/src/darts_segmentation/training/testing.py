"""A training of seconds, for tests and examples: on what `darts_train_utils.testing.write_example_store` writes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from darts_segmentation.training.config import TrainingConfig
from darts_train_utils.config import DataConfig, MonitorConfig

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
