"""What every engine does: frames and references in, foreground probabilities out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labeler.clip import FrameList, Frames, Image
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook, ReferenceChoice

THRESHOLD = 0.5
"""Where a probability is cut, after it is back at the frame's size (PDNet paper, section 5.1)."""

Probability = NDArray[np.float32]
"""That each pixel is portrait: H x W float32 in [0, 1]."""


@dataclass(frozen=True)
class Segmentation:
    """What an engine says of one frame.

    `probability` of portrait is H x W float32 in [0, 1] at the frame's own size; `uncertainty` is
    in [0, 1], see `uncertainty_of`. `seeds` are frames that the engine masked itself and was told
    by, as if a person had masked them.
    """

    frame: int
    probability: Probability
    uncertainty: float
    seeds: tuple[Reference, ...] = ()

    @property
    def mask(self) -> Mask:
        """The frame's mask, H x W bool."""
        return np.greater_equal(self.probability, THRESHOLD)


class Segmenter(Protocol):
    """An engine with its weights. Whoever calls it only knows frames and references."""

    @property
    def model_version(self) -> str:
        """The name of its weights, and of nothing else: `pdnet-small-1.2.0+<8 hex>`."""

    @property
    def choice(self) -> ReferenceChoice:
        """Which references it masks a target by."""

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame, in their order.

        A target that a person has masked comes back as that mask, verbatim, whatever the engine.

        Args:
            frames: the whole clip; also as a list of pictures, H x W x 3 uint8 BGR.
            targets: indices of the frames to segment.
            references: every frame that a person has masked, of which the engine takes those of
                its `choice`; also as masks, H x W bool, by frame index.
        """


def clip_and_book(
    frames: Frames | Sequence[Image], references: ReferenceBook | Mapping[int, Mask]
) -> tuple[Frames, ReferenceBook]:
    """The arguments of `Segmenter.segment`, plain ones made into a clip and a book."""
    return FrameList.of(frames), ReferenceBook.of(references)


def verbatim(frame: int, mask: Mask) -> Segmentation:
    """A person's mask as a segmentation: certain, and unchanged to the pixel."""
    return Segmentation(frame, mask.astype(np.float32), 0.0)


def given(references: ReferenceBook, target: int) -> Segmentation | None:
    """A target that a person has masked as a segmentation, verbatim; else None."""
    corrected = references.corrected(target)
    mask = None if corrected is None else corrected.mask
    return None if mask is None else verbatim(target, mask)


def uncertainty_of(probability: Probability, mask: Mask | None = None) -> float:
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
