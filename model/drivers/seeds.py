"""What an engine is sure of in one frame tells it of others, until a person has said more."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from labeler.clip import Frames, Image
from labeler.mask import Mask
from labeler.metrics import region_similarity
from labeler.reference import Reference, ReferenceBook
from model.drivers.cache import LastUsed
from model.drivers.colours import sharpened
from model.segmenter import THRESHOLD, Segmentation, Segmenter, clip_and_book, uncertainty_of

REACH = 12
"""How many key frames away a seed may be: two seconds and a half at 24 frames a second."""

LEAST = 1e-4
"""What a probability is squeezed by, to have a logit."""

LEAST_AREA = 1 / 3
"""Of the largest that is certain within reach: what is smaller is no seed, however certain."""

AS_SURE = 1.25
"""Two masks are about as sure as each other if the one is less than so many times as uncertain."""

LEAST_OVERLAP = 0.2
"""The least J between what was found and what was carried to be one and the same person."""

CERTAIN = 0.9
"""The probability from which on somebody is in a seed. At one half statues and a crowd were, too;
with too little of somebody a carrier does better than with too much."""

AT_ONCE, ANSWERS_BYTES, SEEDS_KEPT = 32, 330 << 20, 64
"""For so many frames the finder is asked together, and so many bytes of its answers are kept."""


class Answer(NamedTuple):
    """What the finder says of a frame, and of how many pixels of it it is CERTAIN."""

    found: Segmentation
    area: int


class SeededSegmenter:
    """An engine that finds people by itself, and one that carries masks; both are asked.

    Where a person has masked something, both are told that. Until then the key frames around a
    frame that the finder is surer of are its seeds: their masks are carried to it as if a person
    had given them, and count the more the surer they are than what was found in the frame itself.

    What is carried to a frame where it hardly meets anybody is dropped, unless the finder carries
    it itself: people come and go, and a carrier that knows of nobody else paints something.

    Args:
        finder: finds people by itself, and follows given masks too.
        carrier: carries masks, a person's or the finder's; it may be the finder.
        model_version: the name of their weights.
    """

    def __init__(self, finder: Segmenter, carrier: Segmenter, model_version: str) -> None:
        self.finder, self.carrier, self.model_version = finder, carrier, model_version
        self._answers: LastUsed[Answer] = LastUsed(
            ANSWERS_BYTES, lambda answer: answer.found.probability.nbytes
        )
        self._seeds: LastUsed[Reference] = LastUsed(SEEDS_KEPT)

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        frames, book = clip_and_book(frames, references)
        if book.empty:
            return self._unguided(frames, targets)
        if self.carrier is self.finder:
            return self.finder.segment(frames, targets, book)
        return self._guided(frames, targets, book)

    def choice(self, book: ReferenceBook, target: int) -> tuple[Reference, ...]:
        """The references that either of both masks a target by."""
        chosen = {*self.finder.choice(book, target), *self.carrier.choice(book, target)}
        return tuple(sorted(chosen, key=lambda reference: reference.frame))

    def _guided(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        for found in self.finder.segment(frames, targets, references):
            if references.corrected(found.frame) is not None:
                yield found
            else:
                yield self._joined(frames, found, references, 0.5)

    def _unguided(self, frames: Frames, targets: Sequence[int]) -> Iterator[Segmentation]:
        for batch in _batches(targets, frames):
            answers = self._find(frames, sorted(set().union(*batch.values()).union(batch)))
            for target, around in batch.items():
                found = answers[target].found
                seeds = _seeds(found, [answers[frame] for frame in around])
                if not seeds:
                    yield found
                    continue
                given = tuple(self._reference(frames, seed) for seed in seeds)
                surest = min(seed.uncertainty for seed in seeds)
                share = found.uncertainty / (found.uncertainty + surest)
                yield self._joined(frames, found, ReferenceBook(given), share, given)

    def _joined(
        self,
        frames: Frames,
        found: Segmentation,
        book: ReferenceBook,
        share: float,
        seeds: tuple[Reference, ...] = (),
    ) -> Segmentation:
        """What was found, and with a share of 0 to 1 what is carried there from a book."""
        (carried,) = self.carrier.segment(frames, [found.frame], book)
        if self.carrier is not self.finder and not _meet(found, carried):
            return found
        both = (1 - share) * found.probability + share * carried.probability
        probability = np.asarray(both, np.float32)
        return Segmentation(found.frame, probability, uncertainty_of(probability), seeds)

    def _find(self, frames: Frames, wanted: Sequence[int]) -> dict[int, Answer]:
        """What the finder says of frames by themselves; those not kept are asked for together."""
        asked = {n: self._answers.get((frames.key, n)) for n in wanted}
        kept = {n: answer for n, answer in asked.items() if answer is not None}
        missing = [n for n in wanted if n not in kept]
        for found in self.finder.segment(frames, missing, ReferenceBook()):
            answer = Answer(found, int(np.count_nonzero(found.probability >= CERTAIN)))
            kept[found.frame] = self._answers.put((frames.key, found.frame), answer)
        return kept

    def _reference(self, frames: Frames, seed: Segmentation) -> Reference:
        """Whom the finder is certain of in a frame, as if a person had masked them."""

        def make() -> Reference:
            mask = sharpened(frames[seed.frame], certain(seed.probability)) >= THRESHOLD
            return Reference.of_mask(seed.frame, mask)

        return self._seeds.or_make((frames.key, seed.frame), make)


def certain(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities made stricter, so that what was CERTAIN is at THRESHOLD; H x W in [0, 1]."""
    squeezed = probability.clip(LEAST, 1 - LEAST)
    return np.asarray(expit(logit(squeezed) - logit(CERTAIN)), np.float32)


def _batches(targets: Sequence[int], frames: Frames) -> Iterator[dict[int, set[int]]]:
    """Targets with the key frames around each; as many together as need AT_ONCE answers."""
    batch: dict[int, set[int]] = {}
    needed: set[int] = set()
    for target in targets:
        nearest = bisect_right(frames.key_frames, target) - 1  # at the target or before it
        around = {*frames.key_frames[max(nearest - REACH, 0) : nearest + REACH + 1]}
        if batch and len(needed | around | {target}) > AT_ONCE:
            yield batch
            batch, needed = {}, set()
        batch[target] = around
        needed |= around | {target}
    if batch:
        yield batch


def _seeds(found: Segmentation, around: Sequence[Answer]) -> list[Segmentation]:
    """The surest of the answers before a frame and of those after it, if surer than its own.

    Of two, the one that is less sure than the other is left out.
    """
    least = LEAST_AREA * max((answer.area for answer in around), default=0)
    surer = [
        each
        for each, area in around
        if AS_SURE * each.uncertainty < found.uncertainty and area >= least > 0
    ]
    sides = (
        [each for each in surer if each.frame < found.frame],
        [each for each in surer if each.frame > found.frame],
    )
    surest = [min(side, key=lambda each: each.uncertainty) for side in sides if side]
    limit = AS_SURE * min((each.uncertainty for each in surest), default=0.0)
    return [each for each in surest if each.uncertainty <= limit]


def _meet(found: Segmentation, carried: Segmentation) -> bool:
    """Whether somebody was found, and what was carried is about where they are."""
    mask = found.mask
    return bool(mask.any()) and region_similarity(mask, carried.mask) >= LEAST_OVERLAP
