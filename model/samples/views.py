"""Where a view looks in a picture, and the view itself: crops, flips, squashes and smooth warps.

A view is described by a few nodes only: which position of the picture each looks at. A picture
and its masks seen through one grid stay together, whatever the grid is.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from labeler.clip import Image
from labeler.mask import Mask
from model.window import Window

NODES = 5

Grid = NDArray[np.float32]
"""NODES x NODES x 2: positions (x, y) in a picture, in pixels, a pixel's centre at + 0.5; nodes
are spread evenly over a view, the outer ones on its edges; between them runs a cubic spline."""

Planes = NDArray[np.uint8]
"""H x W x C uint8, C up to 4: colours and masks (0 or 255) to be seen together."""

MERGED = 1.1
"""From so many pixels of a picture for one of the view they are averaged."""

MASKED = 128
"""From here a mask seen through a grid counts as True."""


def draw_window(
    rng: np.random.Generator,
    size: tuple[int, int],
    aspect: float | None,
    side: float,
    around: tuple[float, float] | None = None,
) -> Window:
    """Draw a part of a picture, anywhere in it or around a position.

    Args:
        rng: where chance comes from.
        size: width and height of the picture.
        aspect: width over height of the part; None is the picture's.
        side: of the part, as a share of the largest one of that aspect; 1 and more is that one.
        around: a position (x, y) that is to be in the part.
    """
    width, height = size
    aspect = width / height if aspect is None else aspect
    share = min(side, 1.0)
    part = (share * min(width, height * aspect), share * min(height, width / aspect))
    first, last = np.zeros(2), np.subtract(size, part)
    if around is not None:
        first, last = np.maximum(first, np.subtract(around, part)), np.minimum(last, around)
    left, top = rng.uniform(first, np.maximum(first, last))
    return Window(float(left), float(top), *part)


def grid_of(window: Window) -> Grid:
    """Return the grid that looks at a window and squashes it to whatever shape the view has."""
    steps = np.linspace(0, 1, NODES, dtype=np.float32)
    x, y = np.meshgrid(window.left + window.width * steps, window.top + window.height * steps)
    return np.stack([x, y], axis=-1)


def flipped(grid: Grid) -> Grid:
    """Return the grid that sees the same from left to right as the other from right to left."""
    return grid[:, ::-1]


def wobble(
    rng: np.random.Generator, grid: Grid, amount: float, shift: float = 0.15, scale: float = 0.3
) -> Grid:
    """Move what a view sees: turned, scaled, shifted, tilted and bent, by chance.

    Args:
        rng: where chance comes from.
        grid: the view.
        amount: 1 is up to 11 degrees, `shift` and `scale`, and bent by up to 2.5 % of the view.
        shift: as a share of the view.
        scale: logarithm of how much larger or smaller.
    """
    turn, larger, squeeze, tilt_x, tilt_y, move_x, move_y = amount * rng.uniform(-1, 1, 7)
    bend = amount * rng.uniform(-1, 1, grid.shape)
    extent = np.abs(grid[-1, -1] - grid[0, 0])
    around = (grid - grid.mean(axis=(0, 1))) / extent
    around = around / (1 + 0.2 * (around @ np.array([tilt_x, tilt_y])))[..., None]
    around = around + 0.025 * bend
    around = around * np.exp(scale * larger + np.array([0.05, -0.05]) * squeeze)
    around = around + shift * np.array([move_x, move_y])
    cosine, sine = math.cos(0.2 * turn), math.sin(0.2 * turn)
    turned = (around * extent) @ np.array([[cosine, sine], [-sine, cosine]])
    return np.asarray(turned + grid.mean(axis=(0, 1)), np.float32)


def kept_inside(grid: Grid, size: tuple[int, int]) -> Grid:
    """Return a grid moved, and made smaller where it must be, so that it sees only the picture.

    Args:
        grid: the view.
        size: width and height of the picture.
    """
    least, most = grid.min(axis=(0, 1)), grid.max(axis=(0, 1))
    smaller = min(1.0, *(np.array(size) / (most - least)))
    first = np.clip(least, 0, np.array(size) - smaller * (most - least))
    return np.asarray(first + smaller * (grid - least), np.float32)


def with_mask(image: Image, mask: Mask) -> Planes:
    """Put a mask behind an image, H x W x 4: what is seen together stays together."""
    planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2BGRA), np.uint8)
    planes[..., 3] = mask * np.uint8(255)
    return planes


def render(
    planes: Planes, grid: Grid, shape: tuple[int, int], border: int = cv2.BORDER_REFLECT_101
) -> Planes:
    """Look at a picture through a grid.

    What is made smaller is averaged first, as frames are when they are squashed for inference.

    Args:
        planes: the picture, H x W x C or H x W.
        grid: where to look; beyond the picture is what `border` says.
        shape: height and width of the view.
        border: one of OpenCV's borders; a constant one is 0.

    Returns:
        shape x C, or `shape` if the picture has no planes.
    """
    down, across = _spline(shape[0]), _spline(shape[1])
    x, y = (down @ grid[..., axis] @ across.T for axis in (0, 1))
    left, right = _reach(x, planes.shape[1])
    top, bottom = _reach(y, planes.shape[0])
    part = planes[top:bottom, left:right]
    wide, high = right - left, bottom - top
    small = _fewer(wide, x, shape[1]), _fewer(high, y, shape[0])
    if small != (wide, high):
        part = np.asarray(cv2.resize(part, small, interpolation=cv2.INTER_AREA), np.uint8)
    x = ((x - left) * (small[0] / wide) - 0.5).astype(np.float32)
    y = ((y - top) * (small[1] / high) - 0.5).astype(np.float32)
    return np.asarray(cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=border), np.uint8)


@lru_cache(maxsize=1024)
def _spline(length: int) -> NDArray[np.float32]:
    """Bring NODES values to the pixels of a view: length x NODES, exact for straight lines."""
    nodes = np.linspace(0, 1, NODES)
    pixels = (np.arange(length) + 0.5) / length
    return np.asarray(CubicSpline(nodes, np.eye(NODES))(pixels), np.float32)


def _reach(at: NDArray[np.floating], length: int) -> tuple[int, int]:
    """From where to where a picture is looked at, with what averaging and interpolation need."""
    start = int(np.clip(np.floor(at.min()) - 3, 0, length - 1))
    return start, int(np.clip(np.ceil(at.max()) + 3, start + 1, length))


def _fewer(length: int, at: NDArray[np.floating], pixels: int) -> int:
    """To how many pixels to shrink a part so that the view takes about each of them."""
    step = float(at.max() - at.min()) / max(pixels - 1, 1)
    return length if step < MERGED else max(1, round(length / step))
