"""PDNet: part-decoupling segmentation of a frame by references that may carry a human's mask.

The network of Yu, Xia and Li 2024, "Towards imbalanced motion: part-decoupling network for video
portrait segmentation"; equations and figures are its own. Added to it is guidance, for references
that come with a mask. All of that is zero at first and is multiplied by whether there is a mask,
so without masks the network is the paper's, before and after training. (Only the decay with
distance acts between several references without masks too.)
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.drivers.matcher import ReferenceFeatures
from model.engines.pdnet.features import Features, Output, known, part_masks, unguided
from model.engines.pdnet.recipes import PDNetConfig
from model.nn.bodies import make_body
from model.nn.pictures import cell_average


class Pyramid(nn.Module):
    """A feature pyramid (Lin et al. 2017) over C2..C5; its finest level is the appearance A."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_conv(c, width, 1, bias=True) for c in channels)
        self.smooth = nn.ModuleList(_conv(width, width, 3, bias=True) for _ in channels)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return P2..P5, each of `width` channels at its level's size."""
        sums = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        for i in range(len(sums) - 1, 0, -1):
            sums[i - 1] = sums[i - 1] + F.interpolate(sums[i], scale_factor=2.0, mode="nearest")
        return [smooth(level) for smooth, level in zip(self.smooth, sums, strict=True)]


class Decoupler(nn.Module):
    """Finds the portrait, and its parts, in the appearance (section 4.2, figure 6a)."""

    def __init__(self, width: int, channels: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.compress = nn.Sequential(_block(width, width, 3), _block(width, channels, 1))
        self.saliency = _predictor(channels, channels)
        if parts:
            # All parts' convolutions run as groups of one. They must start different: under the
            # shared head, equal ones would stay equal.
            self.groups = nn.Sequential(
                _block(channels, parts * channels, 1),
                _block(parts * channels, parts * channels, 3, groups=parts),
                _block(parts * channels, parts * channels, 1, groups=parts),
            )
            self.head = _conv(channels, 1, 1)  # a bias shared by all parts would cancel

    def forward(self, appearance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return parts, saliency and assignment as in `Features`, at half the appearance's size."""
        compressed = self.compress(F.avg_pool2d(appearance, 2))
        saliency = self.saliency(compressed).float()
        if not self.parts:
            return compressed[:, None][:, :0], saliency, saliency[:, :0]
        grouped = self.groups(compressed)
        shared_head = self.head.weight.repeat(self.parts, 1, 1, 1)
        assignment = F.conv2d(grouped, shared_head, groups=self.parts).float().softmax(dim=1)
        split = grouped.reshape(len(grouped), self.parts, -1, *grouped.shape[2:])
        return split, saliency, assignment


class PartAttention(nn.Module):
    """Attends, one head a part, from the parts of targets to those of references (figure 6b)."""

    def __init__(self, parts: int, channels: int, merge: Literal["concat", "mean"]) -> None:
        super().__init__()
        self.merge = merge
        self.query = _conv(parts * channels, parts * channels, 1, groups=parts)
        self.key = _conv(parts * channels, parts * channels, 1, groups=parts)
        self.value = _conv(parts * channels, parts * channels, 1, groups=parts)
        self.label = _conv(parts * 3, parts * channels, 1, groups=parts)
        nn.init.zeros_(self.label.weight)
        self.trust = nn.Parameter(torch.zeros(()))
        self.decay = nn.Parameter(torch.zeros(()))
        self.nearness = nn.Parameter(torch.zeros(()))
        self.drift = nn.Parameter(torch.zeros(()))

    def forward(
        self, targets: Tensor, references: ReferenceFeatures[Features]
    ) -> tuple[Tensor, Tensor]:
        """Look up the targets' parts (P, B x p x c x h x w) in the references.

        Returns their motion features Q, B x p x c x h x w, and the label found for each part:
        what is `known` of the references, averaged by attention, B x p x h x w, float32.
        """
        parts, channels, height, width = targets.shape[1:]
        sets, count = references.given.shape
        features, given = references.features, references.given.flatten()
        masks = references.masks.flatten(0, 1)
        whole = masks.expand_as(features.assignment)
        evidence = [part_masks(masks, features.assignment), whole, 1 - whole]
        label = self.label(torch.stack(evidence, dim=2).flatten(1, 2) * given[:, None, None, None])
        found = features.parts.flatten(1, 2)
        value = self.value(found) + label
        portrait = known(features.saliency.sigmoid(), masks, given).expand(-1, parts, -1, -1)
        # The biases ride in the dot product, as a mask would cost the fast kernels: queries hold
        # the biases of every reference, keys pick those of their own. So the keys are free of the
        # target, and one set of them serves all targets whatever their distances.
        wanted, offered = self._biases(references, height, width)
        queries = _tokens(self.query(targets.flatten(1, 2)), len(targets), 1, parts)[:, :, 0]
        queries = _widen(queries, wanted * math.sqrt(channels), 4 * count)
        keys = _widen(_tokens(self.key(found), sets, count, parts), offered, 4 * count)
        values = _tokens(value, sets, count, parts)
        values = _widen(values, _tokens(portrait, sets, count, parts), 4 * count)
        if self.merge == "concat":
            summary = _attend(queries, keys.flatten(2, 3), values.flatten(2, 3), channels)
        else:
            pairs = zip(keys.unbind(2), values.unbind(2), strict=True)
            summary = torch.stack([_attend(queries, k, v, channels) for k, v in pairs]).mean(0)
        summary = summary.mT.reshape(*summary.shape[:2], -1, height, width)
        return summary[:, :, :channels], summary[:, :, channels].float()

    def _biases(
        self, references: ReferenceFeatures[Features], height: int, width: int
    ) -> tuple[Tensor, Tensor]:
        """What is added to likeness, as a product of 4M channels of queries and of keys.

        To reference m, v trust - d decay; and, where it has a mask, -|q - k|^2 nearness /
        (1 + d drift) for positions q and k in tenths of the frame: who is masked there is not far
        away here, the less so the more time there is between. Queries have B x 1 x N x 4M, keys,
        of which those of other references are 0, M x N x 4M.
        """
        given, distance = references.given, references.distance
        bias = _at_least_zero(self.trust) * given - _at_least_zero(self.decay) * distance
        pull = _at_least_zero(self.nearness) * given / (1 + _at_least_zero(self.drift) * distance)
        axes = (10 * (torch.arange(n, device=bias.device) + 0.5) / n - 5 for n in (height, width))
        y, x = (axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
        square = x.square() + y.square()
        wanted = pull[:, None, :, None] * torch.stack([-square, 2 * x, 2 * y], dim=-1)[:, None]
        wanted = F.pad(wanted, (0, 1)) - F.pad(pull[:, None, :, None], (3, 0))
        wanted = wanted + F.pad(bias[:, None, :, None], (0, 3))
        own = torch.eye(len(given[0]), device=bias.device)[:, None, :, None]
        offered = own * torch.stack([torch.ones_like(x), x, y, square], dim=-1)[:, None]
        return wanted.flatten(2)[:, None], offered.flatten(2)


class Fusion(nn.Module):
    """Joins appearance and motion (section 4.3, figure 6c).

    Expansion and gate have no bias, so that where there is no motion the appearance is unchanged.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.expand = _conv(channels, width, 1)
        self.gate = _conv(width, width, 1)
        self.mix = nn.Sequential(_block(width, width, 3), _block(width, width, 3))

    def forward(self, appearance: Tensor, motion: Tensor) -> Tensor:
        """Fuse A, B x width x 2h x 2w, and M, B x c x h x w, to F of the size of A."""
        expanded = _enlarge(self.expand(motion), 2)
        gated = torch.addcmul(appearance + expanded, self.gate(expanded), appearance)
        fused: Tensor = self.mix(gated)
        return fused


class PDNet(nn.Module):
    """PDNet: `encode` each frame once, then `decode` targets by their references.

    Its parts are found, and a reference's mask is taken, on cells of `mask_stride` pixels.
    """

    mask_stride = 8

    def __init__(self, config: PDNetConfig) -> None:
        super().__init__()
        self.config = config
        self.body = make_body(config.backbone)
        self.pyramid = Pyramid(self.body.channels, config.width)
        self.sides = nn.ModuleList(_conv(config.width, 1, 3, bias=True) for _ in self.body.channels)
        self.decoupler = Decoupler(config.width, config.compressed, config.parts)
        if config.parts:
            self.attention = PartAttention(config.parts, config.compressed, config.merge)
            self.fusion = Fusion(config.width, config.compressed)
            self.override = nn.Parameter(torch.zeros(()))
            self.hint = _conv(1, config.width, 1)
            nn.init.zeros_(self.hint.weight)
        self.head = _predictor(config.width, config.compressed)

    def forward(
        self, frames: Tensor, references: Tensor | None = None, masks: Tensor | None = None
    ) -> Tensor:
        """Segment frames by references that all of them share; logits, B x 1 x H x W float32.

        Args:
            frames: B x 3 x H x W, see `to_input`; H and W multiples of 32, else ValueError.
            references: M x 3 x H x W; if not given, the first of the frames, as in the paper
                (section 4.1).
            masks: of the references, M x 1 x H x W, bool or in [0, 1]; if not given, none has one.
        """
        features = self.encode(frames)
        found = features[:1] if references is None else self.encode(references)
        known = unguided(found)
        if masks is not None:
            guides = cell_average(masks[None], (found.saliency.shape[-2], found.saliency.shape[-1]))
            known = replace(known, masks=guides, given=torch.ones_like(known.given))
        return self.decode(features, known).logits

    def encode(self, images: Tensor, auxiliary: bool = False) -> Features:
        """Encode each frame by itself; targets and references alike.

        Args:
            images: B x 3 x H x W, see `to_input`; H and W multiples of 32, else ValueError.
            auxiliary: compute the side outputs too, which only training needs.
        """
        if images.ndim != 4 or images.shape[1] != 3 or any(n % 32 for n in images.shape[2:]):
            raise ValueError(
                f"images must be B x 3 x H x W with H and W multiples of 32, not "
                f"{' x '.join(str(n) for n in images.shape)}"
            )
        levels = self.pyramid(self.body(images))
        sides = [images.new_zeros(len(images), 0, *images.shape[2:])]
        if auxiliary:
            pairs = zip(self.sides, levels, strict=True)
            sides = [_enlarge(side(x).float(), 4 << i) for i, (side, x) in enumerate(pairs)]
        parts, saliency, assignment = self.decoupler(levels[0])
        return Features(levels[0], parts, saliency, assignment, torch.cat(sides, dim=1))

    def decode(self, targets: Features, references: ReferenceFeatures[Features]) -> Output:
        """Segment B targets by their references; a network without parts ignores these.

        There must be one set of references for each target, or one for all, else ValueError.
        """
        if len(references.given) not in (1, len(targets)):
            raise ValueError(f"{len(references.given)} reference sets, {len(targets)} targets")
        saliency = targets.saliency.float()
        if not self.config.parts:
            logits = _enlarge(self.head(targets.appearance).float(), 4)
            alone = saliency.sigmoid()
            return Output(logits, saliency, alone, alone, targets.assignment)
        motions, labels = self.attention(targets.parts, references)
        readout = (labels * targets.assignment).sum(1, keepdim=True)
        guided = references.given.amax(1)[:, None, None, None]
        opinion = readout.clamp(1e-3, 1 - 1e-3).logit()
        portrait = (saliency + self.override * guided * opinion).sigmoid()
        parts = part_masks(portrait, targets.assignment)
        motion = (motions * parts[:, :, None].to(motions.dtype)).sum(1)  # eq 2
        fused = self.fusion(targets.appearance, motion)
        if self.training or bool(guided.any()):  # else it is 0, and not worth its time
            fused = fused + self.hint(_enlarge(guided * readout, 2))
        logits = _enlarge(self.head(fused).float(), 4)
        return Output(logits, saliency, portrait, readout, parts)


def _conv(inputs: int, outputs: int, size: int, groups: int = 1, bias: bool = False) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=bias)
    nn.init.kaiming_normal_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _block(inputs: int, outputs: int, size: int, groups: int = 1) -> nn.Sequential:
    norm = nn.BatchNorm2d(outputs)
    return nn.Sequential(_conv(inputs, outputs, size, groups), norm, nn.ReLU(inplace=True))


def _predictor(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(_block(inputs, hidden, 3), _conv(hidden, 1, 1, bias=True))


def _enlarge(x: Tensor, times: int) -> Tensor:
    return F.interpolate(x, scale_factor=float(times), mode="bilinear", align_corners=False)


def _at_least_zero(parameter: Tensor) -> Tensor:
    # The gradient passes unclamped: a scalar that once stepped below zero could not return.
    return parameter + (parameter.clamp(min=0) - parameter).detach()


def _tokens(x: Tensor, sets: int, count: int, parts: int) -> Tensor:
    """Bring R M x p c x h x w to R x p x M x N x c, N = h w."""
    split = x.reshape(sets, count, parts, -1, x.shape[-2] * x.shape[-1])
    return split.permute(0, 2, 1, 4, 3)


def _widen(tokens: Tensor, extra: Tensor, spare: int) -> Tensor:
    """Append channels to ... x N x c tokens, and zeros up to c + spare, made a multiple of 8."""
    extra = extra.to(tokens.dtype).expand(*tokens.shape[:-1], -1)
    missing = -(tokens.shape[-1] + spare) % 8 + spare - extra.shape[-1]
    return torch.cat([tokens, extra, tokens.new_zeros(*tokens.shape[:-1], missing)], dim=-1)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, channels: int) -> Tensor:
    """Attend with parts as heads, so that no N x N map is stored; B x p x N x ... tokens."""
    scale = channels**-0.5
    if len(keys) == len(queries):
        return F.scaled_dot_product_attention(queries, keys, values, scale=scale)
    # Targets that share their references are one long row of queries: nothing is copied.
    row = queries.transpose(0, 1).flatten(1, 2)[None]
    read = F.scaled_dot_product_attention(row, keys, values, scale=scale)
    return read.reshape(len(row[0]), len(queries), -1, read.shape[-1]).transpose(0, 1)
