"""Rectangular windows of a picture, and the close-up: the window around the people in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from labeler.mask import Mask

ROOM = 1.3
"""How much larger a close-up is than the box of its people, so that it has a missed arm too."""

LEAST = 0.3
"""The smallest close-up, as a share of a picture's width and height; a smaller one would be only
a few pixels, enlarged."""

NARROWEST, WIDEST = 0.8, 2.0
"""The limits of a close-up's width over height. It is resized to a square, and people must not
become too thin in it."""

STRAY = 0.3
"""Pieces of a mask smaller than this share of its largest piece do not count for a close-up."""


@dataclass(frozen=True)
class Window:
    """An axis-aligned rectangle in a picture, in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def pixels(self) -> tuple[slice, slice]:
        """The window's rows and columns, rounded to whole pixels."""
        right, bottom = self.left + self.width, self.top + self.height
        return slice(round(self.top), round(bottom)), slice(round(self.left), round(right))


def close_up(
    box: Sequence[float], size: tuple[int, int], room: float = ROOM, least: float = LEAST
) -> Window:
    """Return the close-up around a box.

    Args:
        box: left, top, right, bottom in pixels, the latter two exclusive.
        size: width and height of the picture; the close-up lies inside it.
        room: how much larger than the box the close-up is.
        least: the smallest close-up, as a share of the picture's width and height.
    """
    left, top, right, bottom = box
    width = max((right - left) * room, size[0] * least)
    height = max((bottom - top) * room, size[1] * least)
    width = min(max(width, NARROWEST * min(height, size[1])), size[0])
    height = min(max(height, width / WIDEST), size[1])
    return Window(
        min(max((left + right - width) / 2, 0), size[0] - width),
        min(max((top + bottom - height) / 2, 0), size[1] - height),
        width,
        height,
    )


def close_up_of(mask: Mask, room: float = ROOM) -> Window | None:
    """Return the close-up around a mask, H x W bool, or None if the mask is empty."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    pieces = statistics[1:]
    if not len(pieces):
        return None
    areas = pieces[:, cv2.CC_STAT_AREA]
    left, top, wide, high = pieces[areas >= STRAY * areas.max(), :4].T
    box = (left.min(), top.min(), (left + wide).max(), (top + high).max())
    return close_up([float(side) for side in box], (mask.shape[1], mask.shape[0]), room)
