"""The tensors that pass between PDNet's encoder, its decoder and its losses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.drivers.matcher import ReferenceFeatures


@dataclass(frozen=True)
class Features:
    """The encoder's features of B frames, the same for targets and references.

    With p parts of c channels, h = H/8 and w = W/8:

    Attributes:
        appearance: A, B x width x H/4 x W/4.
        parts: P, B x p x c x h x w.
        saliency: logits s of the portrait, B x 1 x h x w, float32.
        assignment: D, B x p x h x w, float32, sums to 1 over p: how much a pixel belongs to each
            part, if it is portrait.
        auxiliary: logits of the four side outputs, B x 4 x H x W, float32; B x 0 x H x W where
            they were not requested.
    """

    appearance: Tensor
    parts: Tensor
    saliency: Tensor
    assignment: Tensor
    auxiliary: Tensor

    def __len__(self) -> int:
        return len(self.saliency)

    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> "Features":
        """Take some of the frames, in the order of the index; a slice copies nothing."""
        return self._map(lambda tensor: tensor[index])

    @staticmethod
    def cat(batches: Sequence["Features"]) -> "Features":
        """Join the frames of several batches, in order."""
        columns = zip(*(vars(batch).values() for batch in batches), strict=True)
        return Features(*(torch.cat(column) for column in columns))

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> "Features":
        """Move or convert the features; to decode them, convert them to the network's precision."""
        return self._map(lambda tensor: tensor.to(device=device, dtype=dtype))

    @property
    def nbytes(self) -> int:
        """The memory that the features need, in bytes."""
        return sum(tensor.nbytes for tensor in vars(self).values())

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Features":
        return Features(*(change(tensor) for tensor in vars(self).values()))


@dataclass(frozen=True)
class Output:
    """The decoder's output for B targets.

    Attributes:
        logits: of the portrait, B x 1 x H x W, float32.
        saliency: s, logits of the portrait from the target alone, B x 1 x h x w.
        guided_saliency: S', B x 1 x h x w in [0, 1]: saliency, guided by the references' masks.
        readout: B x 1 x h x w in [0, 1]: the masks of the references (or the saliency of those
            without a mask), carried to the target by attention alone.
        part_masks: eq 1, B x p x h x w; they sum to `guided_saliency`.
    """

    logits: Tensor
    saliency: Tensor
    guided_saliency: Tensor
    readout: Tensor
    part_masks: Tensor


def unguided(features: Features, sets: int = 1) -> ReferenceFeatures[Features]:
    """Turn `sets` times M frames into references without masks, at distance 0."""
    masks = torch.zeros_like(features.saliency).reshape(sets, -1, *features.saliency.shape[1:])
    none = masks.new_zeros(masks.shape[:2])
    return ReferenceFeatures(features, masks, none, none)


def known(saliency: Tensor, masks: Tensor, given: Tensor) -> Tensor:
    """Return the masks that are given, and the saliency of the other frames: v g + (1 - v) S.

    S (`saliency`) and g (`masks`) are B x 1 x h x w in [0, 1]; v (`given`) is B, each 0 or 1.
    """
    return torch.where(given[:, None, None, None] > 0, masks, saliency)


def part_masks(portrait: Tensor, assignment: Tensor) -> Tensor:
    """Divide the portrait among the parts: R^k = S D^k (eq 1), or with a mask G D^k (eq 5).

    The portrait, B x 1 x h x w in [0, 1], may also be the result of `known`, which combines S and
    G. D is the assignment, B x p x h x w. The p parts returned sum to the portrait.
    """
    return portrait * assignment
