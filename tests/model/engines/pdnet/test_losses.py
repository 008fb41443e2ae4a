"""The loss as a whole: which terms are in it, what they are of, and where gradients go."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.drivers.matcher import ReferenceFeatures
from model.engines.pdnet.losses import Labelled, PDNetLoss, SemanticLoss, part_loss
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import LossWeights, PDNetConfig
from model.learning.losses import Losses, segmentation_loss
from tests.model.plain_losses import (
    CELLS,
    HEIGHT,
    WIDTH,
    doubles,
    plain_area,
    plain_cells,
    plain_geometric,
    plain_jaccard,
    plain_penalty,
    plain_readout,
    plain_segmentation,
    plain_semantic,
    random_parts,
    sigmoid,
)

pytestmark = pytest.mark.usefixtures("seeded")


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


@pytest.mark.slow
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
    of_parts = losses.terms["geometric"] + losses.terms["semantic"] + losses.terms["area"]
    for frames in (batch.targets, batch.references):
        saliency, assignment = frames.features.saliency, frames.features.assignment
        none, some = torch.autograd.grad(
            of_parts, [saliency, assignment], retain_graph=True, allow_unused=True
        )
        assert none is None
        assert some.abs().sum() > 0
    saliency = batch.targets.features.saliency
    assert torch.autograd.grad(losses.terms["saliency_target"], saliency)[0].abs().sum() > 0


def test_the_terms_of_parts_come_in_by_the_ramp_alone(body):
    batch, loss = Batch(), PDNetLoss(3, body)
    start, end = (batch.losses(loss, ramp) for ramp in (0.0, 1.0))
    torch.testing.assert_close(end.terms["geometric"], start.terms["geometric"])
    of_parts = end.terms["geometric"] + end.terms["semantic"] + end.terms["area"]
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
    assert "semantic" not in found.terms
    assert torch.equal(found.terms["geometric"], full.terms["geometric"])
    assert found.total.item() == pytest.approx(
        (full.total - full.terms["semantic"]).item(), rel=1e-5
    )


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
    found = [losses.total, *losses.terms.values()]
    assert {value.dtype for value in found} == {torch.float32}
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
    assert cast.numbers()["total"] == pytest.approx(exact.numbers()["total"], rel=2e-3)
    for name, value in exact.terms.items():
        tolerance = 2e-3 if name == "semantic" else 0
        torch.testing.assert_close(cast.terms[name], value, rtol=tolerance, atol=0)
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
    assert losses.terms["auxiliary"].item() == pytest.approx(plain_sides(batch.targets), rel=1e-5)
    assert losses.total.item() == pytest.approx(0.4 * losses.terms["auxiliary"].item(), rel=1e-6)
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
    assert torch.autograd.grad(losses.terms["readout"], query, retain_graph=True)[0].abs().sum() > 0
    saliency = batch.targets.features.saliency
    assert torch.autograd.grad(losses.terms["final"], saliency)[0].abs().sum() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_frozen_network_follows_its_images_to_another_device(body):
    semantic = SemanticLoss(body, 3)
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    expected = semantic.features(images, CELLS)
    found = semantic.cuda().features(images.cuda(), CELLS)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-2, atol=1e-3)
