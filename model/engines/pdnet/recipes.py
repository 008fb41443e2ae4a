"""The sizes of PDNet, the weights of its losses, and its recipes."""

from dataclasses import dataclass, replace
from typing import Literal

from model.learning.recipe import Recipe
from model.samples.sample_recipe import LITE, PAPER_GUIDED, QUICK


@dataclass(frozen=True)
class PDNetConfig:
    """The configuration of a PDNet.

    Attributes:
        backbone: a name that `model.nn.bodies.make_body` knows.
        width: channels of the pyramid and of the fusion.
        compressed: channels in which parts are found and matched.
        parts: how many; 5 in the paper. 0 leaves out attention and fusion (table 3, first row),
            but keeps the saliency predictor, whose supervision then still trains the encoder.
        merge: "concat" attends to the tokens of all references in one softmax; "mean" averages
            one summary of each, where the bias of a reference has no effect.
    """

    backbone: str
    width: int
    compressed: int = 64
    parts: int = 5
    merge: Literal["concat", "mean"] = "concat"


CONFIGURATIONS = {
    "pdnet": PDNetConfig("resnet50", 256),
    "pdnet-small": PDNetConfig("resnet18", 128),
    "pdnet-lite": PDNetConfig("efficientnet-lite0", 128),
    "pdnet-lite2": PDNetConfig("efficientnet-lite2", 128),
}


@dataclass(frozen=True)
class LossWeights:
    """The weight of each loss term.

    `l1` (0.8 as in COSNet, Lu et al. 2019) is within every segmentation loss, `orthonormality`
    within the semantic term. Eq 7 has 1 for the terms of parts; the others are our choice.
    `jaccard` is not the paper's, whose losses count a portrait the less the smaller it is.
    """

    l1: float = 0.8
    auxiliary: float = 0.4
    geometric: float = 1.0
    semantic: float = 1.0
    area: float = 1.0
    readout: float = 0.5
    orthonormality: float = 0.1
    jaccard: float = 0.0


# From random numbers and little data: another optimiser, a mean of the weights, batch
# statistics that learn, and made-up clips. Without ImageNet there is no frozen network worth
# resembling, so the semantic term is off. Small people are to count as much as large ones.
# AdamW moves a scalar by its rate a step at most: at the rate of matrices, a short training
# would be over before guidance has any weight.
_QUICK_RECIPE = Recipe(
    "quick",
    engine="pdnet",
    configuration="pdnet-small",
    samples=QUICK,
    size=320,
    batch_size=16,
    image_steps=0,
    video_steps=1,
    optimiser="adamw",
    backbone_rate=1e-3,
    rate=1e-3,
    scalar_rate=2e-2,
    weight_decay=0.05,
    decay=1.0,
    imagenet=False,
    freeze_statistics=False,
    average=0.999,
    losses=LossWeights(semantic=0.0, jaccard=1.0),
    further=("pdnet-small",),
)

RECIPES = (
    # PDNet paper, section 5.1; what it does not say is COSNet's (Lu et al. 2019) or our choice.
    # Half of the batches are the paper's; the others teach to follow given masks.
    Recipe(
        "paper", engine="pdnet", configuration="pdnet", samples=PAPER_GUIDED, losses=LossWeights()
    ),
    _QUICK_RECIPE,
    # On a body that knows ImageNet, which learns slowly and keeps its batch statistics. The
    # semantic term is off here too, in favour of more steps.
    replace(
        _QUICK_RECIPE,
        name="lite",
        configuration="pdnet-lite",
        samples=LITE,
        size=256,
        batch_size=8,
        backbone_rate=2.5e-4,
        imagenet=True,
        semantic_body="efficientnet-lite0",
        freeze_statistics=True,
        average=0.998,
        further=("pdnet", "pdnet-lite", "pdnet-lite2"),  # the first one's body knows ImageNet, too
    ),
)
