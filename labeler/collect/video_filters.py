"""Converts frames by FFmpeg's filters: fields to pictures, HDR to SDR, pixels to square ones."""

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

_PQ, _HLG = 16, 18  # transfer characteristics, as ITU-T H.273 numbers them
HDR = {_PQ: "PQ", _HLG: "HLG"}
"""The names of the transfer characteristics of HDR, by their numbers in H.273."""

_BT709, _BT2020, _P3 = 1, 9, 12  # primaries in H.273
_BT2020_MATRIX, _UNKNOWN = 9, 2

# Linear light with these primaries to that with BT.709's; rows give red, green, blue.
_TO_BT709 = {
    _BT2020: (
        (1.660491, -0.587641, -0.072850),
        (-0.124550, 1.132900, -0.008349),
        (-0.018151, -0.100579, 1.118730),
    ),
    _P3: (
        (1.224940, -0.224940, 0.0),
        (-0.042057, 1.042057, 0.0),
        (-0.019638, -0.078636, 1.098274),
    ),
    _BT709: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}

_WHITE = 100  # cd/m2 of SDR's white
_GAMMA = 2.4  # of an SDR screen (BT.1886)


Filters = Sequence[tuple[str, dict[str, str]]]
"""Filters by name, in order, each with its options."""


def deinterlaced(
    frames: Iterable[tuple[Fraction, av.VideoFrame]],
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Yield each (seconds, frame) with both fields made one picture, where a frame has fields.

    FFmpeg's `bwdif` does this. Frames that are not interlaced are the same as before.
    """
    graph: _Chain | None = None
    times: deque[Fraction] = deque()
    for time, frame in frames:
        if graph is not None and not graph.takes(frame):
            yield from zip(tuple(times), graph.flush(), strict=True)
            times.clear()
            graph = None
        if graph is None and not frame.interlaced_frame:
            yield time, frame
            continue
        graph = graph or _Chain(frame, [("bwdif", {"mode": "send_frame", "deint": "interlaced"})])
        times.append(time)
        for made in graph.push(frame):
            yield times.popleft(), made
    if graph is not None:
        yield from zip(times, graph.flush(), strict=True)


class Squarer:
    """Resamples frames whose pixels are not square, as FFmpeg's `scale=iw*sar:ih` does."""

    def __init__(self, width: int, height: int) -> None:
        """Make pictures of `width` x `height` pixels."""
        self._size = {"w": str(width), "h": str(height)}
        self._chain: _Chain | None = None

    def resample(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame with square pixels, in the format bgr24."""
        if self._chain is None or not self._chain.takes(frame):
            scale = self._size | {"flags": "bicubic"}
            self._chain = _Chain(frame, [("scale", scale), ("format", {"pix_fmts": "bgr24"})])
        (square,) = self._chain.push(frame)
        return square


class ToneMapper:
    """Maps HDR frames to SDR (BT.709, 8 bits), as FFmpeg does with `zscale` and `tonemap`.

    PyAV's FFmpeg has no `zscale`, so its parts are other filters: `lut1d` makes the light linear,
    `colorchannelmixer` changes the primaries, and `lut1d` makes the picture of a screen. Between
    them, `tonemap=hable:desat=0` maps the light, up to the peak that the video states or 1000
    cd/m2.
    """

    def __init__(self, turn: Filters) -> None:
        """Map frames and turn them, first of all, as FFmpeg does."""
        self._turn = turn
        self._chain: _Chain | None = None

    def map(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame in SDR."""
        if self._chain is None or not self._chain.takes(frame):
            with tempfile.TemporaryDirectory(prefix="mvps-") as folder:
                self._chain = _Chain(frame, [*self._turn, *_tone_mapping(frame, Path(folder))])
        (mapped,) = self._chain.push(frame)
        return mapped


class _Chain:
    """FFmpeg's filters, one after the other, for frames that are like the first."""

    def __init__(self, first: av.VideoFrame, filters: Filters) -> None:
        self._kind = _kind(first)
        matrix = first.colorspace
        if first.color_trc in HDR and matrix == _UNKNOWN:
            matrix = _BT2020_MATRIX
        self._graph = Graph()
        source = {
            "video_size": f"{first.width}x{first.height}",
            "pix_fmt": first.format.name,
            "time_base": str(first.time_base or Fraction(1, 90000)),
            "colorspace": str(int(matrix)),
            "range": str(int(first.color_range)),
        }
        nodes = [("buffer", source), *filters, ("buffersink", {})]
        self._graph.link_nodes(*(self._graph.add(name, **options) for name, options in nodes))
        self._graph.configure()

    def takes(self, frame: av.VideoFrame) -> bool:
        """Tell whether a frame is like the first in all that the filters must know."""
        return _kind(frame) == self._kind

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Put a frame in, and yield those that come out."""
        self._graph.vpush(frame)
        return self._pull()

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield the frames that are still in the filters; nothing can be put in any more."""
        self._graph.vpush(None)
        return self._pull()

    def _pull(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _kind(frame: av.VideoFrame) -> tuple[int | str, ...]:
    size = (frame.width, frame.height, frame.format.name)
    return (*size, int(frame.colorspace), int(frame.color_range), int(frame.color_trc))


def _tone_mapping(frame: av.VideoFrame, folder: Path) -> Filters:
    """Choose the filters for frames like this one; tables of light are written to `folder`."""
    code = np.linspace(0, 1, 4096)
    light = _pq_light(code) if frame.color_trc == _PQ else _hlg_light(code)
    screen = np.linspace(0, 1, 1 << 16) ** (1 / _GAMMA)
    mixed = _TO_BT709.get(int(frame.color_primaries), _TO_BT709[_BT2020])
    weights = {
        f"{to}{of}": str(weight)
        for to, row in zip("rgb", mixed, strict=True)
        for of, weight in zip("rgb", row, strict=True)
    }
    precise = "bilinear+accurate_rnd+full_chroma_int"
    bt709 = {"out_color_matrix": "bt709", "out_range": "tv"}
    return [
        ("scale", {"in_chroma_loc": "left", "flags": precise}),
        ("format", {"pix_fmts": "gbrpf32le"}),
        ("lut1d", {"file": _write_table(folder / "light.cube", light), "interp": "linear"}),
        ("colorchannelmixer", weights),
        # Without it, `tonemap` takes a PQ video that states no peak for one of 10,000 cd/m2.
        ("setparams", {"color_trc": "linear", "color_primaries": "bt709"}),
        ("tonemap", {"tonemap": "hable", "desat": "0"}),
        ("lut1d", {"file": _write_table(folder / "screen.cube", screen), "interp": "linear"}),
        ("setparams", {"color_trc": "bt709"}),
        ("scale", bt709 | {"out_chroma_loc": "left", "flags": precise}),
        ("format", {"pix_fmts": "yuv420p"}),
    ]


def _pq_light(code: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compute the light, in units of SDR's white, of PQ's values 0 to 1 (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    power = code ** (1 / m2)
    light: NDArray[np.floating] = np.maximum(power - c1, 0) / (c2 - c3 * power)
    return light ** (1 / m1) * (10000 / _WHITE)


def _hlg_light(code: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compute the light, in units of SDR's white, of HLG's values 0 to 1 on a 1000 cd/m2 screen.

    The system gamma of 1.2 is applied to each colour by itself, as `zscale` does.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    light: NDArray[np.floating] = scene**1.2 * (1000 / _WHITE)
    return light


def _write_table(path: Path, values: NDArray[np.floating]) -> str:
    """Write a table that `lut1d` reads, the same for each colour; return its path."""
    lines = "\n".join(f"{value:.9g} {value:.9g} {value:.9g}" for value in values)
    path.write_text(f"LUT_1D_SIZE {len(values)}\n{lines}\n")
    return str(path)
