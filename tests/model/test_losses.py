"""Losses against slow, plain re-computations, and the traps that each of them has."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model.features import ReferenceFeatures, part_masks
from model.pdnet import PDNet, PDNetConfig
from model.resnet import ResNet
from model.training.losses import (
    Labelled,
    Losses,
    LossWeights,
    PDNetLoss,
    SemanticLoss,
    area_loss,
    geometric_loss,
    jaccard_loss,
    part_loss,
    readout_loss,
    segmentation_loss,
)

Array = NDArray[np.float64]
HEIGHT, WIDTH = 64, 96
CELLS = (HEIGHT // 8, WIDTH // 8)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def body() -> ResNet:
    torch.manual_seed(1)
    return ResNet("resnet18").eval()


# --- plain re-computations: one sample, float64, loops ------------------------------------------


def plain_segmentation(logits: Array, target: Array, l1_weight: float) -> float:
    share = min(max(target.mean(), 0.05), 0.95)
    entropy = distance = 0.0
    for x, y in zip(logits.ravel(), target.ravel(), strict=True):
        s = 1 / (1 + math.exp(-x))
        entropy -= (1 - share) * y * math.log(s) + share * (1 - y) * math.log(1 - s)
        distance += abs(s - y)
    return (entropy + l1_weight * distance) / logits.size


def plain_jaccard(logits: Array, target: Array) -> float:
    both = either = 1.0
    for x, y in zip(logits.ravel(), target.ravel(), strict=True):
        s = 1 / (1 + math.exp(-x))
        both += s * y
        either += s + y - s * y
    return 1 - both / either


def plain_geometric(parts: Array) -> float:
    height, width = parts.shape[1:]
    total = 0.0
    for part in parts:
        cells = [
            (part[i, j], 2 * (j + 0.5) / width - 1, 2 * (i + 0.5) / height - 1)
            for i in range(height)
            for j in range(width)
        ]
        mass = sum(x for x, _, _ in cells) + 1e-6
        across = sum(x * u for x, u, _ in cells) / mass
        down = sum(x * v for x, _, v in cells) / mass
        total += sum(((u - across) ** 2 + (v - down) ** 2) * x / mass for x, u, v in cells)
    return total


def plain_semantic(features: Array, parts: Array, portrait: Array, basis: Array) -> float:
    vectors = [[max(value, 0.0) for value in row] for row in basis.tolist()]
    error = mass = 0.0
    for i in range(portrait.shape[0]):
        for j in range(portrait.shape[1]):
            mass += portrait[i, j]
            for c in range(len(features)):
                told = sum(parts[k, i, j] * vectors[k][c] for k in range(len(parts)))
                error += (portrait[i, j] * features[c, i, j] - told) ** 2
    return error / mass


def plain_penalty(basis: Array) -> float:
    rows = np.maximum(basis, 0)
    penalty = 0.0
    for k, one in enumerate(rows):
        for other_k, other in enumerate(rows):
            cosine = one @ other / math.sqrt((one @ one) * (other @ other))
            penalty += (cosine - (k == other_k)) ** 2
    return penalty


def plain_area(parts: Array) -> float:
    areas = [float(sum(value for row in part for value in row)) for part in parts]
    length = max(math.sqrt(sum(a * a for a in areas)), 1e-6)
    shares = [a / length for a in areas]
    mean = sum(shares) / len(shares)
    return sum((share - mean) ** 2 for share in shares) / len(shares)


def plain_readout(readout: Array, target: Array) -> float:
    total = 0.0
    for r, y in zip(readout.ravel(), target.ravel(), strict=True):
        r = 1e-3 + 0.998 * r
        total -= y * math.log(r) + (1 - y) * math.log(1 - r)
    return total / readout.size


def plain_cells(truth: Array) -> Array:
    """Averages over 8 x 8 pixels."""
    height, width = truth.shape
    return np.array(
        [
            [truth[i : i + 8, j : j + 8].mean() for j in range(0, width, 8)]
            for i in range(0, height, 8)
        ]
    )


def doubles(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


def sigmoid(tensor: Tensor) -> Array:
    return 1 / (1 + np.exp(-doubles(tensor)))


def random_parts(
    samples: int = 2, parts: int = 3, height: int = 4, width: int = 7, dtype=torch.float32
) -> tuple[Tensor, Tensor]:
    """Parts and the portrait they share."""
    portrait = torch.rand(samples, 1, height, width, dtype=dtype)
    assignment = torch.randn(samples, parts, height, width, dtype=dtype).softmax(dim=1)
    return part_masks(portrait, assignment), portrait


# --- segmentation -------------------------------------------------------------------------------


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


# --- readout ------------------------------------------------------------------------------------


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


# --- all together -------------------------------------------------------------------------------


class Batch:
    """Two targets with two references each, through a small network; the second is unguided."""

    def __init__(self, parts: int = 3, truth: str = "discs") -> None:
        torch.manual_seed(3)
        self.network = PDNet(PDNetConfig("resnet18", width=16, compressed=8, parts=parts))
        self.given = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
        self.targets = self.frames(2, truth)
        self.references = self.frames(4, truth)
        masks = self.references.truth_of_cells.reshape(2, 2, 1, *CELLS)
        references = ReferenceFeatures(
            self.references.features,
            masks * self.given[:, :, None, None, None],
            self.given,
            torch.rand(2, 2),
        )
        self.output = self.network.decode(self.targets.features, references)

    def frames(self, count: int, truth: str) -> Labelled:
        images = torch.randn(count, 3, HEIGHT, WIDTH)
        y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
        radius = {"empty": 0, "discs": 20, "full": 1000}[truth] + 3 * torch.arange(count)
        masks = (y - 30) ** 2 + (x - 40) ** 2 < radius[:, None, None] ** 2
        masks = masks & (truth != "empty")
        return Labelled(images, self.network.encode(images, auxiliary=True), masks[:, None])

    def streams(self, targets: int, references: int) -> list[tuple[Labelled, int]]:
        return [(self.targets, targets), (self.references, references)]

    def losses(self, loss: PDNetLoss, ramp: float = 1.0) -> Losses:
        return loss(self.targets, self.references, self.output, self.given, ramp)


def plain_parts(frames: Labelled, semantic: SemanticLoss) -> list[float]:
    """Eq 6 of a batch: geometric, semantic, area."""
    seen = doubles(semantic.features(frames.images, CELLS))
    basis = doubles(semantic.basis)
    assignment = doubles(frames.features.assignment)
    rows = []
    for i in range(len(assignment)):
        truth = plain_cells(doubles(frames.truth[i, 0]))
        saliency = sigmoid(frames.features.saliency[i, 0])
        for portrait in (truth, saliency):
            parts = portrait * assignment[i]
            rows.append(
                [
                    plain_geometric(parts),
                    plain_semantic(seen[i], parts, portrait, basis) + 0.1 * plain_penalty(basis),
                    plain_area(parts),
                ]
            )
    return np.mean(rows, axis=0).tolist()


def plain_saliency(frames: Labelled) -> float:
    pairs = zip(doubles(frames.features.saliency[:, 0]), doubles(frames.truth[:, 0]), strict=True)
    return float(np.mean([plain_segmentation(x, plain_cells(y), 0.8) for x, y in pairs]))


def plain_sides(frames: Labelled) -> float:
    """Added over the outputs, the mean over frames."""
    pairs = zip(doubles(frames.features.auxiliary), doubles(frames.truth[:, 0]), strict=True)
    return float(np.mean([sum(plain_segmentation(x, y, 0.8) for x in xs) for xs, y in pairs]))


def test_every_term_is_what_a_plain_computation_gives(body):
    batch, loss = Batch(), PDNetLoss(3, body)
    found = batch.losses(loss, ramp=0.25).numbers()
    finals = zip(doubles(batch.output.logits), doubles(batch.targets.truth), strict=True)
    cells = plain_cells(doubles(batch.targets.truth[0, 0]))  # only the first target is guided
    both = plain_parts(batch.targets, loss.semantic), plain_parts(batch.references, loss.semantic)
    geometric, semantic, area = (a + b for a, b in zip(*both, strict=True))
    expected = {
        "final": np.mean([plain_segmentation(x, y, 0.8) for x, y in finals]),
        "saliency_target": plain_saliency(batch.targets),
        "saliency_reference": plain_saliency(batch.references),
        "auxiliary": plain_sides(batch.targets) + plain_sides(batch.references),
        "geometric": geometric,
        "semantic": semantic,
        "area": area,
        "readout": plain_readout(doubles(batch.output.readout[0, 0]), cells),
    }
    total = expected["final"] + expected["saliency_target"] + expected["saliency_reference"]
    total += 0.4 * expected["auxiliary"] + 0.25 * (geometric + semantic + area)
    expected["total"] = total + 0.5 * expected["readout"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_what_is_no_portrait_is_judged_only_where_it_is_carried(body):
    batch, loss = Batch(), PDNetLoss(3, body)
    first = [Labelled(f.images[:n], f.features[:n], f.truth[:n]) for f, n in batch.streams(1, 2)]
    batch.targets = replace(batch.targets, portrait=torch.tensor([True, False]))
    batch.references = replace(batch.references, portrait=torch.tensor([True] * 2 + [False] * 2))
    found, everything = batch.losses(loss).numbers(), Batch().losses(loss).numbers()
    assert found["final"] == pytest.approx(everything["final"])
    assert found["readout"] == pytest.approx(everything["readout"])
    assert found["saliency_target"] == pytest.approx(plain_saliency(first[0]), rel=1e-4)
    assert found["saliency_reference"] == pytest.approx(plain_saliency(first[1]), rel=1e-4)
    sides = plain_sides(first[0]) + plain_sides(first[1])
    assert found["auxiliary"] == pytest.approx(sides, rel=1e-4)
    parts = [a + b for a, b in zip(*(plain_parts(f, loss.semantic) for f in first), strict=True)]
    assert [found[name] for name in ("geometric", "semantic", "area")] == pytest.approx(
        parts, rel=1e-4
    )


def test_a_batch_without_any_portrait_has_finite_losses_and_gradients(body):
    batch, loss = Batch(), PDNetLoss(3, body)
    batch.targets = replace(batch.targets, portrait=torch.zeros(2, dtype=torch.bool))
    batch.references = replace(batch.references, portrait=torch.zeros(4, dtype=torch.bool))
    losses = batch.losses(loss)
    found = losses.numbers()
    assert found["saliency_target"] == found["auxiliary"] == found["geometric"] == 0
    assert found["total"] == pytest.approx(found["final"] + 0.5 * found["readout"])
    losses.total.backward()
    gradients = [p.grad for p in batch.network.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_every_weight_weighs_its_own_term(body):
    batch = Batch()
    weights = LossWeights(0.5, 0.7, 2.0, 3.0, 5.0, 7.0, 0.0, 11.0)
    found = batch.losses(PDNetLoss(3, body, weights), ramp=0.5).numbers()
    expected = found["final"] + found["saliency_target"] + found["saliency_reference"]
    expected += 0.7 * found["auxiliary"] + 7 * found["readout"]
    expected += 0.5 * (2 * found["geometric"] + 3 * found["semantic"] + 5 * found["area"])
    expected += 11 * found["jaccard"]
    assert found["total"] == pytest.approx(expected, rel=1e-5)
    of_streams = [
        (f.features.saliency, f.truth_of_cells) for f in (batch.targets, batch.references)
    ]
    pairs = [(batch.output.logits, batch.targets.truth), *of_streams]
    jaccard = [
        np.mean([plain_jaccard(x, y) for x, y in zip(doubles(xs), doubles(ys), strict=True)])
        for xs, ys in pairs
    ]
    assert found["jaccard"] == pytest.approx(sum(jaccard), rel=1e-4)
    target = segmentation_loss(batch.output.logits, batch.targets.truth, 0.5).item()
    assert found["final"] == pytest.approx(target)


def test_saliency_gets_no_gradient_from_the_terms_of_parts(body):
    batch, loss = Batch(), PDNetLoss(3, body)
    losses = batch.losses(loss)
    of_parts = losses.geometric + losses.semantic + losses.area
    for frames in (batch.targets, batch.references):
        saliency, assignment = frames.features.saliency, frames.features.assignment
        none, some = torch.autograd.grad(
            of_parts, [saliency, assignment], retain_graph=True, allow_unused=True
        )
        assert none is None
        assert some.abs().sum() > 0
    saliency = batch.targets.features.saliency
    assert torch.autograd.grad(losses.saliency_target, saliency)[0].abs().sum() > 0


def test_the_terms_of_parts_come_in_by_the_ramp_alone(body):
    batch, loss = Batch(), PDNetLoss(3, body)
    start, end = (batch.losses(loss, ramp) for ramp in (0.0, 1.0))
    torch.testing.assert_close(end.geometric, start.geometric)
    of_parts = end.geometric + end.semantic + end.area
    torch.testing.assert_close(end.total - start.total, of_parts)


def test_one_part_has_no_terms_of_parts_and_none_has_no_readout_either():
    whole = {"final", "saliency_target", "saliency_reference", "auxiliary"}
    one, none = Batch(parts=1), Batch(parts=0)
    assert set(one.losses(PDNetLoss(1)).numbers()) == whole | {"total", "readout"}
    losses = none.losses(PDNetLoss(0))
    assert set(losses.numbers()) == whole | {"total"}
    losses.total.backward()
    assert list(PDNetLoss(1).parameters()) == []


def test_without_weight_the_semantic_term_is_not_computed(body):
    batch = Batch()
    found = batch.losses(PDNetLoss(3, weights=LossWeights(semantic=0.0)))
    full = batch.losses(PDNetLoss(3, body))
    assert found.semantic is None
    assert torch.equal(found.geometric, full.geometric)
    assert found.total.item() == pytest.approx((full.total - full.semantic).item(), rel=1e-5)


def test_several_parts_need_a_body():
    with pytest.raises(ValueError, match="pass `body`"):
        PDNetLoss(2)


@pytest.mark.parametrize("truth", ["empty", "discs", "full"])
@pytest.mark.parametrize("autocast", [False, True])
def test_every_parameter_gets_a_finite_gradient(body, truth, autocast):
    loss = PDNetLoss(3, body, LossWeights(jaccard=1.0))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        batch = Batch(truth=truth)
        losses = batch.losses(loss)
    assert losses.total.isfinite()
    assert {value.dtype for value in vars(losses).values()} == {torch.float32}
    losses.total.backward()
    for name, parameter in (*batch.network.named_parameters(), *loss.named_parameters()):
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_autocast_changes_no_loss(body):
    """Of given features: nothing but the frozen network runs in the lower precision."""
    batch, loss = Batch(), PDNetLoss(3, body, LossWeights(jaccard=1.0))
    exact = batch.losses(loss)
    with torch.autocast("cpu", torch.bfloat16):
        cast = batch.losses(loss)
    for name, value in vars(exact).items():
        tolerance = 2e-3 if name in ("semantic", "total") else 0
        torch.testing.assert_close(getattr(cast, name), value, rtol=tolerance, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss.semantic.features(batch.targets.images, CELLS).dtype == torch.float32
    parts, portrait = random_parts()
    features = torch.rand(2, 768, 4, 7) * 0.05
    plain = loss.semantic(features, parts, portrait)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loss.semantic(features, parts, portrait), plain, rtol=0, atol=0)


def test_no_portrait_predicted_leaves_only_the_true_half(body):
    batch, semantic = Batch(), SemanticLoss(body, 3, orthonormality=0.0)
    features = batch.targets.features
    faint = replace(features, saliency=torch.full_like(features.saliency, -30.0))
    found = part_loss(replace(batch.targets, features=faint), semantic)
    certain = replace(features, saliency=batch.targets.truth_of_cells.logit(1e-7))
    both = part_loss(replace(batch.targets, features=certain), semantic)
    torch.testing.assert_close(found, both / 2, rtol=1e-4, atol=1e-6)


def test_images_train_only_the_encoder_and_its_side_outputs(body):
    batch, loss = Batch(), PDNetLoss(3, body)
    losses = loss.image_loss(batch.targets.features, batch.targets.truth)
    assert set(losses.numbers()) == {"total", "auxiliary"}
    assert losses.auxiliary.item() == pytest.approx(plain_sides(batch.targets), rel=1e-5)
    assert losses.total.item() == pytest.approx(0.4 * losses.auxiliary.item(), rel=1e-6)
    losses.total.backward()
    for name, parameter in batch.network.named_parameters():
        trained = name.startswith(("body.", "pyramid.", "sides."))
        assert (parameter.grad is not None) == trained, name


def test_features_without_side_outputs_are_refused(body):
    batch = Batch()
    bare = batch.network.encode(batch.targets.images)
    with pytest.raises(ValueError, match="auxiliary=True"):
        PDNetLoss(3, body).image_loss(bare, batch.targets.truth)


def test_the_final_loss_reaches_saliency_and_the_readout_reaches_attention(body):
    batch, loss = Batch(), PDNetLoss(3, body)
    losses = batch.losses(loss)
    query = batch.network.attention.query.weight
    assert torch.autograd.grad(losses.readout, query, retain_graph=True)[0].abs().sum() > 0
    saliency = batch.targets.features.saliency
    assert torch.autograd.grad(losses.final, saliency)[0].abs().sum() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_frozen_network_follows_its_images_to_another_device(body):
    semantic = SemanticLoss(body, 3)
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    expected = semantic.features(images, CELLS)
    found = semantic.cuda().features(images.cuda(), CELLS)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-2, atol=1e-3)
