"""What a dataset is like, in numbers: figures 2 to 4 of the PDNet paper, and how portraits move.

Everything is measured on key frames, at 480p: from the 480p trees where there are some, else from
full resolution made smaller. So datasets of other sizes, or with a mask on each frame as DAVIS
has them, can be set side by side.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import graycomatrix

from labeler.clip import KEY_FRAME_STRIDE
from labeler.errors import LabelerError
from labeler.inspect.packed_mask import PackedMask
from labeler.layouts.clips_table import ClipRow
from labeler.layouts.mvps import SMALL, Dataset, numbered_files, picture_tree
from labeler.mask import Mask
from labeler.publish.resize import resize_mask, size_480p
from labeler.threads import call_all

Grey = NDArray[np.uint8]
"""A picture without colour: H x W, uint8."""

GLCM_LEVELS = 256
"""Grey levels of the co-occurrence matrix: all there are."""

GLCM_DISTANCE = 1
"""Pixels between the two of a pair."""

GLCM_ANGLES = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
"""Directions of a pair, as Haralick has them; both orders of a pair are counted."""

PORTRAIT_SHARE = 0.005
"""Of the frame: a connected piece of the mask counts as a portrait from this size on. On 1,093
masks of one person it gives 1 for 95 %; smaller pieces are hands and feet behind something."""


@dataclass(frozen=True)
class FrameStatistics:
    """What was measured of a key frame; None where there is no picture, no mask, or nobody in it.

    `entropy` is that of the GLCM, in bits. `portraits` counts the mask's connected pieces and
    `area` is its share of the frame. `step` is how far the mask's centre is from where it was a
    key frame earlier, as a share of the frame's diagonal, and `overlap` their J.
    """

    frame: int
    entropy: float | None
    portraits: int | None
    area: float | None
    step: float | None
    overlap: float | None


@dataclass(frozen=True)
class ClipStatistics:
    """A clip and its key frames; `scenario` and `seconds` where the dataset says so."""

    clip: str
    scenario: str | None
    frames: int
    seconds: float | None
    width: int
    height: int
    key_frames: tuple[FrameStatistics, ...]

    def mean(self, name: str) -> float | None:
        """The mean of one number of `FrameStatistics` over the key frames that have it."""
        values = [v for frame in self.key_frames if (v := getattr(frame, name)) is not None]
        return float(np.mean(values)) if values else None


@dataclass(frozen=True)
class DatasetStatistics:
    """A dataset's clips; `every` which frame was measured."""

    name: str
    every: int
    clips: tuple[ClipStatistics, ...]


def measure_dataset(
    dataset: Dataset,
    every: int = KEY_FRAME_STRIDE,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetStatistics:
    """Measure every clip of a dataset.

    Args:
        dataset: in the MVPS layout or DAVIS's.
        every: which frames to measure, 0 and every so many on; those of them that have a mask
            are compared with the one before.
        progress: called with (frames measured, frames to measure).

    Raises:
        LabelerError: a picture or a mask is unreadable; `mvps validate` names all such.
    """
    resolution = SMALL if SMALL in dataset.resolutions else dataset.resolutions[0]
    files = [_files(dataset, resolution, row, every) for row in dataset.clips]
    total = sum(map(len, files))
    jobs = (partial(_measure, file) for clip in files for file in clip)

    def counted(measured: Iterable[_Measured]) -> Iterator[_Measured]:
        for done, each in enumerate(measured, start=1):
            if progress is not None:
                progress(done, total)
            yield each

    by_clip: dict[str, tuple[FrameStatistics, ...]] = {}
    for clip, measured in groupby(counted(call_all(jobs)), key=lambda each: each.file.clip):
        by_clip[clip] = tuple(_compared(measured, every))
    clips = tuple(_clip(row, by_clip.get(row.name, ())) for row in dataset.clips)
    return DatasetStatistics(dataset.folder.resolve().name, every, clips)


def glcm_entropy(grey: Grey) -> float:
    """Compute the entropy of a picture's grey level co-occurrence matrix, in bits.

    The matrix holds how often two grey levels are neighbours; its entropy is low where a picture
    is flat and high where it is rich in detail (Haralick et al., 1973). 256 levels, distance 1,
    mean of the four directions, each symmetric: 0 to 16 bits.

    Args:
        grey: H x W uint8, at least 2 x 2.
    """
    matrices = graycomatrix(grey, [GLCM_DISTANCE], GLCM_ANGLES, levels=GLCM_LEVELS)
    return float(np.mean([_entropy(matrices[:, :, 0, k]) for k in range(len(GLCM_ANGLES))]))


def count_portraits(mask: Mask) -> int:
    """Count the connected pieces of a mask, H x W bool, that are large enough to be a portrait.

    Two people who touch are one piece, and one whom a pole cuts in two is two.
    """
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return int(np.count_nonzero(boxes[1:, cv2.CC_STAT_AREA] >= PORTRAIT_SHARE * mask.size))


def means(data: DatasetStatistics, name: str) -> list[float]:
    """One number of `FrameStatistics`, the mean of each clip that has it."""
    return [mean for clip in data.clips if (mean := clip.mean(name)) is not None]


def of_frames(data: DatasetStatistics, name: str) -> list[float]:
    """One number of `FrameStatistics`, of each key frame that has it."""
    frames = (frame for clip in data.clips for frame in clip.key_frames)
    return [value for frame in frames if (value := getattr(frame, name)) is not None]


class _File(NamedTuple):
    """A key frame to measure, as files."""

    dataset: Dataset
    resolution: str
    clip: str
    frame: int
    picture: Path | None
    masked: bool


@dataclass(frozen=True)
class _Measured:
    """A key frame by itself."""

    file: _File
    entropy: float | None = None
    portraits: int | None = None
    mask: PackedMask | None = None


def _files(dataset: Dataset, resolution: str, row: ClipRow, every: int) -> list[_File]:
    pictures = numbered_files(picture_tree(dataset.folder, resolution) / row.name, ".jpg")
    masked = set(dataset.annotated(row.name, resolution))
    return [
        _File(dataset, resolution, row.name, frame, pictures.get(frame), frame in masked)
        for frame in sorted(masked | set(pictures))
        if frame % every == 0
    ]


def _measure(file: _File) -> _Measured:
    entropy = None if file.picture is None else glcm_entropy(_read_grey(file.picture))
    if not file.masked:
        return _Measured(file, entropy)
    mask = file.dataset.mask(file.clip, file.frame, file.resolution)
    mask = resize_mask(mask, size_480p(mask.shape[1], mask.shape[0]))
    return _Measured(file, entropy, count_portraits(mask), PackedMask.of(mask))


def _read_grey(path: Path) -> Grey:
    """Read a picture's lightness at 480p.

    Raises:
        LabelerError: the file is no picture.
    """
    data = np.fromfile(path, np.uint8)
    grey = None
    if data.size:
        grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    if grey is None:
        raise LabelerError(f"{path} is not a readable picture; `mvps validate` names all such.")
    size = size_480p(grey.shape[1], grey.shape[0])
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _entropy(counts: NDArray[np.uint32]) -> float:
    """The entropy of a co-occurrence matrix and its transpose, in bits."""
    both = (counts + counts.T).astype(np.float64)
    both = both[both > 0]
    total = both.sum()
    return float(np.log2(total) - (both * np.log2(both)).sum() / total)


def _compared(measured: Iterable[_Measured], every: int) -> Iterator[FrameStatistics]:
    """Each key frame of a clip, compared with the one before where both have somebody."""
    before: _Measured | None = None
    for each in measured:
        step = overlap = None
        if before is not None and before.file.frame == each.file.frame - every:
            step, overlap = _motion(before.mask, each.mask)
        area = None if each.mask is None else each.mask.area / math.prod(each.mask.size)
        yield FrameStatistics(each.file.frame, each.entropy, each.portraits, area, step, overlap)
        before = each


def _motion(
    one: PackedMask | None, other: PackedMask | None
) -> tuple[float, float] | tuple[None, None]:
    """How far the centre went, as a share of the diagonal, and the masks' J."""
    if one is None or other is None or not one.comparable(other):
        return None, None
    return one.step(other) / math.hypot(*one.size), one.overlap(other)


def _clip(row: ClipRow, key_frames: tuple[FrameStatistics, ...]) -> ClipStatistics:
    return ClipStatistics(
        row.name,
        None if row.scenario is None else row.scenario.value,
        row.frames,
        None if row.fps is None else float(row.frames / row.fps),
        row.width,
        row.height,
        key_frames,
    )
