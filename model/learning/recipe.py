"""Recipes: the settings by which a network is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from model.samples.sample_recipe import SampleRecipe


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a training except the data and the seed.

    Learning rates are maxima: each is reached after `warm_up`, a share of the steps, and then
    falls as (1 - progress) to the power of `decay`.

    Attributes:
        engine: whose network, see `model.engine`.
        configuration: of the network, one of that engine's.
        samples: how pictures become samples; their size and their share of new labels are those
            of this recipe.
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
        losses: what each loss counts for, in the words of the engine.
        network: what of the configuration is otherwise than its size has it, as for an ablation.
        further: the configurations whose weights are trained further by it on new labels.
    """

    name: str
    engine: str
    configuration: str
    samples: SampleRecipe
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
    losses: Any = None
    network: Mapping[str, Any] = field(default_factory=dict)
    further: tuple[str, ...] = ()


def learning_rate(maximum: float, progress: float, recipe: Recipe) -> float:
    """The learning rate at a share of all steps, `progress`, 0 to 1."""
    if progress < recipe.warm_up:
        return maximum * progress / recipe.warm_up
    fallen = (progress - recipe.warm_up) / (1 - recipe.warm_up)
    return maximum * float(max(1 - fallen, 0.0) ** recipe.decay)
