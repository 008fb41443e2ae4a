"""The simplest engine: each frame takes the mask of the nearest corrected frame."""

from collections.abc import Iterator, Sequence

import numpy as np

from labeler.clip import Frames
from labeler.reference import ReferenceBook
from model.segmenter import Segmentation


class NearestCopy:
    """Copies masks and looks at no picture: a baseline, and a check on the `Segmenter` protocol.

    Its uncertainty grows with the distance to the copied frame; without any correction every
    frame is empty and the uncertainty is 1.
    """

    model_version = "copy-1.0.0+00000000"

    def segment(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        for target in targets:
            masked = [r for r in references.references_for(target) if r.load is not None]
            nearest = min(masked, key=lambda r: abs(r.frame - target), default=None)
            mask = None if nearest is None else nearest.mask
            if nearest is None or mask is None:
                yield Segmentation(target, np.zeros(frames[target].shape[:2], np.float32), 1.0)
            else:
                distance = abs(nearest.frame - target) / len(frames)
                yield Segmentation(target, mask.astype(np.float32), distance)
