"""The driver of networks that carry a mask from frame to frame, outward from every correction.

A walk begins at a frame that a person masked, and goes over the key frames in both directions.
The prediction for a target between two corrections is the mean of two walks; the nearer correction
counts more. A prediction depends on the target's references alone, and not on earlier requests:
a walk visits every key frame on its way, whichever frames are targets.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch

from labeler.clip import Frames, Image
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook, ReferenceChoice, nearest_and_first
from model.drivers.cache import LastUsed
from model.segmenter import Probability, Segmentation, clip_and_book, given, uncertainty_of

WALKS_KEPT = 16

S = TypeVar("S")


class Answer(Protocol):
    """The prediction for one frame."""

    @property
    def probability(self) -> Probability:
        """The probability map of the whole frame, H x W."""


class Carrying(Protocol[S]):
    """A way to carry masks.

    A state is never changed in place, so a walk can continue from any state that it has reached.
    """

    def begin(self, frames: Frames, start: Reference, known: Sequence[Reference]) -> S:
        """Return the state at the reference `start`; it may use all masked references, `known`."""

    def look(self, frames: Frames, state: S, frame: int) -> Answer:
        """Predict a frame near the frame of a state."""

    def step(self, frames: Frames, state: S, frame: int) -> tuple[Answer, S]:
        """Predict the next frame of a walk, and return the prediction and the state there."""


class Carrier(Generic[S]):
    """Masks frames by carrying masks that a person made; without such a mask it finds nobody.

    Args:
        carrying: carries a mask from one frame to the next.
        model_version: the name of its weights.
        choice: the rule that chooses the references for a target.
    """

    def __init__(
        self,
        carrying: Carrying[S],
        model_version: str,
        choice: ReferenceChoice = nearest_and_first,
    ) -> None:
        self.carrying, self.model_version, self.choice = carrying, model_version, choice
        self.walks: LastUsed[Walk[S]] = LastUsed(WALKS_KEPT)

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        frames, book = clip_and_book(frames, references)
        book = book.chosen_by(self.choice)
        for target in targets:
            yield given(book, target) or self._segment(frames, target, book)

    @torch.inference_mode()
    def _segment(self, frames: Frames, target: int, book: ReferenceBook) -> Segmentation:
        known = tuple(r for r in book.references_for(target) if r.load is not None)
        before = max((r for r in known if r.frame < target), key=_frame, default=None)
        after = min((r for r in known if r.frame > target), key=_frame, default=None)
        ends = [end for end in (before, after) if end is not None]
        if not ends:
            return Segmentation(target, np.zeros(frames[target].shape[:2], np.float32), 1.0)
        answers = [self.walk(frames, end, known).to(target).probability for end in ends]
        shares = [1 / abs(target - end.frame) for end in ends]
        probability = np.average(answers, axis=0, weights=shares).astype(np.float32)
        return Segmentation(target, probability, uncertainty_of(probability))

    def walk(self, frames: Frames, start: Reference, known: tuple[Reference, ...]) -> "Walk[S]":
        """Return the walk from a reference, as far as it has come; begin it if there is none."""
        key = (frames.key, start.frame, tuple((r.frame, r.digest) for r in known))
        return self.walks.or_make(key, lambda: Walk(self.carrying, frames, start, known))


class Place(NamedTuple, Generic[S]):
    """A frame that a walk has reached, and the state there."""

    frame: int
    state: S


class Walk(Generic[S]):
    """A walk from a frame that a person masked, forward and backward, as far as it was needed."""

    def __init__(
        self, carrying: Carrying[S], frames: Frames, start: Reference, known: Sequence[Reference]
    ) -> None:
        self._carrying, self._frames = carrying, frames
        first = Place(start.frame, carrying.begin(frames, start, known))
        self.places = {1: [first], -1: [first]}
        self._found: dict[int, Answer] = {}

    def to(self, target: int) -> Answer:
        """Return the prediction for a frame; if the walk has not come so far, it goes on."""
        if target in self._found:
            return self._found[target]
        way = 1 if target > self.places[1][0].frame else -1
        places = self.places[way]
        while True:
            following = self._next(places[-1].frame, way)
            if following is None or way * (following - target) > 0:
                break
            found, state = self._carrying.step(self._frames, places[-1].state, following)
            self._found[following] = found
            places.append(Place(following, state))
        if target not in self._found:  # between two key frames
            reached = [place for place in places if way * (place.frame - target) < 0][-1]
            self._found[target] = self._carrying.look(self._frames, reached.state, target)
        return self._found[target]

    def _next(self, frame: int, way: int) -> int | None:
        """Return the nearest key frame beyond a frame in a direction, or None."""
        key_frames = self._frames.key_frames
        place = bisect_right(key_frames, frame) if way > 0 else bisect_left(key_frames, frame) - 1
        return key_frames[place] if 0 <= place < len(key_frames) else None


def _frame(reference: Reference) -> int:
    return reference.frame
