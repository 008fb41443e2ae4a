"""Backbones by name: making one, loading its ImageNet weights, choosing its memory format."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model.nn.efficientnet import EfficientNet
from model.nn.imagenet import load_lite_weights
from model.nn.resnet import ResNet, inherited, load_imagenet_weights

Body = ResNet | EfficientNet
"""What maps images to C2, C3, C4 and C5, at strides 4, 8, 16 and 32."""


def make_body(name: str, stages: int = 4, inputs: int = 3) -> Body:
    """Make a body with random weights.

    Args:
        name: "resnet18", "resnet50", "efficientnet-lite0" or "efficientnet-lite2".
        stages: how many of the levels C2 to C5 there are.
        inputs: channels of the input, 3 for pictures.

    Raises:
        ValueError: there is no such body.
    """
    kind = EfficientNet if name.startswith("efficientnet") else ResNet
    return kind(name, stages, inputs)


def load_imagenet(body: Body) -> None:
    """Fill a body, in place, with weights that were trained on ImageNet.

    Raises:
        LabelerError: the weights are not at hand, are damaged, or do not fit.
    """
    if isinstance(body, EfficientNet):
        load_lite_weights(body)
    else:
        load_imagenet_weights(body)


def taken_over(body: Body, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Choose the tensors that a body takes over from a complete one of its kind."""
    return body.fitting(tensors) if isinstance(body, EfficientNet) else inherited(body, tensors)


def lay_out(network: nn.Module) -> None:
    """Bring a network's weights into the memory format in which it is fastest, in place.

    That is channels last, but for bodies that say otherwise of themselves (`channels_last`).
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in network.modules():
        if getattr(module, "channels_last", None) is False:
            module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
