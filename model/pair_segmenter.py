"""Two engines as one: the one finds people by itself, the other carries masks; both are asked."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from labeler.clip import KEY_FRAME_STRIDE, Frames
from labeler.mask import mask_digest
from labeler.reference import Reference, ReferenceBook
from model.colours import sharpened
from model.segmenter import THRESHOLD, Segmentation, Segmenter, uncertainty_of

CLIPS_KEPT = 64

LEAST_AREA = 1 / 3
"""Of the largest mask of a clip: what is smaller is not carried, however certain it is."""


class PairSegmenter:
    """PDNet and GAM: the mean of what both say of a frame.

    In a clip that nobody has corrected yet GAM carries PDNet's most certain mask of a key frame.

    Args:
        finder: finds people by itself, and follows corrections too.
        carrier: carries masks, a person's or the finder's.
        model_version: the name of both their weights.
    """

    def __init__(self, finder: Segmenter, carrier: Segmenter, model_version: str) -> None:
        self.finder, self.carrier, self.model_version = finder, carrier, model_version
        self._seeds: OrderedDict[str, ReferenceBook] = OrderedDict()

    def segment(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        for found in self.finder.segment(frames, targets, references):
            target = found.frame
            if references.corrected(target) is not None:
                yield found
                continue
            corrected = any(r.load is not None for r in references.references_for(target))
            book = references if corrected else self._seed(frames)
            (carried,) = self.carrier.segment(frames, [target], book)
            probability = 0.5 * found.probability + 0.5 * carried.probability
            yield Segmentation(target, probability, uncertainty_of(probability))

    def _seed(self, frames: Frames) -> ReferenceBook:
        """What the finder is most certain of in a clip, as if a person had given it."""
        if frames.key not in self._seeds:
            key_frames = range(0, len(frames), KEY_FRAME_STRIDE)
            answers = list(self.finder.segment(frames, key_frames, ReferenceBook()))
            areas = [int(answer.mask.sum()) for answer in answers]
            large = [
                answer
                for answer, area in zip(answers, areas, strict=True)
                if area >= LEAST_AREA * max(areas)
            ]
            surest = min(large, key=lambda answer: answer.uncertainty)
            mask = sharpened(frames[surest.frame], surest.probability) >= THRESHOLD
            seed = Reference(surest.frame, mask_digest(mask), lambda: mask)
            self._seeds[frames.key] = ReferenceBook([seed])
        self._seeds.move_to_end(frames.key)
        while len(self._seeds) > CLIPS_KEPT:
            self._seeds.popitem(last=False)
        return self._seeds[frames.key]
