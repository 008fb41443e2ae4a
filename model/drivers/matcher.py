"""The driver of networks that match: they encode each frame once, and decode it by its references.

Nothing is recurrent: each target depends on its own references only. So nothing drifts, and the
result does not depend on the order or the batching of the targets. The network looks at a target
twice: first at the whole frame, then at the close-up of the people found there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from labeler.clip import Frames, Image
from labeler.errors import LabelerError
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook, ReferenceChoice, nearest_and_first
from model.drivers.encoder import Batched, Encoder, View
from model.drivers.options import MatcherOptions
from model.engine import Use
from model.nn.fold import for_inference
from model.nn.precision import precision
from model.segmenter import (
    THRESHOLD,
    Probability,
    Segmentation,
    clip_and_book,
    given,
    uncertainty_of,
)
from model.window import Window, close_up_of

WHOLE_SHARE = 0.6
"""The weight of the first look where there is a second one."""


class Joinable(Batched, Protocol):
    """The features of a batch of frames, which can be joined with those of other batches."""

    @staticmethod
    def cat(batches: Sequence[Any], /) -> Any:
        """Join the frames of several batches, in order."""


B = TypeVar("B", bound=Joinable)


@dataclass(frozen=True)
class ReferenceFeatures(Generic[B]):
    """M references for each of B targets, or one set of M that all targets share.

    With R = B, or R = 1 for a shared set:

    Attributes:
        features: of R * M frames, reference m of set r at r * M + m.
        masks: g, R x M x 1 x h x w in [0, 1], human masks averaged over cells of the network's
            `mask_stride` (`cell_average`); zeros for a reference without a mask.
        given: v, R x M, float, 1 for a reference with a mask and 0 for one without.
        distance: B x M, float, |t - r| / T: the distance of a reference, as a share of the clip.
    """

    features: B
    masks: Tensor
    given: Tensor
    distance: Tensor


class Decoded(Protocol):
    """The output of a network for B targets."""

    @property
    def logits(self) -> Tensor:
        """The logits of the portrait, B x 1 x H x W, float32."""


class MatcherNetwork(Protocol[B]):
    """A network that encodes each frame by itself and decodes any target by any references."""

    mask_stride: int
    """The side, in pixels of the input, of the cells over which references' masks are averaged."""

    def encode(self, images: Tensor, /) -> B:
        """Compute the features of B x 3 x S x S images, of each by itself."""

    def decode(self, targets: B, references: ReferenceFeatures[B], /) -> Decoded:
        """Segment targets by their references."""


class Matcher(Generic[B]):
    """Masks frames with a network that matches them with their references.

    Args:
        network: a network with its weights. The matcher takes it over: it moves it to the device,
            and the network cannot be trained any more (see `for_inference`).
        use: the device, the input size and the `MatcherOptions`. The batch size changes speed and
            memory, but the result only by rounding.
        choice: the rule that chooses the references for a target.
        cache_bytes: the most bytes of features to keep, so that a frame is not encoded again when
            its references change.
    """

    def __init__(
        self,
        network: Any,  # an nn.Module that is a MatcherNetwork[B]; Python cannot say "both"
        use: Use,
        choice: ReferenceChoice = nearest_and_first,
        cache_bytes: int = 1 << 30,
    ) -> None:
        if not isinstance(use.options, MatcherOptions):
            raise LabelerError(
                f"{use.model_version} cannot be driven by Matcher: the options of its engine are "
                f"{type(use.options).__name__}; give Engine(options=MatcherOptions)."
            )
        self.model_version, self.device = use.model_version, use.device
        self.network: MatcherNetwork[B] = for_inference(network, use.device)
        self.encoder: Encoder[B] = Encoder(self.network.encode, use.device, cache_bytes)
        self.input_size = use.input_size
        self.options: MatcherOptions = use.options
        self.choice = choice
        self._batch_size = use.batch_size

    @torch.inference_mode()
    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        frames, book = clip_and_book(frames, references)
        book = book.chosen_by(self.choice)
        for looked_at, group in groupby(targets, book.references_for):
            # The network needs a reference to match with, even where the choice names none.
            run, looks = list(group), _Looks(self, frames, looked_at or (Reference(0),))
            for start in range(0, len(run), self._batch_size):
                batch = run[start : start + self._batch_size]
                masked = {target: given(book, target) for target in batch}
                rest = [target for target, known in masked.items() if known is None]
                found = dict(zip(rest, looks.probabilities(rest), strict=True))
                for target in batch:
                    yield masked[target] or Segmentation(
                        target, found[target], uncertainty_of(found[target])
                    )


class _Looks(Generic[B]):
    """Segments targets with the same references, which are encoded once for all of them."""

    def __init__(self, engine: Matcher[B], frames: Frames, looked_at: Sequence[Reference]) -> None:
        self._engine, self._frames, self._looked_at = engine, frames, looked_at
        guided = any(reference.load is not None for reference in looked_at)
        unguided_side = engine.options.unguided_size or engine.input_size
        self._side = engine.input_size if guided else unguided_side

    def probabilities(self, targets: Sequence[int]) -> list[Probability]:
        """Predict the probability map of each target, H x W, after both looks."""
        if not targets:
            return []
        close_side = self._engine.options.close_up_size
        found = self._decode([View(target, self._side) for target in targets], self._whole)
        if not close_side:
            return found
        windows = [close_up_of(each >= THRESHOLD) for each in found]
        closer = [n for n, window in enumerate(windows) if window is not None]
        if not closer:
            return found
        views = [View(targets[n], close_side, windows[n]) for n in closer]
        for n, close in zip(closer, self._decode(views, self._close), strict=True):
            found[n] = _joined(found[n], close, windows[n])
        return found

    @cached_property
    def _whole(self) -> ReferenceFeatures[B]:
        return self._encode_references([View(r.frame, self._side) for r in self._looked_at])

    @cached_property
    def _close(self) -> ReferenceFeatures[B]:
        side = self._engine.options.close_up_size
        masks = [self._mask_of(reference) for reference in self._looked_at]
        pairs = zip(self._looked_at, masks, strict=True)
        return self._encode_references([View(r.frame, side, close_up_of(m)) for r, m in pairs])

    def _mask_of(self, reference: Reference) -> Mask:
        """Return a reference's mask, or the mask of the network's first look if it has none."""
        if reference.mask is not None:
            return reference.mask
        frame = reference.frame
        alone = _Looks(self._engine, self._frames, [Reference(frame)])
        (found,) = alone._decode([View(frame, alone._side)], alone._whole)
        return np.greater_equal(found, THRESHOLD)

    def _decode(self, views: Sequence[View], references: ReferenceFeatures[B]) -> list[Probability]:
        """Predict the probability maps of views, each at the view's size before it was resized."""
        encoded = self._engine.encoder.encode(self._frames, views)
        length = len(self._frames)
        distance = torch.tensor(
            [[abs(r.frame - view.frame) / length for r in self._looked_at] for view in views],
            device=self._engine.device,
        )
        features = encoded[0].features.cat([each.features for each in encoded])
        with precision(self._engine.device):
            output = self._engine.network.decode(
                features,
                ReferenceFeatures(
                    references.features, references.masks, references.given, distance
                ),
            )
        probabilities = output.logits.float().sigmoid()
        return [
            F.interpolate(probability[None], each.size, mode="bilinear", align_corners=False)
            .cpu()
            .numpy()[0, 0]
            for probability, each in zip(probabilities, encoded, strict=True)
        ]

    def _encode_references(self, views: Sequence[View]) -> ReferenceFeatures[B]:
        encoded = self._engine.encoder.encode(self._frames, views)
        features = encoded[0].features.cat([each.features for each in encoded])
        cells = views[0].side // self._engine.network.mask_stride
        pairs = zip(self._looked_at, views, strict=True)
        masks = [_area_average(reference.mask, view.window, cells) for reference, view in pairs]
        guided = [float(reference.load is not None) for reference in self._looked_at]
        device = self._engine.device
        return ReferenceFeatures(
            features,
            torch.from_numpy(np.stack(masks))[None, :, None].to(device),
            torch.tensor([guided], device=device),
            torch.zeros(1, len(guided), device=device),  # each target has its own
        )


def _joined(whole: Probability, close: Probability, window: Window | None) -> Probability:
    """Blend the second look into its window of the first; outside the window is background."""
    assert window is not None
    joined = np.zeros_like(whole)
    joined[window.pixels] = WHOLE_SHARE * whole[window.pixels] + (1 - WHOLE_SHARE) * close
    return joined


def _area_average(mask: Mask | None, window: Window | None, cells: int) -> NDArray[np.float32]:
    """Compute how much of each cell of a coarse square grid a mask covers; zeros without a mask."""
    if mask is None:
        return np.zeros((cells, cells), np.float32)
    seen = mask if window is None else mask[window.pixels]
    covered = cv2.resize(seen.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA)
    return np.asarray(covered, np.float32)
