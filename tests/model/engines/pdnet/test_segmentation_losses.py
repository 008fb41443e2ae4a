"""The terms of masks against slow, plain re-computations, and the traps that each of them has."""

import math

import numpy as np
import pytest
import torch

from model.engines.pdnet.losses import readout_loss
from model.learning.losses import jaccard_loss, segmentation_loss
from tests.model.plain_losses import (
    doubles,
    plain_jaccard,
    plain_readout,
    plain_segmentation,
)

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize("size", [(5, 8), (7, 3), (1, 1)])
@pytest.mark.parametrize("kind", ["bool", "uint8", "soft", "empty", "full"])
def test_segmentation_loss_is_the_mean_of_plain_ones(size, kind):
    logits = torch.randn(3, 1, *size) * 3
    target = {
        "bool": torch.rand(3, 1, *size) < 0.3,
        "uint8": (torch.rand(3, 1, *size) < 0.3).to(torch.uint8),
        "soft": torch.rand(3, 1, *size),
        "empty": torch.zeros(3, 1, *size),
        "full": torch.ones(3, 1, *size),
    }[kind]
    expected = [
        plain_segmentation(x, y, 0.8) for x, y in zip(doubles(logits), doubles(target), strict=True)
    ]
    assert segmentation_loss(logits, target).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_classes_are_balanced_within_a_sample_and_rarity_does_not_scale_it():
    """At s = 1/2 cross-entropy is 2 eta (1 - eta) log 2: smaller for a rare portrait."""
    target = torch.zeros(1, 1, 10, 10)
    target[..., 0, :] = 1
    loss = segmentation_loss(torch.zeros_like(target), target, l1_weight=0.0)
    assert loss.item() == pytest.approx(2 * 0.1 * 0.9 * math.log(2), rel=1e-6)
    logits = torch.zeros_like(target, requires_grad=True)
    segmentation_loss(logits, target, l1_weight=0.0).backward()
    portrait, background = logits.grad[..., 0, :].sum(), logits.grad[..., 1:, :].sum()
    assert portrait.item() == pytest.approx(-background.item(), rel=1e-5)


def test_the_share_is_that_of_each_sample():
    logits, target = (
        torch.randn(2, 1, 6, 6),
        torch.rand(2, 1, 6, 6) < torch.tensor([0.2, 0.8]).reshape(2, 1, 1, 1),
    )
    each = [segmentation_loss(logits[i : i + 1], target[i : i + 1]).item() for i in range(2)]
    assert segmentation_loss(logits, target).item() == pytest.approx(np.mean(each), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_empty_or_a_full_mask_is_learnt_by_cross_entropy(value):
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    segmentation_loss(logits, torch.full((1, 1, 4, 4), value), l1_weight=0.0).backward()
    expected = 0.05 * (0.5 - value) / 16
    torch.testing.assert_close(logits.grad, torch.full_like(logits, expected))


def test_extreme_logits_give_finite_loss_and_gradient():
    logits = torch.tensor([-1e4, -100.0, 100.0, 1e4]).reshape(1, 1, 2, 2).requires_grad_()
    loss = segmentation_loss(logits, torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(1, 1, 2, 2))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 0, 0, 0] < 0  # surely wrong, and still pulled


def test_segmentation_loss_is_in_float32_of_bfloat16_logits():
    logits, target = torch.randn(2, 1, 32, 32).bfloat16(), torch.rand(2, 1, 32, 32) < 0.3
    loss = segmentation_loss(logits, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, segmentation_loss(logits.float(), target))


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"logits are \[2, 4, 5, 5\].*\[2, 1, 5, 5\]"):
        segmentation_loss(torch.zeros(2, 4, 5, 5), torch.zeros(2, 1, 5, 5))


@pytest.mark.parametrize("kind", ["bool", "soft", "empty", "full"])
def test_jaccard_loss_is_the_mean_of_plain_ones(kind):
    logits = torch.randn(3, 1, 5, 8) * 3
    target = {
        "bool": torch.rand(3, 1, 5, 8) < 0.3,
        "soft": torch.rand(3, 1, 5, 8),
        "empty": torch.zeros(3, 1, 5, 8),
        "full": torch.ones(3, 1, 5, 8),
    }[kind]
    expected = [plain_jaccard(x, y) for x, y in zip(doubles(logits), doubles(target), strict=True)]
    assert jaccard_loss(logits, target).item() == pytest.approx(np.mean(expected), rel=1e-5)
    assert jaccard_loss(logits[:0], target[:0]).item() == 0


def test_jaccard_loss_is_one_less_j_of_sure_masks_and_the_same_for_small_and_large():
    small, large = torch.zeros(2, 1, 60, 60)
    small[0, :20, :10] = large[0, :40, :20] = 1  # shifted by half their height below
    for truth, shift in ((small, 10), (large, 20)):
        sure = (truth.roll(shift, 1) * 2 - 1)[None] * 50
        assert jaccard_loss(sure, truth[None]).item() == pytest.approx(2 / 3, abs=0.01)


def test_jaccard_gradient():
    logits = torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 1, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: jaccard_loss(x, target), logits)


def test_segmentation_gradient():
    logits = torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 1, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: segmentation_loss(x, target), logits)


def test_readout_loss_is_the_mean_over_guided_targets():
    readout, target = torch.rand(3, 1, 4, 7), torch.rand(3, 1, 4, 7)
    readout[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    given = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    expected = [plain_readout(doubles(readout[i]), doubles(target[i])) for i in (0, 2)]
    loss = readout_loss(readout, target, given)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_shared_set_of_references_guides_all_targets():
    readout, target = torch.rand(3, 1, 4, 7), torch.rand(3, 1, 4, 7)
    shared = readout_loss(readout, target, torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(shared, readout_loss(readout, target, torch.ones(3, 1)))


def test_without_a_guided_target_the_readout_is_not_judged():
    readout = torch.rand(2, 1, 4, 7, requires_grad=True)
    loss = readout_loss(readout, torch.ones(2, 1, 4, 7), torch.zeros(2, 3))
    loss.backward()
    assert loss.item() == 0
    assert readout.grad.eq(0).all()


def test_a_readout_that_is_surely_wrong_keeps_its_gradient_and_rounding_is_forgiven():
    readout = torch.tensor([0.0, 1.0, 1.004, -0.004]).reshape(1, 1, 2, 2).requires_grad_()
    target = torch.tensor([1.0, 0.0, 1.0, 0.0]).reshape(1, 1, 2, 2)
    loss = readout_loss(readout, target, torch.ones(1, 1))
    loss.backward()
    assert loss.isfinite()
    assert readout.grad[0, 0, 0].tolist() == pytest.approx([-249.5, 249.5], rel=1e-3)
    assert readout.grad.isfinite().all()


def test_readout_gradient():
    readout = (torch.rand(2, 1, 3, 4, dtype=torch.float64) * 0.9 + 0.05).requires_grad_()
    target = torch.rand(2, 1, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: readout_loss(x, target, torch.ones(2, 1)), readout)
