"""Statistics of a dataset: those of figures 2 to 4 of the PDNet paper, and how portraits move.

Everything is measured on key frames, at 480p: from the 480p trees if there are any, else from full
resolution made smaller. So datasets of different sizes can be compared, and datasets with a mask on
each frame (DAVIS) with those that have one on every fifth.
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
from labeler.layouts.mvps import SMALL, Dataset
from labeler.mask import Mask
from labeler.publish.resize import resize_mask, size_480p
from labeler.threads import call_all

Grey = NDArray[np.uint8]
"""A picture without colour: H x W, uint8."""

GLCM_LEVELS = 256
"""The number of grey levels of the co-occurrence matrix: all levels of 8 bits."""

GLCM_DISTANCE = 1
"""The distance between the two pixels of a pair, in pixels."""

GLCM_ANGLES = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
"""The directions of a pair, as in Haralick et al.; both orders of a pair are counted."""

PORTRAIT_SHARE = 0.005
"""A connected piece of the mask counts as a portrait from this share of the frame on. This
gives 1 in 95 % of 1,093 masks of one person; smaller pieces are hands or feet behind something."""


@dataclass(frozen=True)
class FrameStatistics:
    """The measurements of a key frame; None where the picture, the mask or a person is missing.

    `entropy` is that of the GLCM, in bits. `portraits` counts the mask's connected pieces and
    `area` is its share of the frame. `step` is the distance of the mask's centre from its position
    a key frame earlier, as a share of the frame's diagonal. `overlap` is J of the two masks.
    """

    frame: int
    entropy: float | None
    portraits: int | None
    area: float | None
    step: float | None
    overlap: float | None


@dataclass(frozen=True)
class ClipStatistics:
    """The statistics of a clip; `scenario` and `seconds` are None if the dataset lacks them."""

    clip: str
    scenario: str | None
    frames: int
    seconds: float | None
    width: int
    height: int
    key_frames: tuple[FrameStatistics, ...]

    def mean(self, name: str) -> float | None:
        """Average one number of `FrameStatistics` over the key frames that have it."""
        values = [v for frame in self.key_frames if (v := getattr(frame, name)) is not None]
        return float(np.mean(values)) if values else None


@dataclass(frozen=True)
class DatasetStatistics:
    """The statistics of a dataset's clips, in which every `every`-th frame was measured."""

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
        dataset: a dataset in the layout of MVPS or of DAVIS.
        every: measure frame 0 and every `every`-th frame after it; each of them that has a mask is
            compared with the one before.
        progress: called with (frames measured, frames to measure).

    Raises:
        LabelerError: a picture or a mask is unreadable; `mvps validate` names all such files.
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

    Two people who touch count as one, and a person whom a pole cuts in two counts as two.
    """
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return int(np.count_nonzero(boxes[1:, cv2.CC_STAT_AREA] >= PORTRAIT_SHARE * mask.size))


def means(data: DatasetStatistics, name: str) -> list[float]:
    """Return the mean of one number of `FrameStatistics` for each clip that has it."""
    return [mean for clip in data.clips if (mean := clip.mean(name)) is not None]


def of_frames(data: DatasetStatistics, name: str) -> list[float]:
    """Return one number of `FrameStatistics` for each key frame that has it."""
    frames = (frame for clip in data.clips for frame in clip.key_frames)
    return [value for frame in frames if (value := getattr(frame, name)) is not None]


class _File(NamedTuple):
    """The files of a key frame to measure."""

    dataset: Dataset
    resolution: str
    clip: str
    frame: int
    picture: Path | None
    masked: bool


@dataclass(frozen=True)
class _Measured:
    """The measurements of a key frame alone, before it is compared with the one before."""

    file: _File
    entropy: float | None = None
    portraits: int | None = None
    mask: PackedMask | None = None


def _files(dataset: Dataset, resolution: str, row: ClipRow, every: int) -> list[_File]:
    pictures = dataset.pictures(row.name, resolution)
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
    """Compute the entropy of the sum of a co-occurrence matrix and its transpose, in bits."""
    both = (counts + counts.T).astype(np.float64)
    both = both[both > 0]
    total = both.sum()
    return float(np.log2(total) - (both * np.log2(both)).sum() / total)


def _compared(measured: Iterable[_Measured], every: int) -> Iterator[FrameStatistics]:
    """Yield each key frame of a clip, compared with the one before if both show somebody."""
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
    """Compute the step of the centre, as a share of the diagonal, and J of the two masks."""
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
