"""Opens a video file and decodes its frames in presentation order, with one sentence per error."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from labeler.collect.sampling import SAMPLING_RATE
from labeler.errors import LabelerError
from labeler.threads import CORES

SMALLEST_SIDE = 64

_DECODERS = 4  # threads; each holds a frame, and many videos may be read at once

# By name, because libav also "reads" text and pictures, and playlists that open other files.
_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,dv,gif,ivf,yuv4mpegpipe,"
    "h264,hevc,m4v,mpegvideo,mjpeg,aac,flac,mp3,wav"
)


@dataclass(frozen=True)
class VideoFile:
    """An open video file and its stream of pictures."""

    path: Path
    container: InputContainer
    stream: av.VideoStream

    @property
    def rate(self) -> Fraction:
        """The frame rate that the file states, or one to use if frames carry no time."""
        return self.stream.average_rate or self.stream.guessed_rate or SAMPLING_RATE

    @property
    def length(self) -> Fraction | None:
        """The duration in seconds that the header states; None if it states none."""
        if self.stream.duration and self.stream.time_base:
            return self.stream.duration * self.stream.time_base
        if self.container.duration:
            return Fraction(self.container.duration, av.time_base)
        return None

    @property
    def promised_end(self) -> Fraction | None:
        """The time stamp at which the video should end; None if no header states it."""
        kind = set(self.container.format.name.split(","))
        if "avi" in kind:
            return self.stream.frames / self.rate
        if self.length is None or not kind & {"mp4", "matroska", "flv"}:
            return None
        start = self.stream.start_time if "mp4" in kind else 0  # the others count from zero
        return self.length + (start or 0) * (self.stream.time_base or 0)

    @property
    def pixel_shape(self) -> Fraction:
        """The width of a stored pixel, where its height is 1."""
        return Fraction(self.stream.sample_aspect_ratio or 1)

    def square_width(self, frame: av.VideoFrame) -> int:
        """Return the width of a frame's picture in square pixels, where its height is the same."""
        return max(1, int(frame.width * self.pixel_shape))  # FFmpeg's scale=iw*sar:ih, too

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield every frame in presentation order; refuse a file that is damaged or cut off."""
        # If only the container states a duration, it may be the duration of the sound.
        sound = () if self.stream.duration else self.container.streams.audio
        end = Fraction(0)
        begun = False
        try:
            for packet in self.container.demux(self.stream, *sound):
                stamp = packet.pts or packet.dts or 0
                end = max(end, (stamp + (packet.duration or 0)) * (packet.time_base or Fraction(0)))
                frames = []
                try:
                    if packet.stream is self.stream:
                        frames = self.stream.decode(packet)
                except FFmpegError:
                    if begun:  # else the recording starts between two key frames of the codec
                        raise
                for frame in frames:
                    if not frame.is_corrupt:
                        begun = True
                        yield frame
                    elif begun:
                        raise _damaged(self.path, "a frame is incomplete", end)
        except FFmpegError as error:
            raise _damaged(self.path, error.strerror, end) from error
        if not begun:
            raise _unreadable(self.path, "none of its frames is whole")
        promised = self.promised_end
        if promised is not None and promised - end > max(Fraction(1, 2), promised / 50):
            raise _damaged(self.path, f"cut off: it should last {float(promised):.1f}", end)

    def timed_frames(self) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        """Yield (seconds since the first frame, frame); the seconds always rise."""
        # AVI stores no presentation times: with B-frames, libav gives the times of decoding.
        numbered = self.container.format.name == "avi" and self.stream.codec_context.has_b_frames
        first, time = None, Fraction(0)
        for frame in self.frames():
            unit = None if numbered else frame.time_base
            stamp = None if frame.pts is None or unit is None else frame.pts * unit
            if first is None:
                first = stamp or Fraction(0)
            elif stamp is None or stamp - first <= time:
                time += 1 / self.rate
            else:
                time = stamp - first
            yield time, frame


@contextmanager
def open_video(path: Path) -> Iterator[VideoFile]:
    """Open a video file; refuse one that is missing, a folder, empty, no video or too small."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise LabelerError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    if path.is_dir():
        raise LabelerError(f"{path} is a folder; name the video files inside it.")
    if not path.is_file() or size == 0:
        raise LabelerError(f"{path} is empty; copy it again from where it was recorded.")
    try:
        # Absolute, because libav takes the text before a colon for a protocol.
        container = av.open(
            str(path.absolute()),
            container_options={"format_whitelist": _FORMATS},
            metadata_errors="replace",
        )
    except FFmpegError as error:
        reason = error.strerror if isinstance(error, OSError) else "not of a known format"
        raise _unreadable(path, reason) from error
    with container:
        if not container.streams:
            raise _unreadable(path, "its list of contents is missing")
        stream = container.streams.best("video")
        if not isinstance(stream, av.VideoStream) or stream.disposition & Disposition.attached_pic:
            raise LabelerError(f"{path} holds no moving picture; name a file with video in it.")
        codec = stream.codec_context
        if codec is None or not codec.width:
            raise _unreadable(path, "its codec is unknown")
        if min(codec.width, codec.height) < SMALLEST_SIDE:
            raise LabelerError(
                f"{path} is {codec.width}x{codec.height} pixels, less than {SMALLEST_SIDE} on a "
                "side; export it larger."
            )
        stream.thread_type = "AUTO"
        codec.thread_count = min(_DECODERS, CORES + 1)  # as libav chooses, but not more
        yield VideoFile(path, container, stream)


def _unreadable(path: Path, reason: str | None) -> LabelerError:
    return LabelerError(
        f"{path} cannot be read as a video ({reason}): it is damaged, cut off or something else; "
        "copy it again, or export it as MP4."
    )


def _damaged(path: Path, what: str | None, time: Fraction) -> LabelerError:
    return LabelerError(
        f"{path} is damaged after {float(time):.1f} seconds ({what}); copy it again, or "
        f"run `ffmpeg -fflags +discardcorrupt -i {shlex.quote(str(path))} -crf 16 out.mp4` "
        "and add out.mp4."
    )
