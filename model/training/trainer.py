"""Training: the steps of a recipe, which go on exactly where a killed run stopped."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from labeler.errors import LabelerError
from model.learning.learner import Groups, Learner, MeanTeacherLearner
from model.learning.recipe import Recipe, learning_rate
from model.nn.bodies import lay_out
from model.samples.sample import Batch
from model.samples.training_data import Batches, one_thread
from model.training.checkpoint import (
    CHECKPOINT_FILE,
    checkpoint_facts,
    load_checkpoint,
    refuse_others,
    save_checkpoint,
)
from model.training.log import TrainingLog
from model.training.processes import Processes
from model.training.synchronised import synchronise

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is: steps done, all steps, seconds left, the last losses."""

    step: int
    steps: int
    seconds_left: float
    losses: dict[str, float]


class Schedule(Dataset[Batch]):
    """Choose the batch of each step: in each cycle first the image steps, then the video steps.

    Args:
        recipe: with the steps of a cycle.
        videos, images: the batches of either kind.
        processes: each takes batches of its own.
        lengthen: is told, before each batch, how many steps the training takes in all, by which
            samples may grow harder.
    """

    def __init__(
        self,
        recipe: Recipe,
        videos: Batches,
        images: Batches,
        processes: Processes,
        lengthen: Callable[[int], None] | None = None,
    ) -> None:
        self.recipe, self._videos, self._images = recipe, videos, images
        self.processes, self._lengthen = processes, lengthen

    def __getitem__(self, turn: tuple[int, int]) -> Batch:
        """Make the batch of a step, given as its number and that of all steps."""
        step, steps = turn
        if self._lengthen is not None:
            self._lengthen(steps)
        image_steps, video_steps = self.recipe.image_steps, self.recipe.video_steps
        cycle, place = divmod(step, image_steps + video_steps)
        if place < image_steps:
            number, source = cycle * image_steps + place, self._images
        else:
            number, source = cycle * video_steps + place - image_steps, self._videos
        return source[number * self.processes.count + self.processes.rank]

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which each annotated frame is a target once."""
        recipe = self.recipe
        cycles = len(self._videos) / (recipe.video_steps * self.processes.count)
        return max(1, math.ceil(cycles * (recipe.image_steps + recipe.video_steps)))


class Trainer:
    """Train a network, and keep everything that belongs to the state of the training.

    Args:
        learner: a network with its first weights, and what it learns from.
        schedule: what on, by which recipe, and which of several processes this is.
        folder: where checkpoint and log are. A training broken off there is gone on with.
        steps: how many there are in all; with a budget in seconds, a first guess.
        seconds: the budget in time, if that decides: then the number of steps is what fits.
        identity: what the training is of, by the names a person knows it by. One that was broken
            off is gone on with only if all of it is the same.
        device: where to compute, see `model.nn.precision`.
    """

    def __init__(
        self,
        learner: Learner,
        schedule: Schedule,
        folder: Path,
        *,
        steps: int,
        device: torch.device,
        seconds: float | None = None,
        identity: Mapping[str, str | int | float] | None = None,
    ) -> None:
        self.recipe, self.processes = schedule.recipe, schedule.processes
        self.schedule, self.folder, self.steps, self.device = schedule, folder, steps, device
        self.budget, self.identity = seconds, dict(identity or {})
        self.learner = learner
        self.network = learner.network.to(device)
        lay_out(self.network)
        if self.processes.count > 1:
            synchronise(self.network)
        learner.loss.to(device)
        self.average = (
            deepcopy(self.network).requires_grad_(False).eval() if self.recipe.average else None
        )
        self.optimisers = {
            kind: _optimiser(self.recipe, groups) for kind, groups in learner.groups().items()
        }
        self.log = TrainingLog(folder / "losses.csv", learner.terms)
        self.step = 0
        self.seconds = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT_FILE).exists():
            self.resume()

    @property
    def result(self) -> nn.Module:
        """The trained network: the running mean of its weights, or the last weights."""
        return self.average or self.network

    def run(
        self,
        *,
        workers: int = 0,
        progress: Callable[[TrainingProgress], None] | None = None,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        """Take the steps that are left.

        Args:
            workers: processes that make batches; 0 makes them in this one.
            progress: called after each step.
            checkpoint_seconds: how often the state is written.

        Raises:
            LabelerError: a loss or a gradient is not finite; the last checkpoint is still good.
        """
        loader = DataLoader(
            self.schedule,
            batch_size=None,
            sampler=self._turns(),
            num_workers=workers,
            worker_init_fn=one_thread,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if workers else None,
        )
        started, before, saved = time.monotonic(), self.seconds, time.monotonic()
        first, warm = self.step, 0.0
        for batch in loader if self.step < self.steps else ():
            losses = self._take(batch.to(self.device, non_blocking=True))
            now = time.monotonic()
            taken = self.step - first
            warm = warm or now - started  # the first step is slower than others
            each = (now - started - warm) / (taken - 1) if taken > 1 else now - started
            # One clock decides for all processes: else they would wait for each other for ever.
            due = float(now - saved >= checkpoint_seconds)
            self.seconds, each, due = self.processes.agree([before + now - started, each, due])
            if self.budget is not None:
                self.steps = self.step + max(0, int((self.budget - self.seconds) / each))
            if due:
                self.save()
                saved = now
            if progress is not None:
                left = each * (self.steps - self.step)
                progress(TrainingProgress(self.step, self.steps, left, losses))
            if self.step >= self.steps:
                break
        self.save()

    def _turns(self) -> Iterator[tuple[int, int]]:
        """Each step that is left, with how many there are in all by then."""
        step = self.step
        while step < self.steps:
            yield step, self.steps
            step += 1

    @property
    def _share(self) -> float:
        """The progress of the training at the step that is taken now, above 0 and below 1."""
        if self.budget is None:
            return (self.step + 1) / (self.steps + 1)
        return min(max(self.seconds / self.budget, 1e-3), 1 - 1e-3)

    def save(self) -> None:
        """Write the state, so that a killed run goes on from here."""
        if self.processes.first:
            save_checkpoint(
                self.folder / CHECKPOINT_FILE,
                self._modules(),
                self.optimisers,
                {
                    "step": self.step,
                    "steps": self.steps,
                    "seconds": self.seconds,
                    "budget": self.budget,
                    "identity": self.identity,
                },
            )
            self.log.flush()
        self.processes.wait()

    def resume(self) -> None:
        """Go back to the last state that was written.

        Raises:
            LabelerError: it is damaged, or of another network or recipe.
        """
        path = self.folder / CHECKPOINT_FILE
        facts = checkpoint_facts(path)
        refuse_others(path, facts.get("identity", {}), self.identity)
        budget = facts.get("budget")
        if budget != self.budget or (budget is None and facts["steps"] != self.steps):
            raise LabelerError(
                f"{path} is of a training of {_budget(budget, facts['steps'])} and not of "
                f"{_budget(self.budget, self.steps)}; give the same budget again, or train into "
                "another folder with --out."
            )
        load_checkpoint(path, self._modules(), self.optimisers)
        self.step, self.steps, self.seconds = facts["step"], facts["steps"], facts["seconds"]
        if self.processes.first:
            self.log.forget_from(self.step)

    def _modules(self) -> dict[str, nn.Module]:
        modules: dict[str, nn.Module] = {"network": self.network, "loss": self.learner.loss}
        return modules | ({"average": self.average} if self.average else {})

    def _take(self, batch: Batch) -> dict[str, float]:
        """Take one step, and return its losses."""
        recipe = self.recipe
        if batch.weak.shape[1]:
            batch = self._pseudo_labelled(batch)
        kind = "video" if batch.given.shape[1] else "image"
        optimiser = self.optimisers[kind]
        factor = learning_rate(1.0, self._share, recipe)
        for group in optimiser.param_groups:
            group["lr"] = group["maximum"] * factor
        self.network.train()
        if recipe.freeze_statistics:
            for body in self.learner.bodies:
                _freeze_statistics(body)
        trained = [p for group in optimiser.param_groups for p in group["params"]]
        _freeze_statistics(self.network, trained)
        losses = self.learner.losses(batch, self._ramp)
        optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        self.processes.average(gradients(trained, shared=self.processes.count > 1))
        norm = nn.utils.clip_grad_norm_(trained, recipe.clip_norm)
        numbers = losses.numbers(self.processes.average)
        if not (math.isfinite(numbers["total"]) and math.isfinite(float(norm))):
            wrong = [name for name, value in numbers.items() if not math.isfinite(value)]
            raise LabelerError(
                f"Training stopped at step {self.step}: {', '.join(wrong) or 'the gradient'} is "
                f"not finite. The last good weights are in {self.folder}; go on from them with a "
                "lower --rate, or look at the pictures of that step."
            )
        optimiser.step()
        self._follow()
        rate = recipe.rate if kind == "video" else recipe.image_rate
        self.log.add(self.step, kind, rate * factor, numbers)
        self.step += 1
        return numbers

    def _pseudo_labelled(self, batch: Batch) -> Batch:
        if self.average is None or not isinstance(self.learner, MeanTeacherLearner):
            raise LabelerError(
                f"The recipe {self.recipe.name!r} of {self.recipe.engine} cannot learn from clips "
                "without masks; leave out --unlabelled."
            )
        return self.learner.pseudo_labelled(batch, self.average)

    @property
    def _ramp(self) -> float:
        return min(1.0, self.step / (self.recipe.ramp_epochs * self.schedule.steps_per_epoch))

    @torch.no_grad()
    def _follow(self) -> None:
        """Update the running mean of the weights; it forgets early steps faster than later ones."""
        if self.average is None:
            return
        share = 1 - min(self.recipe.average, (1 + self.step) / (10 + self.step))
        of_network = self.network.state_dict()
        for name, mean in self.average.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(of_network[name], share)
            else:
                mean.copy_(of_network[name])


def _optimiser(recipe: Recipe, groups: Groups) -> torch.optim.Optimizer:
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=0.0)
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9)


def gradients(trained: Iterable[nn.Parameter], *, shared: bool) -> list[Tensor]:
    """List the gradients of parameters; where they are shared among processes, of all of them.

    A loss that does not apply to the samples of one process may apply to those of another, and
    what they exchange must be as long in both: there the missing ones become zeros.
    """
    found = []
    for parameter in trained:
        if shared and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if parameter.grad is not None:
            found.append(parameter.grad)
    return found


def _budget(seconds: float | None, steps: int) -> str:
    return f"{steps} steps" if seconds is None else f"{seconds / 60:g} minutes"


def _freeze_statistics(part: nn.Module, trained: Collection[nn.Parameter] = ()) -> None:
    """Freeze the batch statistics of a network's part, but of the layers that a step trains."""
    moved = {id(parameter) for parameter in trained}
    for module in part.modules():
        if isinstance(module, nn.BatchNorm2d) and id(module.weight) not in moved:
            module.eval()
