"""Older shapes of model files: each is refused by its name, with the way to convert it."""

import pytest
import torch

from darts_utils.errors import CheckpointError
from darts_utils.inference import parse_normalization, read_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")  # torch, on its way to refuse

WEIGHTS = {"layer.weight": torch.ones(2, 3)}
CONFIG = {"model_framework": "smp", "model": {"arch": "Unet"}, "input_combination": ["red"], "patch_size": 64}


class Hyperparameters(dict):
    """Stands for the objects of its own in which Lightning keeps hyper-parameters."""


@pytest.mark.parametrize(
    "content",
    [
        {"pytorch-lightning_version": "2.5", "state_dict": WEIGHTS, "hyper_parameters": {"config": CONFIG}},
        {"pytorch-lightning_version": "2.5", "state_dict": WEIGHTS, "epoch": 3},
        {"state_dict": WEIGHTS, "hyper_parameters": {"config": CONFIG}},
        {"pytorch-lightning_version": "2.5", "state_dict": WEIGHTS, "hyper_parameters": Hyperparameters(config=CONFIG)},
    ],
)
def test_files_of_lightning(tmp_path, content):
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(
        CheckpointError,
        match=r"last.ckpt' cannot be used: expected the keys config and statedict, .* it is a checkpoint of Lightning: "
        r"convert it by hand: take config from hyper_parameters .*'model\.'.*write_checkpoint",
    ):
        read_checkpoint(tmp_path / "last.ckpt")


def test_objects_in_other_files_are_still_refused_for_what_they_are(tmp_path):
    torch.save({"config": Hyperparameters(CONFIG), "statedict": WEIGHTS}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"m.pt' was refused: it holds more than tensors and plain data"):
        read_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_alone(tmp_path, prefix):
    torch.save({f"{prefix}{name}": tensor for name, tensor in WEIGHTS.items()}, tmp_path / "07.pt")
    with pytest.raises(
        CheckpointError,
        match=r"07.pt' cannot be used: .*a state_dict alone, as in .*slump.*: take it as statedict, .*module",
    ):
        read_checkpoint(tmp_path / "07.pt")


def test_run_folders(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="expected a model file at"):
        read_checkpoint(tmp_path)
    (tmp_path / "config.yml").write_text("")
    with pytest.raises(
        CheckpointError,
        match=r"model folder '.*' cannot be used: .*a run folder of thaw-slump-segmentation: convert it by",
    ):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("older", "message"),
    [
        (
            {"norm_factors": {"red": 1 / 3000}},
            r"it is a checkpoint with norm_factors: .*'scale': factor, 'clip': True}",
        ),
        ({"bands": ["red"]}, r"it is a checkpoint with bands: .*clip\(\(x - offset\) \* scale, 0, 1\) in tile units"),
        ({"bands": {"bands": ["red"], "factors": [1], "offsets": [0]}}, "it is a checkpoint with bands"),
    ],
)
def test_older_ways_to_state_the_normalization(tmp_path, older, message):
    with pytest.raises(CheckpointError, match=message):
        parse_normalization({**CONFIG, **older}, variables=["red"])
    for config in ({**CONFIG, **older}, {"model": {}, **older}):
        torch.save({"config": config, "statedict": WEIGHTS}, tmp_path / "m.pt")
        with pytest.raises(CheckpointError, match=rf"m.pt' cannot be used: .*{message}"):
            read_checkpoint(tmp_path / "m.pt")


def test_an_older_entry_beside_a_normalization_does_no_harm(tmp_path):
    config = {**CONFIG, "bands": ["red"], "normalization": {"red": {"offset": 0.0, "scale": 1e-4}}}
    torch.save({"config": config, "statedict": WEIGHTS}, tmp_path / "m.pt")
    assert read_checkpoint(tmp_path / "m.pt").config == config
