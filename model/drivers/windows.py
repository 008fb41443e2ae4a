"""Carry masks by a network that sees a close-up of the people it follows in each frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from labeler.clip import Frames
from labeler.reference import Reference
from model.drivers.cache import LastUsed
from model.drivers.encoder import Batched, Encoder, View
from model.drivers.probability import logits_of, sigmoid
from model.nn.fold import for_inference
from model.nn.precision import precision
from model.segmenter import THRESHOLD, Probability
from model.window import Window, close_up_of

FIRST_ROOM = 1.8
"""How much larger the window of the first look is than the people of the last frame."""

GIVEN_KEPT = 256

LEAST = 1e-4
"""Masks are squeezed into [LEAST, 1 - LEAST], so that they have logits."""

B = TypeVar("B", bound=Batched)
M = TypeVar("M")
S = TypeVar("S")


class CarrierNetwork(Protocol[B, M, S]):
    """A network that finds in a frame the people whom it remembers from other frames.

    Masks are 1 x 1 x H x W in [0, 1]. M is what the network keeps of one frame and its mask, S is
    its memory of all frames before; neither is changed in place.
    """

    mask_stride: int
    """The side of a cell of its logits, in pixels of the input."""

    earlier: int
    """How many earlier masks the network uses."""

    def encode(self, images: Tensor, /) -> B:
        """Compute the features of B x 3 x S x S images, of each by itself."""

    def remember(self, frames: B, masks: Tensor, /) -> M:
        """Compute what to keep of a frame and its mask."""

    def begin(self, given: Sequence[M], /) -> S:
        """Make the memory of frames that a person masked."""

    def recall(self, frames: B, memory: S, earlier: Tensor, /) -> Tensor:
        """Segment in a frame what a memory holds, and return logits at `mask_stride`, float32.

        `earlier` are the masks of the frames before, the latest first, resampled to this frame's
        view at `mask_stride`.
        """

    def update(self, memory: S, kept: M, /) -> S:
        """Return the memory with one more frame in it."""


@dataclass(frozen=True)
class Looked:
    """A prediction for a window of a frame; outside the window is background.

    `logits` are h x w float32, spread evenly over the window; `size` is (height, width) of the
    frame.
    """

    logits: NDArray[np.float32]
    window: Window
    size: tuple[int, int]

    @property
    def probability(self) -> Probability:
        """The probability map of the whole frame, H x W."""
        found = np.zeros(self.size, np.float32)
        place = found[self.window.pixels]
        place[:] = sigmoid(cv2.resize(self.logits, place.shape[::-1]))
        return found

    def through(self, window: Window, side: int) -> Probability:
        """Resample the probability map to another window, side x side."""
        own, (height, width) = self.window, self.logits.shape
        x, y = width / own.width, height / own.height  # cells per pixel
        scale = (window.width / side, window.height / side)  # pixels per cell of the other window
        matrix = np.array(
            [
                [scale[0] * x, 0, (window.left - own.left + 0.5 * scale[0]) * x - 0.5],
                [0, scale[1] * y, (window.top - own.top + 0.5 * scale[1]) * y - 0.5],
            ]
        )
        way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(sigmoid(self.logits), matrix, (side, side), flags=way), np.float32
        )


@dataclass(frozen=True)
class Followed(Generic[S]):
    """The state of a walk: the network's memory, and its last predictions, the latest first."""

    memory: S
    last: tuple[Looked, ...]


class WindowCarrying(Generic[B, M, S]):
    """Carries masks by a network (see `Carrying`); in each step the network looks twice.

    The first look has much room around the people of the last frame, the second is the close-up
    of the people that the first one found. Earlier masks are resampled from window to window.

    Args:
        network: a network with its weights. It is taken over: it is moved to `device`, and cannot
            be trained any more (see `for_inference`).
        device: where to compute.
        input_size: the side, in pixels, of the square to which each window is resized.
        cache_bytes: the most bytes of features to keep.
    """

    def __init__(
        self,
        network: Any,  # an nn.Module that is a CarrierNetwork; Python cannot say "both"
        device: torch.device,
        *,
        input_size: int,
        cache_bytes: int = 1 << 28,
    ) -> None:
        self.device, self.input_size = device, input_size
        self.network: CarrierNetwork[B, M, S] = for_inference(network, device)
        self.encoder: Encoder[B] = Encoder(self.network.encode, device, cache_bytes)
        self._given: LastUsed[tuple[Looked, M]] = LastUsed(GIVEN_KEPT)

    def begin(self, frames: Frames, start: Reference, known: Sequence[Reference]) -> Followed[S]:
        """Return the state at a frame that a person masked; see `Carrying.begin`."""
        kept = [self._looked_at(frames, reference)[1] for reference in known]
        last, _ = self._looked_at(frames, start)
        return Followed(self.network.begin(kept), (last,) * self.network.earlier)

    def step(self, frames: Frames, state: Followed[S], frame: int) -> tuple[Looked, Followed[S]]:
        """Predict the next frame, and remember it; see `Carrying.step`."""
        looked, features, mask = self._look_twice(frames, state, frame)
        memory = self.network.update(state.memory, self._remember(features, mask))
        return looked, Followed(memory, (looked, *state.last[:-1]))

    def look(self, frames: Frames, state: Followed[S], frame: int) -> Looked:
        """Predict a frame near the frame of a state; see `Carrying.look`."""
        return self._look_twice(frames, state, frame)[0]

    def _look_twice(
        self, frames: Frames, state: Followed[S], frame: int
    ) -> tuple[Looked, B, Tensor]:
        window = close_up_of(state.last[0].probability >= THRESHOLD, FIRST_ROOM)
        if window is None:
            window = _whole(state.last[0].size)
        found = self._look(frames, frame, window, state)
        closer = close_up_of(found[0].probability >= THRESHOLD)
        return found if closer is None else self._look(frames, frame, closer, state)

    def _look(
        self, frames: Frames, frame: int, window: Window, state: Followed[S]
    ) -> tuple[Looked, B, Tensor]:
        """Look for the people of the last frames in a window of another frame.

        Returns:
            The prediction, the frame's features, and the probabilities, 1 x 1 x S x S.
        """
        side, stride = self.input_size, self.network.mask_stride
        (encoded,) = self.encoder.encode(frames, [View(frame, side, window)])
        earlier = np.stack([each.through(window, side // stride) for each in state.last])
        with precision(self.device):
            logits = self.network.recall(
                encoded.features,
                state.memory,
                torch.from_numpy(earlier)[None].to(self.device),
            )
        fine = F.interpolate(logits, scale_factor=float(stride), mode="bilinear")
        looked = Looked(logits.cpu().numpy()[0, 0], window, state.last[0].size)
        return looked, encoded.features, fine.sigmoid()

    def _looked_at(self, frames: Frames, reference: Reference) -> tuple[Looked, M]:
        """Return a reference's mask as a prediction, and what to remember of the reference."""

        def look() -> tuple[Looked, M]:
            mask = reference.mask
            assert mask is not None
            window = close_up_of(mask) or _whole(mask.shape)
            seen = mask[window.pixels].astype(np.float32)
            side, cells = self.input_size, self.input_size // self.network.mask_stride
            fine = cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA)
            coarse = cv2.resize(seen, (cells, cells), interpolation=cv2.INTER_AREA)
            (encoded,) = self.encoder.encode(frames, [View(reference.frame, side, window)])
            kept = self._remember(encoded.features, torch.from_numpy(fine)[None, None])
            # As the network says them: float32, and never certain.
            logits = logits_of(LEAST + (1 - 2 * LEAST) * coarse, 0.0).astype(np.float32)
            return Looked(logits, window, (mask.shape[0], mask.shape[1])), kept

        return self._given.or_make((frames.key, reference.frame, reference.digest), look)

    def _remember(self, features: B, mask: Tensor) -> M:
        with precision(self.device):
            return self.network.remember(features, mask.to(self.device))


def _whole(shape: tuple[int, ...]) -> Window:
    return Window(0.0, 0.0, float(shape[1]), float(shape[0]))
