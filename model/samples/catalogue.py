"""A catalogue of the sources in a store, and the random order in which a training uses them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.data.sources import Sources, Take
from model.data.store import Person, Store


@dataclass(frozen=True)
class StoredTake:
    """The masked frames of a clip, as positions in a store.

    Attributes:
        positions: one for each masked frame.
        frames: the indices of the masked frames in the clip.
        length: the number of frames of the whole clip, T.
    """

    positions: tuple[int, ...]
    frames: tuple[int, ...]
    length: int

    def distance(self, one: int, other: int) -> float:
        """Compute how far apart two of the masked frames are, as a share of the clip."""
        return abs(self.frames[one] - self.frames[other]) / self.length


class Catalogue:
    """Sources in a store, by position.

    Attributes:
        store: all their pictures.
        clips, fresh, objects, unlabelled: as in `Sources`; frames of objects with an empty mask
            are left out.
        stills, backgrounds: as in `Sources`.
        cutouts: the people who can be cut out of stills, each with the position of the still.

    Args:
        sources: the training data.
        short_side: the limit for the short side of the pictures kept, in pixels.
        memory: see `Store`.
        progress: see `Store`.
    """

    def __init__(
        self,
        sources: Sources,
        short_side: int,
        memory: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        takes = [*sources.clips, *sources.fresh, *sources.objects, *sources.unlabelled]
        framed = [still for take in takes for still in take.stills]
        alone = [*sources.stills, *sources.backgrounds]
        self.store = store = Store([*framed, *alone], short_side, memory, progress)
        stored, start = [], 0
        for take in takes:
            stored.append(_stored(take, start))
            start += len(take.stills)
        people = len(sources.clips) + len(sources.fresh)
        labelled = people + len(sources.objects)
        self.clips = stored[: len(sources.clips)]
        self.fresh = stored[len(sources.clips) : people]
        self.objects = [
            kept
            for take in stored[people:labelled]
            if (kept := _with_something(take, store)).frames
        ]
        self.unlabelled = stored[labelled:]
        self.stills = range(start, start + len(sources.stills))
        self.backgrounds = range(self.stills.stop, self.stills.stop + len(sources.backgrounds))
        self.cutouts: list[tuple[int, Person]] = [
            (position, person)
            for position in self.stills
            for person in store.facts[position].people
            if person.whole
        ]


def frames_of(takes: Sequence[StoredTake]) -> int:
    """Count the masked frames of some clips."""
    return sum(len(take.frames) for take in takes)


def nth_frame(takes: Sequence[StoredTake], number: int) -> tuple[StoredTake, int]:
    """Find masked frame `number` of several clips, from 0; return its clip and its index there."""
    for take in takes:
        if number < len(take.frames):
            return take, number
        number -= len(take.frames)
    raise IndexError(number)


def in_turn(seed: int, stream: int, index: int, count: int) -> int:
    """Return which of `count` things comes at an index of a random sequence.

    The sequence consists of rounds. Each round has a random order of its own, in which each thing
    comes once.
    """
    return int(_order(seed, stream, index // count, count)[index % count])


@lru_cache(maxsize=16)
def _order(seed: int, stream: int, turn: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, stream, turn, count]).permutation(count)


def _stored(take: Take, start: int) -> StoredTake:
    positions = range(start, start + len(take.stills))
    return StoredTake(tuple(positions), take.frames, take.length)


def _with_something(take: StoredTake, store: Store) -> StoredTake:
    kept = [
        (position, frame)
        for position, frame in zip(take.positions, take.frames, strict=True)
        if store.facts[position].people
    ]
    return StoredTake(tuple(p for p, _ in kept), tuple(f for _, f in kept), take.length)
