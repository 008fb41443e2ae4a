"""Chooses the frames that stay when a source is thinned to a lower frame rate."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

SAMPLING_RATE = Fraction(30)
"""Frames a second; MVPS was sampled at this rate (PDNet paper, section 3.1)."""

_LOOK_AHEAD = 8  # ticks
_ROUNDING = Fraction(1, 20)  # ticks; the error of a duration between time stamps in milliseconds

T = TypeVar("T")


@dataclass(eq=False)
class _Candidate(Generic[T]):
    """An item on its way through `thin`: its place in ticks, and the tick it belongs to."""

    time: Fraction
    item: T
    place: Fraction
    tick: int
    nearest: bool = False

    def stand(self, taken: int) -> int:
        """Return the first tick that it can have when all ticks up to `taken` are taken."""
        return max(math.floor(self.place), taken + 1)


def thin(items: Iterable[tuple[Fraction, T]], rate: Fraction) -> Iterator[tuple[Fraction, T]]:
    """Yield the item nearest to each tick of `rate`, and every item of a slower source, once.

    `items` are (seconds, item) with rising seconds. Jitter and rounded time stamps put two items
    of a slow source on one tick and none on its neighbour. So an item may have either of the two
    ticks around it, and an item that is not the nearest to its tick stays if all items then still
    find a tick. Only the items of a few ticks are held in memory.

    >>> [n for _, n in thin([(Fraction(n, 60), n) for n in range(7)], Fraction(30))]
    [0, 2, 4, 6]
    """
    queue: deque[_Candidate[T]] = deque()
    taken = -1
    for group in _by_tick(items, rate):
        queue.extend(group)
        while len(queue) > 1 and (stays := _stays(queue, taken)) is not None:
            candidate = queue.popleft()
            if stays:
                taken = candidate.stand(taken)
                yield candidate.time, candidate.item


def _by_tick(items: Iterable[tuple[Fraction, T]], rate: Fraction) -> Iterator[list[_Candidate[T]]]:
    """Yield the candidates of each tick, at most three, and finally a placeholder for the end."""
    group: list[_Candidate[T]] = []
    place, step = Fraction(-1), Fraction(1)
    for time, item in items:
        place, step = time * rate, time * rate - place
        tick = math.ceil(place - Fraction(1, 2))
        if group and tick != group[0].tick:
            min(group, key=_distance).nearest = True
            yield group
            group = []
        group.append(_Candidate(time, item, place, tick))
        if len(group) > 3:
            group.remove(max(group, key=_distance))
    if group:
        end = place + step - _ROUNDING
        if group[0].tick < end:  # else the last is over before its tick comes
            min(group, key=_distance).nearest = True
        yield group
        yield [_Candidate(time, item, end, math.ceil(end), nearest=True)]


def _distance(candidate: _Candidate[T]) -> Fraction:
    return abs(candidate.place - candidate.tick)


def _stays(queue: deque[_Candidate[T]], taken: int) -> bool | None:
    """Tell whether the first item stays: those after it must move over, until one need not.

    All ticks up to `taken` are taken. None means that more items must be known first.
    """
    first = queue[0]
    if first.nearest:
        return True
    ahead = [candidate for candidate in queue if candidate is first or candidate.nearest]
    for candidate in ahead:
        taken = candidate.stand(taken)
        if taken > math.ceil(candidate.place):
            return False
        if candidate is not first and taken <= candidate.tick:
            return True
    return None if len(ahead) <= _LOOK_AHEAD else False
