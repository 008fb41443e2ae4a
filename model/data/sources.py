"""Training data: stills and clips with labels, and checks that picture and labels fit."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from labeler.clip import Image, read_image
from labeler.errors import LabelerError
from labeler.layouts.mvps import picture_size
from labeler.threads import call_all

People = NDArray[np.uint8]
"""A label map of people: H x W uint8, 0 for background, n for the n-th person."""

HELD_OUT_CLIPS = frozenset({"tennis", "dance-jump"})
HELD_OUT_EVERY = 10
"""What is kept out of training for validation, see `Sources.split`."""


class Labels(Protocol):
    """A handle for the labels of a picture, so small that a hundred thousand fit in memory."""

    def read(self) -> People:
        """Read the label map.

        Raises:
            LabelerError: the labels are missing or damaged.
        """


@dataclass(frozen=True)
class Still:
    """A picture and its labels; the labels are None if nobody is in the picture."""

    name: str
    image: Path
    labels: Labels | None = None

    def read(self) -> tuple[Image, People]:
        """Read the picture, H x W x 3 uint8 BGR, and its label map.

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
        name: the name of the clip.
        frames: the indices of the masked frames in the clip, ascending.
        stills: one still for each of these frames.
        length: the number of frames of the whole clip, T.
        pictures: the files of the pictures of all its frames, as far as they are there.
    """

    name: str
    frames: tuple[int, ...]
    stills: tuple[Still, ...]
    length: int
    pictures: Mapping[int, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """Everything that a training learns from.

    Attributes:
        clips: clips whose masks show all people in them.
        stills: pictures whose labels show all people in them.
        objects: clips of any objects, whose masks do not say where people are.
        backgrounds: pictures without people.
        fresh: clips as in `clips` whose masks are new since the weights that training starts
            from; a recipe sets how often they are drawn.
        unlabelled: clips of people without any mask; their labels are the training's own
            predictions.
    """

    clips: tuple[Take, ...] = ()
    stills: tuple[Still, ...] = ()
    objects: tuple[Take, ...] = ()
    backgrounds: tuple[Still, ...] = ()
    fresh: tuple[Take, ...] = ()
    unlabelled: tuple[Take, ...] = ()

    def __add__(self, other: "Sources") -> "Sources":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Sources(*(mine + theirs for mine, theirs in pairs))

    def split(
        self, clips: Collection[str] = HELD_OUT_CLIPS, every: int = HELD_OUT_EVERY
    ) -> tuple[Self, "Sources"]:
        """Split the sources into those to train on and those to validate on, in this order.

        For validation are the clips of the given names, and one still out of `every`, sorted by
        name (the tenth, the twentieth, ...). Objects and backgrounds are all for training.
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

    `labelled` is the file of the mask, or the width and height of the labels.
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
    """Raise an error that names the first faults found in a folder, if there are any.

    Raises:
        LabelerError: there is a fault.
    """
    if faults:
        more = f"; and {len(faults) - shown} more" if len(faults) > shown else ""
        raise LabelerError(
            f"{folder} cannot be trained on as it is: {'; '.join(faults[:shown])}{more}; "
            "complete these pairs or leave them out."
        )


def faults_of(checks: Iterable[Callable[[], str | None]]) -> list[str]:
    """Run checks on a few threads, and list the faults that they find."""
    return [fault for fault in call_all(checks) if fault is not None]
