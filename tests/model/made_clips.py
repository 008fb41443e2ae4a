"""Small clips with known masks, in DAVIS's layout, and an engine that does as it is told."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from labeler.clip import Frames, Image, frame_name
from labeler.layouts.mvps import Dataset, open_dataset
from labeler.mask import Mask, mask_digest
from labeler.reference import Reference, ReferenceBook, nearest_and_first
from model.segmenter import Segmentation, verbatim
from tests.labeler.made_datasets import write_mask, write_picture

SIZE = (96, 128)
"""Height and width; DAVIS's radius is then 2 pixels."""


def square(left: int, top: int = 30, side: int = 40) -> Mask:
    mask = np.zeros(SIZE, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def noise(seed: int, size: tuple[int, int] = SIZE) -> Image:
    """A picture with details that optical flow can follow."""
    random = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(random, (0, 0), 1.5), np.uint8)


def reference(frame: int, mask: Mask) -> Reference:
    return Reference(frame, mask_digest(mask), lambda: mask)


def made_davis(
    folder: Path,
    clips: dict[str, Callable[[int], Mask]],
    frames: int = 41,
    picture: Callable[[int], Image] = lambda index: noise(0),
) -> Dataset:
    """A dataset in which every frame has a mask, as DAVIS has it."""
    for name, mask in clips.items():
        for index in range(frames):
            stem = frame_name(index)
            write_picture(folder / "JPEGImages/480p" / name / f"{stem}.jpg", picture(index))
            write_mask(folder / "Annotations/480p" / name / f"{stem}.png", mask(index))
    return open_dataset(folder)


class MadeFrames:
    """Frames in memory; it notes which were read."""

    key = "made"

    def __init__(self, images: Sequence[Image]) -> None:
        self.images = images
        self.read: list[int] = []
        self.key_frames = range(0, len(images), 5)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Image:
        self.read.append(index)
        return self.images[index]


Shift = Callable[[int, list[int]], int | None]


class Scripted:
    """Knows the truth, and says it moved sideways by as many pixels as `shift` tells.

    `shift(frame, corrected)` gets the corrected frames among the target's own references; None
    is an empty mask. `asked` notes the targets and the corrected frames of each call, and `keys`
    the keys of the frames.
    """

    model_version = "scripted-1.0.0+00000000"
    choice = staticmethod(nearest_and_first)

    def __init__(
        self,
        truth: Callable[[int], Mask],
        shift: Shift,
        uncertainty: Callable[[int], float] = lambda frame: 0.5,
        alters: bool = False,
    ) -> None:
        self.truth, self.shift, self.uncertainty, self.alters = truth, shift, uncertainty, alters
        self.asked: list[tuple[list[int], list[int]]] = []
        self.keys: set[str] = set()

    def segment(
        self, frames: Frames, targets: Sequence[int], references: ReferenceBook
    ) -> Iterator[Segmentation]:
        known = [t for t in range(len(frames)) if references.corrected(t) is not None]
        self.asked.append((list(targets), known))
        self.keys.add(frames.key)
        for target in targets:
            if target in known and not self.alters:
                corrected = references.corrected(target)
                assert corrected is not None
                assert corrected.mask is not None
                yield verbatim(target, corrected.mask)
                continue
            near = [r.frame for r in references.references_for(target) if r.load is not None]
            by = 1 if target in known else self.shift(target, near)
            mask = np.zeros(SIZE, bool) if by is None else np.roll(self.truth(target), by, axis=1)
            yield Segmentation(target, mask.astype(np.float32), self.uncertainty(target))
