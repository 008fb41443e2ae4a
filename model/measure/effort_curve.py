"""How good a clip is while it is corrected: mean J&F against the share of corrected frames."""

import numpy as np
from numpy.typing import NDArray

from model.measure.robot import CorrectedClip

SHARES = np.linspace(0, 1, 101)
"""The shares of corrected frames at which a curve is given, so that clips can be averaged."""

EARLY = 0.3
"""The share of corrected frames up to which the early area under a curve goes."""


def curve_of(run: CorrectedClip, uncorrected_only: bool = False) -> NDArray[np.float64]:
    """Compute the mean J&F over a clip's frames at each of `SHARES` of corrected frames.

    Between two corrections it is a straight line.

    Args:
        run: one that went on until every frame was corrected.
        uncorrected_only: leave out the frames corrected so far, whose masks are the truth
            whatever the engine is worth. The last value stays where no other frame is left.

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
    """Compute a curve's mean height from no frame corrected to that share, 0 to 1.

    >>> area(SHARES), area(SHARES, EARLY)
    (0.5, 0.15)
    """
    part = curve[: round(until * (len(curve) - 1)) + 1]
    return float(np.trapezoid(part) / (len(part) - 1))
