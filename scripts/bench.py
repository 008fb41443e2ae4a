"""Speed and memory, as a table and as JSON.

    python scripts/bench.py [SECTION ...] [--json FILE] [--video FILE]

Machines differ and are noisy, so what is compared is measured in turns within one run, and each
figure is the median of the rounds. Without `--video`, a 1080p clip is generated.
"""

import argparse
import itertools
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from figures import Figure, in_turns, show
from skimage import morphology

from labeler.clip import JPEG_QUALITY, KEY_FRAME_STRIDE, Image, frame_name
from labeler.collect.cuts import CutFinder
from labeler.collect.sampling import SAMPLING_RATE
from labeler.collect.video import extract_frames
from labeler.layouts.brush import decode_brush, encode_brush
from labeler.mask import Mask
from labeler.metrics import boundary, boundary_measure, boundary_radius
from labeler.reference import ReferenceBook
from model.drivers.colours import bins_of, colours_of, sharpened
from model.engine import Use, first_engine
from model.segmenter import Segmenter


def main() -> None:
    """Measure what was asked for, print it, and write it as JSON."""
    sections = {
        "video": video_figures,
        "metrics": metrics_figures,
        "brush": brush_figures,
        "network": network_figures,
        "colours": colours_figures,
        "memory": memory_figures,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = [*sections]
    parser.add_argument(
        "sections", nargs="*", metavar="|".join(every), choices=[*every, every], default=every
    )
    parser.add_argument("--video", type=Path, help="a video to decode instead of the generated one")
    parser.add_argument("--json", type=Path, default=Path("runs/bench.json"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = Path(folder)
        for section in arguments.sections:
            figures += sections[section](arguments)
    show(figures, arguments.json)


# Video


def video_figures(arguments: argparse.Namespace) -> list[Figure]:
    """Decode, sample, look for cuts and write, against decoding alone and writing alone."""
    path = arguments.video or made_video(arguments.folder / "made.mp4", seconds=4)
    target = arguments.folder / "frames"
    target.mkdir()
    images = decoded(path)
    median = in_turns(
        arguments.rounds,
        extract=lambda: extract_frames(path, target, look=CutFinder(SAMPLING_RATE).see),
        look=lambda: seen(images),
        decode=lambda: decoded(path, keep=0),
        write=lambda: written(images, target),
    )
    section = f"video {images[0].shape[1]}x{images[0].shape[0]}"
    larger = max(median["decode"], median["write"])
    return [
        Figure(
            section, "decode + sample + cuts + write", len(images) / median["extract"], "frames/s"
        ),
        Figure(section, "PyAV decoding alone", len(images) / median["decode"], "frames/s"),
        Figure(section, "cv2 JPEG writing alone", len(images) / median["write"], "frames/s"),
        Figure(section, "looking for cuts alone", 1000 * median["look"] / len(images), "ms/frame"),
        Figure(section, "time over the larger of the two", median["extract"] / larger, "", 1.3),
    ]


def decoded(path: Path, keep: int = 240) -> list[Image]:
    """Decode a whole video to BGR, and keep the first pictures."""
    kept = []
    with av.open(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="bgr24")
            if len(kept) < keep:
                kept.append(image)
    return kept


def seen(images: list[Image]) -> None:
    """Look for cuts."""
    finder = CutFinder(SAMPLING_RATE)
    for image in images:
        finder.see(image)


def written(images: list[Image], folder: Path) -> None:
    """Write pictures as JPEG."""
    for index, image in enumerate(images):
        path = folder / f"{frame_name(index)}.jpg"
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def made_video(path: Path, seconds: int, repeats: int = 1) -> Path:
    """Write 1080p at 30 FPS with texture that moves; repeats copy packets and cost no encoding."""
    rate, size = 30, (1920, 1080)
    texture = np.random.default_rng(0).integers(0, 256, (68, 120, 3), np.uint8)
    still = cv2.resize(texture, size, interpolation=cv2.INTER_CUBIC)
    once = path if repeats == 1 else path.with_name("once.mp4")
    with av.open(once, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.max_b_frames = 0
        for index in range(seconds * rate):
            image = np.roll(still, (2 * index, 5 * index), axis=(0, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    if repeats > 1:
        with av.open(path, "w") as container:
            copy = None
            for repeat in range(repeats):
                with av.open(once) as source:
                    video = source.streams.video[0]
                    copy = copy or container.add_stream_from_template(video)
                    shift = int(repeat * seconds / video.time_base)
                    for packet in source.demux(video):
                        if packet.dts is not None:
                            packet.dts += shift
                            packet.pts += shift
                            packet.stream = copy
                            container.mux(packet)
    return path


# Metrics


def metrics_figures(arguments: argparse.Namespace) -> list[Figure]:
    """F of a pair of masks at 854 x 480, against dilating by scikit-image's disk as DAVIS does."""
    truth, prediction = person(0.0), person(9.0)
    radius = boundary_radius(truth.shape)
    scores = boundary_measure(prediction, truth), disk_boundary_measure(prediction, truth, radius)
    if scores[0] != scores[1]:
        raise RuntimeError(f"F is {scores[0]}, but by scikit-image {scores[1]}")
    repeats = 20
    median = in_turns(
        arguments.rounds,
        ours=lambda: [boundary_measure(prediction, truth) for _ in range(repeats)],
        disk=lambda: disk_boundary_measure(prediction, truth, radius),
    )
    ours = median["ours"] / repeats
    return [
        Figure("metrics 854x480", f"F, radius {radius}", 1000 * ours, "ms"),
        Figure("metrics 854x480", "F by scikit-image's disk", 1000 * median["disk"], "ms"),
        Figure("metrics 854x480", "time over scikit-image's", ours / median["disk"], "", 1 / 50),
    ]


def person(shift: float) -> Mask:
    """A head and a body at 854 x 480, moved to the right by some pixels."""
    y, x = np.mgrid[:480, :854]
    head = np.hypot(x - 430 - shift, 1.2 * (y - 130)) < 60
    edge = 110 + 12 * np.sin(y / 11 + shift)
    return np.asarray(head | ((np.abs(x - 430 - shift) < edge) & (y > 190)), bool)


def disk_boundary_measure(prediction: Mask, truth: Mask, radius: int) -> float:
    """F of two masks by dilation with a disk; their boundaries must come within its radius."""
    disk = morphology.disk(radius)
    predicted, true = boundary(prediction), boundary(truth)
    precision = (predicted & morphology.dilation(true, disk)).sum() / predicted.sum()
    recall = (true & morphology.dilation(predicted, disk)).sum() / true.sum()
    return float(2 * precision * recall / (precision + recall))


# Brush


def brush_figures(arguments: argparse.Namespace) -> list[Figure]:
    """Label Studio's code of 1080p masks, one with a smooth rim and one with a noisy rim."""
    smooth = cv2.resize(person(0.0).astype(np.float32), (1920, 1080)) > 0.5
    rim = cv2.morphologyEx(np.uint8(smooth), cv2.MORPH_GRADIENT, np.ones((25, 25), np.uint8)) > 0
    noise = np.random.default_rng(0).random(smooth.shape) < 0.5
    figures = brush_figures_of("smooth", smooth, arguments.rounds)
    return figures + brush_figures_of("noisy", smooth ^ (rim & noise), arguments.rounds)


def brush_figures_of(name: str, mask: Mask, rounds: int) -> list[Figure]:
    """Encode and decode one mask, against label-studio-sdk's codec."""
    from label_studio_sdk.converter.brush import decode_rle, mask2rle  # takes seconds

    values = np.where(mask, 255, 0).astype(np.uint8)
    rle = mask2rle(values)
    if encode_brush(mask) != rle or (decode_brush(rle, *mask.shape) != mask).any():
        raise RuntimeError(f"the {name} mask has another code by label-studio-sdk")
    repeats = 20
    median = in_turns(
        rounds,
        encode=lambda: [encode_brush(mask) for _ in range(repeats)],
        sdk_encode=lambda: mask2rle(values),
        decode=lambda: [decode_brush(rle, *mask.shape) for _ in range(repeats)],
        sdk_decode=lambda: decode_rle(rle),
    )
    figures, section = [], f"brush 1920x1080, {name}"
    for way in ("encode", "decode"):
        ours, sdk = median[way] / repeats, median[f"sdk_{way}"]
        figures += [
            Figure(section, way, 1000 * ours, "ms"),
            Figure(section, f"{way} by label-studio-sdk", 1000 * sdk, "ms"),
            Figure(section, f"{way}, time over the SDK's", ours / sdk, "", 1 / 25),
        ]
    return figures


# Network


class Noise:
    """A clip of 720p noise, generated before the timing; each clip has its own key."""

    images = np.random.default_rng(0).integers(0, 256, (9, 720, 1280, 3), np.uint8)
    numbers = itertools.count()

    def __init__(self) -> None:
        self.key = f"noise {next(self.numbers)}"
        self.key_frames = range(0, len(self.images), KEY_FRAME_STRIDE)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Image:
        return self.images[index]


def network_figures(arguments: argparse.Namespace) -> list[Figure]:
    """Milliseconds per key frame, with the reference's features kept and computed each time."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch = 8 if device.type == "cuda" else 1
    book, targets = ReferenceBook(), range(1, 9)
    figures = []
    engine = first_engine()
    for name, configuration in engine.sizes.items():
        use = Use("bench", device, 480, engine.options(), batch)
        segmenter = engine.segmenter(engine.network(configuration), use)

        def masked(frames: Noise, targets: range, segmenter: Segmenter = segmenter) -> None:
            for _ in segmenter.segment(frames, targets, book):
                pass

        def seconds(kept: bool, masked: Callable[[Noise, range], None] = masked) -> float:
            """The time of all targets, one by one; a new clip for each unless features are kept."""
            total, frames = 0.0, Noise()
            masked(frames, range(1))
            for target in targets:
                frames = frames if kept else Noise()
                started = time.perf_counter()
                masked(frames, range(target, target + 1))
                total += time.perf_counter() - started
            return total

        seconds(kept=True)  # the first run sets the device up
        rounds = [(seconds(kept=True), seconds(kept=False)) for _ in range(arguments.rounds)]
        median = {
            "cached": statistics.median(kept for kept, _ in rounds),
            "uncached": statistics.median(anew for _, anew in rounds),
        }
        each = {way: 1000 * seconds / len(targets) for way, seconds in median.items()}
        section = f"{name}, {device.type}"
        ratio = each["cached"] / each["uncached"]
        figures += [
            Figure(section, "reference kept", each["cached"], "ms/key frame"),
            Figure(section, "reference encoded each time", each["uncached"], "ms/key frame"),
            Figure(section, "kept over each time", ratio, "", 0.70),
        ]
        if device.type == "cuda":
            peak = torch.cuda.max_memory_allocated() / 2**20
            figures.append(Figure(section, "peak GPU memory", peak, "MiB"))
    return figures


def colours_figures(arguments: argparse.Namespace) -> list[Figure]:
    """Milliseconds to sharpen a mask at 720p by its own colours and those of three references."""
    mask = cv2.resize(person(0).astype(np.float32), (1280, 720))
    image = Noise.images[0] // 2 + (mask[..., None] * 100).astype(np.uint8)
    said = np.asarray(cv2.GaussianBlur(0.05 + 0.9 * mask, (0, 0), 8), np.float32)
    known = [colours_of(bins_of(image), mask)] * 3
    median = in_turns(
        arguments.rounds,
        alone=lambda: sharpened(image, said),
        guided=lambda: sharpened(image, said, known),
    )
    return [
        Figure("colours 1280x720", "sharpen a mask", 1000 * median["alone"], "ms"),
        Figure("colours 1280x720", "with three references", 1000 * median["guided"], "ms"),
    ]


# Memory

ADD = """
import sys
from pathlib import Path
from labeler.collect.candidates import Candidate
from labeler.clip import KEY_FRAME_STRIDE, Scenario
from labeler.collect.ingest import add_video
from labeler.workspace.workspace import Workspace
add_video(Workspace(Path(sys.argv[1])), Candidate.of(Path(sys.argv[2]), Scenario.NEWS))
"""


def memory_figures(arguments: argparse.Namespace) -> list[Figure]:
    """Peak memory of adding 10 s and 10 min of 1080p."""
    peaks = []
    for name, repeats in (("10 s", 1), ("10 min", 60)):
        path = made_video(arguments.folder / f"{repeats}.mp4", seconds=10, repeats=repeats)
        with tempfile.TemporaryDirectory() as folder:
            before = Fraction(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
            subprocess.run([sys.executable, "-c", ADD, folder, str(path)], check=True)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if peak < before:
            raise RuntimeError("an earlier child used more memory; measure memory by itself")
        peaks.append(Figure("memory", f"peak of adding {name} of 1080p", peak / 1024, "MiB"))
    ratio = peaks[1].value / peaks[0].value
    return [*peaks, Figure("memory", "10 min over 10 s", ratio, "", 1.2)]


if __name__ == "__main__":
    main()
