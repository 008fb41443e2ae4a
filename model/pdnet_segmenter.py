"""PDNet as an engine: the features of a frame are computed once, targets go in batches."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from labeler.clip import Frames, Image
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook
from model.features import Features, ReferenceFeatures, to_input
from model.fold import fold_norms
from model.pdnet import PDNet
from model.segmenter import Segmentation, uncertainty_of, verbatim

INPUT_SIZE = 480
"""Frames are squashed to 480 x 480, their aspect not kept (PDNet paper, section 5.1)."""


class PDNetSegmenter:
    """Masks frames with PDNet.

    Not recurrent: each target looks at its own references and nothing drifts, so the result does
    not depend on the order or the batching of the targets. On CUDA it computes in bfloat16.

    Args:
        network: PDNet with its weights; it becomes this engine's own: it is moved to `device`, and
            cannot be trained any more (see `fold_norms`).
        model_version: the name of those weights.
        device: where to compute.
        batch_size: targets per step; changes speed and memory, never the result beyond rounding.
        cache_bytes: how much of the features of frames already seen to keep, so that a frame is
            not encoded again when its references change.
        input_size: the side, in pixels, that frames are squashed to; a multiple of 32.
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
    ) -> None:
        self.model_version = model_version
        self._device = device
        self._network = network.to(device).eval()
        fold_norms(self._network)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._batch_size = batch_size
        self._input_size = input_size
        self._cache = _FeatureCache(cache_bytes)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="frames")

    @torch.inference_mode()
    def segment(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        for looked_at, group in groupby(targets, references.references_for):
            run = list(group)
            encoded = None
            for start in range(0, len(run), self._batch_size):
                batch = run[start : start + self._batch_size]
                rest = [target for target in batch if references.corrected(target) is None]
                segmented = {}
                if rest:
                    encoded = encoded or self._encode_references(frames, looked_at)
                    segmented = self._segment_batch(frames, rest, looked_at, encoded)
                for target in batch:
                    human = references.corrected(target)
                    mask = None if human is None else human.mask
                    yield segmented[target] if mask is None else verbatim(target, mask)

    def _segment_batch(
        self,
        frames: Frames,
        targets: Sequence[int],
        looked_at: Sequence[Reference],
        references: ReferenceFeatures,
    ) -> dict[int, Segmentation]:
        encoded = self._encode(frames, targets)
        distance = torch.tensor(
            [[abs(r.frame - target) / len(frames) for r in looked_at] for target in targets],
            device=self._device,
        )
        with self._precision():
            output = self._network.decode(
                Features.cat([each.features for each in encoded]),
                ReferenceFeatures(
                    references.features, references.masks, references.given, distance
                ),
            )
        probabilities = output.logits.float().sigmoid()
        result = {}
        for target, each, probability in zip(targets, encoded, probabilities, strict=True):
            native = F.interpolate(
                probability[None], each.size, mode="bilinear", align_corners=False
            )
            uncertainty = uncertainty_of(probability[0].cpu().numpy())
            result[target] = Segmentation(target, native[0, 0].cpu().numpy(), uncertainty)
        return result

    def _encode_references(
        self, frames: Frames, looked_at: Sequence[Reference]
    ) -> ReferenceFeatures:
        features = Features.cat(
            [each.features for each in self._encode(frames, [r.frame for r in looked_at])]
        )
        grid = features.saliency.shape[-2:]
        masks = [_area_average(r.mask, grid) for r in looked_at]
        given = [float(r.load is not None) for r in looked_at]
        return ReferenceFeatures(
            features,
            torch.from_numpy(np.stack(masks))[None, :, None].to(self._device),
            torch.tensor([given], device=self._device),
            torch.zeros(1, len(looked_at), device=self._device),  # each target has its own
        )

    def _encode(self, frames: Frames, indices: Sequence[int]) -> list["_Encoded"]:
        """The features of some frames, encoding together those that are not kept."""
        found: dict[int, _Encoded] = {}
        for index in indices:
            kept = self._cache.get((frames.key, index))
            if kept is not None:
                found[index] = kept
        missing = [index for index in dict.fromkeys(indices) if index not in found]
        if missing:
            images = list(self._readers.map(frames.__getitem__, missing))
            squashed = np.stack([_squash(image, self._input_size) for image in images])
            with self._precision():
                pixels = to_input(torch.from_numpy(squashed).to(self._device))
                features = self._network.encode(pixels.to(memory_format=torch.channels_last))
            for position, (index, image) in enumerate(zip(missing, images, strict=True)):
                size = (image.shape[0], image.shape[1])
                found[index] = _Encoded(features[position : position + 1], size)
                self._cache.put((frames.key, index), found[index])
        return [found[index] for index in indices]

    def _precision(self) -> torch.autocast:
        on_cuda = self._device.type == "cuda"
        return torch.autocast(self._device.type, torch.bfloat16, enabled=on_cuda)


@dataclass(frozen=True)
class _Encoded:
    """One frame's features, batch of 1, and the (height, width) of the frame they came from."""

    features: Features
    size: tuple[int, int]


class _FeatureCache:
    """The features of the frames last used, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[tuple[str, int], _Encoded] = OrderedDict()

    def get(self, key: tuple[str, int]) -> _Encoded | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: tuple[str, int], encoded: _Encoded) -> None:
        self._kept[key] = encoded
        self._size += encoded.features.nbytes
        while self._size > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.features.nbytes


def _squash(image: Image, side: int) -> Image:
    way = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=way), np.uint8)


def _area_average(mask: Mask | None, grid: torch.Size) -> NDArray[np.float32]:
    """How much of each cell of a coarse grid a mask covers; zeros where there is none."""
    if mask is None:
        return np.zeros(grid, np.float32)
    covered = cv2.resize(mask.astype(np.float32), (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(covered, np.float32)
