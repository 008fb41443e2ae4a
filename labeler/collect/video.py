"""Reads a video: its frames in order, as a screen shows them, sampled at the rate of MVPS."""

import math
import shlex
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter
from cv2.typing import MatLike

from labeler.clip import Image, encode_jpeg, frame_name
from labeler.collect.sampling import SAMPLING_RATE, thin
from labeler.collect.video_file import VideoFile, open_video
from labeler.collect.video_filters import HDR, Filters, Squarer, ToneMapper, deinterlaced
from labeler.errors import LabelerError

_JPEG_THREADS = 2  # encoding 720p takes longer than decoding it


@dataclass(frozen=True)
class VideoInfo:
    """The properties of a video: its upright size in pixels, and its rate in frames a second.

    `frame_estimate` is the expected number of sampled frames; None if the duration is unknown.
    `remarks` has a sentence for each way in which its pictures are converted.
    """

    width: int
    height: int
    rate: Fraction
    frame_estimate: int | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class SampledFrame:
    """A sampled frame: its 0-based index in the source, seconds since the first, picture.

    `remarks` has a sentence for each way in which the video's pictures were converted so far.
    """

    source_index: int
    time: Fraction
    image: Image
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtractedVideo:
    """The result of `extract_frames`: number of frames, their true rate, their size in pixels.

    `remarks` are as in `VideoInfo`.
    """

    frame_count: int
    fps: Fraction
    width: int
    height: int
    remarks: tuple[str, ...] = ()


def probe_video(path: Path) -> VideoInfo:
    """Read a video's header and first frame.

    Raises:
        LabelerError: the file is missing, a folder, not a video, or under 64 pixels on a side.
    """
    with open_video(path) as video:
        first = next(video.frames())
        height, width = _Pictures(video, first).picture(first).shape[:2]
        length, rate = video.length, video.rate
        remarks = _remarks(video, first)
    estimate = None if length is None else max(1, math.ceil(length * min(rate, SAMPLING_RATE)))
    return VideoInfo(width, height, rate, estimate, remarks)


def sample_frames(path: Path, rate: Fraction = SAMPLING_RATE) -> Iterator[SampledFrame]:
    """Yield a video's frames at `rate`, as `thin` chooses; memory does not grow with the length.

    Raises:
        LabelerError: the file cannot be read, or turns out to be damaged or cut off.
    """
    with open_video(path) as video:
        yield from _sample(video, rate)


def extract_frames(
    path: Path,
    folder: Path,
    progress: Callable[[int], None] | None = None,
    look: Callable[[Image], None] | None = None,
) -> ExtractedVideo:
    """Write a video's frames at 30 a second as `folder/00000.jpg`, ..., at JPEG quality 95.

    `folder` must exist; the caller removes it if this raises. `progress` is called with the number
    of frames so far, `look` with each frame, in order. The resulting `fps` is 30 if a faster source
    was thinned. Otherwise it is the rate that the source states, or the measured rate if the two
    differ by more than 1 %.

    Raises:
        LabelerError: as for `sample_frames`; or a frame could not be written.
    """
    waiting: deque[Future[None]] = deque()
    # However this ends, leaving the pool waits for the few frames still being written.
    with open_video(path) as video, ThreadPoolExecutor(_JPEG_THREADS, "jpeg") as pool:
        for count, frame in enumerate(_sample(video, SAMPLING_RATE), start=1):
            target = folder / f"{frame_name(count - 1)}.jpg"
            waiting.append(pool.submit(_write_jpeg, target, frame.image))
            if look is not None:
                look(frame.image)
            if len(waiting) > 2 * _JPEG_THREADS:
                waiting.popleft().result()
            if progress is not None:
                progress(count)
        for written in waiting:
            written.result()
        height, width = frame.image.shape[:2]
        rate = _true_rate(count, frame, video.rate)
        return ExtractedVideo(count, rate, width, height, frame.remarks)


def _write_jpeg(target: Path, image: Image) -> None:
    try:
        target.write_bytes(encode_jpeg(image))
    except OSError as error:
        raise LabelerError(
            f"{target} cannot be written ({error.strerror}); make room and add the video again."
        ) from error


def _true_rate(count: int, last: SampledFrame, stated: Fraction) -> Fraction:
    """Compute the rate of `count` frames up to `last`, from a source of `stated` rate."""
    if count == 1:
        return min(stated, SAMPLING_RATE)
    one_a_tick = abs(last.time * SAMPLING_RATE - (count - 1)) <= max(1, count / 100)
    if one_a_tick and last.source_index >= count:
        return SAMPLING_RATE
    measured = (count - 1) / last.time
    return stated if abs(measured - stated) <= stated / 100 else measured.limit_denominator(1001)


def _sample(video: VideoFile, rate: Fraction) -> Iterator[SampledFrame]:
    """Yield the frames of `video` that `thin` keeps; only these are turned into pictures."""
    pictures = size = None
    remarks: dict[str, None] = {}  # in order, each once

    def heard() -> Iterator[tuple[Fraction, av.VideoFrame]]:
        for time, frame in video.timed_frames():
            remarks.update(dict.fromkeys(_remarks(video, frame)))
            yield time, frame

    numbered = ((time, (n, frame)) for n, (time, frame) in enumerate(deinterlaced(heard())))
    for time, (index, frame) in thin(numbered, rate):
        pictures = pictures or _Pictures(video, frame)
        image = pictures.picture(frame)
        size = size or image.shape
        if image.shape != size:
            raise LabelerError(
                f"{video.path} changes its size to {image.shape[1]}x{image.shape[0]}; run "
                f"`ffmpeg -i {shlex.quote(str(video.path))} -s {size[1]}x{size[0]} out.mp4` and "
                "add out.mp4."
            )
        yield SampledFrame(index, time, image, tuple(remarks))


def _remarks(video: VideoFile, frame: av.VideoFrame) -> tuple[str, ...]:
    """Say how a frame is converted: a sentence for each way, none for most videos."""
    remarks = []
    if frame.interlaced_frame:
        remarks.append("it is interlaced; both fields become one picture (FFmpeg's bwdif)")
    if name := HDR.get(int(frame.color_trc)):
        remarks.append(f"its colours are HDR ({name}); they become SDR (FFmpeg's tonemap=hable)")
    if (shape := video.pixel_shape) != 1:
        remarks.append(
            f"its pixels are not square ({shape.numerator}:{shape.denominator}); its pictures of "
            f"{frame.width}x{frame.height} become {video.square_width(frame)}x{frame.height}"
        )
    return tuple(remarks)


class _Pictures:
    """Turns a video's frames into BGR pictures as a screen shows them.

    They are upright, as the first frame's matrix says, in SDR, and their pixels are square.
    """

    def __init__(self, video: VideoFile, first: av.VideoFrame) -> None:
        # Read once: PyAV puts a frame whose side data is read into a reference cycle, so that it
        # stays in memory. PyAV's stub declares another key only; its `rotation` ignores mirroring.
        matrix = cast(Mapping[Type, bytes], first.side_data).get(Type.DISPLAYMATRIX)
        turned = [1, 0, 0, 0, 1] if matrix is None else list(np.frombuffer(matrix, np.int32))
        a, b, _, c, d = turned[:5]  # (x, y) goes to (a x + c y, b x + d y)
        self._transposed = abs(b) > abs(a)
        if self._transposed:
            a, d = c, b
        self._mirrored, self._upside_down = a < 0, d < 0
        self._reformatter = VideoReformatter()
        self._tones = ToneMapper(self._turn()) if int(first.color_trc) in HDR else None
        size = (video.square_width(first), first.height)
        if self._tones is not None and self._transposed:
            size = size[::-1]
        self._squarer = Squarer(*size) if video.pixel_shape != 1 else None

    def picture(self, frame: av.VideoFrame) -> Image:
        if self._tones is not None:
            frame = self._tones.map(frame)
        if self._squarer is not None:
            frame = self._squarer.resample(frame)
        image: MatLike = self._reformatter.reformat(frame, format="bgr24").to_ndarray()
        if self._tones is None:
            if self._transposed:
                image = cv2.transpose(image)
            if self._mirrored:
                image = cv2.flip(image, 1)
            if self._upside_down:
                image = cv2.flip(image, 0)
        return np.asarray(image, dtype=np.uint8)

    def _turn(self) -> Filters:
        """Return the filters that make a frame upright."""
        wanted = {
            "transpose": self._transposed,
            "hflip": self._mirrored,
            "vflip": self._upside_down,
        }
        return [(name, {}) for name, needed in wanted.items() if needed]
