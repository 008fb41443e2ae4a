"""GAM as an engine: it walks outward from every correction and looks closely at whom it follows.

What a target is told depends on the references that the book has for it, and on nothing that was
asked before: walks go over frames of their own, the multiples of `WALKED`, whichever are targets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from labeler.clip import KEY_FRAME_STRIDE, Frames
from labeler.reference import Reference, ReferenceBook
from model.drivers.cache import Kept
from model.drivers.encoder import Encoder, View
from model.engines.gam.network import EARLIER, GAM, MASK_STRIDE, FrameFeatures
from model.nn.fold import for_inference
from model.nn.precision import precision
from model.segmenter import THRESHOLD, Segmentation, uncertainty_of, verbatim
from model.window import Window, close_up_of

WALKED = KEY_FRAME_STRIDE
"""A walk goes from one multiple of this to the next, from key frame to key frame; a frame between
is told by the one before."""

CORRECTED = 4.0
"""How much a frame that a person masked counts in memory; others count 1."""

FIRST_ROOM = 1.8
"""How much larger than whoever was in the last frame the first look at the next one is."""

WALKS_KEPT, GIVEN_KEPT = 16, 256

LEAST = 1e-4
"""What a mask is squeezed by, to have logits."""

Probability = NDArray[np.float32]


@dataclass(frozen=True)
class Looked:
    """What is known of a frame: in a window of it, and nobody is beyond.

    `logits` are h x w float32, spread evenly over the window; `size` is (height, width) of the
    frame.
    """

    logits: NDArray[np.float32]
    window: Window
    size: tuple[int, int]

    @property
    def probability(self) -> Probability:
        """Of the whole frame, H x W."""
        found = np.zeros(self.size, np.float32)
        place = found[self.window.pixels]
        place[:] = _sigmoid(cv2.resize(self.logits, place.shape[::-1]))
        return found

    def through(self, window: Window, side: int) -> Probability:
        """The same as it would be in another window, side x side."""
        own, (height, width) = self.window, self.logits.shape
        x, y = width / own.width, height / own.height  # cells a pixel
        scale = (window.width / side, window.height / side)  # pixels a cell of the other
        matrix = np.array(
            [
                [scale[0] * x, 0, (window.left - own.left + 0.5 * scale[0]) * x - 0.5],
                [0, scale[1] * y, (window.top - own.top + 0.5 * scale[1]) * y - 0.5],
            ]
        )
        way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(_sigmoid(self.logits), matrix, (side, side), flags=way), np.float32
        )


@dataclass(frozen=True)
class Step:
    """Where a walk is: the frame, the memory up to it, and the last frames, the last one first."""

    frame: int
    total: Tensor
    weight: float
    last: tuple[Looked, ...]


class GAMSegmenter:
    """Masks frames with GAM, as far as somebody masked one; else nobody is anywhere.

    Args:
        network: GAM with its weights; it becomes this engine's own: it is moved to `device`, and
            cannot be trained any more (see `for_inference`).
        model_version: the name of those weights.
        device: where to compute.
        cache_bytes: how much of the features of frames already seen to keep.
        input_size: the side, in pixels, that what is looked at is squashed to; a multiple of 16.
    """

    def __init__(
        self,
        network: GAM,
        model_version: str,
        device: torch.device,
        *,
        cache_bytes: int = 1 << 28,
        input_size: int = 320,
    ) -> None:
        self.model_version = model_version
        self.device = device
        self.network = for_inference(network, device)
        self.encoder: Encoder[FrameFeatures] = Encoder(network.encode, device, cache_bytes)
        self.input_size = input_size
        self._walks: Kept[Walk] = Kept(WALKS_KEPT)
        self._given: Kept[tuple[Looked, Tensor]] = Kept(GIVEN_KEPT)

    def segment(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        for target in targets:
            human = references.corrected(target)
            mask = None if human is None else human.mask
            if mask is not None:
                yield verbatim(target, mask)
            else:
                yield self._segment(frames, target, references)

    @torch.inference_mode()
    def _segment(self, frames: Frames, target: int, book: ReferenceBook) -> Segmentation:
        known = tuple(r for r in book.references_for(target) if r.load is not None)
        before = max((r for r in known if r.frame < target), key=_frame, default=None)
        after = min((r for r in known if r.frame > target), key=_frame, default=None)
        ends = [end for end in (before, after) if end is not None]
        if not ends:
            return Segmentation(target, np.zeros(frames[target].shape[:2], np.float32), 1.0)
        answers = [self._walk(frames, end, known).to(target).probability for end in ends]
        shares = [1 / abs(target - end.frame) for end in ends]
        probability = np.average(answers, axis=0, weights=shares).astype(np.float32)
        return Segmentation(target, probability, uncertainty_of(probability))

    def _walk(self, frames: Frames, start: Reference, known: tuple[Reference, ...]) -> "Walk":
        """The walk from a reference towards its targets, as far as it has come."""
        key = (frames.key, start.frame, tuple((r.frame, r.digest) for r in known))
        return self._walks.or_make(key, lambda: Walk(self, frames, start, known))

    def given(self, frames: Frames, reference: Reference) -> tuple[Looked, Tensor]:
        """A frame that a person masked: what is known of it, and what to remember of it."""

        def look() -> tuple[Looked, Tensor]:
            mask = reference.mask
            assert mask is not None
            window = close_up_of(mask) or _whole(mask.shape)
            seen = mask[window.pixels].astype(np.float32)
            side = self.input_size
            fine = cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA)
            coarse = cv2.resize(seen, (side // MASK_STRIDE,) * 2, interpolation=cv2.INTER_AREA)
            (encoded,) = self.encoder.encode(frames, [View(reference.frame, side, window)])
            summary = self.remember(encoded.features, torch.from_numpy(fine)[None, None])
            return Looked(_logit(coarse), window, (mask.shape[0], mask.shape[1])), summary

        return self._given.or_make((frames.key, reference.frame, reference.digest), look)

    def remember(self, features: FrameFeatures, mask: Tensor) -> Tensor:
        """What is to be remembered of a frame and its mask, 1 x 1 x S x S."""
        with precision(self.device):
            return self.network.remember(features, mask.to(self.device))

    def look(
        self, frames: Frames, frame: int, window: Window, step: Step
    ) -> tuple[Looked, FrameFeatures, Tensor]:
        """Look for whoever was in the last frames in a window of another one.

        Returns:
            What was found, the frame's features, and the probabilities, 1 x 1 x S x S.
        """
        side = self.input_size
        (encoded,) = self.encoder.encode(frames, [View(frame, side, window)])
        earlier = np.stack([each.through(window, side // MASK_STRIDE) for each in step.last])
        with precision(self.device):
            logits = self.network.recall(
                encoded.features,
                step.total / step.weight,
                torch.from_numpy(earlier)[None].to(self.device),
            )
        fine = F.interpolate(logits, scale_factor=float(MASK_STRIDE), mode="bilinear")
        looked = Looked(logits.cpu().numpy()[0, 0], window, step.last[0].size)
        return looked, encoded.features, fine.sigmoid()


class Walk:
    """A walk from a frame that a person masked, forward and backward, as far as it is asked to."""

    def __init__(
        self, engine: GAMSegmenter, frames: Frames, start: Reference, known: Sequence[Reference]
    ) -> None:
        self._engine, self._frames = engine, frames
        summaries = [engine.given(frames, reference)[1] for reference in known]
        last, _ = engine.given(frames, start)
        total = CORRECTED * torch.stack(summaries).sum(dim=0)
        first = Step(start.frame, total, CORRECTED * len(summaries), (last,) * EARLIER)
        self._steps = {1: [first], -1: [first]}
        self._found: dict[int, Looked] = {}

    def to(self, target: int) -> Looked:
        """What is found in a frame, going on to it if need be."""
        if target in self._found:
            return self._found[target]
        start = self._steps[1][0].frame
        way = 1 if target > start else -1
        steps = self._steps[way]
        while way * ((following := _next(steps[-1].frame, way)) - target) <= 0:
            steps.append(self._go(steps[-1], following))
        if target not in self._found:  # between two of the walk's own frames
            reached = [step for step in steps if way * (step.frame - target) < 0]
            self._found[target] = self._look(reached[-1], target)[0]
        return self._found[target]

    def _go(self, step: Step, frame: int) -> Step:
        looked, features, mask = self._look(step, frame)
        self._found[frame] = looked
        total = step.total + self._engine.remember(features, mask)
        return Step(frame, total, step.weight + 1, (looked, *step.last[:-1]))

    def _look(self, step: Step, frame: int) -> tuple[Looked, FrameFeatures, Tensor]:
        """Look with much room first, then closely at what was found there."""
        window = close_up_of(step.last[0].probability >= THRESHOLD, FIRST_ROOM)
        if window is None:
            window = _whole(step.last[0].size)
        found = self._engine.look(self._frames, frame, window, step)
        closer = close_up_of(found[0].probability >= THRESHOLD)
        return found if closer is None else self._engine.look(self._frames, frame, closer, step)


def _next(frame: int, way: int) -> int:
    """The nearest multiple of WALKED beyond a frame."""
    return WALKED * (frame // WALKED + 1 if way > 0 else (frame - 1) // WALKED)


def _whole(shape: tuple[int, ...]) -> Window:
    return Window(0.0, 0.0, float(shape[1]), float(shape[0]))


def _frame(reference: Reference) -> int:
    return reference.frame


def _sigmoid(logits: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _logit(probability: NDArray[Any]) -> NDArray[np.float32]:
    squeezed = LEAST + (1 - 2 * LEAST) * probability
    return np.asarray(np.log(squeezed / (1 - squeezed)), np.float32)
