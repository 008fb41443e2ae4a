"""Clips with true masks, and an engine's predictions for their frames."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

from labeler.clip import KEY_FRAME_STRIDE, Frames, Image, read_image
from labeler.errors import LabelerError
from labeler.layouts.mvps import Dataset
from labeler.mask import Mask, mask_digest
from labeler.metrics import boundary_measure, region_similarity
from labeler.reference import Reference, ReferenceBook
from model.data.sources import Still, Take
from model.segmenter import Segmentation, Segmenter

PICTURES = "pictures"
"""Stands in place of a resolution if pictures are measured and not clips."""


@dataclass(frozen=True)
class TruthClip:
    """A clip with the true masks of the frames that are measured.

    `truths` are H x W bool by frame index, in order. `voids` mark the pixels that are not scored,
    H x W bool, for those frames that have some.
    """

    name: str
    frames: Frames
    truths: Mapping[int, Mask]
    voids: Mapping[int, Mask]

    @property
    def measured(self) -> tuple[int, ...]:
        """The indices of the measured frames, in order."""
        return tuple(self.truths)

    def reference(self, frame: int) -> Reference:
        """Return the true mask of a frame as a reference, as if a person had given it."""
        truth = self.truths[frame]
        return Reference(frame, mask_digest(truth), lambda: truth)

    def region(self, frame: int, prediction: Mask) -> float:
        """Compute J of a prediction for that frame."""
        return region_similarity(prediction, self.truths[frame], self.voids.get(frame))

    def boundary(self, frame: int, prediction: Mask, radius: int | None = None) -> float:
        """Compute F of a prediction for that frame, at DAVIS's own radius or at one in pixels."""
        return boundary_measure(
            prediction, self.truths[frame], self.voids.get(frame), radius=radius
        )


def measured_clips(dataset: Dataset, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the clips to measure: those named, each once, or all clips of the dataset.

    Raises:
        LabelerError: there is no clip of that name, or no clip at all.
    """
    if names is None:
        names = [row.name for row in dataset.clips]
    if not names:
        raise LabelerError(
            f"There is no clip to measure in {dataset.folder}; give a dataset that has clips."
        )
    return tuple(dataset.clip(name).name for name in dict.fromkeys(names))


def load_truth(
    dataset: Dataset, name: str, stride: int = KEY_FRAME_STRIDE, resolution: str | None = None
) -> TruthClip:
    """Read the true masks of a clip's frames 0, stride, 2 * stride, ...

    Frames without a mask are left out.

    Raises:
        LabelerError: none of these frames has a mask, or a file is missing or damaged.
    """
    frames = replace(dataset.frames(name, resolution), stride=stride)
    key_frames = set(range(0, len(frames), stride))
    indices = [i for i in dataset.annotated(name, resolution) if i in key_frames]
    if not indices:
        raise LabelerError(
            f"No frame 0, {stride}, {2 * stride}, ... of {name} in {dataset.folder} has a mask to "
            "measure against; give another stride or another clip."
        )
    truths = {i: dataset.mask(name, i, resolution) for i in indices}
    voids = {i: dataset.void(name, i, resolution) for i in indices}
    return TruthClip(name, frames, truths, {i: void for i, void in voids.items() if void.any()})


def truth_of_take(take: Take, stride: int = KEY_FRAME_STRIDE) -> TruthClip:
    """Read the true masks of the masked frames 0, stride, 2 * stride, ... of a clip.

    Raises:
        LabelerError: a file is missing or damaged.
    """
    stills = dict(zip(take.frames, take.stills, strict=True))
    truths = {i: still.read()[1] > 0 for i, still in stills.items() if i % stride == 0}
    frames = _StillFrames(take.name, stills, take.length, take.pictures, stride)
    return TruthClip(take.name, frames, truths, {})


def truth_of_picture(still: Still) -> TruthClip:
    """Read the true mask of a picture, which shows everybody in it.

    Raises:
        LabelerError: a file is missing or damaged.
    """
    return truth_of_take(Take(still.name, (0,), (still,), 1))


@dataclass(frozen=True)
class _StillFrames:
    """A clip that may have pictures of its masked frames only.

    `pictures` are the files of the others, as far as they are there.
    """

    key: str
    stills: Mapping[int, Still]
    length: int
    pictures: Mapping[int, Path]
    stride: int

    @cached_property
    def key_frames(self) -> tuple[int, ...]:
        """Those of the frames 0, stride, 2 * stride, ... that have a picture."""
        return tuple(
            i for i in range(0, self.length, self.stride) if i in self.stills or i in self.pictures
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Image:
        path = self.stills[index].image if index in self.stills else self.pictures.get(index)
        if path is None:
            raise LabelerError(f"Frame {index} of {self.key} has no picture; bring it back.")
        return read_image(path)


_RUNS = count()


class MeasuredFrames:
    """A clip's frames under a new cache key, with a clock that runs while a frame is being read.

    With the new key the engine starts with an empty cache, so that cached features of an earlier
    run of the same clip do not make this run look fast.
    """

    def __init__(self, frames: Frames) -> None:
        self.key = f"{frames.key}:measured-{next(_RUNS)}"
        self.key_frames = frames.key_frames
        self._frames = frames
        self._lock = threading.Lock()
        self._readers = 0
        self._since = 0.0
        self.seconds_reading = 0.0
        """For how long at least one thread was reading; threads at the same time count once."""

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Image:
        with self._lock:
            if not self._readers:
                self._since = time.perf_counter()
            self._readers += 1
        try:
            return self._frames[index]
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    self.seconds_reading += time.perf_counter() - self._since


def segment_in_order(
    segmenter: Segmenter, frames: Frames, targets: Sequence[int], references: ReferenceBook
) -> Iterator[Segmentation]:
    """Segment some frames, and check that the engine answers for these frames, in their order.

    Raises:
        ValueError: the engine answers for other frames or in another order.
    """
    answers = segmenter.segment(frames, targets, references)
    for target, segmentation in zip(targets, answers, strict=True):
        if segmentation.frame != target:
            raise ValueError(
                f"{segmenter.model_version} was asked for frame {target} but answered for "
                f"{segmentation.frame}"
            )
        yield segmentation
