"""Between logits and probabilities, for whole pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from model.segmenter import Probability


def sigmoid(logits: NDArray[Any]) -> Probability:
    """Turn logits into probabilities, float32."""
    return np.asarray(expit(logits), np.float32)


def logits_of(probability: NDArray[np.floating], least: float) -> NDArray[np.floating]:
    """Turn probabilities into logits, clipped to [least, 1 - least], since 0 and 1 have none."""
    return np.asarray(logit(probability.clip(least, 1 - least)))
