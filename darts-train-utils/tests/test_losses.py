import pytest
import segmentation_models_pytorch.losses as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import DiceLoss as MonaiDice
from monai.losses import FocalLoss as MonaiFocal

from darts_train_utils.config import LossConfig
from darts_train_utils.losses import loss_terms, weighted_loss
from darts_utils.errors import TrainingDataError

ALL = LossConfig(bce=1, dice=2, jaccard=3, lovasz=4, focal=5)
NAMES = ("bce", "dice", "jaccard", "lovasz", "focal")


def a_batch(*, ignored=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 1, 16, 12, generator=generator)
    labels = torch.randint(0, 3 if ignored else 2, (2, 16, 12), generator=generator, dtype=torch.uint8)
    return logits, labels


def test_each_equals_segmentation_models_pytorch_with_its_ignore_index():
    logits, labels = a_batch()
    terms = loss_terms(logits, labels, config=ALL)
    target = labels[:, None].float()
    for name, peer in {
        "dice": smp.DiceLoss("binary", ignore_index=2),
        "jaccard": smp.JaccardLoss("binary", ignore_index=2),
        "lovasz": smp.LovaszLoss("binary", ignore_index=2),
        "focal": smp.FocalLoss("binary", ignore_index=2),
        "bce": smp.SoftBCEWithLogitsLoss(ignore_index=None),
    }.items():
        if name == "bce":
            known = target != 2
            torch.testing.assert_close(terms[name], peer(logits[known], target[known]))
        else:
            torch.testing.assert_close(terms[name], peer(logits, target))


def test_dice_jaccard_and_focal_equal_monai():
    logits, labels = a_batch(ignored=False)
    target = labels[:, None].float()
    terms = loss_terms(logits, labels, config=ALL)
    options = {"sigmoid": True, "smooth_nr": 0, "smooth_dr": 0, "batch": True}
    torch.testing.assert_close(terms["dice"], MonaiDice(**options)(logits, target))
    torch.testing.assert_close(terms["jaccard"], MonaiDice(jaccard=True, **options)(logits, target))
    torch.testing.assert_close(terms["focal"], MonaiFocal(gamma=2.0)(logits, target))


def test_the_sum_is_weighted():
    logits, labels = a_batch()
    terms = loss_terms(logits, labels, config=ALL)
    expected = sum((index + 1) * terms[name] for index, name in enumerate(NAMES))
    torch.testing.assert_close(weighted_loss(logits, labels, config=ALL), expected)
    assert set(loss_terms(logits, labels, config=LossConfig(bce=0))) == {"dice"}


def test_a_positive_pixel_may_count_more():
    logits, labels = torch.zeros(1, 2, 1), torch.tensor([[[0], [1]]])
    plain, heavy = (loss_terms(logits, labels, config=LossConfig(positive_weight=weight))["bce"] for weight in (1, 3))
    torch.testing.assert_close(heavy, 2 * plain)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from([float("nan"), float("inf"), 1e30]))
def test_what_stands_at_ignored_pixels_changes_neither_loss_nor_gradient(seed, rubbish):
    logits, labels = a_batch(seed=seed)
    spoilt = torch.where(labels[:, None] == 2, rubbish, logits)
    gradients = []
    for each in (logits, spoilt):
        each.requires_grad_(requires_grad=True)
        weighted_loss(each, labels, config=ALL).backward()
        gradients.append(each.grad)
    torch.testing.assert_close(weighted_loss(spoilt, labels, config=ALL), weighted_loss(logits, labels, config=ALL))
    torch.testing.assert_close(gradients[0], gradients[1])
    assert (gradients[0][labels[:, None] == 2] == 0).all()


def test_a_batch_without_a_known_pixel_has_no_loss_and_no_gradient():
    logits = torch.full((1, 1, 4, 4), float("nan"), requires_grad=True)
    loss = weighted_loss(logits, torch.full((1, 4, 4), 2), config=ALL)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_half_precision_logits_give_single_precision_losses():
    logits, labels = a_batch()
    loss = weighted_loss(logits.to(torch.bfloat16), labels, config=ALL)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, weighted_loss(logits, labels, config=ALL), rtol=0.02, atol=0.0)


def test_gradients_are_those_of_finite_differences():
    logits, labels = a_batch()
    for name in ("bce", "dice", "jaccard", "focal"):
        config = LossConfig(**{"bce": 0.0, "dice": 0.0, name: 1.0})
        leaf = logits.clone().requires_grad_()
        weighted_loss(leaf, labels, config=config).backward()
        step = 0.05 * leaf.grad / leaf.grad.norm()
        up, down = (weighted_loss(logits + sign * step, labels, config=config) for sign in (1, -1))
        torch.testing.assert_close(up - down, 2 * 0.05 * leaf.grad.norm(), rtol=0.02, atol=1e-5)


def test_wrong_shapes_and_labels_are_refused():
    with pytest.raises(TrainingDataError, match="one output channel"):
        weighted_loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64), config=ALL)
    with pytest.raises(TrainingDataError, match=r"integer labels 0 .* 255"):
        weighted_loss(torch.zeros(1, 1, 1, 2), torch.tensor([[[0, 255]]]), config=ALL)
    with pytest.raises(TrainingDataError, match="integer labels"):
        weighted_loss(torch.zeros(1, 1, 1, 2), torch.tensor([[[0, 0.5]]]), config=ALL)
