"""Cut people out of their pictures, and paste them into others."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from labeler.clip import Image
from labeler.mask import Mask
from model.data.sources import People
from model.data.store import Person
from model.samples.views import MASKED, Planes, flipped, grid_of, render, wobble
from model.window import Window


@dataclass
class Canvas:
    """A view in the making: its image, S x S x 3, and the masks of the people in it.

    `layers` are masks, S x S bool, one for each person or group that can be told apart. A later
    layer is in front of the earlier ones, and layers do not overlap.
    """

    image: Image
    layers: list[Mask] = field(default_factory=list)


@dataclass(frozen=True)
class Cutout:
    """A person without background: blue, green, red and opacity, h x w x 4 uint8."""

    planes: Planes
    grounded: bool


@dataclass(frozen=True)
class Pose:
    """Where a person is in a view, as shares of its side; the foot is the lower end."""

    centre: float
    foot: float
    height: float
    mirrored: bool

    def moved(self, rng: np.random.Generator, amount: float, grounded: bool) -> "Pose":
        """Draw a pose of the person at another time; a person cut off below stays at the edge."""
        aside, down, larger = amount * rng.uniform(-1, 1, 3)
        height = self.height * np.exp(0.25 * larger)
        foot = self.foot + 0.1 * down
        if grounded:
            foot = max(foot, 1 + LEAST_SUNK * height)
        return replace(self, centre=self.centre + 0.2 * aside, foot=foot, height=height)


LEAST_SUNK = 0.2
"""The share of the height of a person cut off below that is at least below the view, so that the
cut is not seen even if the person is turned."""


def cut_out(image: Image, people: People, person: Person) -> Cutout:
    """Cut a person out, with a soft edge.

    The edge lies half a pixel inside the mask, where less of the old background shows.
    """
    left, top, right, bottom = person.box
    rows = slice(max(top - 3, 0), bottom + 3)
    columns = slice(max(left - 3, 0), right + 3)
    mask = np.where(people[rows, columns] == person.number, np.float32(255), np.float32(0))
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.8, borderType=cv2.BORDER_REPLICATE))
    opacity = (1.6 * soft - 0.45 * 255).clip(0, 255).astype(np.uint8)
    return Cutout(np.dstack([image[rows, columns], opacity]), person.grounded)


def draw_pose(
    rng: np.random.Generator, cutout: Cutout, size: int, heights: tuple[float, float]
) -> Pose:
    """Draw a pose for a person in a view of `size` pixels, small poses a little more often.

    No person is enlarged by more than a half, and a person cut off below stays at the lower edge.
    """
    least, most = heights
    if cutout.grounded:
        least, most = max(least, 0.4), 1.3 * most
    most = max(least, min(most, 1.5 * cutout.planes.shape[0] / size))
    height = float(rng.uniform(np.sqrt(least), np.sqrt(most))) ** 2
    sunk = rng.uniform(LEAST_SUNK, 0.4) * height
    foot = 1 + sunk if cutout.grounded else rng.uniform(min(height, 0.95), 1.05)
    return Pose(rng.uniform(0.05, 0.95), foot, height, bool(rng.uniform() < 0.5))


def paste(
    rng: np.random.Generator,
    canvas: Canvas,
    cutout: Cutout,
    pose: Pose,
    aspect: float,
    bent: float,
    behind: Mask | None = None,
) -> None:
    """Paste a person into a view, in front of the people in it or behind some of them.

    Args:
        rng: the random generator.
        canvas: the view, which is changed.
        cutout: the person.
        pose: where the person goes.
        aspect: width over height of the frame from which the view was resized.
        bent: how far the person is turned and bent; 1 is far.
        behind: the mask of the people in front, S x S bool; if not given, there are none.
    """
    size = len(canvas.image)
    high, wide = cutout.planes.shape[:2]
    scale = pose.height * size / high  # pixels of the view for one of the person, downwards
    across = scale / aspect
    margin = 0.2 * max(high * scale, wide * across)
    left = round(pose.centre * size - wide * across / 2 - margin)
    top = round(pose.foot * size - high * scale - margin)
    shape = (max(2, round(high * scale + 2 * margin)), max(2, round(wide * across + 2 * margin)))
    seen = Window(
        wide / 2 - shape[1] / across / 2,
        high / 2 - shape[0] / scale / 2,
        shape[1] / across,
        shape[0] / scale,
    )
    grid = wobble(rng, grid_of(seen), bent, shift=0, scale=0)  # the pose says where
    grid = flipped(grid) if pose.mirrored else grid
    patch = render(cutout.planes, grid, shape, cv2.BORDER_CONSTANT)
    rows = slice(max(top, 0), min(top + shape[0], size))
    columns = slice(max(left, 0), min(left + shape[1], size))
    layer = np.zeros((size, size), np.bool_)
    if rows.start < rows.stop and columns.start < columns.stop:
        patch = patch[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
        opacity = patch[..., 3].astype(np.float32) / 255
        if behind is not None:
            front = cv2.GaussianBlur(behind.astype(np.float32), (0, 0), 0.7)
            opacity = opacity * (1 - np.asarray(front)[rows, columns])
        under = canvas.image[rows, columns]
        mixed = under + opacity[..., None] * (patch[..., :3].astype(np.float32) - under)
        canvas.image[rows, columns] = np.rint(mixed).astype(np.uint8)
        layer[rows, columns] = opacity >= MASKED / 255
    canvas.layers = [*(other & ~layer for other in canvas.layers), layer]
