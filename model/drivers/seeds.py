"""Use an engine's sure predictions as references for other frames, until a person corrects some."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from labeler.clip import Frames, Image
from labeler.mask import Mask
from labeler.metrics import region_similarity
from labeler.reference import Reference, ReferenceBook
from model.drivers.cache import LastUsed
from model.drivers.colours import sharpened
from model.drivers.probability import logits_of, sigmoid
from model.segmenter import THRESHOLD, Segmentation, Segmenter, clip_and_book, uncertainty_of

REACH = 12
"""How many key frames away a seed may be: two seconds and a half at 24 frames a second."""

LEAST = 1e-4
"""Probabilities are clipped to [LEAST, 1 - LEAST], so that they have a logit."""

LEAST_AREA = 1 / 3
"""The least area of a seed, as a share of the largest certain area within reach."""

AS_SURE = 1.25
"""Two masks count as equally sure if their uncertainties differ by less than this factor."""

LEAST_OVERLAP = 0.2
"""The least J between a found mask and a carried mask that show the same people."""

CERTAIN = 0.9
"""The threshold for the mask of a seed. At one half, statues and a crowd were in it, too; a carrier
does better with too small a mask than with too large a one."""

AT_ONCE, ANSWERS_BYTES, SEEDS_KEPT = 32, 330 << 20, 64
"""How many frames the finder predicts together, how many bytes of its predictions are kept, and
how many seeds are."""


class Answer(NamedTuple):
    """The finder's prediction for a frame, and the number of pixels of which it is CERTAIN."""

    found: Segmentation
    area: int


class SeededSegmenter:
    """Combines an engine that finds people by itself with one that carries masks.

    Where a person has masked a frame of the clip, both engines use that mask. Until then a frame
    has seeds: the key frames around it that the finder is surer of. Their masks are carried to the
    frame as if a person had given them. The surer a seed is in comparison with the frame's own
    prediction, the more the carried mask counts.

    A carried mask that hardly overlaps the people found in a frame is dropped, unless the finder
    is also the carrier: people leave and others come, and a carrier that does not know the others
    still marks something.

    Args:
        finder: finds people by itself, and follows given masks, too.
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
        """Return the references that the finder or the carrier uses for a target."""
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
        """Average the found mask and the one carried from a book, the latter with this share."""
        (carried,) = self.carrier.segment(frames, [found.frame], book)
        if self.carrier is not self.finder and not _meet(found, carried):
            return found
        both = (1 - share) * found.probability + share * carried.probability
        probability = np.asarray(both, np.float32)
        return Segmentation(found.frame, probability, uncertainty_of(probability), seeds)

    def _find(self, frames: Frames, wanted: Sequence[int]) -> dict[int, Answer]:
        """Return the finder's unguided predictions; those not cached are made together."""
        asked = {n: self._answers.get((frames.key, n)) for n in wanted}
        kept = {n: answer for n, answer in asked.items() if answer is not None}
        missing = [n for n in wanted if n not in kept]
        for found in self.finder.segment(frames, missing, ReferenceBook()):
            answer = Answer(found, int(np.count_nonzero(found.probability >= CERTAIN)))
            kept[found.frame] = self._answers.put((frames.key, found.frame), answer)
        return kept

    def _reference(self, frames: Frames, seed: Segmentation) -> Reference:
        """Turn the people that the finder is certain of in a frame into a reference."""

        def make() -> Reference:
            mask = sharpened(frames[seed.frame], certain(seed.probability)) >= THRESHOLD
            return Reference.of_mask(seed.frame, mask)

        return self._seeds.or_make((frames.key, seed.frame), make)


def certain(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lower probabilities, H x W in [0, 1], so that the value CERTAIN becomes THRESHOLD."""
    return sigmoid(logits_of(probability, LEAST) - logit(CERTAIN))


def _batches(targets: Sequence[int], frames: Frames) -> Iterator[dict[int, set[int]]]:
    """Yield targets with the key frames around each, in batches that need AT_ONCE predictions."""
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
    """Return the surest prediction before a frame and the surest after it, if surer than its own.

    If one of the two is less sure than the other (see AS_SURE), it is left out.
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
    """Return whether somebody was found, and the carried mask is about where they are."""
    mask = found.mask
    return bool(mask.any()) and region_similarity(mask, carried.mask) >= LEAST_OVERLAP
