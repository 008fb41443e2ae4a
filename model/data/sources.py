"""What there is to learn from: stills and clips with labels, and what can be wrong with them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from labeler.clip import Image, read_image
from labeler.errors import LabelerError
from labeler.layouts.mvps import picture_size
from labeler.threads import call_all

People = NDArray[np.uint8]
"""Who is where in a picture: H x W uint8, 0 where nobody is, n where the n-th person is."""

HELD_OUT_CLIPS = frozenset({"tennis", "dance-jump"})
HELD_OUT_EVERY = 10
"""What is kept out of training for validation, see `Sources.split`."""


class Labels(Protocol):
    """Where it is written who is in a picture; small, so that a hundred thousand fit in memory."""

    def read(self) -> People:
        """Read who is where.

        Raises:
            LabelerError: it is missing or damaged.
        """


@dataclass(frozen=True)
class Still:
    """A picture and its labels; with None for labels, nobody is in it."""

    name: str
    image: Path
    labels: Labels | None = None

    def read(self) -> tuple[Image, People]:
        """Read the picture, H x W x 3 uint8 BGR, and who is where in it.

        Raises:
            LabelerError: either cannot be read, or they differ in size.
        """
        image = read_image(self.image)
        people = np.zeros(image.shape[:2], np.uint8) if self.labels is None else self.labels.read()
        if people.shape != image.shape[:2]:
            raise LabelerError(
                f"{self.image} is {image.shape[1]}x{image.shape[0]} but its labels are "
                f"{people.shape[1]}x{people.shape[0]}; remove it or label it again."
            )
        return image, people


@dataclass(frozen=True)
class Take:
    """The masked frames of a clip.

    Attributes:
        name: the clip's.
        frames: their indices in the clip, ascending.
        stills: one for each of them.
        length: frames of the whole clip, T.
        folder: where the pictures of all its frames are, 00000.jpg and on, if they are anywhere.
    """

    name: str
    frames: tuple[int, ...]
    stills: tuple[Still, ...]
    length: int
    folder: Path | None = None


@dataclass(frozen=True)
class Sources:
    """Everything there is to learn from.

    Attributes:
        clips: clips whose masks are of all people in them.
        stills: pictures whose labels are of all people in them.
        objects: clips of anything, whose masks say nothing of where people are.
        backgrounds: pictures without people.
        fresh: clips as in `clips` whose masks are new since the weights that training starts
            from; how often they come up is set apart.
    """

    clips: tuple[Take, ...] = ()
    stills: tuple[Still, ...] = ()
    objects: tuple[Take, ...] = ()
    backgrounds: tuple[Still, ...] = ()
    fresh: tuple[Take, ...] = ()

    def __add__(self, other: "Sources") -> "Sources":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Sources(*(mine + theirs for mine, theirs in pairs))

    def split(
        self, clips: Collection[str] = HELD_OUT_CLIPS, every: int = HELD_OUT_EVERY
    ) -> tuple[Self, "Sources"]:
        """Return what to train on and what to keep out of it, for validation.

        Kept out are the clips of those names, and every so manyth of the stills sorted by name
        (the tenth, the twentieth, ...). Objects and backgrounds are all for training.
        """
        aside = set(sorted(still.name for still in self.stills)[every - 1 :: every])
        train = replace(
            self,
            clips=tuple(take for take in self.clips if take.name not in clips),
            stills=tuple(still for still in self.stills if still.name not in aside),
        )
        validation = Sources(
            clips=tuple(take for take in self.clips if take.name in clips),
            stills=tuple(still for still in self.stills if still.name in aside),
        )
        return train, validation


def picture_fault(image: Path, labelled: Path | tuple[int, int] | None = None) -> str | None:
    """Say what is wrong with a picture and its mask, by their headers, or None if nothing is.

    `labelled` is the file of the mask, or the width and height that the labels are for.
    """
    for path in (image, labelled):
        if isinstance(path, Path) and not path.is_file():
            return f"{path} is missing"
    try:
        size = picture_size(image)
        other = picture_size(labelled) if isinstance(labelled, Path) else labelled
    except LabelerError as error:
        return str(error).removesuffix(".")
    if other is None or size == other:
        return None
    return f"{image} is {size[0]}x{size[1]} but its mask {other[0]}x{other[1]}"


def refuse_faults(folder: Path, faults: Sequence[str], shown: int = 5) -> None:
    """Raise a LabelerError that names the first of the faults found in a folder, if there are any.

    Raises:
        LabelerError: there are.
    """
    if faults:
        more = f"; and {len(faults) - shown} more" if len(faults) > shown else ""
        raise LabelerError(
            f"{folder} cannot be trained on as it is: {'; '.join(faults[:shown])}{more}; "
            "complete these pairs or leave them out."
        )


def faults_of(checks: Iterable[Callable[[], str | None]]) -> list[str]:
    """Make checks on a few threads and list what they found to be wrong."""
    return [fault for fault in call_all(checks) if fault is not None]
