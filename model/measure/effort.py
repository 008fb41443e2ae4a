"""Measure how much work an engine leaves to an annotator: the product's own measure.

The main number is FC@q: the share of the key frames that have to be corrected until every key frame
of the clip has a J&F of at least q. After each correction the engine masks the others again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from labeler.clip import KEY_FRAME_STRIDE
from labeler.errors import LabelerError
from labeler.layouts.mvps import Dataset
from labeler.likeness import thumbnail_of
from model.measure.bootstrap import Difference, paired_bootstrap
from model.measure.robot import (
    CorrectedClip,
    Correction,
    Robot,
    at_random,
    by_priority,
    first_below,
    in_order,
    most_uncertain,
    worst_first,
)
from model.measure.truth import TruthClip, load_truth, measured_clips
from model.segmenter import Segmenter

SHARES = np.linspace(0, 1, 101)
"""The shares of corrected frames at which a curve is given, so that clips can be averaged."""

EARLY = 0.3
"""The share of corrected frames up to which the early area under a curve goes."""


def curve_of(run: CorrectedClip, uncorrected_only: bool = False) -> NDArray[np.float64]:
    """Compute the mean J&F over a clip's frames at each of `SHARES` of corrected frames.

    Between two corrections the curve is a straight line.

    Args:
        run: a run that went on until every frame was corrected.
        uncorrected_only: leave out the frames corrected so far, whose masks are true with any
            engine. Once no other frame is left, the last value stays.

    Returns:
        As many values as `SHARES`, 0 to 1.
    """
    counts = np.ones_like(run.scores)
    if uncorrected_only:
        for done, correction in enumerate(run.corrections, start=1):
            counts[done:, run.frames.index(correction.frame)] = 0
    some = counts.any(axis=1)
    values = np.average(run.scores[some], axis=1, weights=counts[some])
    return np.asarray(np.interp(SHARES, np.arange(len(values)) / len(run.frames), values))


def area(curve: NDArray[np.float64], until: float = 1.0) -> float:
    """Compute a curve's mean height from no corrected frame to the share `until`, 0 to 1.

    >>> area(SHARES), area(SHARES, EARLY)
    (0.5, 0.15)
    """
    part = curve[: round(until * (len(curve) - 1)) + 1]
    return float(np.trapezoid(part) / (len(part) - 1))


QUALITIES = (0.80, 0.85, 0.90)
"""The J&F that every key frame must have before an annotator is done."""


class Order(StrEnum):
    """The orders in which frames are corrected, and one in which others are not masked again."""

    WORST_FIRST = "worst first"
    SEQUENTIAL = "first below q"
    UNCERTAINTY = "most uncertain"
    PRIORITY = "by priority"
    RANDOM = "at random"
    IN_ORDER = "in order"
    NO_PROPAGATION = "worst first, no propagation"


@dataclass(frozen=True)
class ClipEffort:
    """One clip corrected in every order with one engine.

    `complete` are the runs that went on until every frame was corrected. In the sequential order
    the next frame depends on q, so `sequential` has a run for each q.
    """

    clip: str
    complete: Mapping[Order, CorrectedClip]
    sequential: Mapping[float, CorrectedClip]

    def run(self, order: Order, quality: float) -> CorrectedClip:
        """Return the run in that order, towards that quality."""
        return self.sequential[quality] if order is Order.SEQUENTIAL else self.complete[order]

    def corrected_share(self, quality: float, order: Order = Order.WORST_FIRST) -> float:
        """Compute FC@q: 0 if all first predictions were good enough, 1 if all were corrected."""
        run = self.run(order, quality)
        return run.corrections_until(quality) / len(run.frames)

    def pixels_per_frame(self, quality: float) -> float:
        """Compute the outline of the errors that were corrected, worst first, in pixels a frame.

        The sum over the frames corrected until all had that J&F is divided by all key frames.
        """
        run = self.complete[Order.WORST_FIRST]
        return run.boundary_pixels_until(quality) / len(run.frames)

    @property
    def runs(self) -> list[CorrectedClip]:
        """Every run."""
        return [*self.complete.values(), *self.sequential.values()]


@dataclass(frozen=True)
class EngineEffort:
    """The effort with one engine on all clips; each clip counts the same in a mean."""

    name: str
    model_version: str
    clips: tuple[ClipEffort, ...]

    def corrected_shares(
        self, quality: float, order: Order = Order.WORST_FIRST
    ) -> tuple[float, ...]:
        """Compute FC@q of each clip."""
        return tuple(clip.corrected_share(quality, order) for clip in self.clips)

    def corrected_share(self, quality: float, order: Order = Order.WORST_FIRST) -> float:
        """Compute FC@q, the mean over the clips."""
        return float(np.mean(self.corrected_shares(quality, order)))

    def propagation_gain(self, quality: float) -> float:
        """Compute how much smaller FC@q is than with the first predictions left unchanged."""
        alone = self.corrected_share(quality, Order.NO_PROPAGATION)
        return alone - self.corrected_share(quality)

    def pixels_per_frame(self, quality: float) -> float:
        """Compute the mean over the clips of `ClipEffort.pixels_per_frame`."""
        return float(np.mean([clip.pixels_per_frame(quality) for clip in self.clips]))

    def curve(
        self, order: Order = Order.WORST_FIRST, *, uncorrected_only: bool = False
    ) -> NDArray[np.float64]:
        """Compute the mean J&F at each of `SHARES` of corrected frames, over all clips.

        Raises:
            KeyError: the order is the sequential one, which stops before the end.
        """
        curves = [curve_of(clip.complete[order], uncorrected_only) for clip in self.clips]
        return np.asarray(np.mean(curves, axis=0))

    @property
    def corrections(self) -> list[Correction]:
        """Every correction of the worst-first runs."""
        return [
            each for clip in self.clips for each in clip.complete[Order.WORST_FIRST].corrections
        ]

    @property
    def worse_share(self) -> float:
        """The share of the frames masked again that a correction of another frame made worse."""
        resegmented = sum(each.resegmented for each in self.corrections)
        return sum(each.worse for each in self.corrections) / max(resegmented, 1)

    @property
    def resegmented_per_correction(self) -> float:
        """How many frames are masked again after a correction, on average."""
        return float(np.mean([each.resegmented for each in self.corrections]))

    @property
    def altered(self) -> int:
        """How often, in all runs, an engine changed the mask of a corrected frame."""
        return sum(run.altered for clip in self.clips for run in clip.runs)

    @property
    def checked(self) -> int:
        """How often, in all runs, the mask of a corrected frame was compared for that."""
        return sum(run.checked for clip in self.clips for run in clip.runs)

    def refresh_seconds(self, percentile: float) -> float | None:
        """Compute a percentile of the engine's seconds after a correction; None if it never ran."""
        taken = [each.seconds for each in self.corrections if each.seconds is not None]
        return float(np.percentile(taken, percentile)) if taken else None


@dataclass(frozen=True)
class Comparison:
    """FC@q of `engine` minus that of `baseline` on the same clips; below 0 means less work."""

    engine: str
    baseline: str
    quality: float
    difference: Difference


@dataclass(frozen=True)
class Effort:
    """The effort with several engines on the same clips."""

    engines: tuple[EngineEffort, ...]
    qualities: tuple[float, ...]
    stride: int
    resolution: str

    def comparisons(self) -> list[Comparison]:
        """Compare every engine after the first one with the first, at each quality."""
        first, *others = self.engines
        return [
            Comparison(
                other.name,
                first.name,
                quality,
                paired_bootstrap(other.corrected_shares(quality), first.corrected_shares(quality)),
            )
            for other in others
            for quality in self.qualities
        ]


def measure_effort(
    dataset: Dataset,
    engines: Mapping[str, Segmenter],
    *,
    clips: Sequence[str] | None = None,
    qualities: Sequence[float] = QUALITIES,
    stride: int = KEY_FRAME_STRIDE,
    resolution: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Effort:
    """Let a robot correct clips with each engine, and count what it had to do.

    Args:
        dataset: where the clips and their true masks are; every correction is a true mask.
        engines: the engines to measure, by their names in the report.
        clips: names of the clips; None for all of them.
        qualities: the q of FC@q, each above 0 and at most 1.
        stride: the key frames are the annotated ones of the frames 0, stride, 2 * stride, ...
        resolution: which tree to use; None for the dataset's largest.
        progress: called with (clips done, clips), a clip counting once for each engine.

    Raises:
        LabelerError: there is nothing to measure, a quality is out of range, or a file is missing
            or damaged.
    """
    if not engines:
        raise LabelerError("There is no engine to measure; name a model or a baseline.")
    if not qualities or any(not 0 < quality <= 1 for quality in qualities):
        raise LabelerError(
            f"Each quality must be above 0 and at most 1, not {list(qualities)}; change them."
        )
    qualities = tuple(sorted(set(qualities)))
    names = measured_clips(dataset, clips)
    measured: dict[str, list[ClipEffort]] = {name: [] for name in engines}
    for done, clip in enumerate(names):
        truth = load_truth(dataset, clip, stride, resolution)
        for turn, (name, segmenter) in enumerate(engines.items(), start=1):
            measured[name].append(clip_effort(truth, segmenter, qualities))
            if progress is not None:
                progress(done * len(engines) + turn, len(names) * len(engines))
    return Effort(
        tuple(
            EngineEffort(name, segmenter.model_version, tuple(measured[name]))
            for name, segmenter in engines.items()
        ),
        qualities,
        stride,
        resolution or dataset.resolutions[0],
    )


def clip_effort(
    truth: TruthClip, segmenter: Segmenter, qualities: Sequence[float] = QUALITIES
) -> ClipEffort:
    """Let a robot correct one clip in every order (see `measure_effort`)."""
    robot = Robot(truth, segmenter)
    looks = np.stack([thumbnail_of(truth.frames[frame]) for frame in truth.measured])
    return ClipEffort(
        clip=truth.name,
        complete={
            Order.WORST_FIRST: robot.run(worst_first),  # first: no result is reused in its times
            Order.UNCERTAINTY: robot.run(most_uncertain),
            Order.PRIORITY: robot.run(by_priority(looks)),
            Order.RANDOM: robot.run(at_random(seed=0)),
            Order.IN_ORDER: robot.run(in_order),
            Order.NO_PROPAGATION: robot.run_without_propagation(),
        },
        sequential={quality: robot.run(first_below(quality)) for quality in qualities},
    )
