"""GAM: carries a given mask through a clip, with a memory that does not grow.

The network of "Real-time video object segmentation at high resolution" with its global attention
(GAM), channel attention (CAM) and mask embedding (MEM) modules; equations and tables are its own.
Where the paper is silent or at odds with itself, in brief: keys are a softmax over positions, as
in Li et al. 2020 (eq 1 without it would grow with the picture), and queries one over channels, so
that what is read is a mean of what was stored; that and the value of the frame are concatenated
(section 3.2 says both that and "sum"); channels attend by eq 5 with the index that its shapes ask
for; one logit stands for the two of the softmax. Batch normalisation is in the backbones only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.engines.gam.recipes import GAMConfig
from model.nn.bodies import Body, make_body
from model.nn.pictures import cell_average

EARLIER = 3
"""How many earlier masks the mask embedding looks at."""

STRIDE = 16
"""Of the coarsest features, in pixels: sides of inputs are multiples of it."""

MASK_STRIDE = 4
"""Of logits, and of the earlier masks that go in."""

CORRECTED = 4.0
"""How much a frame that a person masked counts in memory; others count 1."""


@dataclass(frozen=True)
class FrameFeatures:
    """The features of B frames of H x W pixels.

    Attributes:
        images: as they went in, B x 3 x H x W; the mask encoder looks at them again.
        fine: C2, at H/4 x W/4.
        middle: C3, at H/8 x W/8.
        coarse: C4, F of the paper, at H/16 x W/16.
        keys: logits of keys and of queries L, B x C_N x H/16 x W/16.
        values: of the frame alone, B x C_M x H/16 x W/16.
    """

    images: Tensor
    fine: Tensor
    middle: Tensor
    coarse: Tensor
    keys: Tensor
    values: Tensor

    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> "FrameFeatures":
        """Take some of the frames, in the order of the index; a slice copies nothing."""
        return FrameFeatures(*(tensor[index] for tensor in vars(self).values()))

    @property
    def nbytes(self) -> int:
        """The memory they need, in bytes."""
        return sum(tensor.nbytes for tensor in vars(self).values())


def at_least_zero(parameter: Tensor) -> Tensor:
    """Return a scalar, but no less than 0; a gradient passes as if it were the scalar itself.

    Clamped for the gradient too, a scalar that once stepped below zero could not return.
    """
    return parameter + (parameter.clamp(min=0) - parameter).detach()


class ResBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, activated before each (Oh et al. 2019, STM)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        same = inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B x inputs x H x W to B x outputs x H x W."""
        y: Tensor = self.conv2(self.conv1(x.relu()).relu()) + self.shortcut(x)
        return y


class MaskEncoder(nn.Module):
    """Looks at a frame with its mask, and joins that with what the frame encoder says: M_T."""

    def __init__(self, backbone: str, coarse: int, values: int) -> None:
        super().__init__()
        self.body = make_body(backbone, stages=3, inputs=4)
        self.fuse = ResBlock(self.body.channels[-1] + coarse, values)

    def forward(self, frames: FrameFeatures, masks: Tensor) -> Tensor:
        """Map B frames and their masks, B x 1 x H x W in [0, 1], to B x C_M x H/16 x W/16."""
        seen = self.body(torch.cat([frames.images, masks.to(frames.images.dtype)], dim=1))[-1]
        values: Tensor = self.fuse(torch.cat([seen, frames.coarse], dim=1))
        return values


class ChannelAttention(nn.Module):
    """CAM: each channel takes from those that are like it (section 3.3, eq 4-7).

    Args:
        likeness: see `GAMConfig`.
    """

    def __init__(self, likeness: Literal["product", "cosine"] = "product") -> None:
        super().__init__()
        self.likeness = likeness
        self.share = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map B x C x h x w to the same; at first nothing is changed."""
        rows = x.flatten(2)
        with torch.autocast(x.device.type, enabled=False):
            if self.likeness == "product":
                precise = rows.float()
                likeness = precise @ precise.mT  # eq 4
            else:
                unit = F.normalize(rows.float(), dim=2)
                likeness = unit @ unit.mT * x.shape[1] ** 0.5
            weights = likeness.softmax(dim=2)  # eq 5; likeness is symmetric, so any axis serves
        attended: Tensor = (weights.to(rows.dtype) @ rows).reshape(x.shape)  # eq 6
        share = at_least_zero(self.share) if self.likeness == "product" else self.share
        return torch.addcmul(x, share.to(x.dtype), attended)  # eq 7


class MaskEmbedding(nn.Module):
    """MEM: embeds earlier frames' masks together with their coordinates (section 3.4, eq 8)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_activated(2 * EARLIER + 3, width // 4, 1),
            *_activated(width // 4, width // 2, 2),
            *_activated(width // 2, width, 2),
            *_activated(width, width, 1),
        )

    def forward(self, earlier: Tensor) -> Tensor:
        """Map the probabilities in B x 3 earlier masks, at stride 4, to B x width at stride 16."""
        height, width = earlier.shape[-2:]
        y = torch.linspace(-1, 1, height, device=earlier.device, dtype=earlier.dtype)[:, None]
        x = torch.linspace(-1, 1, width, device=earlier.device, dtype=earlier.dtype)
        place = torch.stack([x.expand(height, -1), y.expand(-1, width), (x**2 + y**2).sqrt()])
        everything = [earlier, 1 - earlier, place.expand(len(earlier), -1, -1, -1)]
        embedded: Tensor = self.layers(torch.cat(everything, dim=1))
        return embedded


class Refine(nn.Module):
    """Enlarges features twice, with what the encoder saw at that size (STM's decoder)."""

    def __init__(self, inputs: int, skipped: int, width: int) -> None:
        super().__init__()
        same = inputs == width
        self.narrow = nn.Identity() if same else nn.Conv2d(inputs, width, 1)
        self.skip = nn.Sequential(nn.Conv2d(skipped, width, 3, padding=1), ResBlock(width, width))
        self.mix = ResBlock(width, width)

    def forward(self, skipped: Tensor, x: Tensor) -> Tensor:
        """Map B x skipped x 2h x 2w and B x inputs x h x w to B x width x 2h x 2w."""
        x = self.narrow(x)
        larger = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        refined: Tensor = self.mix(self.skip(skipped) + larger)
        return refined


@dataclass(frozen=True)
class Memory:
    """The memory of all frames so far: G is `total / weight` (eq 2).

    `total` is the sum of what `GAM.remember` returns, each times how much it counts, B x C_N x
    C_M, and `weight` the sum of that; so memory does not grow with the clip.
    """

    total: Tensor
    weight: float

    @property
    def mean(self) -> Tensor:
        """G, B x C_N x C_M."""
        return self.total / self.weight


class GAM(nn.Module):
    """GAM: `encode` a frame, `recall` its mask from a memory, `remember` it with its mask."""

    mask_stride, earlier = MASK_STRIDE, EARLIER

    def __init__(self, config: GAMConfig) -> None:
        super().__init__()
        self.config = config
        self.body = make_body(config.backbone, stages=3)
        fine, middle, coarse = self.body.channels
        self.key = nn.Sequential(
            nn.Conv2d(coarse, config.keys, 1),
            nn.Conv2d(config.keys, config.keys, 3, padding=1),
        )
        self.value = nn.Conv2d(coarse, config.values, 3, padding=1)
        self.masks = MaskEncoder(config.mask_backbone, coarse, config.values)
        self.channels = (
            ChannelAttention(config.likeness) if config.channel_attention else nn.Identity()
        )
        inputs = 2 * config.values
        if config.mask_embedding:
            self.embedding = MaskEmbedding(config.width)
            inputs += config.width
        self.mix = nn.Sequential(
            nn.Conv2d(inputs, config.width, 3, padding=1), ResBlock(config.width, config.width)
        )
        self.refine_middle = Refine(config.width, middle, config.width)
        self.refine_fine = Refine(config.width, fine, config.fine)
        self.head = nn.Conv2d(config.fine, 1, 3, padding=1)

    @property
    def bodies(self) -> tuple[Body, Body]:
        """The backbones: of frames, and of frames with masks."""
        return self.body, self.masks.body

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Carry the first frame's mask through a run; logits, T - 1 x 1 x H x W float32.

        Args:
            frames: T x 3 x H x W, in order, see `to_input`; H and W multiples of 16, else
                ValueError.
            mask: of the first one, 1 x 1 x H x W, bool or in [0, 1].
        """
        features, given = self.encode(frames), mask.float()
        height, width = (n // MASK_STRIDE for n in frames.shape[-2:])
        earlier = cell_average(given[None], (height, width))[0].expand(-1, EARLIER, -1, -1)
        memory = self.begin([self.remember(features[:1], given)])
        found = []
        for number in range(1, len(frames)):
            logits = self.recall(features[number : number + 1], memory, earlier)
            found.append(F.interpolate(logits, scale_factor=float(MASK_STRIDE), mode="bilinear"))
            earlier = torch.cat([logits.sigmoid(), earlier[:, :-1]], dim=1)
            kept = self.remember(features[number : number + 1], found[-1].sigmoid())
            memory = self.update(memory, kept)
        return torch.cat(found)

    def encode(self, images: Tensor) -> FrameFeatures:
        """Encode each frame by itself.

        Args:
            images: B x 3 x H x W, see `to_input`; H and W multiples of 16, else
                ValueError.
        """
        if images.ndim != 4 or images.shape[1] != 3 or any(n % STRIDE for n in images.shape[2:]):
            raise ValueError(
                f"images must be B x 3 x H x W with H and W multiples of {STRIDE}, not "
                f"{' x '.join(str(n) for n in images.shape)}"
            )
        fine, middle, coarse = self.body(images)
        return FrameFeatures(images, fine, middle, coarse, self.key(coarse), self.value(coarse))

    def remember(self, frames: FrameFeatures, masks: Tensor) -> Tensor:
        """Sum up B frames and their masks: A = K^T V, B x C_N x C_M float32 (eq 1).

        K, the keys, are a softmax over positions, so each row is a mean of values and A does not
        depend on the size of the picture. The masks are B x 1 x H x W, bool or in [0, 1].
        """
        values = self.masks(frames, masks).flatten(2)
        keys = frames.keys.flatten(2).float().softmax(dim=2).to(values.dtype)
        summed: Tensor = (keys @ values.mT).float()
        return summed

    def begin(self, given: Sequence[Tensor]) -> Memory:
        """The memory of frames that a person masked, each B x C_N x C_M."""
        return Memory(CORRECTED * torch.stack([*given]).sum(dim=0), CORRECTED * len(given))

    def update(self, memory: Memory, kept: Tensor) -> Memory:
        """The memory once another frame was found, of which that, B x C_N x C_M, is kept."""
        return Memory(memory.total + kept, memory.weight + 1)

    def recall(self, frames: FrameFeatures, memory: Memory, earlier: Tensor) -> Tensor:
        """Find in B frames what a memory holds; logits, B x 1 x H/4 x W/4 float32.

        Args:
            frames: where to look.
            memory: what is remembered of other frames.
            earlier: the masks of the last three frames before, the last one first, as they would
                be in this frame's view: B x 3 x H/4 x W/4 in [0, 1].
        """
        read = self._read(frames, memory.mean).unflatten(2, frames.coarse.shape[-2:])  # type: ignore[no-untyped-call]
        found = torch.cat([read, frames.values], dim=1)
        found = self.channels(found)
        if self.config.mask_embedding:
            embedded = self.embedding(earlier.to(found.dtype))
            found = torch.cat([found, embedded], dim=1)
        x = self.refine_middle(frames.middle, self.mix(found))
        logits: Tensor = self.head(self.refine_fine(frames.fine, x).relu())
        return logits.float()

    def _read(self, frames: FrameFeatures, memory: Tensor) -> Tensor:
        """Read the memory at each position (eq 3), B x C_M x h w."""
        weights = frames.keys.flatten(2).float().softmax(dim=1).to(frames.values.dtype)
        return memory.to(weights.dtype).mT @ weights


def _activated(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.ReLU(inplace=True)
