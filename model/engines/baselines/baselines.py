"""Engines without training, which a network has to beat to be worth running."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from labeler.clip import Frames, Image
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook, nearest_and_first
from model.drivers.cache import LastUsed
from model.segmenter import Probability, Segmentation, Segmenter, clip_and_book, given, verbatim


class NothingPropagated:
    """Keeps an engine's first predictions, whatever is corrected: pre-annotation on its own.

    Args:
        engine: makes the predictions; None for empty masks, which is annotation from scratch.
    """

    choice = staticmethod(nearest_and_first)

    def __init__(self, engine: Segmenter | None = None) -> None:
        self._engine = engine
        name = "empty-1.0.0+00000000" if engine is None else engine.model_version
        self.model_version = f"nothing-{name}"

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        frames, book = clip_and_book(frames, references)
        rest = [target for target in targets if book.corrected(target) is None]
        if self._engine is None:
            predicted: Iterator[Segmentation] = (_empty(frames, target) for target in rest)
        else:
            predicted = self._engine.segment(frames, rest, ReferenceBook())
        for target in targets:
            yield given(book, target) or next(predicted)


class NearestCopy:
    """Copies the nearest corrected mask, and looks at no picture.

    It is a baseline, and a check of the `Segmenter` protocol. Its uncertainty grows with the
    distance to the copied frame; without any correction every mask is empty and the uncertainty
    is 1.
    """

    model_version = "copy-1.0.0+00000000"
    choice = staticmethod(nearest_and_first)

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        frames, book = clip_and_book(frames, references)
        for target in targets:
            masked = [r for r in book.references_for(target) if r.load is not None]
            nearest = min(masked, key=lambda r: abs(r.frame - target), default=None)
            mask = None if nearest is None else nearest.mask
            if nearest is None or mask is None:
                yield Segmentation(target, np.zeros(frames[target].shape[:2], np.float32), 1.0)
            else:
                distance = abs(nearest.frame - target) / len(frames)
                yield Segmentation(target, mask.astype(np.float32), distance)


class _Between(ABC):
    """Segments the targets between the same two corrections together.

    A corrected frame comes back unchanged. Without any correction every mask is empty and the
    uncertainty is 1; otherwise the uncertainty is the distance to the nearest correction, as a
    share of the clip.
    """

    choice = staticmethod(nearest_and_first)

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        frames, book = clip_and_book(frames, references)
        for (before, after), group in groupby(targets, partial(_around, book)):
            run = list(group)
            if before is None and after is None:
                yield from (_empty(frames, target) for target in run)
            elif before == after:
                yield from (verbatim(t, np.asarray(_nearest(t, before, after).mask)) for t in run)
            else:
                carried = self._carry(frames, run, before, after)
                for target, probability in zip(run, carried, strict=True):
                    distance = abs(_nearest(target, before, after).frame - target)
                    yield Segmentation(target, probability, distance / len(frames))

    @abstractmethod
    def _carry(
        self,
        frames: Frames,
        targets: list[int],
        before: Reference | None,
        after: Reference | None,
    ) -> Iterable[Probability]:
        """Carry the masks of the corrections before and after to the targets, in their order."""


class SignedDistance(_Between):
    """Interpolates the outlines of the two neighbouring corrected masks; looks at no picture.

    Each mask becomes the signed distance to its outline. Both distances are shifted so that the
    masks' centres lie where a steady motion would put them, averaged by nearness in time, and
    thresholded at 0. (Shape-based interpolation: Raya and Udupa, 1990. The shift of the centres is
    an addition: without it, masks that do not overlap vanish between the two. On six clips of DAVIS
    2016 it raised the mean J&F halfway between corrections ten frames apart from .45 to .54.)
    Where there is a correction on one side only, or one of the two masks is empty or covers the
    frame, the nearest mask is copied.
    """

    model_version = "distance-1.0.0+00000000"

    def _carry(
        self,
        frames: Frames,
        targets: list[int],
        before: Reference | None,
        after: Reference | None,
    ) -> Iterator[Probability]:
        first = None if before is None else before.mask
        last = None if after is None else after.mask
        outlined = all(m is not None and m.any() and not m.all() for m in (first, last))
        if before is None or after is None or first is None or last is None or not outlined:
            for target in targets:
                mask = _nearest(target, before, after).mask
                yield np.asarray(mask, np.float32)
            return
        start, end = _signed_distance(first), _signed_distance(last)
        motion = _centre(last) - _centre(first)
        for target in targets:
            w = (target - before.frame) / (after.frame - before.frame)
            blend = (1 - w) * _moved(start, w * motion) + w * _moved(end, (w - 1) * motion)
            yield np.asarray(expit(blend), np.float32)


class FlowWarp(_Between):
    """Carries the nearest corrected mask along dense optical flow, from each frame to the next.

    The flow is DIS (Kroeger et al., ECCV 2016), medium preset, backwards: each pixel of a frame
    looks up where it was in the frame before. On six clips of DAVIS 2016, warping through every
    frame was better than through every fifth frame or in one leap (mean J&F five frames away .72,
    .60, .60; ten frames away .55, .47, .43).

    Args:
        cache_bytes: the most bytes of flow to keep. Flow is kept as 16-bit floats, 4 bytes for each
            pixel of a frame.
    """

    model_version = "flow-1.0.0+00000000"

    def __init__(self, cache_bytes: int = 1 << 30) -> None:
        preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
        self._method = cv2.DISOpticalFlow.create(preset)
        self._kept: LastUsed[NDArray[np.float16]] = LastUsed(cache_bytes, lambda flow: flow.nbytes)

    def _carry(
        self,
        frames: Frames,
        targets: list[int],
        before: Reference | None,
        after: Reference | None,
    ) -> list[Probability]:
        found: dict[int, Probability] = {}
        for reference in (before, after):
            own = [t for t in targets if _nearest(t, before, after) == reference]
            if reference is None or not own:
                continue
            at, probability = reference.frame, np.asarray(reference.mask, np.float32)
            for target in sorted(own, key=lambda t, start=at: abs(t - start)):  # type: ignore[misc]
                step = 1 if target > at else -1
                for there in range(at + step, target + step, step):
                    probability = self._warped(frames, probability, there - step, there)
                at, found[target] = target, probability
        return [found[target] for target in targets]

    def _warped(
        self, frames: Frames, probability: Probability, here: int, there: int
    ) -> Probability:
        """Warp a mask from one frame to another; beyond the border, the border is repeated."""
        flow = self._flow(frames, there, here).astype(np.float32)
        x = flow[..., 0] + np.arange(flow.shape[1], dtype=np.float32)
        y = flow[..., 1] + np.arange(flow.shape[0], dtype=np.float32)[:, None]
        warped = cv2.remap(probability, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, np.float32)

    def _flow(self, frames: Frames, start: int, end: int) -> NDArray[np.float16]:
        """Compute the flow from frame `start` to `end`: H x W x 2, x and y, in pixels."""
        return self._kept.or_make(
            (frames.key, start, end), partial(self._new_flow, frames, start, end)
        )

    def _new_flow(self, frames: Frames, start: int, end: int) -> NDArray[np.float16]:
        grey = [cv2.cvtColor(frames[index], cv2.COLOR_BGR2GRAY) for index in (start, end)]
        if min(grey[0].shape) < 16:  # DIS of OpenCV 4.12 crashes the process on smaller pictures
            return np.zeros((*grey[0].shape, 2), np.float16)
        flow = self._method.calc(*grey, None)  # type: ignore[call-overload]
        return np.asarray(flow, np.float16)


def _around(references: ReferenceBook, target: int) -> tuple[Reference | None, Reference | None]:
    """Return the last correction at or before the target, and the first at or after it, or None."""
    masked = [r for r in references.references_for(target) if r.load is not None]
    before = [r for r in masked if r.frame <= target]
    after = [r for r in masked if r.frame >= target]
    return before[-1] if before else None, after[0] if after else None


def _nearest(target: int, before: Reference | None, after: Reference | None) -> Reference:
    """Return the reference nearer to the target; at equal distances, the one before."""
    return min((r for r in (before, after) if r is not None), key=lambda r: abs(r.frame - target))


def _empty(frames: Frames, target: int) -> Segmentation:
    return Segmentation(target, np.zeros(frames[target].shape[:2], np.float32), 1.0)


def _signed_distance(mask: Mask) -> Probability:
    """Compute each pixel's distance to the outline, in pixels: above 0 inside, below 0 outside."""
    inside = mask.astype(np.uint8)
    within, without = (
        cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for side in (inside, 1 - inside)
    )
    # OpenCV measures to the centres of the other side's pixels; the outline is half a pixel nearer.
    return np.asarray(np.where(mask, within - 0.5, 0.5 - without), np.float32)


def _centre(mask: Mask) -> NDArray[np.float64]:
    """Compute the centre of a mask's area, (x, y) in pixels."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def _moved(field: Probability, by: NDArray[np.float64]) -> Probability:
    """Shift a field by (x, y) pixels; beyond the border, the border is repeated."""
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
    size = (field.shape[1], field.shape[0])
    moved = cv2.warpAffine(field, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)
