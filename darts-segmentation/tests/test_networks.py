import pytest
import torch

from darts_segmentation.networks import build_network, network_stride_px
from darts_utils.errors import CheckpointError

SMALL = {
    "arch": "Unet",
    "encoder_name": "tu-test_resnet",
    "encoder_weights": None,
    "in_channels": 3,
    "classes": 1,
    "decoder_channels": [96, 64, 32, 16, 16],
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)


def test_the_demo_network_is_small_and_gives_one_logit_per_pixel():
    network = build_network(SMALL)
    assert sum(parameter.numel() for parameter in network.parameters()) < 950_000
    assert network(torch.zeros(2, 3, 64, 96)).shape == (2, 1, 64, 96)
    assert network_stride_px(network) == 32


def test_the_seed_decides_the_weights():
    torch.manual_seed(5)
    first = build_network(SMALL).state_dict()
    torch.manual_seed(5)
    for name, tensor in build_network(SMALL).state_dict().items():
        torch.testing.assert_close(tensor, first[name], rtol=0, atol=0)


def test_weights_are_never_downloaded_whatever_training_started_from():
    build_network({**SMALL, "encoder_name": "resnet18", "encoder_weights": "imagenet"})
    build_network({**SMALL, "encoder_weights": "imagenet"})


@pytest.mark.parametrize("arch", ["unet", "UnetPlusPlus", "FPN", "Linknet"])
def test_other_architectures(arch):
    config = {key: value for key, value in SMALL.items() if key != "decoder_channels"}
    network = build_network({**config, "arch": arch, "encoder_name": "resnet18"}).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 64, 64)


def test_a_shallow_network_has_a_small_stride():
    network = build_network({**SMALL, "encoder_depth": 3, "decoder_channels": [32, 16, 8]})
    assert network_stride_px(network) == 8


@pytest.mark.parametrize("key", ["arch", "encoder_name", "in_channels"])
def test_what_is_missing_is_named(key):
    with pytest.raises(CheckpointError, match=f"expected the model config to have {key}, but it has"):
        build_network({name: value for name, value in SMALL.items() if name != key})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "Vnet"}, "expected arch to be one of Unet, .*, but got 'Vnet'"),
        ({"encoder_name": "resnet19"}, r"but got 'resnet19' \(did you mean 'resnet18'\?\)"),
        ({"encoder_name": "tu-test_resnets"}, r"but got 'tu-test_resnets' \(did you mean 'tu-test_resnet'\?\)"),
        ({"encoder_name": "tu-hf-hub:someone/something"}, "expected encoder_name to be an encoder"),
        ({"encoder_name": "tu-local-dir:/tmp"}, "expected encoder_name to be an encoder"),
        ({"encoder_name": None}, "but got None"),
        ({"decoder_chanels": [1]}, r"got 'decoder_chanels' \(did you mean 'decoder_channels'\?\): remove it"),
        (
            {"checkpoint_path": "weights.pth"},
            "expected arguments of Unet in the model config, but got 'checkpoint_path'",
        ),
        ({"aux_params": {"classes": 2}}, "expected arguments of Unet in the model config, but got 'aux_params'"),
        ({"kwargs": {}}, "but got 'kwargs'"),
        ({"classes": 2}, "expected classes to be 1 .one logit per pixel., but got 2"),
        ({"activation": "sigmoid"}, "expected activation to be None .one logit per pixel., but got 'sigmoid'"),
        ({"decoder_channels": [8]}, "Unet cannot be built from .*decoder_channels"),
        ({"encoder_depth": 17}, "Unet cannot be built from"),
        ({"in_channels": "three"}, "Unet cannot be built from"),
        ({1: 2, "arch": None}, r"the model config to have names \(text\), but got \[1\]: rename them"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, message):
    with pytest.raises(CheckpointError, match=message):
        build_network({**SMALL, **changes})
