"""Losses on masks that any network can be trained with, and the losses of a batch as a value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Losses:
    """The loss of a batch and its terms, scalars.

    `total` is what to minimise. `terms`, by name, are as they were before their weights and any
    ramp; one that does not apply is not there.
    """

    total: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)

    def numbers(self, average: Callable[[list[Tensor]], None] | None = None) -> dict[str, float]:
        """Return total and terms by name, for a log; waits for the device, once.

        `average` replaces tensors by their means over the processes of a training.
        """
        found = {"total": self.total, **self.terms}
        values = torch.stack(list(found.values())).detach()
        if average is not None:
            average([values])
        return dict(zip(found, values.tolist(), strict=True))


def segmentation_loss(logits: Tensor, target: Tensor, l1_weight: float = 0.8) -> Tensor:
    """Compute class-balanced cross-entropy plus L1, a scalar, the mean over samples.

    With eta the share of a sample that is portrait, -mean[(1 - eta) y log s + eta (1 - y)
    log(1 - s)] + l1_weight mean|s - y| (Yu et al., section 4.4). Each class counts by the other's
    share; weights of 1 / eta would make rare portraits count for more than common ones instead.

    Args:
        logits: of s, B x 1 x H x W.
        target: y, B x 1 x H x W bool or number in [0, 1], so it may be an average over cells.
        l1_weight: of the L1 distance.

    Raises:
        ValueError: the shapes differ.
    """
    if logits.shape != target.shape:  # broadcasting would hide it
        raise ValueError(f"logits are {list(logits.shape)}, the target is {list(target.shape)}")
    logits, target = precise(logits), precise(target)
    # Unclamped, an empty or a full mask would not be learnt by cross-entropy at all.
    share = target.mean(dim=(1, 2, 3), keepdim=True).clamp(0.05, 0.95)
    portrait = (1 - share) * target * F.logsigmoid(logits)
    background = share * (1 - target) * F.logsigmoid(-logits)
    loss = l1_weight * (logits.sigmoid() - target).abs() - portrait - background
    return loss.sum() / max(loss.numel(), 1)  # 0 of no samples: a batch may have no portrait


def jaccard_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Compute 1 - sum(s y) / sum(s + y - s y), a scalar, the mean over samples: 1 less a soft J.

    A portrait counts the same however small it is. `logits` of s are B x 1 x H x W, `target`, y,
    likewise, bool or number in [0, 1]. One pixel is added above and below, so that an empty mask
    can be learnt too. (Rahman and Wang 2016, "Optimizing intersection-over-union in deep neural
    networks for image segmentation", eq 3-5.)
    """
    s, y = precise(logits).sigmoid(), precise(target)
    both = (s * y).sum(dim=(1, 2, 3))
    either = (s + y).sum(dim=(1, 2, 3)) - both
    loss = 1 - (both + 1) / (either + 1)
    return loss.sum() / max(len(loss), 1)


def precise(tensor: Tensor) -> Tensor:
    """Convert a tensor to float32; float64 stays float64."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
