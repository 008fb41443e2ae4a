"""ResNet bodies with torchvision's parameter names, so that its ImageNet weights load."""

from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labeler.errors import LabelerError

IMAGENET_URLS = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
}
"""Where torchvision publishes its ImageNet weights; each name ends in the start of its SHA-256."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, figure 5, left)."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map B x channels x H x W to B x width x H/stride x W/stride."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y)) + self.downsample(x)
        return torch.relu_(y)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut (He et al. 2016, figure 5, right).

    The stride is in the 3x3, as in torchvision ("v1.5"), not in the first 1x1 as in the paper.
    """

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, width * 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map B x channels x H x W to B x 4 width x H/stride x W/stride."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y)) + self.downsample(x)
        return torch.relu_(y)


def _shortcut(channels: int, out: int, stride: int) -> nn.Module:
    if stride == 1 and channels == out:
        return nn.Identity()  # has no parameters, so torchvision's names still fit
    return nn.Sequential(
        nn.Conv2d(channels, out, 1, stride, bias=False),
        nn.BatchNorm2d(out),
    )


_Block = type[BasicBlock] | type[Bottleneck]


def _stage(block: _Block, channels: int, width: int, depth: int, stride: int) -> nn.Sequential:
    blocks = [block(channels, width, stride)]
    blocks += [block(width * block.expansion, width, 1) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


_VARIANTS: dict[str, tuple[_Block, tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """A residual network without its classifier (He et al. 2016, table 1).

    Args:
        name: "resnet18" or "resnet50".
        stages: how many of its four there are.
        inputs: channels of the input, 3 for pictures; beyond that, ImageNet's weights are 0.

    Attributes:
        name: as above.
        channels: the widths of C2, C3, C4 and C5, as far as there are stages.
        channels_last: True: in that memory format its dense convolutions are fastest.
    """

    channels_last = True

    def __init__(self, name: str, stages: int = 4, inputs: int = 3) -> None:
        super().__init__()
        if name not in _VARIANTS:
            raise ValueError(f"{name!r} is no ResNet here; there are {', '.join(_VARIANTS)}")
        block, depths = _VARIANTS[name]
        self.name = name
        self.conv1 = nn.Conv2d(inputs, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        widths = (64, 128, 256, 512)[:stages]
        self.channels = tuple(width * block.expansion for width in widths)
        before = (64, *self.channels)
        self.stages = [f"layer{number + 1}" for number in range(stages)]
        for number, (stage, width) in enumerate(zip(self.stages, widths, strict=True)):
            stride = 2 if number else 1
            setattr(self, stage, _stage(block, before[number], width, depths[number], stride))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return C2, C3, C4 and C5 of B x 3 x H x W images, at strides 4, 8, 16 and 32."""
        levels = [self.maxpool(self.relu(self.bn1(self.conv1(images))))]
        for name in self.stages:
            levels.append(self.get_submodule(name)(levels[-1]))
        return levels[1:]


def load_imagenet_weights(body: ResNet) -> None:
    """Fill a body with torchvision's ImageNet weights, downloading them where torch has none yet.

    The download's SHA-256 is checked against the file's name and nothing in it is executed. The
    classifier (`fc`) is dropped; every other name and shape must fit.

    Args:
        body: what to fill, in place; left as it was where an error is raised.

    Raises:
        LabelerError: the file cannot be fetched, is damaged, or does not fit the body.
    """
    url = IMAGENET_URLS[body.name]
    kept = Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[-1])
    try:
        state = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, HTTPException) as error:
        raise LabelerError(
            f"The ImageNet weights {url} cannot be fetched ({error}); download them where there "
            f"is a network and put them at {kept}, or train without them."
        ) from None
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise LabelerError(
            f"The ImageNet weights {url} arrived damaged ({_first_line(error)}); delete {kept} "
            "if it is there and try again."
        ) from None
    if not isinstance(state, Mapping):
        raise LabelerError(f"{kept} holds no weights; delete it and try again.")
    tensors = inherited(body, {k: v for k, v in state.items() if not k.startswith("fc.")})
    expected = body.state_dict()
    for key in sorted(expected.keys() | tensors.keys()):
        if key.endswith("num_batches_tracked") and key in expected:
            tensors.setdefault(key, expected[key])  # the file may be older than this counter
        found, wanted = _shape(tensors.get(key)), _shape(expected.get(key))
        if found != wanted:
            raise LabelerError(
                f"{kept} does not fit {body.name}: {key} is {found} and should be {wanted}; delete "
                "it and try again."
            )
    body.load_state_dict(tensors)


def inherited(body: ResNet, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a body takes over from a whole one on pictures: none of the stages that it lacks.

    Further channels of its input are as if they were not there.
    """
    kept = {k: v for k, v in tensors.items() if k[:5] != "layer" or k.split(".")[0] in body.stages}
    first = kept.get("conv1.weight")
    more = body.conv1.in_channels - 3
    if first is not None and first.ndim == 4 and more:
        kept["conv1.weight"] = F.pad(first, (0, 0, 0, 0, 0, more))
    return kept


def _shape(tensor: object) -> str:
    return str(list(tensor.shape)) if isinstance(tensor, Tensor) else "absent"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
