from collections.abc import Iterable
from fractions import Fraction
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeler.collect.sampling import thin
from tests.labeler.videos import RATE, every, in_milliseconds, nearest


def thinned(times: Iterable[Fraction]) -> list[int]:
    return [n for _, n in thin(((time, n) for n, time in enumerate(times)), RATE)]


@pytest.mark.parametrize("rate", [50, 60, 120, 240, 1000, Fraction(60000, 1001)])
def test_a_faster_source_gives_the_nearest_item_of_each_tick(rate: Fraction | int) -> None:
    times = every(rate, 600)
    assert thinned(times) == nearest(times)


@pytest.mark.parametrize(
    "rate", [Fraction(303, 10), 31, 40, 48, 50, 60, 120, Fraction(60000, 1001)]
)
@pytest.mark.parametrize("clock", [list, in_milliseconds])
def test_a_faster_source_gives_one_item_for_each_tick_it_lasts(rate, clock) -> None:
    for number in range(1, 130):
        times = clock(every(rate, number))
        kept, expected = thinned(times), nearest(times)
        assert set(expected) <= set(kept)
        assert len(kept) <= len(expected) + 1
        lasts = number / Fraction(rate) * RATE
        assert lasts - 1.1 < len(kept) < lasts + 1


@pytest.mark.parametrize(
    "rate",
    [1, 10, Fraction(24000, 1001), 24, 25, 29, Fraction(2997, 100), Fraction(30000, 1001), 30],
)
@pytest.mark.parametrize("clock", [list, in_milliseconds])
def test_a_slower_source_keeps_every_item(rate, clock) -> None:
    assert thinned(clock(every(rate, 3000))) == list(range(3000))


jitters = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=150)


@given(jitters, st.fractions(1, 3))
def test_jitter_of_a_fifth_of_a_tick_loses_nothing(jitter, step) -> None:
    ticks = [n * step + Fraction(offset) for n, offset in enumerate(jitter)]
    assert thinned((tick - ticks[0]) / RATE for tick in ticks) == list(range(len(ticks)))


@given(st.lists(st.integers(1, 200), max_size=150))
def test_what_stays_is_a_subsequence_with_the_nearest_of_each_tick(milliseconds) -> None:
    times = [Fraction(0)]
    for step in milliseconds:
        times.append(times[-1] + Fraction(step, 1000))
    kept = thinned(times)
    assert kept == sorted(set(kept))
    assert set(nearest(times)) <= set(kept)
    # Never more than one for each tick of any stretch, give or take the ticks at its two ends.
    for first in range(0, len(kept), 7):
        length = (times[kept[-1]] - times[kept[first]]) * RATE
        assert len(kept) - first <= length + 3


@given(st.lists(st.integers(34, 200), max_size=150))
def test_items_at_least_a_tick_apart_all_stay(milliseconds) -> None:
    times = [Fraction(sum(milliseconds[:n]), 1000) for n in range(len(milliseconds) + 1)]
    assert thinned(times) == list(range(len(times)))


def test_a_burst_between_slow_stretches_is_thinned_and_the_rest_kept() -> None:
    slow, fast = every(20, 5), [Fraction(1, 4) + time for time in every(120, 40)]
    times = slow + fast + [fast[-1] + Fraction(1, 5)]
    kept = thinned(times)
    assert kept[:5] == [0, 1, 2, 3, 4]
    assert set(nearest(times)) <= set(kept)
    assert len(kept) <= len(nearest(times)) + 1  # the last of the burst reaches into the gap


@pytest.mark.parametrize("rate", [24, 30, 31, 60, Fraction(60000, 1001), 1000])
def test_only_a_few_items_are_read_ahead_and_held(rate: Fraction | int) -> None:
    held: set[int] = set()
    most = 0

    class Item:
        def __init__(self, number: int) -> None:
            self.number = number
            held.add(number)

        def __del__(self) -> None:
            held.discard(self.number)

    endless = ((n / Fraction(rate), Item(n)) for n in count())
    for _ in islice(thin(endless, RATE), 500):
        most = max(most, len(held))
    assert most <= 30
