"""Training weights further on new labels, without forgetting the old ones."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from labeler.errors import LabelerError
from model.card import ModelCard, part_folders, read_card
from model.data.sources import Sources
from model.engine import trainable_engine
from model.learning.recipe import Recipe
from model.training.run import CardDraft, TrainingSettings, train
from model.training.trainer import TrainingProgress
from model.weights import save_parts


@dataclass(frozen=True)
class Budget:
    """The settings of a training that goes on from existing weights.

    `minutes` or, where they are given, `steps`; the side of the square input, in pixels; samples
    a step; the learning rate; the share of the samples that are of new labels; where to compute;
    and the seed of the samples.
    """

    minutes: float = 60.0
    steps: int | None = None
    size: int = 320
    batch_size: int = 8
    rate: float = 3e-4
    fresh: float = 0.5
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0


def train_further(
    sources: Sources,
    start: Path,
    folder: Path,
    budget: Budget,
    *,
    version: str,
    data: str,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> ModelCard:
    """Train the weights in `start` further, by a small recipe, into `folder`; return the card.

    Of weights made of several, each part is trained for its share of the budget, into a folder
    beside. They are for inputs of the same sizes as before. A training that was broken off in
    `folder` is gone on with.

    Args:
        sources: what to learn from.
        start: the weights to begin with.
        folder: where the new ones go.
        budget: for how long, where and how.
        version: of the new weights.
        data: what the card says of the data, after what it said before.
        progress: is told of every step.

    Raises:
        LabelerError: the weights are of a network that no small recipe is for, there is
            nothing to learn from, or the training came to numbers that are not finite.
    """
    card = read_card(start)
    if card.parts:
        return _train_parts(sources, start, folder, budget, version, data, progress)
    return train(
        sources,
        _recipe(card, budget),
        folder,
        TrainingSettings(
            budget.device,
            None if budget.steps else budget.minutes,
            budget.steps,
            budget.seed,
            start=start,
        ),
        CardDraft(
            [*card.training_data, data], card.licence, version, card.input_size, card.options
        ),
        progress=progress,
    )


def _train_parts(
    sources: Sources,
    start: Path,
    folder: Path,
    budget: Budget,
    version: str,
    data: str,
    progress: Callable[[TrainingProgress], None] | None,
) -> ModelCard:
    """Train each part for its share of the budget, and put the outcomes together."""
    parts, card = part_folders(start), read_card(start)
    share = replace(
        budget,
        minutes=budget.minutes / len(parts),
        steps=budget.steps and max(1, budget.steps // len(parts)),
    )
    trained: list[Path] = []
    for number, part in enumerate(parts):

        def follow(where: TrainingProgress, number: int = number) -> None:
            if progress is not None:
                step, steps = number * where.steps + where.step, len(parts) * where.steps
                left = (len(parts) - number) * where.seconds_left
                progress(TrainingProgress(step, steps, left, where.losses))

        trained.append(folder.parent / f"{folder.name}-{read_card(part).engine}")
        train_further(
            sources, part, trained[-1], share, version=version, data=data, progress=follow
        )
    return save_parts(
        folder, trained, engine=card.engine, configuration=card.configuration, version=version
    )


def _recipe(card: ModelCard, budget: Budget) -> Recipe:
    recipes = {
        configuration: recipe
        for recipe in trainable_engine(card.engine).recipes
        for configuration in recipe.further
    }
    if card.configuration not in recipes:
        raise LabelerError(
            f"{card.model_version} is {card.configuration!r}, which no recipe of its engine names "
            "in `further`; train it with `mvps train --start`, then `mvps models promote`."
        )
    recipe = recipes[card.configuration]
    return replace(
        recipe,
        configuration=card.configuration,
        size=budget.size,
        batch_size=budget.batch_size,
        rate=budget.rate,
        backbone_rate=budget.rate * recipe.backbone_rate / recipe.rate,
        fresh=budget.fresh,
        network=card.network,
    )
