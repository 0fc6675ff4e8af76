"""Rewritten networks are the same functions, and what cannot be rewritten stays as it is."""

import copy

import pytest
import torch

from darts_utils.inference import rewrite_for_inference


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
