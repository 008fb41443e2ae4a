"""Small videos whose frames say, in blocks of white and black, which frame they are.

A picture is 4 x 4 cells. The corners say which way up it is (blue, green, red and black, from the
top left in reading order), the twelve other cells are the bits of its number.
"""

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from labeler.clip import Image
from labeler.collect.video import sample_frames

RATE = Fraction(30)
_CORNERS = {0: (255, 0, 0), 3: (0, 255, 0), 12: (0, 0, 255), 15: (0, 0, 0)}
_BITS = [cell for cell in range(16) if cell not in _CORNERS]


def draw(number: int, size: tuple[int, int] = (128, 96)) -> Image:
    cells = np.zeros((16, 3), np.uint8)
    for cell, colour in _CORNERS.items():
        cells[cell] = colour
    for bit, cell in enumerate(_BITS):
        cells[cell] = 255 * (number >> bit & 1)
    picture = cv2.resize(cells.reshape(4, 4, 3), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(picture, dtype=np.uint8)


def read(image: Image) -> int:
    """The number of the frame that `image` shows; it must be upright."""
    height, width = image.shape[:2]
    ys, xs = [[int((n + 0.5) * side / 4) for n in range(4)] for side in (height, width)]
    cells = image[np.ix_(ys, xs)].reshape(16, 3).astype(int)
    for cell, colour in _CORNERS.items():
        assert np.abs(cells[cell] - colour).max() < 80, f"corner {cell} is {cells[cell]}"
    return sum(1 << bit for bit, cell in enumerate(_BITS) if cells[cell].mean() > 128)


def write_video(
    path: Path,
    count: int = 24,
    *,
    rate: Fraction | int = 24,
    times: Sequence[Fraction] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    size: tuple[int, int] = (128, 96),
    stored: Callable[[Image], Image] = lambda picture: picture,
    b_frames: int = 0,
    sound: float = 0,
    noise: int = 0,
    **options: str,
) -> Path:
    """Write frames 0, 1, ..., at `rate` or at `times` (seconds), and `sound` seconds of silence.

    `stored` turns each upright picture of `size` into the one that is stored. `noise` makes the
    frames take up more bytes. `options` go to the container.
    """
    random = np.random.default_rng(0)
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = pixels
        stream.height, stream.width = stored(draw(0, size)).shape[:2]
        stream.codec_context.gop_size = 12
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.time_base = Fraction(1, 90000) if times else 1 / Fraction(rate)
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "bf": str(b_frames)}
        audio = container.add_stream("aac", rate=48000) if sound else None
        for number in range(count):
            grain = random.integers(0, noise + 1, (size[1], size[0], 3), dtype=np.uint8)
            picture = np.ascontiguousarray(stored(cv2.add(draw(number, size), grain)))
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format=pixels)
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(times[number] * 90000) if times else number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio is not None:
            assert isinstance(audio, av.AudioStream)
            for packets in _silence(audio, sound):
                container.mux(packets)
    return path


def write_sound(path: Path, seconds: float = 1) -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=48000)
        assert isinstance(stream, av.AudioStream)
        for packets in _silence(stream, seconds):
            container.mux(packets)
    return path


def _silence(stream: av.AudioStream, seconds: float) -> Iterable[list[av.Packet]]:
    for number in range(int(seconds * 48000 / 1024)):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
        )
        frame.sample_rate = 48000
        frame.pts = number * 1024
        yield stream.encode(frame)
    yield stream.encode()


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Have an MP4 file shown with (x, y) at (a x + c y, b x + d y), as phones write it."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    assert struct.unpack_from(">9i", data, place) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    one = 1 << 16
    struct.pack_into(">9i", data, place, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def set_edit(path: Path, start: Fraction, seconds: Fraction) -> None:
    """Have an MP4 file shown only from `start`, and for `seconds`, by its edit list."""
    data = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    place = data.index(b"elst") + 12
    first = struct.unpack_from(">i", data, place + 4)[0]
    struct.pack_into(">Ii", data, place, int(seconds * 1000), first + int(start * scale))
    path.write_bytes(data)


def every(rate: Fraction | int, number: int) -> list[Fraction]:
    return [n / Fraction(rate) for n in range(number)]


def in_milliseconds(times: Iterable[Fraction]) -> list[Fraction]:
    """As Matroska stores them."""
    return [Fraction(round(time * 1000), 1000) for time in times]


def nearest(times: Sequence[Fraction]) -> list[int]:
    """The item nearest to each tick that comes before the last item is over."""
    best: dict[int, int] = {}
    for n, time in enumerate(times):
        tick = math.ceil(time * RATE - Fraction(1, 2))
        if tick not in best or abs(time * RATE - tick) < abs(times[best[tick]] * RATE - tick):
            best[tick] = n
    if len(times) > 1:
        end = (2 * times[-1] - times[-2]) * RATE - Fraction(1, 20)
        best = {tick: n for tick, n in best.items() if tick < end}
    return list(best.values())


def numbers(path: Path, rate: Fraction = RATE) -> list[int]:
    """What the frames that sampling gives show, having checked that they are where they say."""
    frames = list(sample_frames(path, rate))
    shown = [read(frame.image) for frame in frames]
    assert shown == [frame.source_index for frame in frames]
    assert frames[0].time == 0
    return shown
