"""Observes one mask by itself, and compares it with the masks before and after."""

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
# dance, skate and swing. Each limit says how far these masks go; docs/results.md has the rest.

NEIGHBOURS = KEY_FRAME_STRIDE
"""Masks at most this many frames apart are compared: the limits hold for a sixth of a second."""

AREA_FACTOR = 1.8
"""The largest change of area from one mask to the next, as a factor. Where one of two people is
lost, it is 2. True masks reach 1.84, once, behind a pole."""

PLACE_STEP = 1.2
"""The largest step of a mask's centre, divided by the square root of its area. The step from one
person to the next is larger. True masks reach 0.99, where a skater crosses the frame."""

FLICKER_RATIO = 2.0
"""A mask flickers if it differs from both neighbours at least this many times as much as they
differ from each other, in 1 - J, and if it also meets FLICKER_LEAST."""

FLICKER_LEAST = 0.10
"""A mask that flickers differs from both neighbours by at least this 1 - J. No true mask does."""

STILL_LEVELS = 2
"""The largest change, in 255 levels of grey, that noise and compression cause in the mean of a part
of the picture. Where people move, some part changes by 28 at least."""

STILL_PARTS = (32, 18)
"""How many parts of the picture are compared, across and down."""


@dataclass(frozen=True)
class MaskFile:
    """One mask of a clip: its frame, its file, the frame's picture, and a function to read it."""

    frame: int
    path: Path
    picture: Path
    read: Callable[[], Mask]


@dataclass(frozen=True)
class Observation:
    """The result of looking at one mask.

    `mask` is None if the mask cannot be read or has another size than its picture. `empty` says
    whether nobody is masked. `parts` are the mean grey levels of the picture's parts, None if the
    picture cannot be read.
    """

    clip: str
    file: MaskFile
    found: tuple[Finding, ...]
    mask: PackedMask | None = None
    empty: bool = False
    parts: NDArray[np.int16] | None = None

    def finding(self, rule: FindingKind, message: str) -> Finding:
        """Make a finding about this mask."""
        return Finding(rule, self.clip, self.file.frame, self.file.path, message)


def observe(clip: str, file: MaskFile) -> Observation:
    """Look at one mask by itself, and keep what is needed to compare it with others."""

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
    """Yield what is odd in a mask's shape, as (rule, message)."""
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
    """Compute the mean grey level of each part of a picture.

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
    """Tell whether both have masks of people, of one size and at most NEIGHBOURS frames apart."""
    if one.mask is None or other.mask is None or not one.mask.comparable(other.mask):
        return False
    return other.file.frame - one.file.frame <= NEIGHBOURS


def jumps(before: PackedMask | None, mask: PackedMask | None) -> list[tuple[FindingKind, str]]:
    """List how a mask suddenly differs from the mask before it; none if there is no such mask."""
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
    """Describe how a mask flickers; return "" if it does not, or if a neighbour is missing.

    A mask flickers if it jumps there and back, or if it is less like its neighbours than they are
    like each other.
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
    """Tell whether two pictures are nearly the same."""
    if one.parts is None or other.parts is None:
        return False
    return int(np.abs(one.parts - other.parts).max()) <= STILL_LEVELS
