"""How GAM is trained: it gets the first mask of a run of frames and predicts all others."""

import torch
from torch import nn
from torch.nn import functional as F

from model.engines.gam.network import EARLIER, GAM, MASK_STRIDE, Memory
from model.learning.learner import Groups, parameter_groups, without
from model.learning.losses import Losses, jaccard_loss, segmentation_loss
from model.learning.recipe import Recipe
from model.nn.bodies import Body
from model.nn.pictures import cell_average, to_input
from model.nn.precision import precision
from model.samples.sample import Batch


class GAMLearner:
    """GAM in training, see `Learner`.

    The references of a sample are the frames before its target, the first one with a mask. What
    is found in a frame is remembered with it, as in use, and gradients pass through that.

    Args:
        network: with its first weights.
        recipe: with which losses, and how fast.
    """

    terms = ("final", "jaccard")

    def __init__(self, network: GAM, recipe: Recipe) -> None:
        self.network, self.recipe = network, recipe
        self.loss = nn.Module()  # nothing of it is learnt

    @property
    def bodies(self) -> tuple[Body, Body]:
        """The backbones."""
        return self.network.bodies

    def groups(self) -> dict[str, Groups]:
        """Every step trains all parameters."""
        recipe = self.recipe
        bodies = [p for body in self.bodies for p in body.parameters()]
        rest = without(self.network.parameters(), bodies)
        return {
            "video": [
                *parameter_groups(bodies, recipe.backbone_rate, recipe.weight_decay),
                *parameter_groups(rest, recipe.rate, recipe.weight_decay, recipe.scalar_rate),
            ]
        }

    def losses(self, batch: Batch, ramp: float) -> Losses:
        """Compute the mean losses of all frames of the runs but the first."""
        network, weights = self.network, self.recipe.losses
        images = torch.cat([batch.reference_images, batch.images[:, None]], dim=1)
        truths = torch.cat([batch.reference_masks[:, 1:], batch.masks[:, None]], dim=1)
        runs, length = images.shape[:2]
        with precision(images.device):
            features = network.encode(to_input(images.transpose(0, 1).flatten(0, 1)))
            given = batch.guides[:, 0].float()
            coarse = cell_average(given[None], _fine(features.fine.shape))[0]
            earlier = coarse.expand(-1, EARLIER, -1, -1)
            memory = Memory(network.remember(features[:runs], given), 1.0)
            final = jaccard = memory.total.new_zeros(())
            for number in range(1, length):
                frames = features[number * runs : (number + 1) * runs]
                logits = network.recall(frames, memory, earlier)
                full = F.interpolate(logits, scale_factor=float(MASK_STRIDE), mode="bilinear")
                truth = truths[:, number - 1]
                final = final + segmentation_loss(full, truth, weights.l1) / (length - 1)
                jaccard = jaccard + jaccard_loss(full, truth) / (length - 1)
                if number < length - 1:
                    earlier = torch.cat([logits.sigmoid(), earlier[:, :-1]], dim=1)
                    memory = network.update(memory, network.remember(frames, full.sigmoid()))
        return Losses(final + weights.jaccard * jaccard, {"final": final, "jaccard": jaccard})


def _fine(shape: torch.Size) -> tuple[int, int]:
    return shape[-2], shape[-1]
