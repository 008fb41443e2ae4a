"""A training sample, and a batch of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from labeler.clip import Image
from labeler.mask import Mask
from model.samples.sample_recipe import SourceKind


@dataclass(frozen=True)
class ReferenceSample:
    """A reference of a sample, S x S.

    Attributes:
        image: S x S x 3 uint8 BGR.
        mask: S x S bool: what is true of it.
        guide: S x S bool: the mask it is given with, which may differ; empty if it is not given.
        given: whether it is given with a mask.
        distance: |t - r| / T, 0 to 1: how far it is from the target, as a share of the clip.
    """

    image: Image
    mask: Mask
    guide: Mask
    given: bool
    distance: float


@dataclass(frozen=True)
class Sample:
    """A target with its references, S x S; without references, an image to learn by itself.

    Attributes:
        kind: what it was made of.
        portrait: whether the masks are of all people and of nothing else. If not, they can only
            be known by the masks given, and say nothing of what is found without one: not the
            saliency, not the side outputs.
        image: S x S x 3 uint8 BGR.
        mask: S x S bool: what is true of it.
        references: M of them.
    """

    kind: SourceKind
    portrait: bool
    image: Image
    mask: Mask
    references: tuple[ReferenceSample, ...] = ()


@dataclass(frozen=True)
class Batch:
    """B samples with M references each, M = 0 for images by themselves.

    `reference_images.flatten(0, 1)` has the references in the order of `ReferenceFeatures`.

    Attributes:
        images: B x S x S x 3 uint8 BGR, for `model.engines.pdnet.network.to_input`.
        masks: B x 1 x S x S bool.
        reference_images: B x M x S x S x 3 uint8 BGR.
        reference_masks: B x M x 1 x S x S bool, what is true.
        guides: B x M x 1 x S x S bool, the masks given, for `cell_average`.
        given: v, B x M float32, 1 where a mask is given and 0 where not.
        distance: B x M float32.
        portrait: B bool; see `Sample`.
        kinds: B of them.
    """

    images: Tensor
    masks: Tensor
    reference_images: Tensor
    reference_masks: Tensor
    guides: Tensor
    given: Tensor
    distance: Tensor
    portrait: Tensor
    kinds: tuple[SourceKind, ...]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Move the tensors."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Pin the tensors, so that they can be moved while others are computed on."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        fields = vars(self).items()
        changed: dict[str, Any] = {k: change(v) for k, v in fields if isinstance(v, Tensor)}
        return replace(self, **changed)


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples, which must be of one size and have equally many references.

    Raises:
        ValueError: they are not or have not.
    """
    count = len(samples[0].references)
    if any(len(sample.references) != count for sample in samples):
        raise ValueError("the samples of a batch must have equally many references")
    references = [reference for sample in samples for reference in sample.references]
    side = samples[0].mask.shape[0]
    pixels, pairs = (side, side), (len(samples), count)
    return Batch(
        images=_stacked([s.image for s in samples], np.uint8, len(samples), *pixels, 3),
        masks=_stacked([s.mask for s in samples], np.bool_, len(samples), 1, *pixels),
        reference_images=_stacked([r.image for r in references], np.uint8, *pairs, *pixels, 3),
        reference_masks=_stacked([r.mask for r in references], np.bool_, *pairs, 1, *pixels),
        guides=_stacked([r.guide for r in references], np.bool_, *pairs, 1, *pixels),
        given=_stacked([r.given for r in references], np.float32, *pairs),
        distance=_stacked([r.distance for r in references], np.float32, *pairs),
        portrait=_stacked([s.portrait for s in samples], np.bool_, len(samples)),
        kinds=tuple(sample.kind for sample in samples),
    )


def _stacked(values: Sequence[object], dtype: type[np.generic], *shape: int) -> Tensor:
    return torch.from_numpy(np.array(values, dtype).reshape(shape))
