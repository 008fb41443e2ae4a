"""Measure how good an engine's masks are: J, F and frames per second, by clip and overall."""

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
    "FPS is the number of measured frames divided by the seconds from the request to the engine to "
    "its last mask, at the frame's own size. Time spent on reading pictures is left out. Every "
    "clip starts with an empty cache; within a clip the engine may reuse what it has computed."
)
"""What FPS means here; every report has this text."""

FINE_RADII = (1, 2)
"""Radii of F in pixels, at which outlines differ that are the same at DAVIS's own radius."""

WORST_KEPT = 24
WORST_KEPT_OF_CLIP = 4
"""How many of the worst frames a report shows: overall, and of one clip."""


class Scope(StrEnum):
    """The measured frames that count."""

    ALL = "all annotated frames"
    WITHOUT_FIRST = "without the first frame"
    WITHOUT_GIVEN = "without the given frames"


@dataclass(frozen=True)
class FrameScores:
    """The scores of one prediction: J, F, and F at each of `FINE_RADII`, all 0 to 1.

    `uncertainty` is the engine's own. A frame is `given` if the engine got its true mask.
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
    """The paper's scores of one clip or of all; `fine` is the mean F at each of `FINE_RADII`."""

    frames: int
    scores: Scores
    fine: tuple[float, ...]


@dataclass(frozen=True)
class ClipEvaluation:
    """The scores of one clip; `seconds` is the engine's time (see `TIMING`)."""

    clip: str
    frames: tuple[FrameScores, ...]
    seconds: float

    @property
    def fps(self) -> float:
        """Frames masked per second."""
        return len(self.frames) / self.seconds

    def summary(self, scope: Scope) -> Summary | None:
        """Compute the clip's scores over the frames that count, or None if there are none."""
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
    """One of the frames with the lowest J&F, and everything needed to draw it."""

    clip: str
    frames: Frames
    scores: FrameScores
    prediction: Mask
    truth: Mask


@dataclass(frozen=True)
class Evaluation:
    """The scores of one engine on some clips.

    `given` is the number of frames of each clip whose true masks the engine got, `stride` that of
    the measured frames, and `resolution` the one that was masked and scored, or `PICTURES`.
    `worst` are the frames with the lowest J&F, the lowest first.
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
        """Compute the mean over the clips, each counting the same; None if none has such frames."""
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
        stride: of the frames 0, stride, 2 * stride, ..., those that are annotated are measured.
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
        if not found:  # sets up the device before the clock runs, and leaves the clip's cache empty
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
    """Choose the frames that are given: evenly spaced measured frames, with the first and the last.

    If there are no more than `given` measured frames, all of them are given.

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
    """Compute J and F, 0 to 1, by name, for a model card.

    Clips are scored twice, by the mean over every fifth frame except the first: with nothing given,
    and with the first frame's mask given. Pictures are scored each by itself.

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
