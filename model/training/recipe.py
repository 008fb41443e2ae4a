"""How a network is trained: the recipe of the paper, and one for a small budget."""

from dataclasses import dataclass, field
from typing import Literal

from model.training.losses import LossWeights


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training, but the data and the seed.

    Learning rates are maxima: each is reached after `warm_up`, a share of the steps, and then
    falls as (1 - progress) to the power of `decay`.

    Attributes:
        engine: whose network, a key of `model.engines.ENGINES`.
        configuration: of the network, one of that engine's.
        samples: how pictures become samples, a key of `model.data.training_data.SAMPLING`.
        size: side of the square input, in pixels, a multiple of 32.
        batch_size: targets per step, over all processes.
        epochs: how often each annotated training frame is a target, where no other budget is set.
        image_steps: single-image steps in each cycle, before its video steps (paper, section 5.1).
        video_steps: video steps in each cycle.
        optimiser: of all parameters.
        image_rate: learning rate of image steps.
        backbone_rate: learning rate of the backbone in video steps.
        rate: learning rate of everything else in video steps.
        scalar_rate: learning rate of single numbers, such as how far a given mask overrules what
            a frame shows; None is that of the matrices around them.
        weight_decay: of everything but biases, norms and scalars.
        warm_up: share of the steps.
        decay: power of the fall after it.
        clip_norm: largest norm of a step's gradient.
        imagenet: start the backbone from ImageNet; else from random numbers.
        semantic_body: the body whose ImageNet features the semantic loss goes by, where it counts;
            the paper's is a ResNet-18.
        body_of: start the backbone from that of these bundled weights.
        freeze_statistics: keep the backbone's batch statistics as they were loaded.
        average: decay per step of the running mean of the weights that is kept; 0 keeps the last.
        fresh: share of the samples that are of clips with new labels, where there are any.
        ramp_epochs: epochs until the losses of parts count in full.
        losses: what each loss counts for.
    """

    name: str
    engine: str
    configuration: str
    samples: str
    size: int = 480
    batch_size: int = 4
    epochs: int = 60
    image_steps: int = 1
    video_steps: int = 2
    optimiser: Literal["sgd", "adamw"] = "sgd"
    image_rate: float = 2.5e-4
    backbone_rate: float = 2.5e-5
    rate: float = 2.5e-3
    scalar_rate: float | None = None
    weight_decay: float = 5e-4
    warm_up: float = 0.05
    decay: float = 0.9
    clip_norm: float = 5.0
    imagenet: bool = True
    semantic_body: str = "resnet18"
    body_of: str = ""
    freeze_statistics: bool = True
    average: float = 0.0
    fresh: float = 0.5
    ramp_epochs: float = 2.0
    losses: LossWeights = field(default_factory=LossWeights)


RECIPES = {
    # PDNet paper, section 5.1; what it does not say is COSNet's (Lu et al. 2019) or our choice.
    "paper": Recipe("paper", engine="pdnet", configuration="pdnet", samples="paper"),
    # From random numbers and little data: another optimiser, a mean of the weights, batch
    # statistics that learn, and made-up clips. Without ImageNet there is no frozen network worth
    # resembling, so the semantic term is off. Small people are to count as much as large ones.
    # AdamW moves a scalar by its rate a step at most: at the rate of matrices, a short training
    # would be over before guidance has any weight.
    "quick": Recipe(
        "quick",
        engine="pdnet",
        configuration="pdnet-small",
        samples="quick",
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
    ),
    # As "quick", on a body that knows ImageNet: it learns slowly, and keeps its batch statistics.
    # The semantic term is off here too: it took a sixth more time a step, which was worth more in
    # steps.
    "lite": Recipe(
        "lite",
        engine="pdnet",
        configuration="pdnet-lite",
        samples="lite",
        size=256,
        batch_size=8,
        image_steps=0,
        video_steps=1,
        optimiser="adamw",
        backbone_rate=2.5e-4,
        rate=1e-3,
        scalar_rate=2e-2,
        weight_decay=0.05,
        decay=1.0,
        imagenet=True,
        semantic_body="efficientnet-lite0",
        freeze_statistics=True,
        average=0.998,
        losses=LossWeights(semantic=0.0, jaccard=1.0),
    ),
    # Pictures that are made to move first, then clips, as in the paper of GAM, section 4.2; with
    # the optimiser of "quick", for its fixed rate of 1e-5 is for weights that know ImageNet and
    # COCO. Here the backbones begin as that of the weights that come with the project.
    "gam": Recipe(
        "gam",
        engine="gam",
        configuration="gam-small",
        samples="runs",
        size=256,
        batch_size=4,
        image_steps=0,
        video_steps=1,
        optimiser="adamw",
        backbone_rate=1e-4,
        rate=5e-4,
        weight_decay=0.05,
        decay=1.0,
        imagenet=False,
        body_of="pdnet-small",
        freeze_statistics=True,
        average=0.999,
        losses=LossWeights(jaccard=1.0),
    ),
}


def learning_rate(maximum: float, progress: float, recipe: Recipe) -> float:
    """The learning rate at a share of all steps, `progress`, 0 to 1."""
    if progress < recipe.warm_up:
        return maximum * progress / recipe.warm_up
    fallen = (progress - recipe.warm_up) / (1 - recipe.warm_up)
    return maximum * float(max(1 - fallen, 0.0) ** recipe.decay)
