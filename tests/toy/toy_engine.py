"""An engine in a package of its own: who is lighter than what is around is a person."""

from dataclasses import dataclass

import torch
from torch import nn

from labeler.reference import nearest_on_both_sides
from model.drivers.matcher import Matcher
from model.drivers.options import MatcherOptions
from model.engine import Engine
from model.learning.learner import parameter_groups
from model.learning.losses import Losses, segmentation_loss
from model.learning.recipe import Recipe
from model.samples.sample_recipe import QUICK


@dataclass(frozen=True)
class ToyConfig:
    width: int = 4


@dataclass(frozen=True)
class Light:
    """What is kept of a batch of frames."""

    features: torch.Tensor
    nbytes = 0

    def __getitem__(self, index):
        return Light(self.features[index])

    @staticmethod
    def cat(batches):
        return Light(torch.cat([batch.features for batch in batches]))


class Toy(nn.Module):
    mask_stride = 8

    def __init__(self, config):
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(3, config.width, 3, padding=1), nn.ReLU())
        self.say = nn.Conv2d(config.width, 1, 1)

    def encode(self, images):
        return Light(self.look(images))

    def decode(self, targets, references):
        """A given mask makes whoever is there a little more probable."""
        known = references.masks[..., 0, :, :].mean(dim=1, keepdim=True)
        logits = self.say(targets.features).float()
        return Decoded(logits + nn.functional.interpolate(known, logits.shape[-2:]))


@dataclass
class Decoded:
    logits: torch.Tensor


class ToyLearner:
    terms, bodies = ("final",), ()

    def __init__(self, network, recipe):
        self.network, self.recipe, self.loss = network, recipe, nn.Module()

    def groups(self):
        return {"video": [*parameter_groups(self.network.parameters(), self.recipe.rate, 0.0)]}

    def losses(self, batch, ramp):
        logits = self.network.say(self.network.look(batch.images.permute(0, 3, 1, 2) / 255.0))
        final = segmentation_loss(logits, batch.masks)
        return Losses(final, {"final": final})


RECIPE = Recipe(
    *("toy-quick", "toy", "toy-tiny", QUICK),
    size=64, batch_size=2, image_steps=0, video_steps=1, optimiser="adamw", rate=1e-2,
    imagenet=False, further=("toy-tiny",),
)  # fmt: skip

ENGINE = Engine(
    "toy",
    {"toy-tiny": ToyConfig()},
    Toy,
    lambda network, use: Matcher(network, use, nearest_on_both_sides),
    ToyLearner,
    (RECIPE,),
    MatcherOptions,
    finds=True,
)
