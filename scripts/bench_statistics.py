"""Speed and memory of `mvps stats` and `mvps quality`, as a table and as JSON.

    python scripts/bench_statistics.py [--rounds N] [--json FILE]

The datasets are generated: a figure walks through noise. Speed is measured on 20 clips of 50
frames with a mask on each fifth, at 480p and at 1080p; memory on one clip of 100 frames and one of
5,000. What is compared is measured in turns, and each figure is the median of the rounds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from figures import in_turns
from rich.console import Console
from rich.table import Table
from skimage.feature import graycomatrix, graycoprops

from labeler.clip import JPEG_QUALITY, frame_name
from labeler.inspect.quality import find_suspicious, masks_of
from labeler.inspect.statistics import GLCM_ANGLES, Grey, glcm_entropy, measure_dataset
from labeler.layouts.mvps import open_dataset
from labeler.mask import encode_mask
from labeler.threads import THREADS

SIZES = {"480p": (854, 480), "1080p": (1920, 1080)}
CLIPS, FRAMES = 20, 50

PEAK = """
import sys
from pathlib import Path
from labeler.layouts.mvps import open_dataset
from labeler.inspect.quality import find_suspicious, masks_of
from labeler.inspect.statistics import measure_dataset
dataset = open_dataset(Path(sys.argv[2]))
if sys.argv[1] == "stats":
    measure_dataset(dataset)
else:
    find_suspicious(masks_of(dataset))
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])  # ru_maxrss would include the parent process
"""


@dataclass(frozen=True)
class Figure:
    """One measured number; `goal` is what it should stay below, where there is one."""

    name: str
    value: float
    unit: str
    goal: float | None = None


def main() -> None:
    """Measure, print, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("runs/bench_statistics.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = entropy_figures(arguments.rounds)
        figures += speed_figures(Path(folder), arguments.rounds)
        figures += memory_figures(Path(folder))
    table = Table(box=None, header_style="bold")
    for column in ("figure", "value", "unit", "goal"):
        table.add_column(column, justify="right" if column in {"value", "goal"} else "left")
    for each in figures:
        goal = "" if each.goal is None else f"<= {each.goal:g}"
        table.add_row(each.name, f"{each.value:.3g}", each.unit, goal)
    Console().print(table)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps([asdict(each) for each in figures], indent=2) + "\n")


def entropy_figures(rounds: int) -> list[Figure]:
    """GLCM entropy of one picture, against scikit-image's own way from matrix to entropy."""
    grey = cv2.cvtColor(scenery(SIZES["480p"])[0], cv2.COLOR_BGR2GRAY)
    ours, theirs = glcm_entropy(grey), by_graycoprops(grey)
    if abs(ours - theirs) > 1e-9:
        raise RuntimeError(f"the entropy is {ours}, but by graycoprops {theirs}")
    median = in_turns(
        rounds,
        ours=lambda: [glcm_entropy(grey) for _ in range(20)],
        theirs=lambda: [by_graycoprops(grey) for _ in range(20)],
    )
    return [
        Figure("GLCM entropy at 854x480, 1,000 pictures, one thread", median["ours"] * 50, "s"),
        Figure("the same by graycoprops", median["theirs"] * 50, "s"),
    ]


def by_graycoprops(grey: Grey) -> float:
    """GLCM entropy by scikit-image alone, in bits."""
    matrix = graycomatrix(grey, [1], GLCM_ANGLES, symmetric=True, normed=True)
    return float(graycoprops(matrix, "entropy").mean() / np.log(2))


def speed_figures(folder: Path, rounds: int) -> list[Figure]:
    """Time of both commands per 1,000 frames; of statistics also with processes for threads."""
    figures = []
    for name, size in SIZES.items():
        root = folder / name
        for clip in range(CLIPS):
            make_clip(root, f"clip{clip:02d}", FRAMES, size)
        dataset = open_dataset(root)
        singles = [clip_alone(root, row.name) for row in dataset.clips]
        with ProcessPoolExecutor(THREADS) as pool:
            list(pool.map(measured, singles[:THREADS]))  # so that the processes have started
            median = in_turns(
                rounds,
                stats=lambda dataset=dataset: measure_dataset(dataset),
                processes=lambda pool=pool, singles=singles: list(pool.map(measured, singles)),
                quality=lambda dataset=dataset: find_suspicious(masks_of(dataset)),
            )
            cpu = {
                "stats": processor_seconds(lambda dataset=dataset: measure_dataset(dataset)),
                "quality": processor_seconds(
                    lambda dataset=dataset: find_suspicious(masks_of(dataset))
                ),
            }
        thousand = 1000 / (CLIPS * FRAMES)
        figures += [
            Figure(f"stats, {name}, per 1,000 frames", median["stats"] * thousand, "s"),
            Figure("the same, processes for threads", median["processes"] * thousand, "s"),
            Figure("the same, time of the processor", cpu["stats"] * thousand, "s"),
            Figure(f"quality, {name}, per 1,000 frames", median["quality"] * thousand, "s"),
            Figure("the same, time of the processor", cpu["quality"] * thousand, "s"),
        ]
    return figures


def processor_seconds(action: Callable[[], object]) -> float:
    """Processor time of all threads together; other programs hardly change it."""
    started = time.process_time()
    action()
    return time.process_time() - started


def measured(folder: Path) -> int:
    """Measure a dataset in a process of its own, and return how many clips it has."""
    return len(measure_dataset(open_dataset(folder)).clips)


def clip_alone(root: Path, clip: str) -> Path:
    """Make a dataset of one clip of another dataset, by links."""
    alone = root.parent / f"{root.name}-alone" / clip
    for tree in ("JPEGImages", "Annotations"):
        (alone / tree / "480p").mkdir(parents=True)
        (alone / tree / "480p" / clip).symlink_to(root / tree / "480p" / clip)
    return alone


def memory_figures(folder: Path) -> list[Figure]:
    """Peak memory on a clip of 100 frames and on one of 5,000."""
    for frames in (100, 5000):
        make_clip(folder / f"{frames}", "clip", frames, SIZES["480p"])
    figures = []
    for command in ("stats", "quality"):
        peaks = []
        for frames in (100, 5000):
            done = subprocess.run(
                [sys.executable, "-c", PEAK, command, str(folder / f"{frames}")],
                check=True,
                capture_output=True,
                text=True,
            )
            peaks.append(int(done.stdout) / 1024)
            figures.append(Figure(f"{command}, peak memory, {frames} frames", peaks[-1], "MiB"))
        figures.append(Figure(f"{command}, 5,000 over 100 frames", peaks[1] / peaks[0], "", 1.2))
    return figures


def make_clip(root: Path, clip: str, frames: int, size: tuple[int, int]) -> None:
    """Make a clip of a figure that walks; its pictures repeat, but each is a file of its own."""
    pictures, masks = root / "JPEGImages" / "480p" / clip, root / "Annotations" / "480p" / clip
    pictures.mkdir(parents=True)
    masks.mkdir(parents=True)
    jpegs = [
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        for picture in scenery(size)
    ]
    for frame in range(frames):
        (pictures / f"{frame_name(frame)}.jpg").write_bytes(jpegs[frame % len(jpegs)])
        if frame % 5 == 0:
            mask = figure(size, frame % 100)
            (masks / f"{frame_name(frame)}.png").write_bytes(encode_mask(mask))


def scenery(size: tuple[int, int]) -> list[np.ndarray]:
    """Three pictures with as much detail as an outdoor clip: 12 to 13 bits of GLCM entropy."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 216, (3, 45, 80, 3)).astype(np.float32)
    smooth = [cv2.resize(each, size, interpolation=cv2.INTER_CUBIC) for each in coarse]
    return [np.uint8(np.clip(s + rng.normal(0, 6, s.shape), 0, 255)) for s in smooth]


def figure(size: tuple[int, int], step: int) -> np.ndarray:
    """Where the figure is, H x W bool."""
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    centre = (width // 4 + step * width // 250, height // 2)
    cv2.ellipse(mask, centre, (width // 14, height // 3), 0, 0, 360, 1, cv2.FILLED)
    return mask > 0


if __name__ == "__main__":
    main()
