"""How the two models of the demo are made: inputs, normalisation, network, schedule. One home for every number."""

from dataclasses import dataclass

from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

COMMAND = "make demo-models"
SEED = 20_211
TRAIN_SCENES = 160
VALIDATION_SCENES = 12
TEST_SCENES = 24
COUNTERFACTUAL_SCENES = 8

OPTICAL_INPUTS = (*OPTICAL_BANDS, "ndvi")
INPUTS = {
    "full": (*OPTICAL_INPUTS, "relative_elevation", "slope", *TCVIS_BANDS),
    "optical": OPTICAL_INPUTS,
}
"""Ordered network inputs of each model."""

NORMALIZATION = {
    "blue": {"offset": 0.0, "scale": 1 / 2000, "clip": True},
    "green": {"offset": 0.0, "scale": 1 / 2500, "clip": True},
    "red": {"offset": 0.0, "scale": 1 / 3000, "clip": True},
    "nir": {"offset": 0.0, "scale": 1 / 5000, "clip": True},
    "ndvi": {"offset": -0.2, "scale": 1 / 1.2, "clip": True},
    "relative_elevation": {"offset": -15.0, "scale": 1 / 30, "clip": True},
    "slope": {"offset": 0.0, "scale": 1 / 45, "clip": True},
    **{name: {"offset": 0.0, "scale": 1 / 255, "clip": True} for name in TCVIS_BANDS},
}
"""Network input = clip((x − offset) · scale, 0, 1), in tile units."""

PATCH_PX = 256
"""Patch size at inference; training sees smaller crops of the same pixels."""


@dataclass(frozen=True)
class Schedule:
    """Training schedule of one model."""

    steps: int = 4_500
    """Optimiser steps."""
    more_steps: int = 0
    """Steps of a second round, with a fresh optimiser."""
    batch_size: int = 8
    """Crops in a step."""
    crop_px: int = 160
    """Edge length of a crop."""
    learning_rate: float = 4e-3
    """Peak of the one-cycle schedule, of the first round; half of it in the second."""
    weight_decay: float = 1e-3
    """AdamW's weight decay."""


SCHEDULES = {"full": Schedule(), "optical": Schedule(more_steps=2_500)}
"""The network without elevation has more to learn from less."""


def network_config(name: str) -> dict[str, object]:
    """Arguments of the network: a U-Net on a small ResNet, 0.93 million parameters."""
    return {
        "arch": "Unet",
        "encoder_name": "tu-test_resnet",
        "encoder_depth": 5,
        "encoder_weights": None,
        "decoder_channels": [96, 64, 48, 32, 16],
        "in_channels": len(INPUTS[name]),
        "classes": 1,
    }
