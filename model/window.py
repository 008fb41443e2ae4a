"""Upright parts of a picture, and the one to look at closely when somebody is in it."""

from collections.abc import Sequence
from dataclasses import dataclass

ROOM = 1.3
"""How much larger a close-up is than the people in it, so that a missed arm is in it too."""

LEAST = 0.3
"""Of a picture's width and height: no close-up is smaller, or a few pixels would fill it."""

NARROWEST, WIDEST = 0.8, 2.0
"""Width over height of a close-up: it is squashed to a square, and people are not to be thin."""


@dataclass(frozen=True)
class Window:
    """An upright part of a picture, in its pixels."""

    left: float
    top: float
    width: float
    height: float


def close_up(
    box: Sequence[float], size: tuple[int, int], room: float = ROOM, least: float = LEAST
) -> Window:
    """Return the part of a picture to look at closely for the sake of what is in a box.

    Args:
        box: left, top, right, bottom in pixels, the latter two exclusive.
        size: width and height of the picture; the part is inside it.
        room: how much larger than the box the part is.
        least: the smallest part, as a share of the picture's width and height.
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
