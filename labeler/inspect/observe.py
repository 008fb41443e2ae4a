"""What is seen of one mask, and how it compares with the one before and the one after."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.clip import KEY_FRAME_STRIDE
from labeler.errors import LabelerError
from labeler.inspect.finding import Finding, FindingKind
from labeler.inspect.mask_shape import (
    AROUND,
    border_share,
    gaps_at_border,
    pinholes,
    specks,
    strips_at_border,
)
from labeler.inspect.packed_mask import PackedMask
from labeler.layouts.mvps import picture_size
from labeler.mask import Mask

# The limits on change were chosen on true masks, five frames apart, of nine clips in which people
# dance, skate and swing. What is the most there is said with each; docs/results.md has the rest.

NEIGHBOURS = KEY_FRAME_STRIDE
"""Masks so many frames apart or fewer are compared: the limits hold for a sixth of a second."""

AREA_FACTOR = 1.8
"""From one mask to the next; where one of two people is lost it is 2. At most 1.84, once, behind a
pole."""

PLACE_STEP = 1.2
"""How far the centre goes, over the square root of the area; to somebody standing beside it is
more. At most 0.99, where a skater crosses the frame."""

FLICKER_RATIO = 2.0
"""A mask flickers if it differs from both neighbours so many times as much as they do from each
other, in 1 - J,"""

FLICKER_LEAST = 0.10
"""and by at least so much. No true mask does."""

STILL_LEVELS = 2
"""Of 255 levels of grey: what noise and compression change in the mean of a part of the picture.
Where people move, some part changes by 28 at least."""

STILL_PARTS = (32, 18)
"""How many parts of the picture are compared, across and down."""


@dataclass(frozen=True)
class MaskFile:
    """One mask of a clip: its frame, its file, that frame's picture, and how the mask is read."""

    frame: int
    path: Path
    picture: Path
    read: Callable[[], Mask]


@dataclass(frozen=True)
class Observation:
    """What was seen of one mask.

    `mask` where it can be read and has its picture's size, and whether it is `empty`; `parts` of
    the picture where that can be read.
    """

    clip: str
    file: MaskFile
    found: tuple[Finding, ...]
    mask: PackedMask | None = None
    empty: bool = False
    parts: NDArray[np.int16] | None = None

    def finding(self, rule: FindingKind, message: str) -> Finding:
        """Say what was found of this mask."""
        return Finding(rule, self.clip, self.file.frame, self.file.path, message)


def observe(clip: str, file: MaskFile) -> Observation:
    """Look at one mask by itself, and take along what comparing it takes."""

    def found(rule: FindingKind, message: str, path: Path = file.path) -> Finding:
        return Finding(rule, clip, file.frame, path, message)

    try:
        size, parts = picture_size(file.picture), _parts(file.picture)
    except LabelerError as error:
        return Observation(clip, file, (found(FindingKind.UNREADABLE, str(error), file.picture),))
    try:
        mask = file.read()
    except LabelerError as error:
        return Observation(clip, file, (found(FindingKind.UNREADABLE, str(error)),), parts=parts)
    height, width = mask.shape
    if (width, height) != size:
        message = f"The mask is {width}x{height} and its picture {size[0]}x{size[1]}."
        return Observation(clip, file, (found(FindingKind.SIZE, message),), parts=parts)
    findings = tuple(found(rule, message) for rule, message in _oddities(mask))
    return Observation(clip, file, findings, PackedMask.of(mask), not mask.any(), parts)


def _oddities(mask: Mask) -> Iterator[tuple[FindingKind, str]]:
    """What is odd in a mask's shape."""
    for rule, name, spots in (
        (FindingKind.SPECKS, "speck", specks(mask)),
        (FindingKind.HOLES, "hole", pinholes(mask)),
    ):
        if spots:
            size = f"{sum(spot.area for spot in spots)} pixels"
            if len(spots) == 1:
                yield rule, f"A {name} of {size} is at {spots[0]}."
            else:
                yield rule, f"{len(spots)} {name}s of {size}, the largest at {spots[0]}."
    if runs := gaps_at_border(mask):
        yield (
            FindingKind.BORDER_GAP,
            f"It ends just short of the {' and of the '.join(map(str, runs))}.",
        )
    if runs := strips_at_border(mask):
        yield (
            FindingKind.BORDER_STRIP,
            f"A thin strip lies along the {' and the '.join(map(str, runs))}.",
        )
    if (share := border_share(mask)) > AROUND:
        yield FindingKind.BORDER_AROUND, f"It covers {100 * share:.0f} % of the frame's border."


def _parts(path: Path) -> NDArray[np.int16]:
    """The mean grey level of each part of a picture.

    Raises:
        LabelerError: the file is no picture.
    """
    data = np.fromfile(path, np.uint8)
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_IGNORE_ORIENTATION
    grey = cv2.imdecode(data, flags)
    if grey is None:
        raise LabelerError(f"{path} is not a readable picture.")
    return cv2.resize(grey, STILL_PARTS, interpolation=cv2.INTER_AREA).astype(np.int16)


def comparable(one: Observation, other: Observation) -> bool:
    """Whether both have masks of people, of one size and near each other in time."""
    if one.mask is None or other.mask is None or not one.mask.comparable(other.mask):
        return False
    return other.file.frame - one.file.frame <= NEIGHBOURS


def jumps(before: PackedMask | None, mask: PackedMask | None) -> list[tuple[FindingKind, str]]:
    """How a mask is suddenly unlike the one before, if there is one."""
    if before is None or mask is None:
        return []
    found = []
    factor = mask.area / before.area
    if max(factor, 1 / factor) > AREA_FACTOR:
        found.append((FindingKind.AREA, f"It has {factor:.2g} times the area of the mask before."))
    step = mask.step(before)
    if step > PLACE_STEP * math.sqrt(max(mask.area, before.area)):
        share = 100 * step / math.hypot(*mask.size)
        found.append(
            (FindingKind.PLACE, f"Its centre has moved by {share:.0f} % of the frame's diagonal.")
        )
    return found


def flicker(before: PackedMask | None, mask: PackedMask | None, after: PackedMask | None) -> str:
    """What a mask that flickers does, in words; "" if it does not, or has not two neighbours.

    It jumps and back again, or is less like its neighbours than they are like each other.
    """
    if before is None or mask is None or after is None:
        return ""
    around = 1 - before.overlap(after)
    least = 1 - max(mask.overlap(before), mask.overlap(after))
    back = [jumps(before, mask), jumps(after, mask)]
    if not (all(back) and not jumps(before, after)) and (
        least < max(FLICKER_LEAST, FLICKER_RATIO * around)
    ):
        return ""
    return (
        f"It differs by {100 * least:.0f} % or more from the masks before and after, which differ "
        f"by {100 * around:.0f} % from each other."
    )


def nearly_alike(one: Observation, other: Observation) -> bool:
    """Whether two pictures are nearly the same."""
    if one.parts is None or other.parts is None:
        return False
    return int(np.abs(one.parts - other.parts).max()) <= STILL_LEVELS
