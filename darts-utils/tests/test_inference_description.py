"""Model files in words."""

import pytest
import torch

from darts_utils.errors import CheckpointError
from darts_utils.inference import Checkpoint, Scaling, describe_checkpoint
from darts_utils.inference.description import scaling_in_words

WEIGHTS = {"a.weight": torch.ones(2, 3), "a.running_mean": torch.ones(2), "a.num_batches_tracked": torch.tensor(1)}


def described(scalings, **config):
    normalization = {name: {"offset": offset, "scale": scale} for name, (offset, scale) in scalings.items()}
    basis = {"model_framework": "smp", "model": {"arch": "Unet", "encoder_name": "resnet34"}, "patch_size": 256}
    checkpoint = Checkpoint(
        {**basis, "input_combination": list(scalings), "normalization": normalization, **config}, WEIGHTS
    )
    return describe_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("scalings", "words"),
    [
        ({"red": (0.0, 1 / 3000), "nir": (0, 1 / 3000)}, "DN/3000"),
        ({"red": (-1000.0, 1 / 6000)}, "(reflectance + 0.1)/0.6"),
        ({"red": (0.0, 1e-4)}, "DN/10000"),
        ({"red": (0.0, 1 / 3000), "nir": (0, 1 / 5000)}, "DN/3000, DN/5000 (each band its own)"),
        ({"slope": (0.0, 1 / 90)}, "no optical bands"),
    ],
)
def test_what_it_was_trained_on(scalings, words):
    assert described(scalings).trained_on == words


@pytest.mark.parametrize(
    ("name", "scaling", "words"),
    [
        ("red", Scaling(0.0, 1 / 3000), "DN/3000, where DN is reflectance × 10 000; clipped to 0 … 1"),
        ("nir", Scaling(-1000.0, 1 / 6000), "(reflectance + 0.1)/0.6; clipped to 0 … 1"),
        ("relative_elevation", Scaling(-50.0, 0.01, clip=False), "(relative_elevation + 50)/100, in m; not clipped"),
        ("tc_wetness", Scaling(0.0, 1 / 255), "tc_wetness/255; clipped to 0 … 1"),
        ("mine", Scaling(2.0, 1.0), "(mine - 2); clipped to 0 … 1"),
    ],
)
def test_scalings_in_words(name, scaling, words):
    assert scaling_in_words(name, scaling) == words


def test_lines_say_what_it_is_and_needs():
    found = described(
        {"red": (0.0, 1 / 3000), "slope": (0, 1 / 90), "tc_wetness": (0, 1 / 255)},
        converted_from={"shape": "run folder", "legacy_normalization": "dn3000"},
        training={"epoch": 7, "scores": {"iou": 0.123456789}},
    )
    assert found.parameters == 6
    assert found.stored_as == ["float32", "int64"]
    assert found.lines() == [
        "framework    smp",
        "network      Unet, encoder resnet34; 6 parameters, stored as float32, int64",
        "trained on   DN/3000; patches of 256 px",
        "needs        a preprocessed scene and an elevation model and TCVIS trends",
        "inputs",
        "  red         DN/3000, where DN is reflectance × 10 000; clipped to 0 … 1",
        "  slope       slope/90, in degree; clipped to 0 … 1",
        "  tc_wetness  tc_wetness/255; clipped to 0 … 1",
        "older shape  run folder, inputs as stated by the user: dn3000",
        "training",
        "  epoch: 7",
        "  scores",
        "    iou: 0.123457",
    ]


def test_without_a_normalization_nothing_can_be_said():
    with pytest.raises(CheckpointError, match="expected a normalization"):
        described({"red": (0, 1)}, normalization=None)
