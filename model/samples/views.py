"""Views of a picture: crops, flips, changes of aspect and smooth warps, and how they are rendered.

A view is described by a small grid of nodes; each node has the position in the picture that it
sees. A picture and its masks are rendered through the same grid, so they stay aligned.
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
"""H x W x C uint8, C up to 4: colours and masks (0 or 255) that are rendered together."""

MERGED = 1.1
"""From this many picture pixels per view pixel on, the picture is averaged."""

MASKED = 128
"""The threshold of a mask (0 to 255) that was rendered through a grid."""


def draw_window(
    rng: np.random.Generator,
    size: tuple[int, int],
    aspect: float | None,
    side: float,
    around: tuple[float, float] | None = None,
) -> Window:
    """Draw a random window of a picture, anywhere in it or around a position.

    Args:
        rng: the random generator.
        size: width and height of the picture.
        aspect: width over height of the window; None for the picture's.
        side: the window's side, as a share of the largest window of that aspect; 1 and more give
            the largest.
        around: a position (x, y) that must be in the window.
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
    """Return the grid that sees a window, resized to whatever shape the view has."""
    steps = np.linspace(0, 1, NODES, dtype=np.float32)
    x, y = np.meshgrid(window.left + window.width * steps, window.top + window.height * steps)
    return np.stack([x, y], axis=-1)


def flipped(grid: Grid) -> Grid:
    """Return the grid mirrored from left to right."""
    return grid[:, ::-1]


def wobble(
    rng: np.random.Generator, grid: Grid, amount: float, shift: float = 0.15, scale: float = 0.3
) -> Grid:
    """Turn, scale, shift, tilt and bend a view at random.

    Args:
        rng: the random generator.
        grid: the view.
        amount: how far; 1 turns by up to 11 degrees, shifts and scales by up to `shift` and
            `scale`, and bends by up to 2.5 % of the view.
        shift: a share of the view.
        scale: the logarithm of a factor.
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
    """Move a grid, and shrink it if it must be, so that it sees nothing outside the picture.

    Args:
        grid: the view.
        size: width and height of the picture.
    """
    least, most = grid.min(axis=(0, 1)), grid.max(axis=(0, 1))
    smaller = min(1.0, *(np.array(size) / (most - least)))
    first = np.clip(least, 0, np.array(size) - smaller * (most - least))
    return np.asarray(first + smaller * (grid - least), np.float32)


def with_mask(image: Image, mask: Mask) -> Planes:
    """Append a mask to an image as a fourth channel, H x W x 4, to render both together."""
    planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2BGRA), np.uint8)
    planes[..., 3] = mask * np.uint8(255)
    return planes


def render(
    planes: Planes, grid: Grid, shape: tuple[int, int], border: int = cv2.BORDER_REFLECT_101
) -> Planes:
    """Render a picture through a grid.

    A picture that is shrunk is averaged first, as frames are when they are resized for inference.

    Args:
        planes: the picture, H x W x C or H x W.
        grid: the positions to render; `border` says what is outside the picture.
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
    """Make the matrix that interpolates NODES values to a view's pixels: length x NODES.

    It is exact for straight lines.
    """
    nodes = np.linspace(0, 1, NODES)
    pixels = (np.arange(length) + 0.5) / length
    return np.asarray(CubicSpline(nodes, np.eye(NODES))(pixels), np.float32)


def _reach(at: NDArray[np.floating], length: int) -> tuple[int, int]:
    """Return the range of pixels that a view needs, with a margin to average and interpolate."""
    start = int(np.clip(np.floor(at.min()) - 3, 0, length - 1))
    return start, int(np.clip(np.ceil(at.max()) + 3, start + 1, length))


def _fewer(length: int, at: NDArray[np.floating], pixels: int) -> int:
    """Return to how many pixels to shrink a part, so that the view has about one pixel for each."""
    step = float(at.max() - at.min()) / max(pixels - 1, 1)
    return length if step < MERGED else max(1, round(length / step))
