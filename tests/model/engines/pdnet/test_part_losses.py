"""The terms of parts against slow, plain re-computations, and the traps that each of them has."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.engines.pdnet.losses import PDNetLoss, SemanticLoss, area_loss, geometric_loss
from model.nn.resnet import ResNet
from tests.model.plain_losses import (
    CELLS,
    HEIGHT,
    WIDTH,
    doubles,
    plain_area,
    plain_geometric,
    plain_penalty,
    plain_semantic,
    random_parts,
)

pytestmark = pytest.mark.usefixtures("seeded")


# --- geometric concentration --------------------------------------------------------------------


@pytest.mark.parametrize("size", [(4, 7), (9, 2), (1, 5)])
def test_geometric_loss_is_the_mean_of_plain_ones(size):
    parts, _ = random_parts(3, 4, *size)
    expected = np.mean([plain_geometric(sample) for sample in doubles(parts)])
    assert geometric_loss(parts).item() == pytest.approx(expected, rel=1e-5)


def test_a_part_in_one_cell_has_no_spread():
    parts = torch.zeros(1, 2, 5, 8)
    parts[0, 0, 1, 2] = parts[0, 1, 4, 7] = 1
    assert geometric_loss(parts).item() == pytest.approx(0, abs=1e-5)


def test_axes_of_a_map_that_is_not_square_are_not_swapped():
    """Two cells at the ends of a row of 8 are 7/4 apart; of a column of 2, one."""
    ends = torch.zeros(1, 1, 2, 8)
    ends[0, 0, 0, [0, 7]] = 1
    assert geometric_loss(ends).item() == pytest.approx((7 / 8) ** 2, rel=1e-5)
    stacked = torch.zeros(1, 1, 2, 8)
    stacked[0, 0, :, 3] = 1
    assert geometric_loss(stacked).item() == pytest.approx((1 / 2) ** 2, rel=1e-5)


def test_turning_the_map_changes_nothing():
    parts, _ = random_parts(height=3, width=9)
    torch.testing.assert_close(geometric_loss(parts), geometric_loss(parts.mT))
    torch.testing.assert_close(geometric_loss(parts), geometric_loss(parts.flip(-1, -2)))


def test_geometric_loss_does_not_depend_on_resolution_or_faintness():
    """What is added per cell instead of per part grows with resolution, and fails this."""
    parts, _ = random_parts(height=12, width=20)
    base = geometric_loss(parts).item()
    for times in (2, 4, 8):
        finer = parts.repeat_interleave(times, 2).repeat_interleave(times, 3)
        # Within a cell of 2/n, n cells across, positions have the variance (2/n)^2 / 12.
        within = parts.shape[1] * ((2 / 12) ** 2 + (2 / 20) ** 2) / 12 * (1 - times**-2)
        assert geometric_loss(finer).item() == pytest.approx(base + within, rel=1e-5)
    assert geometric_loss(parts / 50).item() == pytest.approx(base, rel=1e-5)


def test_a_part_that_has_nothing_gives_finite_loss_and_gradient():
    parts = torch.zeros(1, 3, 4, 4)
    parts[0, 0] = 1.0
    parts[0, 1] = 1e-12
    parts.requires_grad_()
    loss = geometric_loss(parts) + area_loss(parts)
    loss.backward()
    assert loss.isfinite()
    assert parts.grad.isfinite().all()


def test_geometric_gradient():
    parts, _ = random_parts(dtype=torch.float64)
    assert torch.autograd.gradcheck(geometric_loss, parts.requires_grad_())


# --- area variance ------------------------------------------------------------------------------


def test_area_loss_is_the_mean_of_plain_ones():
    parts, _ = random_parts(3, 5)
    expected = np.mean([plain_area(sample) for sample in doubles(parts)])
    assert area_loss(parts).item() == pytest.approx(expected, rel=1e-4)


def test_area_loss_is_of_the_population_and_runs_from_0_to_its_most():
    parts = torch.zeros(1, 5, 4, 6)
    parts[:, 2] = 1
    assert area_loss(parts).item() == pytest.approx(0.16)  # 0.2 were the variance unbiased
    assert area_loss(torch.full((1, 5, 4, 6), 0.2)).item() == pytest.approx(0, abs=1e-12)


def test_area_gradient():
    parts, _ = random_parts(dtype=torch.float64)
    assert torch.autograd.gradcheck(area_loss, parts.requires_grad_())


# --- samples without a portrait -----------------------------------------------------------------


@pytest.mark.parametrize("loss", [geometric_loss, area_loss])
@pytest.mark.parametrize("faint", [0.0, 1e-9, 1e-4])
def test_samples_without_a_portrait_do_not_count(loss, faint):
    parts, _ = random_parts(2)
    nothing = torch.full_like(parts[:1], faint)
    torch.testing.assert_close(loss(torch.cat([nothing, parts])), loss(parts))
    nothing.requires_grad_()
    alone = loss(nothing)
    alone.backward()
    assert alone.item() == 0
    assert nothing.grad.eq(0).all()


def test_a_semantic_loss_of_nothing_is_only_its_penalty(body):
    semantic = SemanticLoss(body, 3)
    parts, portrait = random_parts(2)
    features = F.normalize(torch.rand(3, 768, 4, 7), dim=1)
    zero = torch.zeros(1, 3, 4, 7), torch.zeros(1, 1, 4, 7)
    penalty = 0.1 * plain_penalty(doubles(semantic.basis))
    assert semantic(features[:1], *zero).item() == pytest.approx(penalty, rel=1e-5)
    both = torch.cat([zero[0], parts]), torch.cat([zero[1], portrait])
    torch.testing.assert_close(semantic(features, *both), semantic(features[1:], parts, portrait))


# --- semantic consistency -----------------------------------------------------------------------


def test_semantic_loss_is_the_mean_of_plain_ones(body):
    semantic = SemanticLoss(body, 3, orthonormality=0.3)
    parts, portrait = random_parts()
    features = torch.rand(2, 768, 4, 7) * 0.05  # also where they have not length 1
    with torch.no_grad():
        semantic.basis[:, ::3] *= -1  # what is below zero counts as zero
    basis = doubles(semantic.basis)
    expected = [
        plain_semantic(*(doubles(x[i]) for x in (features, parts)), doubles(portrait[i, 0]), basis)
        for i in range(2)
    ]
    expected = np.mean(expected) + 0.3 * plain_penalty(basis)
    assert semantic(features, parts, portrait).item() == pytest.approx(expected, rel=1e-5)


def test_a_basis_that_fits_and_is_orthonormal_costs_nothing(body):
    semantic = SemanticLoss(body, 2)
    basis = torch.zeros(2, 768)
    basis[0, 3] = basis[1, 5] = 1
    semantic.basis.data = basis
    parts = torch.zeros(1, 2, 4, 6)
    parts[:, 0, :, :3] = parts[:, 1, :, 3:] = 1
    features = torch.einsum("bkhw,kc->bchw", parts, basis)
    loss = semantic(features, parts, torch.ones(1, 1, 4, 6))
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert semantic(features, parts.flip(1), torch.ones(1, 1, 4, 6)).item() == pytest.approx(2)


def test_semantic_gradient(body):
    semantic = SemanticLoss(body, 3).double()
    parts, portrait = random_parts(1, 3, 2, 3, dtype=torch.float64)
    features = torch.rand(1, 768, 2, 3, dtype=torch.float64)
    parts.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: semantic(features, x, portrait), parts)
    semantic(features, parts, portrait).backward()
    direction, step = torch.randn_like(semantic.basis), 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            semantic.basis += sign * step * direction
            values.append(semantic(features, parts, portrait))
            semantic.basis -= sign * step * direction
    slope = (semantic.basis.grad * direction * (semantic.basis > 0)).sum()
    torch.testing.assert_close((values[0] - values[1]) / (2 * step), slope, rtol=1e-4, atol=1e-7)


def test_the_basis_starts_above_zero_with_rows_of_length_1_that_differ(body):
    basis = SemanticLoss(body, 5).basis
    assert basis.shape == (5, 256 + 512)
    assert basis.gt(0).all()
    torch.testing.assert_close(basis.norm(dim=1), torch.ones(5))
    assert (basis @ basis.T).triu(1).max() < 0.9
    assert SemanticLoss(ResNet("resnet50"), 2).basis.shape == (2, 1024 + 2048)


def test_the_basis_learns(body):
    semantic = SemanticLoss(body, 3)
    parts, portrait = random_parts()
    features = semantic.features(torch.randn(2, 3, HEIGHT, WIDTH), (4, 7))
    optimizer = torch.optim.SGD(semantic.parameters(), lr=0.01, momentum=0.9)
    first = semantic(features, parts, portrait)
    for _ in range(100):
        optimizer.zero_grad()
        loss = semantic(features, parts, portrait)
        loss.backward()
        optimizer.step()
    assert loss < first - 0.1
    assert semantic.basis.gt(0).any(dim=1).all()


def test_features_are_both_levels_at_equal_length_in_every_cell(body):
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    features = SemanticLoss(body, 2).features(images, CELLS)
    assert features.shape == (2, 768, *CELLS)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2, *CELLS))
    torch.testing.assert_close(features[:, :256].norm(dim=1), torch.full((2, *CELLS), 0.5**0.5))
    with torch.no_grad():
        c4, c5 = body(images)[2:]
    for level, part in ((c4, features[:, :256]), (c5, features[:, 256:])):
        resized = F.interpolate(level, size=CELLS, mode="bilinear", align_corners=False)
        torch.testing.assert_close(part, F.normalize(resized, dim=1) * 0.5**0.5)


def test_the_frozen_network_is_never_trained_saved_or_shared(body):
    body = ResNet("resnet18").train()
    parent = torch.nn.Sequential(PDNetLoss(3, body))
    parent.train()
    semantic = parent[0].semantic
    assert list(parent.state_dict()) == ["0.semantic.basis"]
    assert [name for name, _ in parent.named_parameters()] == ["0.semantic.basis"]
    images = torch.randn(2, 3, HEIGHT, WIDTH, requires_grad=True)
    before = semantic.features(images, CELLS)
    assert not before.requires_grad
    alone = semantic.features(images[:1], CELLS)  # would be normalised by itself in training
    torch.testing.assert_close(alone, before[:1])
    for module in body.modules():  # the network that it was copied from goes on training
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean += 1
    torch.testing.assert_close(semantic.features(images, CELLS), before, rtol=0, atol=0)
    assert body.training
    assert all(parameter.requires_grad for parameter in body.parameters())
    other = PDNetLoss(3, body)
    other.load_state_dict(parent[0].state_dict())
    torch.testing.assert_close(other.semantic.basis, semantic.basis)
