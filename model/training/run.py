"""One training from its sources to weights with a card."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from labeler.console import note
from labeler.errors import LabelerError
from model.card import ModelCard, add_scores, read_card
from model.data.sources import Sources
from model.data.training_data import SAMPLING, TrainingData
from model.engines import BUNDLED, ENGINES, load_segmenter
from model.measure.validation import held_out_scores
from model.nn.bodies import Body, load_imagenet, make_body, taken_over
from model.saved import fill, halved, load_model, save_model
from model.training.gam_learner import GAMLearner
from model.training.learner import Learner
from model.training.log import plot_losses
from model.training.pdnet_learner import PDNetLearner
from model.training.processes import Processes
from model.training.recipe import Recipe
from model.training.trainer import Progress, Schedule, Trainer

LEARNERS: dict[str, Callable[[Any, Recipe, Body | None], Learner]] = {
    "pdnet": PDNetLearner,
    "gam": lambda network, recipe, seeing: GAMLearner(network, recipe),
}
"""How each engine learns."""


def train(
    sources: Sources,
    recipe: Recipe,
    folder: Path,
    *,
    device: torch.device,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    workers: int = 0,
    start: Path | None = None,
    held_out: Sources | None = None,
    use_size: int | None = None,
    unguided_size: int | None = None,
    close_up_size: int | None = None,
    version: str = "1.0.0",
    training_data: list[str],
    licence: str,
    reading: Callable[[int, int], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ModelCard:
    """Train a network and write its weights, card, log and curves into `folder`.

    A training that was broken off in `folder` is gone on with.

    Args:
        sources: what to learn from.
        recipe: how.
        folder: where everything goes.
        device: where to compute.
        minutes: the budget in time: the schedule follows the clock, and what steps fit are taken;
        steps: the budget in steps; without either, the recipe's epochs.
        seed: of the first weights and of the samples.
        workers: processes that make batches.
        start: a folder with weights to go on from, in place of the recipe's own first ones.
        held_out: what to score the weights on at the end, see `held_out_scores`.
        use_size: the side of the input that the weights are for, where it is not that of training;
            what was trained on small pictures often does better on somewhat larger ones.
        unguided_size: the same where no reference has a mask (see `PDNetSegmenter`).
        close_up_size: the same for the second look (see `PDNetSegmenter`), 0 for none; if not
            given, the size of training where close-ups were learnt, else none.
        version: of the weights, such as 1.0.0.
        training_data: what the card says they were trained on.
        licence: what the card says of their licence.
        reading: is told how many pictures are read, and of how many.
        progress: is told of every step.

    Returns:
        The card. Processes other than the first return it too, without scores.

    Raises:
        LabelerError: a source is incomplete, `start` has no weights of this configuration, or the
            training came to numbers that are not finite.
    """
    processes = Processes.from_environment(device)
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
    samples = replace(SAMPLING[recipe.samples], size=recipe.size, fresh=recipe.fresh)
    if start is not None:
        samples = replace(samples, stills_first=0.0)  # that is behind them
    data = TrainingData(sources, samples, seed, share, progress=reading, sharing=processes.count)

    def lengthen(steps: int) -> None:
        if start is None:  # weights that know something begin where these samples are hardest
            data.length = steps * recipe.batch_size

    schedule = Schedule(recipe, data.video_batches, data.image_batches, processes, lengthen)
    run = Trainer(
        recipe,
        _learner(recipe, seed, start),
        schedule,
        folder,
        steps=steps or recipe.epochs * schedule.steps_per_epoch,
        seconds=60 * minutes if steps is None and minutes is not None else None,
        device=device,
        processes=processes,
        identity=_identity(recipe, seed, start, sources),
    )
    run.run(workers=workers, progress=progress)
    if close_up_size is None:
        close_up_size = recipe.size if samples.close else 0
    card = save_model(
        folder,
        {name: halved(tensor) for name, tensor in run.result.cpu().state_dict().items()},
        engine=recipe.engine,
        configuration=recipe.configuration,
        version=version,
        training_data=training_data,
        licence=licence,
        input_size=use_size or recipe.size,
        unguided_size=unguided_size or 0,
        close_up_size=close_up_size,
        training=_history(run, seed, start),
        write=processes.first,
    )
    if not processes.first:
        return card
    with suppress(ImportError):  # a bare GPU machine draws nothing; the numbers are there
        plot_losses(folder / "losses.csv", folder / "losses.png")
    if held_out is None:
        return card
    segmenter, _ = load_segmenter(str(folder), device=str(device))
    return add_scores(folder, held_out_scores(held_out, segmenter))


def _identity(
    recipe: Recipe, seed: int, start: Path | None, sources: Sources
) -> dict[str, str | int | float]:
    """What a training is of, by the names of its options: going on with it takes the same."""
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


def _history(run: Trainer, seed: int, start: Path | None) -> dict[str, str | int | float]:
    """What the card says of the training."""
    before = {} if start is None else {"start": read_card(start).model_version}
    return {
        "recipe": run.recipe.name,
        "seed": seed,
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
    network = ENGINES[recipe.engine].network(recipe.configuration)
    learner = LEARNERS[recipe.engine](network, recipe, _seeing(recipe))
    if start is not None:
        card, tensors = load_model(start)
        fill(network, tensors, card)
        return learner
    for body in learner.bodies:
        if recipe.imagenet:
            load_imagenet(body)
        elif recipe.body_of:
            _, tensors = load_model(BUNDLED / recipe.body_of)
            of_body = {k[5:]: v.float() for k, v in tensors.items() if k.startswith("body.")}
            body.load_state_dict(taken_over(body, of_body))
    return learner


def _seeing(recipe: Recipe) -> Body | None:
    """The frozen body for the semantic loss, if that counts and there are weights for it."""
    if recipe.engine != "pdnet" or not recipe.losses.semantic:
        return None
    body = make_body(recipe.semantic_body)
    try:
        load_imagenet(body)
    except LabelerError as error:
        note(f"the semantic loss is off, as {recipe.semantic_body} knows no pictures: {error}")
        return None
    return body
