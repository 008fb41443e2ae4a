"""Finds odd shapes in a single mask: specks, holes, and edges close to the frame's border.

True masks are not smooth: hair, fingers and ropes leave small pieces and pinholes along the
outline, and a portrait that the frame cuts off has a straight edge exactly on the border. So these
functions look in places where a true outline is rare: a speck far from every person, a pinhole deep
inside, a straight edge just before the border. The limits were chosen on 1,763 true masks of
people; docs/results.md says what is found in them. All limits scale with the frame.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.mask import Mask

SPECK_SHARE = 1e-4
"""A speck is below this share of the frame: 92 pixels at 720p, 41 at 480p. The detached ends of
sticks and ropes in true masks are twice that."""

SPECK_OF_LARGEST = 0.01
"""A speck is also below this share of the largest piece: the head of a person far away may be below
SPECK_SHARE."""

SPECK_REACH = 0.02
"""A speck is at least this far from every person, as a share of the frame's diagonal. In half of
all true masks, grass, poles and hair cut off small pieces that are nearer."""

PINHOLE_SHARES = (1e-5, 1e-3)
"""The least and the greatest pinhole, as shares of the frame: smaller holes are invisible, larger
ones are between an arm and a body."""

PINHOLE_DEPTH = 0.15
"""The least distance of a pinhole from the outline, as a share of the square root of the mask's
area: about half of a thigh. Two of three true masks of clips have pinholes nearer to the outline;
one in fifty has one so deep."""

BORDER_REACH = 0.01
"""The largest distance of an edge that counts as close to the border, as a share of the frame's
short side: 7 pixels at 720p."""

BORDER_RUN = 0.10
"""The least length of an edge close to the border, as a share of the frame's short side. True
outlines are that close for half as long."""

AROUND = 0.75
"""A share of the border that no portrait covers, but an inverted mask does. The mask of the closest
true close-up covers 0.6."""


@dataclass(frozen=True)
class Spot:
    """A part of the frame: its upper left corner, its size, and its number of pixels."""

    x: int
    y: int
    width: int
    height: int
    area: int

    def __str__(self) -> str:
        return f"x {self.x + self.width // 2}, y {self.y + self.height // 2}"


@dataclass(frozen=True)
class BorderRun:
    """A run of pixels along one side of the frame: `left`, `right`, `top` or `bottom`."""

    side: str
    start: int
    length: int

    def __str__(self) -> str:
        axis = "x" if self.side in {"top", "bottom"} else "y"
        return f"{self.side} border, {axis} {self.start} to {self.start + self.length - 1}"


def specks(mask: Mask) -> list[Spot]:
    """Find the specks of a mask, H x W bool: small pieces far from every person; largest first.

    Pieces nearer to each other than SPECK_REACH count as one: a leg behind grass is a chain of
    pieces.
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
    """Find where a mask, H x W bool, ends just before the frame's border, along the border."""
    reach, length = _border_limits(mask)
    found = []
    for side, lines in _sides(mask, reach + 1):
        first = np.where(lines.any(axis=0), lines.argmax(axis=0), 0)
        found += [BorderRun(side, *run) for run in _runs(first > 0, length)]
    return found


def strips_at_border(mask: Mask) -> list[BorderRun]:
    """Find where a mask, H x W bool, is only a thin strip along the frame's border."""
    reach, length = _border_limits(mask)
    found = []
    for side, lines in _sides(mask, reach + 1):
        thin = lines[0] & ~lines.all(axis=0)
        found += [BorderRun(side, *run) for run in _runs(thin, length)]
    return found


def border_share(mask: Mask) -> float:
    """Compute the share of the frame's border that a mask, H x W bool, covers; 0 to 1."""
    sides = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
    return float(np.concatenate(sides).mean())


def _pieces(mask: Mask, connectivity: int) -> tuple[NDArray[np.int32], list[Spot]]:
    """Find the connected pieces of a mask: labels from 1 on, 0 elsewhere, and each as a spot."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=connectivity
    )
    spots = [Spot(*map(int, box)) for box in boxes[1:]]
    return np.asarray(labels, np.int32), spots


def _border_limits(mask: Mask) -> tuple[int, int]:
    """Return the largest distance from the border and the least length of a run, in pixels."""
    short = min(mask.shape)
    return max(1, round(BORDER_REACH * short)), math.ceil(BORDER_RUN * short)


def _sides(mask: Mask, depth: int) -> Iterator[tuple[str, Mask]]:
    """Yield for each side the lines of pixels next to it, outermost first: depth x length."""
    yield "top", mask[:depth]
    yield "bottom", mask[::-1][:depth]
    yield "left", mask.T[:depth]
    yield "right", mask.T[::-1][:depth]


def _runs(true: NDArray[np.bool_], shortest: int) -> list[tuple[int, int]]:
    """Return the start and length of each run of True that is long enough."""
    change = np.diff(np.concatenate(([0], true.view(np.int8), [0])))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    return [(int(a), int(b - a)) for a, b in zip(starts, ends, strict=True) if b - a >= shortest]
