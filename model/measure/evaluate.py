"""How good an engine's masks are: J, F and frames per second, clip by clip and overall."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np

from labeler.clip import KEY_FRAME_STRIDE, Frames
from labeler.errors import LabelerError
from labeler.layouts.mvps import Dataset
from labeler.mask import Mask
from labeler.metrics import Scores, clip_scores, dataset_scores
from labeler.reference import ReferenceBook
from model.data.sources import Sources, Still
from model.measure.truth import (
    PICTURES,
    MeasuredFrames,
    TruthClip,
    load_truth,
    measured_clips,
    segment_in_order,
    truth_of_picture,
    truth_of_take,
)
from model.segmenter import Segmenter

TIMING = (
    "FPS is measured frames divided by the seconds from asking the engine to its last mask, in the "
    "frame's own size. Time in which a picture was being read is left out. Every clip starts "
    "without kept features; within a clip the engine may keep what it has computed."
)
"""What FPS means here; it stands in every report."""

FINE_RADII = (1, 2)
"""Pixels; at these F still tells outlines apart that DAVIS's own radius calls the same."""

WORST_KEPT = 24
WORST_KEPT_OF_CLIP = 4
"""How many of the worst frames are kept to look at: overall, and of one clip."""


class Scope(StrEnum):
    """Which of the measured frames count."""

    ALL = "all annotated frames"
    WITHOUT_FIRST = "without the first frame"
    WITHOUT_GIVEN = "without the given frames"


@dataclass(frozen=True)
class FrameScores:
    """What one prediction scored: J, F, and F within each of `FINE_RADII`, all 0 to 1.

    `uncertainty` is the engine's own. A frame is `given` where the engine got its true mask.
    """

    frame: int
    region: float
    boundary: float
    fine: tuple[float, ...]
    uncertainty: float
    given: bool

    @property
    def j_and_f(self) -> float:
        """The mean of J and F."""
        return (self.region + self.boundary) / 2


@dataclass(frozen=True)
class Summary:
    """The paper's columns of one clip or of all; `fine` is the mean of F at each fine radius."""

    frames: int
    scores: Scores
    fine: tuple[float, ...]


@dataclass(frozen=True)
class ClipEvaluation:
    """How one clip was masked; `seconds` are those of the engine (see `TIMING`)."""

    clip: str
    frames: tuple[FrameScores, ...]
    seconds: float

    @property
    def fps(self) -> float:
        """Frames masked per second."""
        return len(self.frames) / self.seconds

    def summary(self, scope: Scope) -> Summary | None:
        """The clip's columns over the frames that count, or None where there are none."""
        counted = [
            each
            for each in self.frames
            if not (scope is Scope.WITHOUT_FIRST and each is self.frames[0])
            and not (scope is Scope.WITHOUT_GIVEN and each.given)
        ]
        if not counted:
            return None
        return Summary(
            len(counted),
            clip_scores([each.region for each in counted], [each.boundary for each in counted]),
            _means([each.fine for each in counted]),
        )


@dataclass(frozen=True)
class WorstFrame:
    """One of the frames with the lowest J&F, with what it takes to draw it."""

    clip: str
    frames: Frames
    scores: FrameScores
    prediction: Mask
    truth: Mask


@dataclass(frozen=True)
class Evaluation:
    """How one engine did on some clips.

    `given` frames of each clip were given with their true masks, `stride` is that of the measured
    frames and `resolution` the one that was masked and scored, or `PICTURES`. `worst` are the
    frames with the lowest J&F, the lowest first.
    """

    model_version: str
    given: int
    stride: int
    resolution: str
    clips: tuple[ClipEvaluation, ...]
    worst: tuple[WorstFrame, ...]

    @property
    def fps(self) -> float:
        """Frames masked per second, over all clips together."""
        return sum(len(c.frames) for c in self.clips) / sum(c.seconds for c in self.clips)

    def overall(self, scope: Scope) -> Summary | None:
        """The mean over the clips, each counting the same; None where no clip has such frames."""
        summaries = [s for clip in self.clips if (s := clip.summary(scope)) is not None]
        if not summaries:
            return None
        return Summary(
            sum(summary.frames for summary in summaries),
            dataset_scores([summary.scores for summary in summaries]),
            _means([summary.fine for summary in summaries]),
        )


def evaluate(
    dataset: Dataset,
    segmenter: Segmenter,
    *,
    clips: Sequence[str] | None = None,
    given: int = 0,
    stride: int = KEY_FRAME_STRIDE,
    resolution: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Mask the annotated frames of a dataset's clips and score the masks against its own.

    Args:
        dataset: where the clips and their true masks are.
        segmenter: the engine.
        clips: names of the clips to measure; None for all of them.
        given: how many true masks of each clip the engine gets as corrections, evenly spaced
            from its first measured frame to its last: 0 is unguided, 1 gives the first frame.
        stride: the annotated ones of the frames 0, stride, 2 * stride, ... are measured.
        resolution: which tree to use; None for the dataset's largest.
        progress: called with (clips done, clips).

    Raises:
        LabelerError: there is nothing to measure, or a file is missing or damaged.
    """
    names = measured_clips(dataset, clips)
    truths = [partial(load_truth, dataset, name, stride, resolution) for name in names]
    tree = resolution or dataset.resolutions[0]
    return evaluate_truths(truths, segmenter, given, stride, tree, progress)


def evaluate_pictures(
    stills: Sequence[Still],
    segmenter: Segmenter,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Mask pictures, each by itself, and score the masks against their labels.

    Args:
        stills: the pictures; each is a clip of one frame in what is returned.
        segmenter: the engine.
        progress: called with (pictures done, pictures).

    Raises:
        LabelerError: a file is missing or damaged.
    """
    truths = [partial(truth_of_picture, still) for still in stills]
    return evaluate_truths(truths, segmenter, 0, 1, PICTURES, progress)


def evaluate_truths(
    truths: Sequence[Callable[[], TruthClip]],
    segmenter: Segmenter,
    given: int = 0,
    stride: int = KEY_FRAME_STRIDE,
    resolution: str = PICTURES,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Mask and score clips that are read one after the other (see `evaluate`)."""
    found: list[ClipEvaluation] = []
    worst: list[WorstFrame] = []
    for load in truths:
        truth = load()
        if not found:  # setting up a device is not the engine's speed; it is done on other keys
            first = truth.measured[:1]
            list(segmenter.segment(MeasuredFrames(truth.frames), first, ReferenceBook()))
        clip, worst_of_clip = evaluate_clip(truth, segmenter, given)
        found.append(clip)
        worst = sorted([*worst, *worst_of_clip], key=_badness)[:WORST_KEPT]
        if progress is not None:
            progress(len(found), len(truths))
    version = segmenter.model_version
    return Evaluation(version, given, stride, resolution, tuple(found), tuple(worst))


def evaluate_clip(
    truth: TruthClip, segmenter: Segmenter, given: int = 0
) -> tuple[ClipEvaluation, list[WorstFrame]]:
    """Mask and score one clip, and return its scores and its worst frames (see `evaluate`)."""
    told = given_frames(truth.measured, given)
    book = ReferenceBook(truth.reference(frame) for frame in told)
    frames = MeasuredFrames(truth.frames)
    started = time.perf_counter()
    answers = [
        (segmentation.mask, segmentation.uncertainty)
        for segmentation in segment_in_order(segmenter, frames, truth.measured, book)
    ]
    seconds = time.perf_counter() - started - frames.seconds_reading
    scored = [
        WorstFrame(
            truth.name,
            truth.frames,
            FrameScores(
                frame,
                truth.region(frame, mask),
                truth.boundary(frame, mask),
                tuple(truth.boundary(frame, mask, radius) for radius in FINE_RADII),
                uncertainty,
                frame in told,
            ),
            mask,
            truth.truths[frame],
        )
        for frame, (mask, uncertainty) in zip(truth.measured, answers, strict=True)
    ]
    clip = ClipEvaluation(truth.name, tuple(each.scores for each in scored), seconds)
    return clip, sorted(scored, key=_badness)[:WORST_KEPT_OF_CLIP]


def given_frames(measured: Sequence[int], given: int) -> tuple[int, ...]:
    """Which frames are given: that many of the measured ones, evenly spaced, ends included.

    All of them where there are no more than that.

    >>> given_frames(range(0, 50, 5), 1), given_frames(range(0, 55, 5), 3)
    ((0,), (0, 25, 50))

    Raises:
        LabelerError: the number is below 0.
    """
    if given < 0:
        raise LabelerError(f"{given} masks cannot be given; give 0 for an unguided evaluation.")
    count = min(given, len(measured))
    return tuple(measured[round(i)] for i in np.linspace(0, len(measured) - 1, count))


def _badness(frame: WorstFrame) -> tuple[float, str, int]:
    return frame.scores.j_and_f, frame.clip, frame.scores.frame


def _means(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(np.mean(rows, axis=0).tolist())


def held_out_scores(held_out: Sources, segmenter: Segmenter) -> dict[str, float]:
    """Return J and F, 0 to 1, by name, for a model card.

    Of the clips the mean of every fifth frame but the first: with nothing given, and with the
    first frame's mask given. Of the pictures, each by itself.

    Raises:
        LabelerError: a file is missing or damaged.
    """
    found = {}
    if held_out.clips:
        truths = [partial(truth_of_take, take) for take in held_out.clips]
        for given, name in ((0, "clips, unguided"), (1, "clips, first mask given")):
            summary = evaluate_truths(truths, segmenter, given).overall(Scope.WITHOUT_FIRST)
            if summary is not None:
                found[f"{name}: J"] = round(summary.scores.region.mean, 4)
                found[f"{name}: F"] = round(summary.scores.boundary.mean, 4)
    if held_out.stills:
        summary = evaluate_pictures(held_out.stills, segmenter).overall(Scope.ALL)
        if summary is not None:
            found["pictures: J"] = round(summary.scores.region.mean, 4)
            found["pictures: F"] = round(summary.scores.boundary.mean, 4)
    return found
