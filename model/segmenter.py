"""The interface of every engine: frames and references in, foreground probabilities out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labeler.clip import FrameList, Frames, Image
from labeler.errors import LabelerError
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook, ReferenceChoice

THRESHOLD = 0.5
"""The threshold of a probability map, applied at the frame's size (PDNet paper, section 5.1)."""

Probability = NDArray[np.float32]
"""A probability map: how probably each pixel is portrait, H x W float32 in [0, 1]."""


@dataclass(frozen=True)
class Segmentation:
    """An engine's prediction for one frame.

    `probability` of portrait is H x W float32 in [0, 1] at the frame's own size; `uncertainty` is
    in [0, 1], see `uncertainty_of`. `seeds` are frames that the engine masked itself and then used
    as references, as if a person had masked them.
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
    """An engine with its weights; its callers know only frames and references."""

    @property
    def model_version(self) -> str:
        """The name of its weights, and of nothing else: `pdnet-small-1.2.0+<8 hex>`."""

    @property
    def choice(self) -> ReferenceChoice:
        """The rule that chooses the references for a target."""

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame, in the order of the targets.

        For a target that a person has masked, every engine returns that mask unchanged.

        Args:
            frames: the whole clip, or a list of its pictures, H x W x 3 uint8 BGR.
            targets: indices of the frames to segment.
            references: all frames that a person has masked, of which the engine uses those of its
                `choice`; or their masks, H x W bool, by frame index.
        """


def clip_and_book(
    frames: Frames | Sequence[Image], references: ReferenceBook | Mapping[int, Mask]
) -> tuple[Frames, ReferenceBook]:
    """Turn the arguments of `Segmenter.segment` into a clip and a reference book.

    Raises:
        LabelerError: a mask that is given as an array is of a frame that the clip does not have,
            of another size than its frame, or not bool.
    """
    clip = FrameList.of(frames)
    if not isinstance(references, ReferenceBook):
        for frame, mask in references.items():
            _check_mask(clip, frame, mask)
    return clip, ReferenceBook.of(references)


def _check_mask(clip: Frames, frame: int, mask: Mask) -> None:
    if not 0 <= frame < len(clip):
        raise LabelerError(
            f"A mask is given for frame {frame}, but the clip has frames 0 to {len(clip) - 1}."
        )
    if mask.shape != clip[frame].shape[:2] or mask.dtype != np.bool_:
        height, width = clip[frame].shape[:2]
        raise LabelerError(
            f"The mask of frame {frame} is {mask.dtype} of shape {mask.shape}; give bool of shape "
            f"({height}, {width}), the frame's height and width."
        )


def verbatim(frame: int, mask: Mask) -> Segmentation:
    """Turn a person's mask into a segmentation: certain, and unchanged to the pixel."""
    return Segmentation(frame, mask.astype(np.float32), 0.0)


def given(references: ReferenceBook, target: int) -> Segmentation | None:
    """Return a person's mask of a target as a segmentation, or None if the target has none."""
    corrected = references.corrected(target)
    mask = None if corrected is None else corrected.mask
    return None if mask is None else verbatim(target, mask)


def uncertainty_of(probability: Probability, mask: Mask | None = None) -> float:
    """Compute the uncertainty of a mask: 1 minus its expected J if the probabilities were true.

    With m the mask and s the probabilities this is 1 - sum(s over m) / (|m| + sum(s outside m)).
    A thousandth of the frame's pixels is added above and below the fraction bar, so that a clean
    empty frame is certain too.

    Args:
        probability: H x W, in [0, 1].
        mask: H x W bool; if not given, the pixels whose probability is at least THRESHOLD.

    Returns:
        0 for a mask without a doubtful pixel, close to 1 for a mask whose pixels are all doubtful.
    """
    inside = probability >= THRESHOLD if mask is None else mask
    area = float(np.count_nonzero(inside))
    total = float(probability.sum(dtype=np.float64))
    overlap = float(probability.sum(dtype=np.float64, where=inside))
    floor = probability.size / 1000
    return float(np.clip(1 - (overlap + floor) / (area + total - overlap + floor), 0.0, 1.0))
