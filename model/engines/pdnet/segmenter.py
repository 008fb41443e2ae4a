"""PDNet as an engine: it looks at each frame as a whole, then closely at whoever it found there."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from labeler.clip import Frames
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook
from model.drivers.encoder import Encoder, View
from model.engines.pdnet.features import Features, ReferenceFeatures
from model.engines.pdnet.network import PDNet
from model.nn.fold import for_inference
from model.nn.precision import precision
from model.segmenter import THRESHOLD, Segmentation, uncertainty_of, verbatim
from model.window import Window, close_up_of

INPUT_SIZE = 480
"""Frames are squashed to 480 x 480, their aspect not kept (PDNet paper, section 5.1)."""

Probability = NDArray[np.float32]


class PDNetSegmenter:
    """Masks frames with PDNet.

    Not recurrent: each target looks at its own references and nothing drifts, so the result does
    not depend on the order or the batching of the targets.

    Args:
        network: PDNet with its weights; it becomes this engine's own: it is moved to `device`, and
            cannot be trained any more (see `for_inference`).
        model_version: the name of those weights.
        device: where to compute.
        batch_size: targets per step; changes speed and memory, never the result beyond rounding.
        cache_bytes: how much of the features of frames already seen to keep, so that a frame is
            not encoded again when its references change.
        input_size: the side, in pixels, that frames are squashed to; a multiple of 32.
        unguided_size: the same where no reference has a mask: whoever is not known yet is better
            found in a small picture, and a mask that is given better carried in a large one; 0
            for `input_size`.
        close_up_size: the same of the second look, at whoever the first one found and nothing
            else; 0 for no second look.
    """

    def __init__(
        self,
        network: PDNet,
        model_version: str,
        device: torch.device,
        *,
        batch_size: int = 8,
        cache_bytes: int = 1 << 30,
        input_size: int = INPUT_SIZE,
        unguided_size: int = 0,
        close_up_size: int = 0,
    ) -> None:
        self.model_version = model_version
        self.device = device
        self.network = for_inference(network, device)
        self.encoder = Encoder(self.network.encode, device, cache_bytes)
        self.input_size = input_size
        self.unguided_size = unguided_size or input_size
        self.close_up_size = close_up_size
        self._batch_size = batch_size

    @torch.inference_mode()
    def segment(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        for looked_at, group in groupby(targets, references.references_for):
            run, looks = list(group), _Looks(self, frames, looked_at)
            for start in range(0, len(run), self._batch_size):
                batch = run[start : start + self._batch_size]
                rest = [target for target in batch if references.corrected(target) is None]
                found = dict(zip(rest, looks.probabilities(rest), strict=True))
                for target in batch:
                    human = references.corrected(target)
                    mask = None if human is None else human.mask
                    if mask is not None:
                        yield verbatim(target, mask)
                    else:
                        probability = found[target]
                        yield Segmentation(target, probability, uncertainty_of(probability))


class _Looks:
    """Looks at targets that have the same references, which are encoded once for all of them."""

    def __init__(
        self, engine: PDNetSegmenter, frames: Frames, looked_at: Sequence[Reference]
    ) -> None:
        self._engine, self._frames, self._looked_at = engine, frames, looked_at
        guided = any(reference.load is not None for reference in looked_at)
        self._side = engine.input_size if guided else engine.unguided_size

    def probabilities(self, targets: Sequence[int]) -> list[Probability]:
        """The probability of portrait of each target, H x W, after both looks."""
        if not targets:
            return []
        close_side = self._engine.close_up_size
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
    def _whole(self) -> ReferenceFeatures:
        return self._encode_references([View(r.frame, self._side) for r in self._looked_at])

    @cached_property
    def _close(self) -> ReferenceFeatures:
        side = self._engine.close_up_size
        masks = [self._mask_of(reference) for reference in self._looked_at]
        pairs = zip(self._looked_at, masks, strict=True)
        return self._encode_references([View(r.frame, side, close_up_of(m)) for r, m in pairs])

    def _mask_of(self, reference: Reference) -> Mask:
        """Who is in a reference, by its mask or, without one, at first sight."""
        if reference.mask is not None:
            return reference.mask
        frame = reference.frame
        alone = _Looks(self._engine, self._frames, [Reference(frame)])
        (found,) = alone._decode([View(frame, alone._side)], alone._whole)
        return np.greater_equal(found, THRESHOLD)

    def _decode(self, views: Sequence[View], references: ReferenceFeatures) -> list[Probability]:
        """The probabilities of views, each at the size of what was looked at."""
        encoded = self._engine.encoder.encode(self._frames, views)
        length = len(self._frames)
        distance = torch.tensor(
            [[abs(r.frame - view.frame) / length for r in self._looked_at] for view in views],
            device=self._engine.device,
        )
        with precision(self._engine.device):
            output = self._engine.network.decode(
                Features.cat([each.features for each in encoded]),
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

    def _encode_references(self, views: Sequence[View]) -> ReferenceFeatures:
        encoded = self._engine.encoder.encode(self._frames, views)
        features = Features.cat([each.features for each in encoded])
        grid = features.saliency.shape[-2:]
        pairs = zip(self._looked_at, views, strict=True)
        masks = [_area_average(reference.mask, view.window, grid) for reference, view in pairs]
        given = [float(reference.load is not None) for reference in self._looked_at]
        device = self._engine.device
        return ReferenceFeatures(
            features,
            torch.from_numpy(np.stack(masks))[None, :, None].to(device),
            torch.tensor([given], device=device),
            torch.zeros(1, len(given), device=device),  # each target has its own
        )


def _joined(whole: Probability, close: Probability, window: Window | None) -> Probability:
    """Put the second look into its place; beyond it there is nobody."""
    assert window is not None
    joined = np.zeros_like(whole)
    joined[window.pixels] = WHOLE_SHARE * whole[window.pixels] + (1 - WHOLE_SHARE) * close
    return joined


WHOLE_SHARE = 0.6
"""How much the first look counts where there is a second one."""


def _area_average(
    mask: Mask | None, window: Window | None, grid: torch.Size
) -> NDArray[np.float32]:
    """How much of each cell of a coarse grid a mask covers; zeros where there is none."""
    if mask is None:
        return np.zeros(grid, np.float32)
    seen = mask if window is None else mask[window.pixels]
    covered = cv2.resize(seen.astype(np.float32), (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(covered, np.float32)
