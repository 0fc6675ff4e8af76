"""Rewritten networks are the same functions, and what cannot be rewritten stays as it is."""

import copy

import pytest
import torch

from darts_utils.inference import rewrite_for_inference
from darts_utils.inference.rewriting import Float32Conv2d


def settled(network, seed=0):
    """Batch statistics and weights that differ between channels."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 2)
            if module.affine:
                torch.nn.init.normal_(module.weight, 1, 0.2)
                torch.nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


def normalisations(network):
    return sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


def assert_same(network, *, folded, channels=2):
    before = copy.deepcopy(network)
    rewritten = rewrite_for_inference(network, channels=channels, patch_px=16)
    images = torch.rand(3, channels, 16, 16)
    with torch.inference_mode():
        expected, found = torch.sigmoid(before(images)), torch.sigmoid(rewritten(images))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert not rewritten.training
    assert normalisations(before) - normalisations(rewritten) == folded
    for name, values in network.state_dict().items():
        assert values.equal(before.state_dict()[name])


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"groups": 2}, {"padding_mode": "reflect"}])
@pytest.mark.parametrize("affine", [True, False])
def test_a_normalisation_after_a_convolution_is_folded(options, affine):
    layers = [
        torch.nn.Conv2d(2, 4, 3, padding=1, **options),
        torch.nn.BatchNorm2d(4, affine=affine),
        torch.nn.ReLU(inplace=True),
        torch.nn.Conv2d(4, 1, 1),
        torch.nn.BatchNorm2d(1, affine=affine),
    ]
    assert_same(settled(torch.nn.Sequential(*layers)), folded=2)


class Block(torch.nn.Module):
    """Two convolutions, one normalisation each, in an order that the listing of the modules does not show."""

    def __init__(self, forward):
        super().__init__()
        self.first_norm, self.second_norm = torch.nn.BatchNorm2d(1), torch.nn.BatchNorm2d(1)
        self.second, self.first = torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Conv2d(2, 1, 3, padding=1)
        self.steps = forward

    def forward(self, images):
        return self.steps(self, images)


@pytest.mark.parametrize(
    ("steps", "folded"),
    [
        (lambda b, x: b.second_norm(b.second(b.first_norm(b.first(x)))), 2),
        (lambda b, x: b.first_norm(torch.relu(b.first(x))), 0),
        (lambda b, x: b.first_norm(b.first(x) + 0), 0),
        # the output of the convolution is used twice: folding it would be another function
        (lambda b, x: (lambda y: b.first_norm(y) + y)(b.first(x)), 0),
        # a convolution, or a normalisation, that works twice
        (lambda b, x: b.second_norm(b.second(b.second(b.first(x)))), 0),
        (lambda b, x: b.first_norm(b.second(b.first_norm(b.first(x)))), 0),
    ],
)
def test_only_what_follows_each_other_and_nothing_else_is_folded(steps, folded):
    assert_same(settled(Block(steps)), folded=folded)


def test_a_network_without_weights_and_one_without_normalisation_stay():
    network = torch.nn.Conv2d(2, 1, 3, padding=1).eval()
    assert_same(network, folded=0)

    class Sum(torch.nn.Module):
        def forward(self, images):
            return images.sum(1, keepdim=True)

    assert_same(Sum().eval(), folded=0)


def test_derived_classes_stay():
    class Clipped(torch.nn.BatchNorm2d):
        def forward(self, values):
            return super().forward(values).clamp(-1, 1)

    assert_same(settled(torch.nn.Sequential(torch.nn.Conv2d(2, 1, 1), Clipped(1))), folded=0)


def test_narrow_convolutions_at_the_beginning_stay_in_float32():
    """Down: 2 → 8 → 64 → 8 channels at half of the size each; up again: not at the beginning."""
    layers = [
        torch.nn.Conv2d(2, 8, 3, padding=1, stride=2),
        torch.nn.Conv2d(8, 64, 3, padding=1, stride=2),
        torch.nn.Conv2d(64, 8, 3, padding=1, stride=2),
        torch.nn.Conv2d(8, 8, 1),
        torch.nn.Upsample(scale_factor=8),
        torch.nn.Conv2d(8, 1, 1),
    ]
    network = torch.nn.Sequential(*layers).eval()
    rewritten = rewrite_for_inference(network, channels=2, patch_px=16)
    kept = [isinstance(layer, Float32Conv2d) for layer in rewritten]
    assert kept == [True, True, False, False, False, False]
    assert not any(isinstance(layer, Float32Conv2d) for layer in network)
    images = torch.rand(1, 2, 16, 16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert rewritten[:2](images).dtype == torch.float32
        assert torch.equal(rewritten[:2](images), rewritten[:2](images.clone()))
        assert rewritten(images).dtype == torch.bfloat16
    with torch.inference_mode():
        torch.testing.assert_close(rewritten(images), network(images))


def test_the_image_is_not_rounded_in_half_precision():
    """A difference that bfloat16 does not know is seen by the first layer."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1, bias=False), torch.nn.MaxPool2d(2)).eval()
    torch.nn.init.constant_(network[0].weight, 256.0)
    rewritten = rewrite_for_inference(network, channels=1, patch_px=4)
    image = torch.full((1, 1, 4, 4), 1.001)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert float(network(image).max()) == 256.0
        assert float(rewritten(image).max()) == pytest.approx(256.256)
