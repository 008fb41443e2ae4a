"""How PDNet is trained: on targets with references, and on single images."""

from dataclasses import replace

import torch

from labeler.console import note
from labeler.errors import LabelerError
from model.drivers.matcher import ReferenceFeatures
from model.engines.pdnet.losses import TERMS, Labelled, PDNetLoss
from model.engines.pdnet.network import PDNet
from model.learning.learner import Groups, parameter_groups, without
from model.learning.losses import Losses
from model.learning.recipe import Recipe
from model.nn.bodies import Body, load_imagenet, make_body
from model.nn.pictures import cell_average, to_input
from model.nn.precision import precision
from model.samples.sample import Batch

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
