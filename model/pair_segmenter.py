"""Two engines as one: the one finds people by itself, the other carries a mask through the clip."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labeler.clip import KEY_FRAME_STRIDE, Frames
from labeler.mask import mask_digest
from labeler.reference import Reference, ReferenceBook
from model.gam_segmenter import GAMSegmenter
from model.pdnet_segmenter import PDNetSegmenter
from model.segmenter import Segmentation

CLIPS_KEPT = 64

LEAST_AREA = 0.5
"""Of the largest mask of a clip: what is smaller is not carried, however certain it is."""


@dataclass(frozen=True)
class _Seed:
    """The mask that a clip without corrections starts from, None where nobody was found at all."""

    found: Segmentation
    book: ReferenceBook


class PairSegmenter:
    """PDNet and GAM: without a correction, PDNet's most certain mask of a key frame is carried.

    Args:
        finder: finds people by itself.
        carrier: carries masks, a person's or the finder's.
        model_version: the name of both their weights.
    """

    def __init__(self, finder: PDNetSegmenter, carrier: GAMSegmenter, model_version: str) -> None:
        self.finder, self.carrier, self.model_version = finder, carrier, model_version
        self._seeds: OrderedDict[str, _Seed] = OrderedDict()

    def segment(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        corrected = any(
            reference.load is not None
            for target in targets[:1]
            for reference in references.references_for(target)
        )
        if corrected:  # somewhere, so every target has one
            yield from self.carrier.segment(frames, targets, references)
            return
        if not targets:
            return
        seed = self._seed(frames)
        for answer in self.carrier.segment(frames, targets, seed.book):
            yield seed.found if answer.frame == seed.found.frame else answer

    def _seed(self, frames: Frames) -> _Seed:
        """What PDNet is most certain of in a clip."""
        if frames.key not in self._seeds:
            key_frames = range(0, len(frames), KEY_FRAME_STRIDE)
            answers = list(self.finder.segment(frames, key_frames, ReferenceBook()))
            areas = [int(answer.mask.sum()) for answer in answers]
            large = [
                answer
                for answer, area in zip(answers, areas, strict=True)
                if area >= LEAST_AREA * max(areas)
            ]
            found = min(large, key=lambda answer: answer.uncertainty)
            mask = found.mask
            seed = Reference(found.frame, mask_digest(mask), lambda: mask)
            self._seeds[frames.key] = _Seed(found, ReferenceBook([seed]))
        self._seeds.move_to_end(frames.key)
        while len(self._seeds) > CLIPS_KEPT:
            self._seeds.popitem(last=False)
        return self._seeds[frames.key]
