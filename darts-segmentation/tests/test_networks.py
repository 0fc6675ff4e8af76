import pytest
import segmentation_models_pytorch as smp
import torch

from darts_segmentation.networks import build_network, network_stride_px
from darts_utils.errors import CheckpointError
from darts_utils.inference import check_network, load_weights

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


SMALLEST = {"pan": 128, "dpt": 224}
"""Patches below which an architecture fails; 64 px do for the others."""


@pytest.mark.parametrize("arch", list(smp.MODEL_ARCHITECTURES_MAPPING))
def test_every_architecture_of_the_library_builds_and_runs(arch):
    """With five channels, from a config alone, weights in and out."""
    encoder = "tu-vit_tiny_patch16_224" if arch == "dpt" else "mobilenet_v2"
    config = {"arch": arch, "encoder_name": encoder, "in_channels": 5, "encoder_weights": "imagenet"}
    network = build_network(config).eval()
    load_weights(build_network(config), network.state_dict())
    patch_px = SMALLEST.get(arch, 64)
    assert patch_px % network_stride_px(network) == 0
    check_network(network, channels=5, patch_px=patch_px, device=torch.device("cpu"))


@pytest.mark.parametrize(
    "encoder",
    [
        *("resnet18", "resnext50_32x4d", "se_resnet50", "timm-skresnet18", "dpn68", "densenet121", "xception"),
        *("efficientnet-b0", "timm-efficientnet-b0", "timm-tf_efficientnet_lite0", "mobilenet_v2", "mobileone_s0"),
        *("mit_b0", "inceptionv4", "tu-resnet10t", "tu-convnext_atto", "tu-mobilenetv3_small_050", "tu-regnetx_002"),
    ],
)
def test_encoders_of_every_family_build_and_run(encoder):
    network = build_network({"arch": "Unet", "encoder_name": encoder, "in_channels": 5}).eval()
    check_network(network, channels=5, patch_px=network_stride_px(network), device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("arguments", "patch_px"),
    [
        ({"arch": "Unet", "decoder_attention_type": "scse", "decoder_interpolation": "bilinear"}, 32),
        ({"arch": "Unet", "encoder_depth": 4, "decoder_channels": [64, 32, 16, 8]}, 16),
        ({"arch": "Unet", "decoder_use_norm": "identity"}, 32),
        ({"arch": "MAnet", "decoder_pab_channels": 16}, 32),
        ({"arch": "Linknet", "encoder_depth": 3}, 8),
        ({"arch": "FPN", "decoder_merge_policy": "cat", "decoder_pyramid_channels": 32}, 32),
        ({"arch": "PSPNet", "psp_out_channels": 32, "encoder_depth": 4, "upsampling": 16}, 48),
        ({"arch": "DeepLabV3", "encoder_output_stride": 16, "decoder_atrous_rates": [6, 12, 18]}, 48),
        ({"arch": "DeepLabV3Plus", "encoder_output_stride": 8, "decoder_channels": 48}, 40),
        ({"arch": "PAN", "encoder_output_stride": 32, "decoder_channels": 16}, 256),
        ({"arch": "UPerNet", "decoder_channels": 32}, 32),
        ({"arch": "Segformer", "decoder_segmentation_channels": 32}, 32),
        ({"arch": "DPT", "encoder_name": "tu-vit_tiny_patch16_224", "dynamic_img_size": True}, 64),
        ({"arch": "Unet", "encoder_name": "tu-swinv2_cr_tiny_224", "img_size": 64}, 64),
    ],
)
def test_arguments_of_the_architectures(arguments, patch_px):
    network = build_network({"encoder_name": "resnet18", "in_channels": 4, **arguments}).eval()
    assert patch_px % network_stride_px(network) == 0
    check_network(network, channels=4, patch_px=patch_px, device=torch.device("cpu"))


@pytest.mark.parametrize(("arch", "name"), [("Unet", "decoder_use_batchnorm"), ("PSPNet", "psp_use_batchnorm")])
@pytest.mark.parametrize("value", [True, False])
def test_older_names_of_arguments(arch, name, value):
    config = {"arch": arch, "encoder_name": "resnet18", "in_channels": 3}
    found = set(build_network({**config, name: value}).state_dict())
    assert found == set(build_network({**config, "decoder_use_norm": "batchnorm" if value else False}).state_dict())
    assert (found == set(build_network(config).state_dict())) is value


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
        ({"arch": "Vnet"}, r"expected arch to be one of Unet, .*, but got 'Vnet' \(did you mean 'Unet'\?\)"),
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
        ({"in_channels": "three"}, "expected in_channels to be a whole number of at least 1, but got 'three'"),
        ({"in_channels": 0}, "expected in_channels to be a whole number of at least 1, but got 0"),
        ({"encoder_depth": True}, "expected encoder_depth to be a whole number of at least 1, but got True"),
        ({"dynamic_img_size": "yes"}, "expected dynamic_img_size to be of type bool, but got 'yes'"),
        ({"img_size": [64, 64]}, r"expected img_size to be of type int, but got \[64, 64\]"),
        (
            {"encoder_name": "resnet18", "img_size": 64},
            "expected arguments of Unet in the model config, but got 'img_s",
        ),
        ({"encoder_name": "tu-test_vit"}, "Unet cannot be built from .*: .*downsampling"),
        ({"psp_use_batchnorms": True}, r"got 'psp_use_batchnorms'.*: remove it"),
        ({"decoder_use_batchnorm": [1]}, "Unet cannot be built from"),
        ({1: 2, "arch": None}, r"the model config to have names \(text\), but got \[1\]: rename them"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, message):
    with pytest.raises(CheckpointError, match=message):
        build_network({**SMALL, **changes})
