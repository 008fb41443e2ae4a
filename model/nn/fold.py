"""Folding batch normalisation into convolutions for inference."""

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.nn.bodies import lay_out

N = TypeVar("N", bound=nn.Module)


def for_inference(network: N, device: torch.device) -> N:
    """Move a network to a device and make it fast there; it cannot be trained afterwards."""
    network.to(device).eval()
    fold_norms(network)
    lay_out(network)
    return network


def fold_norms(network: nn.Module) -> None:
    """Let each convolution do the batch normalisation that follows it; the result is the same.

    Found are pairs that follow each other in an nn.Sequential, and pairs named convN and bnN, as
    in a ResNet. The network must be in evaluation mode; it cannot be trained afterwards, and its
    state no longer has the names that weights are saved under.
    """
    for parent in list(network.modules()):
        names = list(parent._modules)
        if isinstance(parent, nn.Sequential):
            pairs = list(pairwise(names))
        else:
            pairs = [(name, name.replace("conv", "bn")) for name in names if name[:4] == "conv"]
        for convolution_name, norm_name in pairs:
            convolution = parent._modules[convolution_name]
            norm = parent._modules.get(norm_name)
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, convolution_name, fuse_conv_bn_eval(convolution, norm))
                setattr(parent, norm_name, nn.Identity())
