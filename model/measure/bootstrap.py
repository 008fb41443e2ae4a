"""How sure a difference between two engines is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000


class Difference(NamedTuple):
    """The mean of a minus the mean of b, and the interval it lies in with some confidence."""

    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    a: Sequence[float],
    b: Sequence[float],
    *,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Compare two engines on the same clips by the paired percentile bootstrap.

    Clips are drawn with replacement, the same for both engines, as often as there are clips; the
    interval holds the middle of the differences so found (Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13). With one clip it is a point, whatever the truth.

    Args:
        a: one value a clip, of any unit.
        b: one value for each of the same clips, in the same order.
        resamples: how often to draw.
        confidence: the share of the draws that the interval holds, between 0 and 1.
        seed: of the draws; the same seed gives the same interval.

    Raises:
        ValueError: there are no clips, or not as many in `b` as in `a`.

    >>> paired_bootstrap([3.0, 5.0], [1.0, 3.0])
    Difference(difference=2.0, low=2.0, high=2.0)
    """
    if len(a) != len(b) or not len(a):
        raise ValueError(f"{len(a)} and {len(b)} values are no pairs of at least one clip")
    differences = np.subtract(a, b, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(0, len(a), (resamples, len(a)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences[draws].mean(axis=1), [tail, 1 - tail])
    return Difference(float(differences.mean()), float(low), float(high))
