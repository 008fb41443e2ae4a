"""Simulate on a labelled dataset how people label some frames, retrain, judge, and begin again.

In each round a robot labels a few frames of some clips with their true masks. The network is
retrained on the labelled frames, and measured on other clips, which are never labelled.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labeler.likeness import Thumbnails, thumbnail_of
from labeler.reference import ReferenceBook
from labeler.review.priority import priorities
from model.data.sources import Sources, Take
from model.loading import load_segmenter
from model.measure.judge import (
    QUALITY,
    ClipScores,
    Criteria,
    JudgedClip,
    Outcome,
    judged_clips,
    verdict_of,
)
from model.measure.truth import TruthClip, segment_in_order, truth_of_take
from model.segmenter import Segmenter
from model.training.further import Budget, train_further


class Picking(StrEnum):
    """The ways to pick the frames that are labelled next, of all clips."""

    PRIORITY = "priority"
    UNCERTAINTY = "most uncertain"
    RANDOM = "at random"
    IN_ORDER = "in order"
    WORST = "worst first"


@dataclass(frozen=True)
class Round:
    """The scores after a round.

    `j_and_f` and `corrected` (FC@q) are measured on the clips kept aside. `others` is the mean J&F
    of the frames in labelled clips that are not labelled themselves. `promoted` is whether this
    round's weights were better than those before; it is None where nothing was trained.
    """

    labelled: int
    j_and_f: float
    corrected: float
    others: float
    promoted: bool | None = None


@dataclass(frozen=True)
class Trial:
    """The rounds of one way to pick, with or without retraining, by one seed."""

    picking: Picking
    retrained: bool
    seed: int
    rounds: tuple[Round, ...]


@dataclass(frozen=True)
class Experiment:
    """What is the same in every trial.

    `start` is the folder of the weights to begin with. Each of the `rounds` labels `frames` more
    frames, and trains within the `budget` on all labelled frames and on `rehearsed`. `quality` is
    the q of FC@q.
    """

    start: Path
    rounds: int
    frames: int
    budget: Budget
    rehearsed: Sources = field(default_factory=Sources)
    quality: float = QUALITY


@dataclass
class _Pool:
    """The clips being labelled: their truth, their thumbnails, and which frames are labelled."""

    takes: Sequence[Take]
    truths: list[TruthClip] = field(default_factory=list)
    looks: list[Thumbnails] = field(default_factory=list)
    done: list[NDArray[np.bool_]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for take in self.takes:
            truth = truth_of_take(take)
            self.truths.append(truth)
            self.looks.append(np.stack([thumbnail_of(truth.frames[i]) for i in truth.measured]))
            self.done.append(np.zeros(len(truth.measured), np.bool_))

    def forget(self) -> None:
        for each in self.done:
            each[:] = False

    @property
    def labelled(self) -> int:
        return int(sum(each.sum() for each in self.done))

    def sources(self, done: Sequence[NDArray[np.bool_]]) -> tuple[Take, ...]:
        """Return the clips with those frames only that `done` marks."""
        found = []
        for take, truth, mask in zip(self.takes, self.truths, done, strict=True):
            wanted = {frame for frame, chosen in zip(truth.measured, mask, strict=True) if chosen}
            pairs = [p for p in zip(take.frames, take.stills, strict=True) if p[0] in wanted]
            if pairs:
                frames, stills = zip(*pairs, strict=True)
                found.append(Take(take.name, frames, stills, take.length, take.pictures))
        return tuple(found)


def simulate(
    pool: Sequence[Take],
    aside: Sequence[Take],
    experiment: Experiment,
    *,
    pickings: Sequence[Picking],
    seeds: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
) -> list[Trial]:
    """Let a robot label, retrain after each round, and measure; then the same without retraining.

    Args:
        pool: the clips that are labelled.
        aside: the clips that are measured; the network is never trained on them.
        experiment: what is the same in every trial.
        pickings: ways to pick the next frames.
        seeds: the seeds of training and of picking at random; there is a trial for each.
        progress: called with (rounds done, rounds).

    Raises:
        LabelerError: a file is missing or damaged, or a training fails.
    """
    clips = _Pool(pool)
    measured = [truth_of_take(take) for take in aside]
    total = len(pickings) * len(seeds) * experiment.rounds * 2
    trials: list[Trial] = []
    for seed in seeds:
        for picking in pickings:
            for retrained in (True, False):
                done = len(trials) * experiment.rounds

                def step(number: int, before: int = done) -> None:
                    if progress is not None:
                        progress(before + number, total)

                clips.forget()
                with tempfile.TemporaryDirectory() as folder:
                    where = Path(folder) if retrained else None
                    found = _trial(clips, measured, experiment, picking, seed, where, step)
                trials.append(Trial(picking, retrained, seed, tuple(found)))
    return trials


def _trial(
    pool: _Pool,
    measured: Sequence[TruthClip],
    experiment: Experiment,
    picking: Picking,
    seed: int,
    folder: Path | None,
    step: Callable[[int], None],
) -> list[Round]:
    """Run the rounds of one trial; each retrains into `folder`, or not at all if that is None."""
    rng = np.random.default_rng(seed)
    device = str(experiment.budget.device)
    champion = experiment.start
    engine = load_segmenter(str(champion), device=device)[0]
    scores = [judged_clips(truth, engine, experiment.quality) for truth in measured]
    doubts, others, predicted = _mask_pool(pool, engine)
    found = [_round(pool, scores, others)]
    for number in range(1, experiment.rounds + 1):
        known = [each.copy() for each in pool.done]
        for _ in range(experiment.frames):
            _label(pool, _helps(pool, picking, doubts, predicted, rng))
        promoted = None
        if folder is not None:
            new = [now & ~before for now, before in zip(pool.done, known, strict=True)]
            labelled = Sources(clips=pool.sources(known), fresh=pool.sources(new))
            sources = experiment.rehearsed + labelled
            where = folder / f"round{number}"
            train_further(
                sources,
                champion,
                where,
                replace(experiment.budget, seed=1000 * seed + number),
                version="0.0.0",  # these weights are deleted after the trial
                data=f"round {number}",
            )
            candidate = load_segmenter(str(where), device=device)[0]
            reached = [judged_clips(truth, candidate, experiment.quality) for truth in measured]
            promoted = _is_better(measured, engine, candidate, scores, reached)
            if promoted:
                champion, engine, scores = where, candidate, reached
        doubts, others, predicted = _mask_pool(pool, engine)
        found.append(_round(pool, scores, others, promoted))
        step(number)
    return found


def _is_better(
    measured: Sequence[TruthClip],
    champion: Segmenter,
    candidate: Segmenter,
    before: Sequence[ClipScores],
    after: Sequence[ClipScores],
) -> bool:
    """Return whether the judge would promote the candidate, however few the clips are."""
    clips = [
        JudgedClip(truth.name, "", *pair)
        for truth, *pair in zip(measured, before, after, strict=True)
    ]
    verdict = verdict_of(champion.model_version, candidate.model_version, clips, Criteria(fewest=1))
    return verdict.outcome is Outcome.BETTER


def _mask_pool(
    pool: _Pool, engine: Segmenter
) -> tuple[list[NDArray[np.float64]], list[float], list[NDArray[np.float64]]]:
    """Return each frame's uncertainty, the J&F of frames not labelled, and each frame's J&F."""
    doubts, others, reached = [], [], []
    for truth, done in zip(pool.truths, pool.done, strict=True):
        book = ReferenceBook(
            truth.reference(frame)
            for frame, labelled in zip(truth.measured, done, strict=True)
            if labelled
        )
        answers = list(segment_in_order(engine, truth.frames, truth.measured, book))
        scores = [
            (truth.region(each.frame, each.mask) + truth.boundary(each.frame, each.mask)) / 2
            for each in answers
        ]
        doubts.append(np.array([each.uncertainty for each in answers]))
        reached.append(np.array(scores))
        others += [score for score, labelled in zip(scores, done, strict=True) if not labelled]
    return doubts, others, reached


def _helps(
    pool: _Pool,
    picking: Picking,
    doubts: Sequence[NDArray[np.float64]],
    reached: Sequence[NDArray[np.float64]],
    rng: np.random.Generator,
) -> list[NDArray[np.float64]]:
    """Return a number for each frame of each clip; the highest one is labelled first."""
    if picking is Picking.PRIORITY:
        return [
            priorities(doubt.tolist(), done.tolist(), looks)
            for doubt, done, looks in zip(doubts, pool.done, pool.looks, strict=True)
        ]
    if picking is Picking.UNCERTAINTY:
        return [doubt + 0.0 for doubt in doubts]
    if picking is Picking.WORST:
        return [1 - each for each in reached]
    if picking is Picking.RANDOM:
        return [rng.uniform(size=len(done)) for done in pool.done]
    starts = np.cumsum([0, *map(len, pool.done)])
    return [-np.arange(start, start + len(d)) for start, d in zip(starts, pool.done, strict=False)]


def _label(pool: _Pool, helps: Sequence[NDArray[np.float64]]) -> None:
    """Label the frame with the highest number that is not labelled yet, if there is one."""
    free = [np.where(done, -np.inf, h) for done, h in zip(pool.done, helps, strict=True)]
    which = int(np.argmax([each.max() for each in free]))
    if np.isfinite(free[which].max()):
        pool.done[which][int(free[which].argmax())] = True


def _round(
    pool: _Pool,
    scores: Sequence[ClipScores],
    others: Sequence[float],
    promoted: bool | None = None,
) -> Round:
    return Round(
        pool.labelled,
        float(np.mean([each.j_and_f for each in scores])),
        float(np.mean([each.corrected for each in scores])),
        float(np.mean(others)) if others else 1.0,
        promoted,
    )
