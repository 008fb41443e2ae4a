"""How PDNet is trained: on targets with references, and on single images."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from labeler.console import note
from labeler.errors import LabelerError
from model.drivers.matcher import ReferenceFeatures
from model.engines.pdnet.features import Features, unguided
from model.engines.pdnet.losses import TERMS, Labelled, PDNetLoss
from model.engines.pdnet.network import PDNet
from model.learning.learner import Groups, parameter_groups, without
from model.learning.losses import Losses
from model.learning.recipe import Recipe
from model.nn.bodies import Body, load_imagenet, make_body
from model.nn.pictures import cell_average, to_input
from model.nn.precision import precision
from model.samples.sample import Batch
from model.segmenter import THRESHOLD

SURE = 0.95
"""The least probability of a label that is learnt from the network's own mean (FixMatch's)."""

BASIS_RATE = 1e-2
"""Learning rate of the semantic loss's basis, which is no part of the network."""


class PDNetLearner:
    """PDNet in training, see `Learner`.

    Args:
        network: with its first weights.
        recipe: with which losses, and how fast.
        seeing: a body that knows ImageNet, which the semantic loss freezes; without one that term
            is off.
    """

    terms = TERMS

    def __init__(self, network: PDNet, recipe: Recipe, seeing: Body | None = None) -> None:
        self.network, self.recipe = network, recipe
        weights = recipe.losses if seeing is not None else replace(recipe.losses, semantic=0.0)
        self.loss = PDNetLoss(network.config.parts, seeing, weights)

    @property
    def bodies(self) -> tuple[Body]:
        """The backbone."""
        return (self.network.body,)

    def groups(self) -> dict[str, Groups]:
        """One for each kind of step: a switched-off parameter would keep moving by momentum."""
        recipe, network = self.recipe, self.network
        body = list(network.body.parameters())
        encoder = [*network.pyramid.parameters(), *network.sides.parameters()]
        rest = without(network.parameters(), body)
        basis = {"params": list(self.loss.parameters()), "maximum": BASIS_RATE, "weight_decay": 0.0}
        decay = recipe.weight_decay
        return {
            "video": [
                *parameter_groups(body, recipe.backbone_rate, decay),
                *parameter_groups(rest, recipe.rate, decay, recipe.scalar_rate),
                *([basis] if basis["params"] else []),
            ],
            "image": [*parameter_groups([*body, *encoder], recipe.image_rate, decay)],
        }

    @torch.no_grad()
    def pseudo_labelled(self, batch: Batch, teacher: nn.Module) -> Batch:
        """Label a batch with what a teacher finds in each weak view by itself.

        A pixel is sure where the teacher's probability is at most 1 - SURE or at least SURE, as in
        FixMatch (Sohn et al. 2020, eq 4), and where somebody was pasted in.
        """
        assert isinstance(teacher, PDNet)
        views = batch.weak.flatten(0, 1)
        with precision(views.device):
            features = teacher.encode(to_input(views))
            logits = teacher.decode(features, unguided(features, sets=len(features))).logits
        probability = logits.sigmoid().reshape(*batch.weak.shape[:2], *logits.shape[1:])
        pasted = torch.cat([batch.masks[:, None], batch.reference_masks], dim=1)
        masks = pasted | (probability >= THRESHOLD)
        sure = pasted | (probability >= SURE) | (probability <= 1 - SURE)
        return replace(batch, masks=masks[:, 0], reference_masks=masks[:, 1:], sure=sure)

    def losses(self, batch: Batch, ramp: float) -> Losses:
        """Compute the losses of targets with references, or of single images."""
        count = batch.given.shape[1]
        device = batch.images.device
        images = torch.cat([batch.images, batch.reference_images.flatten(0, 1)])
        with precision(device):
            pixels = to_input(images)
            # Together, so that batch statistics are of targets and references alike.
            features = self.network.encode(pixels, auxiliary=True)
            if not count:
                return self.loss.image_loss(features, batch.masks)
            size = (features.saliency.shape[-2], features.saliency.shape[-1])
            targets, references = features[: len(batch)], features[len(batch) :]
            guides = cell_average(batch.guides, size)
            output = self.network.decode(
                targets, ReferenceFeatures(references, guides, batch.given, batch.distance)
            )
            if batch.sure.shape[1]:
                sure, masks = batch.sure, batch.masks
                output = replace(output, logits=excused(output.logits, masks, sure[:, 0]))
                targets = _excused(targets, masks, sure[:, 0])
                given = batch.reference_masks.flatten(0, 1), sure[:, 1:].flatten(0, 1)
                references = _excused(references, *given)
            found: Losses = self.loss(
                Labelled(pixels[: len(batch)], targets, batch.masks, batch.portrait),
                Labelled(
                    pixels[len(batch) :],
                    references,
                    batch.reference_masks.flatten(0, 1),
                    batch.portrait.repeat_interleave(count),
                ),
                output,
                batch.given,
                ramp,
            )
            return found


def excused(logits: Tensor, truth: Tensor, sure: Tensor) -> Tensor:
    """Replace the logits, B x 1 x H x W, of pixels that are not sure by those of their label.

    So no loss has a gradient there. `truth` is bool or a share in [0, 1], `sure` is bool.
    """
    label = truth.float().clamp(1 - SURE, SURE).logit()
    return torch.where(sure, logits, label.to(logits.dtype))


def _excused(features: Features, truth: Tensor, sure: Tensor) -> Features:
    """Excuse frames, B x 1 x H x W, from what is not sure; a cell is sure if all its pixels are."""
    size = (features.saliency.shape[-2], features.saliency.shape[-1])
    cells, whole = cell_average(truth[None], size)[0], cell_average(sure[None], size)[0] > 0.999
    return replace(
        features,
        saliency=excused(features.saliency, cells, whole),
        auxiliary=excused(features.auxiliary, truth, sure),
    )


def seeing_body(recipe: Recipe) -> Body | None:
    """The frozen backbone of the semantic loss; None without that term or without weights."""
    if not recipe.losses.semantic:
        return None
    body = make_body(recipe.semantic_body)
    try:
        load_imagenet(body)
    except LabelerError as error:
        note(f"the semantic loss is off, as {recipe.semantic_body} knows no pictures: {error}")
        return None
    return body
