"""Training weights further on new labels, without forgetting the old ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from labeler.errors import LabelerError
from model.card import ModelCard, read_card
from model.data.sources import Sources
from model.training.recipe import RECIPES, Recipe
from model.training.run import train
from model.training.trainer import Progress


@dataclass(frozen=True)
class Budget:
    """How weights are trained further.

    `minutes` or, where they are given, `steps`; the side of the square input, in pixels; samples
    a step; the learning rate; and the share of the samples that are of new labels.
    """

    minutes: float = 60.0
    steps: int | None = None
    size: int = 320
    batch_size: int = 8
    rate: float = 3e-4
    fresh: float = 0.5


def train_further(
    sources: Sources,
    start: Path,
    folder: Path,
    budget: Budget,
    *,
    device: torch.device,
    seed: int,
    version: str,
    data: str,
    progress: Callable[[Progress], None] | None = None,
) -> ModelCard:
    """Train the weights in `start` further, by the quick recipe, into `folder`; return the card.

    They are for inputs of the same sizes as before. A training that was broken off in `folder`
    is gone on with.

    Args:
        sources: what to learn from.
        start: the weights to begin with.
        folder: where the new ones go.
        budget: for how long, and how.
        device: where to compute.
        seed: of the samples.
        version: of the new weights.
        data: what the card says of the data, after what it said before.
        progress: is told of every step.

    Raises:
        LabelerError: the weights are of a network that the quick recipe is not for, there is
            nothing to learn from, or the training came to numbers that are not finite.
    """
    card = read_card(start)
    return train(
        sources,
        _recipe(card, budget),
        folder,
        device=device,
        minutes=None if budget.steps else budget.minutes,
        steps=budget.steps,
        seed=seed,
        start=start,
        use_size=card.input_size,
        unguided_size=card.unguided_size,
        close_up_size=card.close_up_size,
        version=version,
        training_data=[*card.training_data, data],
        licence=card.licence,
        progress=progress,
    )


def _recipe(card: ModelCard, budget: Budget) -> Recipe:
    quick = RECIPES["quick"]
    if card.configuration != quick.configuration:
        raise LabelerError(
            f"{card.model_version} is {card.configuration!r}, which is not retrained by itself; "
            "train it with `mvps train --recipe paper --start`, then `mvps models promote`."
        )
    return replace(
        quick,
        size=budget.size,
        batch_size=budget.batch_size,
        rate=budget.rate,
        backbone_rate=budget.rate * quick.backbone_rate / quick.rate,
        fresh=budget.fresh,
    )
