"""What every engine does: frames and references in, foreground probabilities out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labeler.clip import Frames
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook

THRESHOLD = 0.5
"""Where a probability is cut, after it is back at the frame's size (PDNet paper, section 5.1)."""


@dataclass(frozen=True)
class Segmentation:
    """What an engine says of one frame.

    `probability` of portrait is H x W float32 in [0, 1] at the frame's own size; `uncertainty` is
    in [0, 1], see `uncertainty_of`. `seeds` are frames that the engine masked itself and was told
    by, as if a person had masked them.
    """

    frame: int
    probability: NDArray[np.float32]
    uncertainty: float
    seeds: tuple[Reference, ...] = ()

    @property
    def mask(self) -> Mask:
        """The frame's mask, H x W bool."""
        return np.greater_equal(self.probability, THRESHOLD)


class Segmenter(Protocol):
    """An engine. It names no network: whoever calls it only knows frames and references."""

    @property
    def model_version(self) -> str:
        """The name of its weights, and of nothing else: `pdnet-small-1.2.0+<8 hex>`."""

    def segment(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame, in their order.

        A target that a person has masked comes back as that mask, verbatim, whatever the engine.

        Args:
            frames: the whole clip.
            targets: indices of the frames to segment.
            references: the clip's whole book; the engine takes from it what it can use.
        """


def verbatim(frame: int, mask: Mask) -> Segmentation:
    """A person's mask as a segmentation: certain, and unchanged to the pixel."""
    return Segmentation(frame, mask.astype(np.float32), 0.0)


def uncertainty_of(probability: NDArray[np.float32], mask: Mask | None = None) -> float:
    """How far from sure a mask is: 1 minus its expected J if the probabilities were true.

    With m the mask and s the probabilities this is 1 - sum(s over m) / (|m| + sum(s outside m)),
    both sums widened by a thousandth of the frame, so that a clean empty frame is certain too.

    Args:
        probability: H x W, in [0, 1].
        mask: H x W bool; if not given, where the probability is at least THRESHOLD.

    Returns:
        0 for a mask without a doubtful pixel, towards 1 for one that is all doubt.
    """
    inside = probability >= THRESHOLD if mask is None else mask
    area = float(np.count_nonzero(inside))
    total = float(probability.sum(dtype=np.float64))
    overlap = float(probability.sum(dtype=np.float64, where=inside))
    floor = probability.size / 1000
    return float(np.clip(1 - (overlap + floor) / (area + total - overlap + floor), 0.0, 1.0))
