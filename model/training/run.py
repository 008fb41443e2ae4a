"""One training from its sources to weights with a card."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from labeler.errors import LabelerError
from model.card import ModelCard, read_card
from model.data.sources import Sources
from model.engine import Option, bundled_weights, trainable_engine
from model.nn.resnet import inherited, load_imagenet_weights
from model.samples.training_data import TrainingData
from model.training.learner import Learner
from model.training.log import plot_losses
from model.training.processes import Processes
from model.training.recipe import Recipe
from model.training.trainer import Schedule, Trainer, TrainingProgress
from model.weights import fill, halved, load_model, save_model

PILOT_STEPS = 12
"""Steps that are timed, and thrown away, to see how many fit into a budget of minutes."""


@dataclass(frozen=True)
class TrainingSettings:
    """What a training is beside its data and its recipe.

    Attributes:
        device: where to compute.
        minutes: the budget in time, of which the number of steps is made by timing a few; or
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
    """What the card of new weights is to say that the training does not know.

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
    data = TrainingData(sources, samples, settings.seed, share, progress=reading)
    schedule = Schedule(recipe, data.video_batches, data.image_batches, processes)

    def trainer(where: Path, steps: int) -> Trainer:
        return Trainer(
            recipe,
            _learner(recipe, settings.seed, start),
            schedule,
            where,
            steps=steps,
            device=settings.device,
            processes=processes,
        )

    steps, budget = settings.steps, folder / "steps.txt"
    if steps is None and budget.exists():  # the same again, however fast the machine is now
        steps = int(budget.read_text())
    if steps is None and settings.minutes is not None:
        with tempfile.TemporaryDirectory() as scratch:
            pilot = trainer(Path(scratch), 3 * PILOT_STEPS)
            steps = _steps_within(60 * settings.minutes, pilot, settings.workers)
    steps = steps or recipe.epochs * schedule.steps_per_epoch
    folder.mkdir(parents=True, exist_ok=True)
    budget.write_text(f"{steps}\n")
    if start is None:  # weights that know something begin where these samples are hardest
        data.length = steps * recipe.batch_size
    run = trainer(folder, steps)
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
            training=_history(run, settings),
        ),
        draft.version,
    )
    with suppress(ImportError):  # a bare GPU machine draws nothing; the numbers are there
        plot_losses(folder / "losses.csv", folder / "losses.png")
    return card


def _history(run: Trainer, settings: TrainingSettings) -> dict[str, str | int | float]:
    """What the card says of the training."""
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
    """What is to be trained, with its first weights."""
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
            load_imagenet_weights(body)
        elif recipe.body_of:
            _, tensors = load_model(bundled_weights()[recipe.body_of])
            of_body = {k[5:]: v.float() for k, v in tensors.items() if k.startswith("body.")}
            body.load_state_dict(inherited(body, of_body))
    return learner


def _steps_within(seconds: float, pilot: Trainer, workers: int) -> int:
    """How many steps fit into a time, by some that are taken and thrown away."""
    ends: list[float] = []
    pilot.run(workers=workers, progress=lambda _: ends.append(pilot.seconds))
    each = (ends[-1] - ends[PILOT_STEPS - 1]) / (len(ends) - PILOT_STEPS)
    return max(1, int(seconds / each))
