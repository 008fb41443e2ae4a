"""The confidence interval of a difference between two engines."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000


class Difference(NamedTuple):
    """The mean of a minus the mean of b, with its confidence interval."""

    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval does not contain 0."""
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

    Each resample draws as many clips as there are, with replacement, the same for both engines. The
    interval holds the middle of the differences of all resamples (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13). With one clip it is only a point.

    Args:
        a: one value for each clip, in any unit.
        b: one value for each of the same clips, in the same order.
        resamples: the number of resamples.
        confidence: the share of the resamples that the interval holds, between 0 and 1.
        seed: the seed of the resamples; the same seed gives the same interval.

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
