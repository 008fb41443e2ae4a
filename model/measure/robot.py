"""A robot in the annotator's place: it corrects a clip frame by frame from the true masks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeler.likeness import Thumbnails
from labeler.mask import Mask
from labeler.metrics import boundary
from labeler.reference import Reference, ReferenceBook
from labeler.review.priority import priorities
from model.measure.truth import MeasuredFrames, TruthClip, segment_in_order
from model.segmenter import Segmenter

WORSE = 0.01
"""A correction of another frame made a frame worse if its J&F fell by more than this."""


@dataclass(frozen=True)
class ClipState:
    """The state of a clip between two corrections: a value for each measured frame, in order."""

    scores: NDArray[np.float64]
    uncertainties: NDArray[np.float64]
    corrected: NDArray[np.bool_]

    @property
    def uncorrected(self) -> list[int]:
        """The positions of the frames that are still predictions, in order."""
        return [i for i, done in enumerate(self.corrected) if not done]


Choose = Callable[[ClipState], int | None]
"""Chooses the frame to correct next, by its position; None to stop."""


def worst_first(state: ClipState) -> int | None:
    """Choose the frame with the lowest J&F: an oracle, since it sees the truth."""
    return min(state.uncorrected, key=lambda i: state.scores[i], default=None)


def most_uncertain(state: ClipState) -> int | None:
    """Choose the frame that the engine is least sure of, as a tool can without the truth."""
    return max(state.uncorrected, key=lambda i: state.uncertainties[i], default=None)


def in_order(state: ClipState) -> int | None:
    """Choose the first frame that is not corrected yet."""
    return next(iter(state.uncorrected), None)


def at_random(seed: int) -> Choose:
    """Choose any uncorrected frame, each with the same probability."""
    rng = np.random.default_rng(seed)
    return lambda state: int(rng.choice(left)) if (left := state.uncorrected) else None


def by_priority(looks: Thumbnails) -> Choose:
    """Choose the frame of the highest priority, which the tool suggests.

    See `labeler.review.priority`.

    Args:
        looks: the measured frames' thumbnails, N x 256.
    """

    def choose(state: ClipState) -> int | None:
        if not state.uncorrected:
            return None
        order = priorities(state.uncertainties.tolist(), state.corrected.tolist(), looks)
        return max(state.uncorrected, key=lambda i: order[i])

    return choose


def first_below(quality: float) -> Choose:
    """Choose the first frame of the clip with a J&F below `quality`, until there is none."""
    return lambda state: next((i for i in state.uncorrected if state.scores[i] < quality), None)


@dataclass(frozen=True)
class Correction:
    """One correction and what followed from it.

    `boundary_pixels` is the length, in pixels, of the outline of the errors in the corrected frame.
    `resegmented` frames had other references afterwards, and the J&F of `worse` of them fell by
    more than `WORSE`. `seconds` is how long the engine took for them, with reading pictures, since
    an annotator would wait for that, too. It is None if no frame was segmented, or if results of
    an earlier run were reused.
    """

    frame: int
    boundary_pixels: int
    resegmented: int
    worse: int
    seconds: float | None


@dataclass(frozen=True)
class CorrectedClip:
    """A clip corrected in some order.

    `scores[k]` are the J&F of `frames` after k corrections. `checked` is how often the mask of a
    corrected frame was requested again, and `altered` how often a pixel of it had changed, which
    must be 0.
    """

    frames: tuple[int, ...]
    scores: NDArray[np.float64]
    corrections: tuple[Correction, ...]
    checked: int
    altered: int

    def corrections_until(self, quality: float) -> int:
        """Count the corrections until every frame had at least that J&F.

        If there was no such moment, this is the number of frames.
        """
        reached = np.flatnonzero((self.scores >= quality).all(axis=1))
        return int(reached[0]) if reached.size else len(self.frames)

    def boundary_pixels_until(self, quality: float) -> int:
        """Sum the outlines of the errors, in pixels, of the frames corrected until then."""
        done = self.corrections[: self.corrections_until(quality)]
        return sum(correction.boundary_pixels for correction in done)


@dataclass(frozen=True)
class _Scored:
    score: float
    uncertainty: float
    boundary_pixels: int


class Robot:
    """Corrects one clip with one engine in several runs, each in another order.

    A frame is not segmented again in a later run with the same references: a prediction is a
    function of weights, references and frames.
    """

    def __init__(self, clip: TruthClip, segmenter: Segmenter) -> None:
        self._clip = clip
        self._segmenter = segmenter
        self._frames = MeasuredFrames(clip.frames)
        self._known: dict[tuple[int, str], _Scored] = {}

    def run(self, choose: Choose) -> CorrectedClip:
        """Correct the frame that `choose` names, again and again, until it names none.

        After each correction exactly the frames whose references have changed are segmented
        again. The corrected frames among them are requested, too, without being timed, and all
        corrected frames at the end, to check that their masks come back as they were given.
        """
        measured = self._clip.measured
        corrected = np.zeros(len(measured), np.bool_)
        given: list[Reference] = []
        book = ReferenceBook((), self._segmenter.choice)
        current, _ = self._segment(book, range(len(measured)))
        history, corrections, same = [_scores(current)], [], []
        while (chosen := choose(_clip_state(current, corrected))) is not None:
            wrong = current[chosen].boundary_pixels
            corrected[chosen] = True
            given.append(self._clip.reference(measured[chosen]))
            before, book = book, ReferenceBook(given, self._segmenter.choice)
            changed = [
                i for i, t in enumerate(measured) if book.digest_for(t) != before.digest_for(t)
            ]
            free = [i for i in changed if not corrected[i]]
            fixed = [i for i in changed if corrected[i]]
            segmented, seconds = self._segment(book, free)
            checked, unaltered = self._check(book, fixed)
            same += unaltered
            for i, new in zip([*free, *fixed], [*segmented, *checked], strict=True):
                current[i] = new
            history.append(_scores(current))
            fall = history[-2][free] - history[-1][free]
            worse = int(np.count_nonzero(fall > WORSE))
            corrections.append(Correction(measured[chosen], wrong, len(free), worse, seconds))
        same += self._check(book, corrected.nonzero()[0].tolist())[1]
        return CorrectedClip(
            measured, np.stack(history), tuple(corrections), len(same), same.count(False)
        )

    def run_without_propagation(self) -> CorrectedClip:
        """Correct every frame, worst first, while all others keep their first prediction."""
        measured = self._clip.measured
        first, _ = self._segment(ReferenceBook((), self._segmenter.choice), range(len(measured)))
        scores = np.tile(_scores(first), (len(measured) + 1, 1))
        order = np.argsort(scores[0], kind="stable").tolist()
        for done, i in enumerate(order, start=1):
            scores[done:, i] = 1
        corrections = (Correction(measured[i], first[i].boundary_pixels, 0, 0, None) for i in order)
        return CorrectedClip(measured, scores, tuple(corrections), checked=0, altered=0)

    def _segment(
        self, book: ReferenceBook, positions: Sequence[int]
    ) -> tuple[list[_Scored], float | None]:
        """Return the scores of some frames, and the time; only unknown ones are segmented."""
        keys = {self._clip.measured[i]: book.digest_for(self._clip.measured[i]) for i in positions}
        unknown = [frame for frame, digest in keys.items() if (frame, digest) not in self._known]
        started = time.perf_counter()
        answers = [
            (each.frame, each.mask, each.uncertainty)
            for each in segment_in_order(self._segmenter, self._frames, unknown, book)
        ]
        seconds = time.perf_counter() - started
        for frame, mask, uncertainty in answers:
            self._known[frame, keys[frame]] = self._score(frame, mask, uncertainty)
        whole = bool(unknown) and len(unknown) == len(keys)
        return [self._known[key] for key in keys.items()], seconds if whole else None

    def _check(
        self, book: ReferenceBook, positions: Sequence[int]
    ) -> tuple[list[_Scored], list[bool]]:
        """Request corrected frames again; return their scores, and whether each is as given."""
        frames = [self._clip.measured[i] for i in positions]
        scored, same = [], []
        for answer in segment_in_order(self._segmenter, self._frames, frames, book):
            scored.append(self._score(answer.frame, answer.mask, answer.uncertainty))
            same.append(np.array_equal(answer.mask, self._clip.truths[answer.frame]))
        return scored, same

    def _score(self, frame: int, mask: Mask, uncertainty: float) -> _Scored:
        score = (self._clip.region(frame, mask) + self._clip.boundary(frame, mask)) / 2
        wrong = mask ^ self._clip.truths[frame]
        if frame in self._clip.voids:
            wrong &= ~self._clip.voids[frame]
        return _Scored(score, uncertainty, int(np.count_nonzero(boundary(wrong))))


def _clip_state(current: Sequence[_Scored], corrected: NDArray[np.bool_]) -> ClipState:
    doubts = np.array([each.uncertainty for each in current])
    return ClipState(_scores(current), doubts, corrected.copy())


def _scores(current: Sequence[_Scored]) -> NDArray[np.float64]:
    return np.array([each.score for each in current])
