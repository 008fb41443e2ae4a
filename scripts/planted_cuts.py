"""How well camera cuts are found: in real clips without cuts, and at cuts planted into them.

    python scripts/planted_cuts.py ../shared/data

The folder holds clips of one shot each: video/JPEGImages/480p/<clip>/*.jpg, and clips/*.mp4. The
people of the first, cut out by Annotations, are also put before screens of one colour. If there are
portraits/clips/*.mp4, the cuts that are found in them are listed, to be looked at.
"""

import argparse
import io
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from labeler.clip import Image, read_image
from labeler.collect.cuts import CutFinder
from labeler.collect.video import probe_video, sample_frames

SIZE = (192, 108)
RATE = 24
SCREENS = {"green": (0, 255, 0), "blue": (255, 0, 0), "red": (0, 0, 255)}
Finder = Callable[[Sequence[Image]], Sequence[int]]


def main() -> None:
    """Print how many of the planted cuts each finder finds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    clips = read_clips(parser.parse_args().data)
    finders: dict[str, Finder] = {
        "ours": ours,
        "AdaptiveDetector()": lambda pictures: theirs(AdaptiveDetector(), pictures),
        "ContentDetector()": lambda pictures: theirs(ContentDetector(), pictures),
    }
    table = Table("planted", "of", *finders, box=None, header_style="bold")
    for name, trials in planted(clips).items():
        counts = [
            sum(hit(find(p), at, reach) for p, at, reach in trials) for find in finders.values()
        ]
        table.add_row(name, str(len(trials)), *map(str, counts))
    for name, shots in one_shots(parser.parse_args().data, clips).items():
        false = [sum(len(find(shot)) for shot in shots) for find in finders.values()]
        table.add_row(f"cuts in {len(shots)} {name}", "0", *map(str, false))
    Console().print(table)
    for path in sorted((parser.parse_args().data / "portraits" / "clips").glob("*.mp4")):
        finder = CutFinder(probe_video(path).rate)
        for frame in sample_frames(path):
            finder.see(frame.image)
        if cuts := finder.cuts():
            print(f"{path.stem}: {len(cuts)} cuts at frames {', '.join(map(str, cuts))}")


def read_clips(data: Path) -> dict[str, list[Image]]:
    """Every clip's frames, small."""
    clips = {
        folder.name: [small(read_image(path)) for path in sorted(folder.glob("*.jpg"))]
        for folder in sorted((data / "video" / "JPEGImages" / "480p").iterdir())
    }
    for path in sorted((data / "clips").glob("*.mp4")):
        clips[path.stem] = [small(frame.image) for frame in sample_frames(path)]
    return clips


def small(image: Image) -> Image:
    """Resize a picture to the size that all finders get."""
    return np.asarray(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def one_shots(data: Path, clips: dict[str, list[Image]]) -> dict[str, list[list[Image]]]:
    """Make clips without a cut, by kind."""
    kinds = {"clips themselves": list(clips.values())}
    for name, colour in SCREENS.items():
        kinds[f"clips before a {name} screen"] = [
            before_screen(folder, data, colour)
            for folder in sorted((data / "video" / "JPEGImages" / "480p").iterdir())
        ]
    for codec in ("libvpx", "libvpx-vp9"):
        kinds[f"clips by {codec} in real time"] = [
            encoded(folder, codec)
            for folder in sorted((data / "video" / "JPEGImages" / "480p").iterdir())
        ]
    return kinds


def before_screen(folder: Path, data: Path, colour: tuple[int, int, int]) -> list[Image]:
    """Put the people of a clip before a screen of one colour."""
    masks = data / "video" / "Annotations" / "480p" / folder.name
    pictures = []
    for path in sorted(folder.glob("*.jpg")):
        image = read_image(path)
        mask = cv2.imread(str(masks / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        if mask is not None:
            image[mask == 0] = colour
            pictures.append(small(image))
    return pictures


def encoded(folder: Path, codec: str) -> list[Image]:
    """Encode a clip as a video call does, in few bits and in real time, and decode it again."""
    video = io.BytesIO()
    with av.open(video, "w", format="webm") as container:
        options = {"deadline": "realtime", "cpu-used": "8", "g": "60"}
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.bit_rate = 100_000
        for path in sorted(folder.glob("*.jpg")):
            picture = cv2.resize(read_image(path), (640, 360), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    video.seek(0)
    with av.open(video) as container:
        frames = (frame.to_ndarray(format="bgr24") for frame in container.decode(video=0))
        return [small(frame) for frame in frames]


Trial = tuple[list[Image], float, float]
"""Pictures, the frame of the cut (-1 for a flash, which is no cut), and the tolerance in frames."""


def planted(clips: dict[str, list[Image]]) -> dict[str, list[Trial]]:
    """Make the trials: sequences with a planted cut or flash, by kind."""
    random = np.random.default_rng(1)

    def part(name: str, length: int = 30) -> list[Image]:
        start = int(random.integers(0, len(clips[name]) - length + 1))
        return clips[name][start : start + length]

    trials: dict[str, list[Trial]] = {}
    for length in (0, 2, 6, 12, 20, 30):
        kind = f"dissolves of {length} frames" if length else "hard cuts between clips"
        trials[kind] = [
            (dissolve(part(a), part(b), length), 30 - length / 2, 3 + length / 2)
            for a, b in itertools.permutations(clips, 2)
        ]
    for skipped in (12, 24, 48, 96, 240):
        trials[f"{skipped} frames cut out"] = [
            (pictures[at - 16 : at] + pictures[at + skipped : at + skipped + 16], 16, 1)
            for pictures in clips.values()
            if len(pictures) >= skipped + 34
            for at in np.linspace(16, len(pictures) - skipped - 17, 8).astype(int)
        ]
    for length in (1, 2, 4):
        trials[f"flashes of {length} frames, taken for a cut"] = [
            (flash(part(name, 35), length, gain), -1, 0)
            for name in clips
            for gain in (60, 120, 200)
        ]
    return trials


def dissolve(one: list[Image], other: list[Image], length: int) -> list[Image]:
    """Join two sequences; the end of the first fades into the beginning of the second."""
    weights = [(n + 0.5) / length for n in range(length)]
    faded = zip(one[len(one) - length :], other[:length], weights, strict=True)
    mixed = [np.uint8((1 - weight) * a + weight * b) for a, b, weight in faded]
    return [*one[: len(one) - length], *mixed, *other[length:]]


def flash(pictures: list[Image], length: int, gain: int) -> list[Image]:
    """Make some of the pictures brighter, as a flash does."""
    light = (gain, gain, gain, 0)
    return [
        np.asarray(cv2.add(picture, light), np.uint8) if 15 <= n < 15 + length else picture
        for n, picture in enumerate(pictures)
    ]


def hit(found: Sequence[int], place: float, reach: float) -> bool:
    """Whether a planted cut was found, or a flash was taken for one."""
    return bool(found) if place < 0 else any(abs(cut - place) <= reach for cut in found)


def ours(pictures: Sequence[Image]) -> Sequence[int]:
    """Find cuts with this tool."""
    finder = CutFinder(Fraction(RATE))
    for picture in pictures:
        finder.see(picture)
    return finder.cuts()


def theirs(detector: AdaptiveDetector | ContentDetector, pictures: Sequence[Image]) -> list[int]:
    """Find cuts with PySceneDetect at its own thresholds."""
    return [
        cut.frame_num
        for number, picture in enumerate(pictures)
        for cut in detector.process_frame(FrameTimecode(number, Fraction(RATE)), picture)
    ]


if __name__ == "__main__":
    main()
