"""A store of training pictures: resized once, kept in memory, with a list of the people in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.clip import Image
from labeler.threads import call_all
from model.data.sources import People, Still

QUALITY = 95
SMALLEST = 40
"""The least height in pixels of a person that may be cut out."""


@dataclass(frozen=True)
class Person:
    """A person, or an object, in a stored picture.

    Attributes:
        number: its value in the label map.
        box: left, top, right, bottom in pixels of the stored picture, the latter two exclusive.
        whole: whether it is large, in one piece, and cut off by no edge except perhaps the lower
            one, so that it can be cut out and pasted somewhere else.
        grounded: whether it is cut off by the lower edge, like a person at a desk.
    """

    number: int
    box: tuple[int, int, int, int]
    whole: bool
    grounded: bool


@dataclass(frozen=True)
class PictureFacts:
    """Facts about a stored picture: its width and height, and the people in it."""

    size: tuple[int, int]
    people: tuple[Person, ...]


@dataclass(frozen=True)
class _Packed:
    """A small picture as JPEG and its labels as PNG; these are None if nobody is in it."""

    image: NDArray[np.uint8]
    people: NDArray[np.uint8] | None


class Store:
    """Stills whose short side has a limit, by their position in the list.

    All stills are read when the store is made, on a few threads, so that damaged files are found
    then. Stills that do not fit into the memory are read again each time, with the same result.

    Args:
        stills: the stills to keep.
        short_side: the limit, in pixels; smaller pictures stay as they are.
        memory: the most bytes of compressed pictures to keep.
        progress: called with (stills done, stills).

    Raises:
        LabelerError: a picture or its labels cannot be read, or they do not fit.
    """

    def __init__(
        self,
        stills: Sequence[Still],
        short_side: int,
        memory: int = 2 << 30,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._stills = tuple(stills)
        self._short_side = short_side
        self._kept: list[_Packed | None] = []
        self.facts: list[PictureFacts] = []
        self.nbytes = 0
        jobs = (partial(_prepare, still, short_side) for still in self._stills)
        for done, (packed, facts) in enumerate(call_all(jobs), start=1):
            size = packed.image.nbytes + (0 if packed.people is None else packed.people.nbytes)
            fits = self.nbytes + size <= memory
            self._kept.append(packed if fits else None)
            self.nbytes += size if fits else 0
            self.facts.append(facts)
            if progress is not None:
                progress(done, len(self._stills))

    def __len__(self) -> int:
        return len(self._stills)

    def __getitem__(self, position: int) -> tuple[Image, People]:
        """Decode a picture, H x W x 3 uint8 BGR, and its label map, H x W uint8."""
        packed = self._kept[position] or _prepare(self._stills[position], self._short_side)[0]
        image = np.asarray(cv2.imdecode(packed.image, cv2.IMREAD_COLOR), np.uint8)
        if packed.people is None:
            return image, np.zeros(image.shape[:2], np.uint8)
        people = cv2.imdecode(packed.people, cv2.IMREAD_GRAYSCALE)
        return image, np.asarray(people, np.uint8)


def shrink(image: Image, people: People, short_side: int) -> tuple[Image, People]:
    """Shrink a picture and its labels until the short side is at most `short_side` pixels.

    A new pixel that people cover by at least half gets the person with the largest share of it;
    any other new pixel is background.
    """
    height, width = people.shape
    scale = short_side / min(height, width)
    if scale >= 1:
        return image, people
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    total = np.zeros(size[::-1], np.float32)
    most = np.zeros(size[::-1], np.float32)
    winner = np.zeros(size[::-1], np.uint8)
    for number in np.flatnonzero(np.bincount(people.ravel()))[1 if (people == 0).any() else 0 :]:
        of_one = (people == number).astype(np.float32)
        share = np.asarray(cv2.resize(of_one, size, interpolation=cv2.INTER_AREA))
        total += share
        winner[share > most] = number
        most = np.maximum(most, share)
    winner[total < 0.5] = 0
    return small, winner


def facts_of(people: People) -> PictureFacts:
    """Find the people in a label map."""
    found = []
    height, width = people.shape
    for number in np.flatnonzero(np.bincount(people.ravel(), minlength=1)):
        if number == 0:
            continue
        mask = (people == number).astype(np.uint8)
        left, top, wide, high = cv2.boundingRect(mask)
        pieces = cv2.connectedComponentsWithStats(mask)[2][1:, cv2.CC_STAT_AREA]
        inside = left > 1 and top > 1 and left + wide < width - 1
        large = high >= SMALLEST and pieces.sum() >= 0.15 * wide * high
        whole = bool(inside and large and pieces.max() >= 0.97 * pieces.sum())
        box = (left, top, left + wide, top + high)
        found.append(Person(int(number), box, whole, top + high >= height - 1))
    return PictureFacts((width, height), tuple(found))


def _prepare(still: Still, short_side: int) -> tuple[_Packed, PictureFacts]:
    image, people = shrink(*still.read(), short_side)
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    labels = cv2.imencode(".png", people)[1] if people.any() else None
    return (
        _Packed(
            np.asarray(packed, np.uint8), None if labels is None else np.asarray(labels, np.uint8)
        ),
        facts_of(people),
    )
