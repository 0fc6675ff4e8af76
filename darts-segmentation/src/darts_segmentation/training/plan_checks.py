"""What is refused of a configuration before a training begins: options that do not go together."""

from collections.abc import Sequence

from darts_segmentation.training.config import TrainingConfig
from darts_utils.errors import ConfigError
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
