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
        mask: S x S bool: the true mask.
        guide: S x S bool: the mask that the network gets, which may differ from the true one;
            empty if the network gets none.
        given: whether the network gets a mask with this reference.
        distance: |t - r| / T, 0 to 1: the distance to the target, as a share of the clip.
        weak: as in `Sample`.
    """

    image: Image
    mask: Mask
    guide: Mask
    given: bool
    distance: float
    weak: Image | None = None


@dataclass(frozen=True)
class Sample:
    """A target with its references, S x S; without references, it is a single image.

    Attributes:
        kind: the kind of source that it was made from.
        portrait: whether the masks show all people and nothing else. If not, only the given masks
            tell what to segment, so the sample cannot train what the network finds without a given
            mask: the saliency and the side outputs.
        image: S x S x 3 uint8 BGR.
        mask: S x S bool: the true mask.
        references: M of them.
        weak: S x S x 3 uint8 BGR, of a clip without masks: the view before colours were changed
            and people pasted in, for the teacher (weak augmentation, as in Sohn et al. 2020,
            "FixMatch"). Its masks show the pasted people only.
    """

    kind: SourceKind
    portrait: bool
    image: Image
    mask: Mask
    references: tuple[ReferenceSample, ...] = ()
    weak: Image | None = None


@dataclass(frozen=True)
class Batch:
    """B samples with M references each, M = 0 for images by themselves.

    `reference_images.flatten(0, 1)` has the references in the order of `ReferenceFeatures`.

    Attributes:
        images: B x S x S x 3 uint8 BGR, for `model.nn.pictures.to_input`.
        masks: B x 1 x S x S bool.
        reference_images: B x M x S x S x 3 uint8 BGR.
        reference_masks: B x M x 1 x S x S bool, the true masks.
        guides: B x M x 1 x S x S bool, the masks given, for `cell_average`.
        given: v, B x M float32, 1 where a mask is given and 0 where not.
        distance: B x M float32.
        portrait: B bool; see `Sample`.
        weak: B x (1 + M) x S x S x 3 uint8 BGR, the weak views of target and references, of clips
            without masks; B x 0 x S x S x 3 otherwise.
        sure: B x (1 + M) x 1 x S x S bool, the pixels of target and references whose label is to
            be learnt; B x 0 x 1 x S x S where all are.
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
    weak: Tensor
    sure: Tensor
    kinds: tuple[SourceKind, ...]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Move the tensors."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Pin the tensors in memory, so that they can be moved while the device computes."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        fields = vars(self).items()
        changed: dict[str, Any] = {k: change(v) for k, v in fields if isinstance(v, Tensor)}
        return replace(self, **changed)


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples, which must be of one size and have equally many references.

    Raises:
        ValueError: the samples differ in size or in the number of references.
    """
    count = len(samples[0].references)
    if any(len(sample.references) != count for sample in samples):
        raise ValueError("the samples of a batch must have equally many references")
    references = [reference for sample in samples for reference in sample.references]
    views = [view for sample in samples for view in (sample.weak, *_weak(sample.references))]
    weak = [image for image in views if image is not None]
    shown = len(weak) // len(samples)
    if len({sample.weak is None for sample in samples}) > 1:
        raise ValueError("the samples of a batch must all be of clips with masks, or all without")
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
        weak=_stacked(weak, np.uint8, len(samples), shown, *pixels, 3),
        sure=torch.ones(len(samples), 0, 1, *pixels, dtype=torch.bool),
        kinds=tuple(sample.kind for sample in samples),
    )


def _weak(references: Sequence[ReferenceSample]) -> list[Image | None]:
    return [reference.weak for reference in references]


def _stacked(values: Sequence[object], dtype: type[np.generic], *shape: int) -> Tensor:
    return torch.from_numpy(np.array(values, dtype).reshape(shape))
