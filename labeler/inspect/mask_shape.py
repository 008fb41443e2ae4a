"""What is odd in the shape of a single mask: specks, holes, edges that hug the frame's border.

True masks are not smooth: hair, fingers and ropes leave scraps and pinholes along the outline,
and a portrait that the frame cuts has a straight edge right on the border. So what is looked for
is what lies where a person's outline does not: a scrap far from everybody, a pinhole deep inside,
a straight edge just short of the border. The limits were chosen on 1,763 true masks of people;
docs/results.md says what is found among them. All scale with the frame.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.mask import Mask

SPECK_SHARE = 1e-4
"""Of the frame; a scrap below it is no part of anybody. 92 pixels at 720p, 41 at 480p: the ends of
sticks and ropes that stand by themselves are twice that."""

SPECK_OF_LARGEST = 0.01
"""Of the largest piece; in a picture of a far person, whose head may be below SPECK_SHARE."""

SPECK_REACH = 0.02
"""Of the frame's diagonal; scraps nearer to a person are cut off by grass, poles and hair in half
of all true masks."""

PINHOLE_SHARES = (1e-5, 1e-3)
"""Of the frame; smaller holes no eye sees, larger ones are between an arm and a body."""

PINHOLE_DEPTH = 0.15
"""From the outline, of the square root of the mask's area: the half of a thigh. Nearer to it two
of three true masks of clips have pinholes; so deep, one in fifty."""

BORDER_REACH = 0.01
"""Of the frame's short side, 7 pixels at 720p: how far from the border still hugs it."""

BORDER_RUN = 0.10
"""Of the frame's short side: how long an edge must hug the border. True outlines come that near
for half as long."""

AROUND = 0.75
"""Of the border: no portrait covers so much of it, an inverted mask does. The closest of true
close-ups comes to 0.6."""


@dataclass(frozen=True)
class Spot:
    """A part of the frame, by its left upper corner and its size, and its number of pixels."""

    x: int
    y: int
    width: int
    height: int
    area: int

    def __str__(self) -> str:
        return f"x {self.x + self.width // 2}, y {self.y + self.height // 2}"


@dataclass(frozen=True)
class BorderRun:
    """So many pixels along one side of the frame, `left`, `right`, `top` or `bottom`."""

    side: str
    start: int
    length: int

    def __str__(self) -> str:
        axis = "x" if self.side in {"top", "bottom"} else "y"
        return f"{self.side} border, {axis} {self.start} to {self.start + self.length - 1}"


def specks(mask: Mask) -> list[Spot]:
    """Find the scraps of a mask, H x W bool, that are far from everybody; the largest first.

    Pieces nearer to each other than the reach are one: a leg seen through grass is a chain of them.
    """
    reach = math.ceil(SPECK_REACH * math.hypot(*mask.shape))
    near = cv2.dilate(mask.view(np.uint8), np.ones((reach, reach), np.uint8))
    labels, spots = _pieces(near.view(np.bool_), connectivity=8)
    areas = np.bincount(labels[mask], minlength=len(spots) + 1)
    limit = min(SPECK_SHARE * mask.size, SPECK_OF_LARGEST * int(areas.max()))
    return sorted(
        (
            replace(spot, area=int(area))
            for spot, area in zip(spots, areas[1:], strict=True)
            if area < limit
        ),
        key=lambda spot: -spot.area,
    )


def pinholes(mask: Mask) -> list[Spot]:
    """Find the small holes deep inside a mask, H x W bool; the largest first."""
    labels, spots = _pieces(~mask, connectivity=4)
    height, width = mask.shape
    smallest, largest = (share * mask.size for share in PINHOLE_SHARES)
    enclosed = [
        spot.x > 0
        and spot.y > 0
        and spot.x + spot.width < width
        and spot.y + spot.height < height
        and spot.area < largest
        for spot in spots
    ]
    candidates = [
        number for number, spot in enumerate(spots) if enclosed[number] and spot.area >= smallest
    ]
    if not candidates:
        return []
    filled = mask | np.array([False, *enclosed])[labels]
    depth = cv2.distanceTransform(filled.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    deep = PINHOLE_DEPTH * math.sqrt(np.count_nonzero(mask))
    found = []
    for number in candidates:
        spot = spots[number]
        box = np.s_[spot.y : spot.y + spot.height, spot.x : spot.x + spot.width]
        if depth[box][labels[box] == number + 1].min() >= deep:
            found.append(spot)
    return sorted(found, key=lambda spot: -spot.area)


def gaps_at_border(mask: Mask) -> list[BorderRun]:
    """Find where a mask, H x W bool, ends just short of the border and along it."""
    reach, length = _border_limits(mask)
    found = []
    for side, lines in _sides(mask, reach + 1):
        first = np.where(lines.any(axis=0), lines.argmax(axis=0), 0)
        found += [BorderRun(side, *run) for run in _runs(first > 0, length)]
    return found


def strips_at_border(mask: Mask) -> list[BorderRun]:
    """Find where a mask, H x W bool, is but a thin strip along the border."""
    reach, length = _border_limits(mask)
    found = []
    for side, lines in _sides(mask, reach + 1):
        thin = lines[0] & ~lines.all(axis=0)
        found += [BorderRun(side, *run) for run in _runs(thin, length)]
    return found


def border_share(mask: Mask) -> float:
    """The share of the frame's border that lies in a mask, H x W bool; 0 to 1."""
    sides = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
    return float(np.concatenate(sides).mean())


def _pieces(mask: Mask, connectivity: int) -> tuple[NDArray[np.int32], list[Spot]]:
    """The connected pieces of a mask: their labels from 1, 0 elsewhere, and each as a spot."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=connectivity
    )
    spots = [Spot(*map(int, box)) for box in boxes[1:]]
    return np.asarray(labels, np.int32), spots


def _border_limits(mask: Mask) -> tuple[int, int]:
    """How far from the border counts, and how long a run; in pixels."""
    short = min(mask.shape)
    return max(1, round(BORDER_REACH * short)), math.ceil(BORDER_RUN * short)


def _sides(mask: Mask, depth: int) -> Iterator[tuple[str, Mask]]:
    """For each side the lines of pixels nearest to it, the outermost first; depth x length."""
    yield "top", mask[:depth]
    yield "bottom", mask[::-1][:depth]
    yield "left", mask.T[:depth]
    yield "right", mask.T[::-1][:depth]


def _runs(true: NDArray[np.bool_], shortest: int) -> list[tuple[int, int]]:
    """The start and length of each run of True that is long enough."""
    change = np.diff(np.concatenate(([0], true.view(np.int8), [0])))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    return [(int(a), int(b - a)) for a, b in zip(starts, ends, strict=True) if b - a >= shortest]
