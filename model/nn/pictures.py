"""Pictures and masks as networks take them."""

import torch
from torch import Tensor
from torch.nn import functional as F

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def to_input(images: Tensor) -> Tensor:
    """Turn B x H x W x 3 uint8 BGR images into B x 3 x H x W float32, RGB as ImageNet has it."""
    mean = torch.tensor(IMAGENET_MEAN, device=images.device) * 255
    deviation = torch.tensor(IMAGENET_STD, device=images.device) * 255
    return ((images.flip(-1) - mean) / deviation).permute(0, 3, 1, 2)


def cell_average(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Average masks, R x M x 1 x H x W bool or number, over h x w cells: R x M x 1 x h x w."""
    averages = F.adaptive_avg_pool2d(masks.flatten(0, 1).float(), size)
    return averages.reshape(*masks.shape[:3], *size)
