"""Two people's masks of one frame as one picture: hers, his, and where they differ."""

import cv2
import numpy as np

from labeler.clip import Image
from labeler.mask import Mask

FIRST, SECOND, BOTH = (0, 159, 230), (233, 180, 86), (115, 158, 0)
"""Blue, green, red: the first person alone, the second alone, both; told apart by anybody."""

WIDTH = 480
"""Of each of the three pictures, in pixels."""


def conflict_picture(image: Image, first: Mask, second: Mask) -> Image:
    """Draw a frame three times: with the first mask, with the second, and with their difference.

    Args:
        image: the frame, H x W x 3.
        first: H x W bool.
        second: H x W bool.

    Returns:
        The three side by side, each `WIDTH` wide, on a frame made grey in the last one.
    """
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    panels = [
        _tinted(image, [(first, FIRST)]),
        _tinted(image, [(second, SECOND)]),
        _tinted(
            np.asarray(grey, np.uint8),
            [(first & ~second, FIRST), (second & ~first, SECOND), (first & second, BOTH)],
        ),
    ]
    height = round(image.shape[0] * WIDTH / image.shape[1])
    small = [cv2.resize(each, (WIDTH, height), interpolation=cv2.INTER_AREA) for each in panels]
    return np.asarray(np.hstack(small), np.uint8)


def _tinted(image: Image, layers: list[tuple[Mask, tuple[int, int, int]]]) -> Image:
    drawn = image.copy()
    thickness = max(1, round(image.shape[1] / 320))
    for mask, colour in layers:
        drawn[mask] = (0.55 * drawn[mask] + 0.45 * np.array(colour)).astype(np.uint8)
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, found, -1, colour, thickness)
    return drawn
