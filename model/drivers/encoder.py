"""Encode frames, whole or in close-up, and cache the features."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import cv2
import numpy as np
import torch

from labeler.clip import Frames, Image
from labeler.errors import LabelerError
from model.drivers.cache import LastUsed
from model.nn.pictures import to_input
from model.nn.precision import precision
from model.window import Window


@dataclass(frozen=True)
class View:
    """A whole frame, or a window of it, resized to a square of `side` pixels."""

    frame: int
    side: int
    window: Window | None = None


class Batched(Protocol):
    """The features of a batch of frames."""

    @property
    def nbytes(self) -> int:
        """The memory that the features need, in bytes."""

    def __getitem__(self, index: slice, /) -> Self: ...


F = TypeVar("F", bound=Batched)


@dataclass(frozen=True)
class Encoded(Generic[F]):
    """The features of one view, a batch of 1, and its (height, width) before it was resized."""

    features: F
    size: tuple[int, int]


class Encoder(Generic[F]):
    """Encodes views, and caches the features of those that were used last.

    Args:
        encode: the network's encoder, which takes B x 3 x H x W images.
        device: where to compute, see `model.nn.precision`.
        cache_bytes: the most bytes of features to keep.
    """

    def __init__(
        self, encode: Callable[[torch.Tensor], F], device: torch.device, cache_bytes: int
    ) -> None:
        self._encode = encode
        self._device = device
        self._kept: LastUsed[Encoded[F]] = LastUsed(cache_bytes, lambda e: e.features.nbytes)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="frames")

    @property
    def kept_bytes(self) -> int:
        """The memory of the cached features in bytes, at most `cache_bytes`."""
        return self._kept.size

    def encode(self, frames: Frames, views: Sequence[View]) -> list[Encoded[F]]:
        """Return the features of views of one side; those not cached are encoded as one batch."""
        found: dict[View, Encoded[F]] = {}
        for view in views:
            if (kept := self._kept.get((frames.key, view))) is not None:
                found[view] = kept
        missing = [view for view in dict.fromkeys(views) if view not in found]
        if missing:
            images = list(self._readers.map(lambda view: _seen(frames, view), missing))
            squashed = np.stack(
                [_squash(image, view.side) for image, view in zip(images, missing, strict=True)]
            )
            with precision(self._device):
                pixels = to_input(torch.from_numpy(squashed).to(self._device))
                features = self._encode(pixels.to(memory_format=torch.channels_last))
            if not hasattr(features, "nbytes") or isinstance(features, torch.Tensor):
                raise LabelerError(
                    f"encode returned a {type(features).__name__}; it must return the features of "
                    "a batch with `nbytes`, slices and, for Matcher, `cat` (see Batched, Joinable)."
                )
            for position, (view, image) in enumerate(zip(missing, images, strict=True)):
                size = (image.shape[0], image.shape[1])
                found[view] = Encoded(features[position : position + 1], size)
                self._kept.put((frames.key, view), found[view])
        return [found[view] for view in views]


def _seen(frames: Frames, view: View) -> Image:
    image = frames[view.frame]
    return image if view.window is None else image[view.window.pixels]


def _squash(image: Image, side: int) -> Image:
    way = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=way), np.uint8)
