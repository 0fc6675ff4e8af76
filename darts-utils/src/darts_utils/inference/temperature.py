"""Calibrated probabilities: logits are divided by a temperature, where a model says so.

``config["calibration"] = {"temperature": 1.7, "apply": true}``. Where there is no such entry, or ``apply`` is false, logits are
taken as they are. A temperature moves no logit over 0.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from darts_utils.errors import CheckpointError


def applied_temperature(config: Mapping[str, Any]) -> float | None:
    """Read the temperature that a model's logits are to be divided by.

    Args:
        config: The checkpoint's ``config``.

    Returns:
        The temperature; None where none is to be applied.

    Raises:
        CheckpointError: The entry makes no sense.

    Examples:
        >>> applied_temperature({"calibration": {"temperature": 1.5, "apply": True}})
        1.5
        >>> applied_temperature({}) is None
        True
    """
    entry = config.get("calibration")
    if entry is None:
        return None
    temperature = entry.get("temperature") if isinstance(entry, Mapping) else None
    is_number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    usable = is_number and math.isfinite(temperature) and temperature > 0  # type: ignore[arg-type, operator]
    if not isinstance(entry, Mapping) or not isinstance(entry.get("apply"), bool) or not (usable or not entry["apply"]):
        raise CheckpointError(
            f"expected calibration to have a temperature above 0, and apply = true or false, but got {entry!r}: correct the "
            "config"
        )
    return float(temperature) if entry["apply"] else None  # type: ignore[arg-type]


class Tempered(torch.nn.Module):
    """A network whose logits are divided by a temperature.

    Args:
        network: ``(B, C, H, W)`` → logits ``(B, 1, H, W)``.
        temperature: Above 0.
    """

    def __init__(self, network: torch.nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, divided in single precision."""
        logits: torch.Tensor = self.network(images)
        return logits.float() / self.temperature
