"""Calibrate an engine's uncertainty, so that it is the error to expect: the mean of 1 - J.

A network's probabilities are too sure of clips that it has not seen. How much so is fitted on
clips with true masks: logit(1 - J) is taken to be linear in logit(uncertainty), as in Platt scaling
(Platt 1999, "Probabilistic outputs for support vector machines"). The order of frames by their
uncertainty stays as it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit, logit

from labeler.clip import Frames, Image
from labeler.mask import Mask
from labeler.reference import ReferenceBook
from model.segmenter import Segmentation, Segmenter

LEAST = 1e-3
"""Uncertainties are clipped to [LEAST, 1 - LEAST], so that they have a logit."""

LARGEST = 20.0
"""The largest magnitude of a slope or an intercept."""


@dataclass(frozen=True)
class Calibration:
    """The expected 1 - J of a mask, from its uncertainty: expit(intercept + slope logit(u))."""

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def of_card(cls, numbers: Mapping[str, float]) -> Self:
        """Read the numbers of a card; an empty one changes nothing."""
        return cls(float(numbers.get("slope", 1.0)), float(numbers.get("intercept", 0.0)))

    @classmethod
    def fitted(cls, uncertainties: Sequence[float], errors: Sequence[float]) -> Self:
        """Fit to masks by least squares.

        Args:
            uncertainties: the engine's, 0 to 1, one for each mask.
            errors: 1 - J of the same masks.

        Raises:
            ValueError: there are fewer than three masks, or not as many errors.
        """
        if len(uncertainties) != len(errors) or len(errors) < 3:
            raise ValueError("give the errors of three masks or more, one for each uncertainty")
        doubts, true = _logits(np.asarray(uncertainties, np.float64)), np.asarray(errors)

        def residuals(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(expit(numbers[1] + numbers[0] * doubts) - true)

        limits = ([0.1, -LARGEST], [LARGEST, LARGEST])  # a doubt that grows is an error that grows
        slope, intercept = least_squares(residuals, [1.0, 0.0], bounds=limits).x
        return cls(float(slope), float(intercept))

    def of(self, uncertainty: float) -> float:
        """Return the expected 1 - J of a mask, 0 to 1; what a person made stays certain."""
        if uncertainty == 0:
            return 0.0
        doubt = _logits(np.array([uncertainty]))
        return float(expit(self.intercept + self.slope * doubt)[0])


class CalibratedSegmenter:
    """An engine whose uncertainty is calibrated.

    Args:
        engine: the engine; its version becomes that of both.
        calibration: from its uncertainty to the expected 1 - J.
    """

    def __init__(self, engine: Segmenter, calibration: Calibration) -> None:
        self.engine, self.calibration = engine, calibration
        self.model_version, self.choice = engine.model_version, engine.choice

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        for found in self.engine.segment(frames, targets, references):
            yield replace(found, uncertainty=self.calibration.of(found.uncertainty))


def _logits(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(shares.clip(LEAST, 1 - LEAST)))
