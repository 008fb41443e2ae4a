"""Compact masks, so that many can be kept in memory and compared."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.mask import Mask
from labeler.publish.resize import resize_mask, size_480p


@dataclass(frozen=True)
class PackedMask:
    """A mask at 480p, with one bit per pixel: 51 kB.

    `size` is its height and width, `area` the number of its portrait pixels, and `centre` their
    mean position, x and y in pixels; 0 and 0 if there are none.
    """

    size: tuple[int, int]
    area: int
    centre: tuple[float, float]
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, mask: Mask) -> "PackedMask":
        """Pack a mask, H x W bool."""
        height, width = mask.shape
        small = resize_mask(mask, size_480p(width, height))
        moments = cv2.moments(small.view(np.uint8), binaryImage=True)
        area = int(moments["m00"])
        centre = (moments["m10"] / max(area, 1), moments["m01"] / max(area, 1))
        return cls((small.shape[0], small.shape[1]), area, centre, np.packbits(small))

    def comparable(self, other: "PackedMask") -> bool:
        """Tell whether both have the same size and neither is empty."""
        return self.size == other.size and self.area > 0 and other.area > 0

    def overlap(self, other: "PackedMask") -> float:
        """Compute J of two comparable masks: their intersection over their union, 0 to 1."""
        union = int(np.bitwise_count(self.bits | other.bits).sum())
        return int(np.bitwise_count(self.bits & other.bits).sum()) / union

    def step(self, other: "PackedMask") -> float:
        """Compute how far one centre is from the other, in pixels at 480p."""
        return math.dist(self.centre, other.centre)
