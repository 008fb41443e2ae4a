"""One training from its sources to weights with a card."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from labeler.console import note
from labeler.errors import LabelerError
from model.card import ModelCard, read_card
from model.data.sources import Sources
from model.engine import Option, bundled_weights, trainable_engine
from model.learning.learner import Learner
from model.learning.recipe import Recipe
from model.nn.bodies import load_imagenet, taken_over
from model.samples.training_data import TrainingData
from model.training.log import plot_losses
from model.training.processes import Processes
from model.training.trainer import Schedule, Trainer, TrainingProgress
from model.weights import fill, halved, load_model, save_model


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a training that are neither data nor recipe.

    Attributes:
        device: where to compute.
        minutes: the budget in time: the schedule follows the clock, and what steps fit are taken;
        steps: the budget in steps; without either, the recipe's epochs.
        seed: of the first weights and of the samples.
        workers: processes that make batches.
        start: a folder with weights to go on from, in place of the recipe's own first ones.
    """

    device: torch.device
    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    workers: int = 0
    start: Path | None = None


@dataclass(frozen=True)
class CardDraft:
    """The fields of a new card that do not follow from the training.

    Attributes:
        training_data: what they were trained on.
        licence: of the weights.
        version: of the weights, such as 1.0.0.
        input_size: the side of the input that they are for, where it is not that of training;
            what was trained on small pictures often does better on somewhat larger ones.
        options: of the engine, where they do not follow from the recipe.
    """

    training_data: list[str]
    licence: str
    version: str = "1.0.0"
    input_size: int | None = None
    options: Mapping[str, Option] | None = None


def train(
    sources: Sources,
    recipe: Recipe,
    folder: Path,
    settings: TrainingSettings,
    draft: CardDraft,
    *,
    reading: Callable[[int, int], None] | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> ModelCard:
    """Train a network and write its weights, card, log and curves into `folder`.

    A training that was broken off in `folder` is gone on with.

    Args:
        sources: what to learn from.
        recipe: how.
        folder: where everything goes.
        settings: where, for how long and from which weights on.
        draft: what the card is to say.
        reading: is told how many pictures are read, and of how many.
        progress: is told of every step.

    Raises:
        LabelerError: a source is incomplete, the weights to start with are of another
            configuration, an option is not the engine's, or the training came to numbers that
            are not finite.
    """
    engine, start = trainable_engine(recipe.engine), settings.start
    options = {**engine.trained_options(recipe), **(draft.options or {})}
    engine.options_from(options)
    processes = Processes.from_environment(settings.device)
    share = recipe.batch_size // processes.count
    if share * processes.count != recipe.batch_size:
        raise LabelerError(
            f"A batch of {recipe.batch_size} cannot be shared by {processes.count} processes; "
            "start a number of them that divides it."
        )
    if start is not None and read_card(start).configuration != recipe.configuration:
        raise LabelerError(
            f"{start} holds weights of {read_card(start).configuration!r}, but the recipe "
            f"{recipe.name!r} trains {recipe.configuration!r}; give another --recipe or --start."
        )
    samples = replace(recipe.samples, size=recipe.size, fresh=recipe.fresh)
    if start is not None:
        samples = replace(samples, stills_first=0.0)  # that is behind them
    data = TrainingData(
        sources, samples, settings.seed, share, progress=reading, sharing=processes.count
    )

    def lengthen(steps: int) -> None:
        if start is None:  # weights that know something begin where these samples are hardest
            data.length = steps * recipe.batch_size

    schedule = Schedule(recipe, data.video_batches, data.image_batches, processes, lengthen)
    steps, minutes = settings.steps, settings.minutes
    run = Trainer(
        _learner(recipe, settings.seed, start),
        schedule,
        folder,
        steps=steps or recipe.epochs * schedule.steps_per_epoch,
        seconds=60 * minutes if steps is None and minutes is not None else None,
        device=settings.device,
        identity=_identity(recipe, settings.seed, start, sources),
    )
    if run.step >= run.steps and processes.first:
        note(
            f"{folder} holds a finished training of {run.steps} steps: nothing is trained again. "
            "Train into another folder with --out."
        )
    run.run(workers=settings.workers, progress=progress)
    card = save_model(
        folder,
        {name: halved(tensor) for name, tensor in run.result.cpu().state_dict().items()},
        ModelCard(
            engine=recipe.engine,
            configuration=recipe.configuration,
            training_data=draft.training_data,
            licence=draft.licence,
            input_size=draft.input_size or recipe.size,
            options=options,
            network=dict(recipe.network),
            doubt={} if start is None else read_card(start).doubt,
            training=_history(run, settings),
        ),
        draft.version,
        write=processes.first,
    )
    if not processes.first:
        return card
    with suppress(ImportError):  # a bare GPU machine draws nothing; the numbers are there
        plot_losses(folder / "losses.csv", folder / "losses.png")
    return card


def _identity(
    recipe: Recipe, seed: int, start: Path | None, sources: Sources
) -> dict[str, str | int | float]:
    """What must be equal for a training to be resumed, by the names of the options."""
    names = [
        f"{kind} {still.name}"
        for kind, found in vars(sources).items()
        for each in found
        for still in getattr(each, "stills", (each,))
    ]
    return {
        "recipe": recipe.name,
        "configuration": recipe.configuration,
        "size": recipe.size,
        "batch size": recipe.batch_size,
        "rate": recipe.rate,
        "seed": seed,
        "start": "nothing" if start is None else read_card(start).model_version,
        "dataset": hashlib.sha256("\n".join(names).encode()).hexdigest()[:16],
    }


def _history(run: Trainer, settings: TrainingSettings) -> dict[str, str | int | float]:
    """The record of the training for the card."""
    start = settings.start
    before = {} if start is None else {"start": read_card(start).model_version}
    return {
        "recipe": run.recipe.name,
        "seed": settings.seed,
        "steps": run.step,
        "size": run.recipe.size,
        "batch_size": run.recipe.batch_size,
        "minutes": round(run.seconds / 60, 1),
        "device": run.device.type,
        **before,
    }


def _learner(recipe: Recipe, seed: int, start: Path | None) -> Learner:
    """Make the learner of a recipe, with its initial weights."""
    torch.manual_seed(seed)
    engine = trainable_engine(recipe.engine)
    network = engine.network(engine.configuration(recipe.configuration, recipe.network))
    learner = engine.learner(network, recipe)
    if start is not None:
        card, tensors = load_model(start)
        fill(network, tensors, card)
        return learner
    for body in learner.bodies:
        if recipe.imagenet:
            load_imagenet(body)
        elif recipe.body_of:
            _, tensors = load_model(bundled_weights()[recipe.body_of])
            of_body = {k[5:]: v.float() for k, v in tensors.items() if k.startswith("body.")}
            body.load_state_dict(taken_over(body, of_body))
    return learner
