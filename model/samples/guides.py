"""Make the masks of references imperfect, like those of a person or of an earlier prediction.

After section 2.2 of the guided variant: a boundary is off by some pixels, a piece is missing or
too much. A network that trusted masks to the pixel would copy such faults.
"""

import cv2
import numpy as np

from labeler.mask import Mask


def shift_boundary(rng: np.random.Generator, mask: Mask, most: float) -> Mask:
    """Move a mask's boundary in and out, smoothly along it, by at most `most` pixels.

    Pixels farther from the boundary do not change. A mask that would become empty is returned as
    it is.
    """
    inside = mask.astype(np.uint8)
    depth = _distance(inside) - _distance(1 - inside)  # 1, 2, ... inside and -1, -2, ... outside
    nodes = int(rng.integers(3, 12))
    field = rng.uniform(-1, 1, (nodes, nodes)).astype(np.float32)
    field = np.asarray(cv2.resize(field, mask.shape[::-1], interpolation=cv2.INTER_CUBIC))
    far = rng.uniform(0, most)
    moved = depth + far * np.clip(2 * field + rng.uniform(-1, 1), -1, 1) > 0
    return moved if moved.any() else mask


def blot(rng: np.random.Generator, mask: Mask) -> Mask:
    """Remove a piece of a mask, or add one to it.

    The removed piece is a component other than the largest one, or an ellipse; the added piece is
    an ellipse. A mask that would become empty is returned as it is.
    """
    inside = mask.astype(np.uint8)
    if rng.uniform() < 0.5 and mask.any():
        count, numbers, statistics, _ = cv2.connectedComponentsWithStats(inside)
        if count > 2 and rng.uniform() < 0.7:
            by_area = 1 + np.argsort(statistics[1:, cv2.CC_STAT_AREA], kind="stable")
            changed = mask & (np.asarray(numbers) != by_area[rng.integers(count - 2)])
        else:
            changed = mask & ~_ellipse(rng, mask)
    else:
        changed = mask | _ellipse(rng, ~mask)
    return changed if changed.any() else mask


def _distance(inside: np.typing.NDArray[np.uint8]) -> np.typing.NDArray[np.float32]:
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def _ellipse(rng: np.random.Generator, centres: Mask) -> Mask:
    """Draw an ellipse around a random pixel of `centres`; nothing if `centres` is empty."""
    pixels = np.flatnonzero(centres)
    drawn = np.zeros(centres.shape, np.uint8)
    if len(pixels):
        y, x = divmod(int(pixels[rng.integers(len(pixels))]), centres.shape[1])
        radii = rng.uniform(0.03, 0.12, 2) * centres.shape[0]
        axes = (int(radii[0]) + 1, int(radii[1]) + 1)
        cv2.ellipse(drawn, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, 1, cv2.FILLED)
    return drawn > 0
