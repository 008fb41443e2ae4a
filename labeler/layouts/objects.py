"""The masks of a clip that number objects, as DAVIS and those that follow it write them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labeler.errors import LabelerError
from labeler.images.opening import opened
from labeler.images.palette import palette_values
from labeler.mask import Mask, read_mask

VOID = 255
"""Where a clip's masks number objects: the pixel counts for neither object nor background."""

MOST_GREY_OBJECTS = 32
"""The highest value of a grey mask that is taken for the number of an object. The soft edge of a
mask goes up to 255."""


@dataclass(frozen=True)
class ObjectMasks:
    """The mask files of one clip, by number.

    Value 255 is void in a clip whose masks number objects 1 to 254, as in the evaluation of DAVIS
    2017; in other clips, as in DAVIS 2016, it is the foreground. Every layout of numbered masks
    follows this rule.
    """

    files: Mapping[int, Path]

    def read(self, number: int) -> tuple[NDArray[np.uint8], Mask]:
        """Read the object numbers of a frame, H x W uint8 with 0 where there is none, and the void.

        Raises:
            LabelerError: the file is missing or is no mask.
        """
        objects = read_objects(self.files[number])
        void = np.equal(objects, VOID)
        if not void.any() or not (_numbers_objects(objects) or self._numbered):
            void = np.zeros_like(void)
        objects[void] = 0
        return objects, void

    @cached_property
    def _numbered(self) -> bool:
        """Whether any mask of the clip numbers objects; one mask may have none of them."""
        return any(_numbers_objects(_or_nothing(path)) for path in self.files.values())


def read_objects(path: Path) -> NDArray[np.uint8]:
    """Read the object numbers of a mask, H x W uint8, 0 where there is none; 255 may be void.

    A palette PNG may number several objects, and so may a grey PNG of few low values, whose palette
    a tool has dropped. Other grey levels may as well be the soft edge of a mask, so any other PNG
    is read by the rules of `read_mask`, as one object.

    Raises:
        LabelerError: the file is missing or is no mask.
    """
    with suppress(LabelerError), opened(path, "mask", "") as picture:
        if picture.mode == "P":
            return palette_values(picture).copy()
        if picture.mode == "L" and np.asarray(picture).max(initial=0) <= MOST_GREY_OBJECTS:
            return np.array(picture)
    return read_mask(path).astype(np.uint8)  # which also says what is wrong


def _or_nothing(path: Path) -> NDArray[np.uint8]:
    """Read a mask, or nothing if it is damaged, which is said when it is itself asked for."""
    try:
        return read_objects(path)
    except LabelerError:
        return np.zeros((0, 0), np.uint8)


def _numbers_objects(objects: NDArray[np.uint8]) -> bool:
    return bool(((objects > 0) & (objects < VOID)).any())
