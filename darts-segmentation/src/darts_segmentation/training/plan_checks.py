"""What is refused of a configuration before a training begins: options that do not go together."""

from collections.abc import Mapping, Sequence

import torch

from darts_segmentation.networks import network_stride_px
from darts_segmentation.training.config import TrainingConfig
from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.inference.engine import check_network
from darts_utils.variables import directional_variables


def check_directions(config: TrainingConfig, inputs: Sequence[str]) -> None:
    """Raise if samples would be turned whose values do not turn with them.

    Args:
        config: Of the training.
        inputs: Variables in channel order.

    Raises:
        ConfigError: Names the inputs, and the options that turn them.
    """
    chosen = config.augmentation
    turning = {"symmetries = false": chosen.symmetries, "affine_probability = 0.0": chosen.affine_probability > 0}
    remedies = [remedy for remedy, is_needed in turning.items() if is_needed]
    directional = directional_variables(inputs)
    if directional and remedies:
        raise ConfigError(
            f"expected inputs that may be turned and mirrored, but the values of {', '.join(directional)} depend on where north "
            f"is: set {' and '.join(remedies)} in [augmentation], or leave {', '.join(directional)} out of inputs"
        )


def check_sizes(network: torch.nn.Module, sizes: Mapping[str, int], *, channels: int) -> None:
    """Raise if a network cannot answer patches of the sizes that it will be shown; it is tried with each.

    Args:
        network: On the CPU; left in evaluation mode.
        sizes: What has that size → edge length in pixels.
        channels: Number of inputs.

    Raises:
        ConfigError: Names the first size that does not fit, and why.
    """
    stride = network_stride_px(network)
    for what, edge in sizes.items():
        if edge % stride:
            raise ConfigError(
                f"expected the edge of {what} to be divisible by {stride} px, the stride of the network, but got {edge}: "
                "choose another size, or another encoder_depth"
            )
    network.eval()
    for edge in sorted(set(sizes.values())):
        try:
            check_network(network, channels=channels, patch_px=edge, device=torch.device("cpu"))
        except CheckpointError as error:
            named = " and ".join(what for what, each in sizes.items() if each == edge)
            raise ConfigError(
                f"[network] of the configuration cannot be used for {named}: {error}; choose another network, or another size"
            ) from error
