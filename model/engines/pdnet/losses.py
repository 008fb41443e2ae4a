"""The losses of PDNet: on the portrait, on its parts and on masks carried from references.

Section 4.4 of Yu, Xia and Li 2024, "Towards imbalanced motion: part-decoupling network for video
portrait segmentation"; equations are its own. Geometric concentration and semantic consistency
are from Hung et al. 2019, "SCOPS: Self-Supervised Co-Part Segmentation". All is computed in
float32 (float64 where given that), whatever precision the network ran in.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.engines.pdnet.features import Features, Output, part_masks
from model.engines.pdnet.recipes import LossWeights
from model.learning.losses import Losses, jaccard_loss, precise, segmentation_loss
from model.nn.bodies import Body
from model.nn.pictures import cell_average

TERMS = (
    *("final", "saliency_target", "saliency_reference", "auxiliary"),
    *("geometric", "semantic", "area", "readout", "jaccard"),
)
"""`auxiliary` is added up over side outputs and both streams, and `geometric`, `semantic` and
`area` over both streams (eq 6). `readout` is 0 where no target has a reference with a mask.
`jaccard` is added up over the mask and the saliency of both streams."""

EPSILON = 1e-6  # cells; keeps divisions by a mass finite
LEAST_PORTRAIT = 0.5  # cells; what covers fewer is no portrait and has no parts to be judged
LEAST_DOUBT = 1e-3  # how far from 0 and from 1 a readout is taken to be at least


@dataclass(frozen=True)
class Labelled:
    """B frames as the encoder got them, their features, and their true masks.

    `images` are B x 3 x H x W (see `to_input`), `features` encoded with
    `auxiliary=True`. `truth`, G, is B x 1 x H x W bool or number in [0, 1]: the portrait as it is,
    also where a reference comes with a mask that training has damaged on purpose. `portrait`, B
    bool, is False where the truth is something else than a portrait, a thing to be carried from
    frame to frame: nothing that a frame says by itself is judged there. None means all True.
    """

    images: Tensor
    features: Features
    truth: Tensor
    portrait: Tensor | None = None

    @property
    def portraits(self) -> "Labelled":
        """The frames whose true mask is a portrait."""
        if self.portrait is None or bool(self.portrait.all()):
            return self
        kept = self.portrait
        return Labelled(self.images[kept], self.features[kept], self.truth[kept])

    @property
    def truth_of_cells(self) -> Tensor:
        """The share of each cell that is portrait, B x 1 x h x w float32."""
        height, width = self.features.saliency.shape[-2:]
        return cell_average(self.truth[None], (height, width))[0]


def geometric_loss(parts: Tensor) -> Tensor:
    """Compute how far parts spread about their centres, a scalar, 0 for points (SCOPS; eq 7).

    The variance of position within each part of X, B x p x h x w in [0, 1], added up over parts
    and axes. Positions are -1 to 1 from edge to edge of the map, whatever its size and shape. The
    mean over the samples with a portrait; 0 where there is none.
    """
    parts = precise(parts)
    mass = parts.sum(dim=(2, 3))[..., None] + EPSILON
    spread = _variance(parts.sum(dim=2) / mass) + _variance(parts.sum(dim=3) / mass)
    return _mean(spread.sum(dim=1), _has_portrait(parts))


def area_loss(parts: Tensor) -> Tensor:
    """Compute the variance of the parts' areas, as a vector of length 1, a scalar (eq 3, 4).

    For X, B x p x h x w in [0, 1]. The population's variance: 0 for equal parts, 1/p - 1/p^2
    where one has everything. The mean over the samples with a portrait; 0 where there is none.
    """
    parts = precise(parts)
    areas = F.normalize(parts.sum(dim=(2, 3)), dim=1, eps=EPSILON)
    return _mean(areas.var(dim=1, correction=0), _has_portrait(parts))


class SemanticLoss(nn.Module):
    """How badly the parts explain the features of the portrait (SCOPS; eq 7).

    Each part has a vector, learnt, that should resemble what a frozen network sees wherever that
    part is, and differ from those of the other parts. The vectors are `basis`, all that this has
    for `parameters` and `state_dict`: the frozen network is in neither.

    Args:
        body: the network to freeze, the paper's an ImageNet ResNet-18. It is copied.
        parts: p, how many there are.
        orthonormality: the weight of vectors being different.
    """

    def __init__(self, body: Body, parts: int, orthonormality: float = 0.1) -> None:
        super().__init__()
        # A tuple hides it from saving and from train(). A copy stays frozen in any case, even
        # where the body is one that is being trained.
        self._frozen = (deepcopy(body).eval().requires_grad_(False),)
        self.orthonormality = orthonormality
        directions = torch.randn(parts, sum(body.channels[2:])).abs()  # what is seen is >= 0 too
        self.basis = nn.Parameter(F.normalize(directions, dim=1))

    def features(self, images: Tensor, size: tuple[int, ...]) -> Tensor:
        """Return C4 and C5 of B x 3 x H x W images as V, B x C x h x w float32.

        In every cell both have the same length, so that neither outweighs the other; V has 1.
        """
        with torch.no_grad():
            levels = self._frozen[0].to(images.device)(images)[2:]
            resized = [F.interpolate(level.float(), size, mode="bilinear") for level in levels]
            return F.normalize(torch.cat([F.normalize(x, dim=1) for x in resized], dim=1), dim=1)

    def forward(self, features: Tensor, parts: Tensor, portrait: Tensor) -> Tensor:
        """Compute the loss, a scalar: the mean over samples with a portrait, and the penalty.

        1/(sum Y) sum_u |Y(u) V(u) - sum_k X^k(u) w_k|^2 + orthonormality |W W^T - I|^2; in the
        penalty, W's rows have length 1. V (`features`) is B x C x h x w, X (`parts`) B x p x h x
        w in [0, 1], Y (`portrait`) B x 1 x h x w in [0, 1].
        """
        features, parts, portrait = precise(features), precise(parts), precise(portrait)
        with torch.autocast(features.device.type, enabled=False):
            W = self.basis.to(features.dtype).relu()
            unit = F.normalize(W, dim=1)
            likeness = unit @ unit.T - torch.eye(len(W), device=W.device, dtype=W.dtype)
            # The square is multiplied out: the difference itself would be as large as V.
            own = portrait.square() * features.square().sum(dim=1, keepdim=True)
            cross = portrait * parts * torch.einsum("bchw,kc->bkhw", features, W)
            told = parts * torch.einsum("blhw,lk->bkhw", parts, W @ W.T)
        error = (own + (told - 2 * cross).sum(dim=1, keepdim=True)).sum(dim=(1, 2, 3))
        error = error / (portrait.sum(dim=(1, 2, 3)) + EPSILON)
        return _mean(error, _has_portrait(portrait)) + self.orthonormality * likeness.square().sum()


def part_loss(frames: Labelled, semantic: SemanticLoss | None) -> Tensor:
    """Compute eq 6 before its sum: the geometric, semantic (or 0) and area term, a vector of 3.

    Each is the mean of two: of true parts, G D with Y = G (eq 5), and of predicted ones, S D with
    Y = S (eq 1). There S is without gradient: else a smaller portrait would make better parts.
    """
    assignment = precise(frames.features.assignment)
    if not len(assignment):
        return assignment.new_zeros(3)
    size = assignment.shape[-2:]
    V = None if semantic is None else semantic.features(frames.images, size)
    S = precise(frames.features.saliency).sigmoid().detach()
    terms = []
    for Y in (frames.truth_of_cells, S):
        X = part_masks(Y, assignment)
        resembling = X.new_zeros(()) if semantic is None else semantic(V, X, Y)
        terms.append(torch.stack([geometric_loss(X), resembling, area_loss(X)]))
    return torch.stack(terms).mean(dim=0)


def readout_loss(readout: Tensor, target: Tensor, given: Tensor) -> Tensor:
    """Compute the cross-entropy of carried masks, a scalar: the mean over guided targets, or 0.

    `readout` and `target`, the share of each cell that is portrait, are B x 1 x h x w in [0, 1];
    `given`, v, is B x M, or 1 x M for all, 1 where a reference has a mask and 0 where not.
    """
    # Squeezed, so that what is surely wrong keeps its gradient; a clamp would take that. The
    # clamp is for what rounding put beyond 0 and 1.
    readout = LEAST_DOUBT + (1 - 2 * LEAST_DOUBT) * precise(readout).clamp(0, 1)
    entropy = -(target * readout.log() + (1 - target) * (1 - readout).log())
    return _mean(entropy.mean(dim=(1, 2, 3)), (given > 0).any(dim=1).expand(len(entropy)))


class PDNetLoss(nn.Module):
    """The loss of a network in training. Its one parameter, `semantic.basis`, is trained along.

    Args:
        parts: p of the network. With one, there is nothing to learn of parts (table 4); with
            none, there is no attention to read out either.
        body: for `SemanticLoss`; without it, ValueError where that term counts for something.
        weights: what each term counts for.
    """

    def __init__(
        self, parts: int, body: Body | None = None, weights: LossWeights | None = None
    ) -> None:
        super().__init__()
        self.parts, self.weights = parts, weights or LossWeights()
        self.semantic: SemanticLoss | None = None
        if parts > 1 and self.weights.semantic:
            if body is None:
                raise ValueError(f"the semantic loss of {parts} parts needs a body: pass `body`")
            self.semantic = SemanticLoss(body, parts, self.weights.orthonormality)

    def forward(
        self, targets: Labelled, references: Labelled, output: Output, given: Tensor, ramp: float
    ) -> Losses:
        """Compute the losses of B targets and of their R * M references; terms are of `TERMS`.

        `output` is what the decoder says of the targets; `given`, R x M, is which references came
        with a mask (v of `ReferenceFeatures`). The terms of parts count by `ramp`, 0 to 1.
        """
        weights, l1 = self.weights, self.weights.l1
        streams = targets.portraits, references.portraits
        final = segmentation_loss(output.logits, targets.truth, l1)
        # S is judged at its own size, by shares of cells: as such it is used (eq 1, 4), and as
        # such a human's mask takes its place.
        S = [segmentation_loss(f.features.saliency, f.truth_of_cells, l1) for f in streams]
        sides = [_auxiliary_loss(f.features, f.truth, l1) for f in streams]
        auxiliary = sides[0] + sides[1]
        total = final + S[0] + S[1] + weights.auxiliary * auxiliary
        terms = {
            "final": final,
            "saliency_target": S[0],
            "saliency_reference": S[1],
            "auxiliary": auxiliary,
        }
        if weights.jaccard:
            jaccard = jaccard_loss(output.logits, targets.truth)
            terms["jaccard"] = jaccard + sum(
                jaccard_loss(f.features.saliency, f.truth_of_cells) for f in streams
            )
            total = total + weights.jaccard * terms["jaccard"]
        if self.parts > 1:
            of_targets, of_references = (part_loss(f, self.semantic) for f in streams)
            terms["geometric"], semantic, terms["area"] = of_targets + of_references
            parts = weights.geometric * terms["geometric"] + weights.semantic * semantic
            total = total + ramp * (parts + weights.area * terms["area"])
            if self.semantic is not None:
                terms["semantic"] = semantic
        if self.parts:
            terms["readout"] = readout_loss(output.readout, targets.truth_of_cells, given)
            total = total + weights.readout * terms["readout"]
        return Losses(total, terms)

    def image_loss(self, features: Features, truth: Tensor) -> Losses:
        """Compute the loss of single images, which train only the encoder and its side outputs.

        `features` are encoded with `auxiliary=True`; `truth` is B x 1 x H x W in [0, 1] or bool.
        """
        auxiliary = _auxiliary_loss(features, truth, self.weights.l1)
        return Losses(self.weights.auxiliary * auxiliary, {"auxiliary": auxiliary})


def _auxiliary_loss(features: Features, truth: Tensor, l1_weight: float) -> Tensor:
    if not features.auxiliary.shape[1]:  # a sum of nothing would go unnoticed
        raise ValueError("there are no side outputs; use encode(images, auxiliary=True)")
    sides = [side[:, None] for side in features.auxiliary.unbind(dim=1)]
    return torch.stack([segmentation_loss(side, truth, l1_weight) for side in sides]).sum()


def _variance(density: Tensor) -> Tensor:
    """Return the variance of position of B x p densities over n cells, which span -1 to 1."""
    cells = density.shape[-1]
    position = torch.arange(1 - cells, cells, 2, device=density.device).to(density) / cells
    centre = (density * position).sum(dim=-1, keepdim=True)
    return (density * (position - centre).square()).sum(dim=-1)


def _has_portrait(masks: Tensor) -> Tensor:
    return masks.detach().sum(dim=(1, 2, 3)) >= LEAST_PORTRAIT


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of those of B values that are counted; 0, and gradient 0, if none is."""
    return (values * counted).sum() / counted.sum().clamp(min=1)
