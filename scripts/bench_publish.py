"""Speed and memory of converting and exporting a dataset, as a table and as JSON.

    python scripts/bench_publish.py [convert|export|memory ...] [--frames DIR] [--rounds N]

Both sides of a comparison end with their files on disk (`sync`). They are measured in turns within
one run, and each figure is the median of the rounds; MB are those of the source. Without
`--frames`, 1080p pictures with texture and noise are generated.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from figures import Figure, in_turns, show

from labeler.clip import KEY_FRAME_STRIDE, Clip, Scenario, encode_jpeg, frame_name, read_image
from labeler.layouts.mvps import FULL, SMALL, mask_tree, picture_tree
from labeler.mask import Mask, encode_mask
from labeler.publish.export import export_mvps
from labeler.publish.resize import resize_dataset, resize_image, size_480p
from labeler.revision import Draft, Provenance
from labeler.threads import THREADS, call_all
from labeler.workspace.workspace import Workspace

FRAMES = 100


def main() -> None:
    """Measure what was asked for, print it, and write it as JSON."""
    sections = {"convert": convert_figures, "export": export_figures, "memory": memory_figures}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = [*sections]
    parser.add_argument(
        "sections", nargs="*", metavar="|".join(every), choices=[*every, every], default=every
    )
    parser.add_argument(
        "--frames", type=Path, help="a folder of pictures instead of generated ones"
    )
    parser.add_argument("--json", type=Path, default=Path("runs/bench_publish.json"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = Path(folder)
        arguments.pictures = arguments.folder / "pictures"
        write_pictures(arguments.pictures, arguments.frames)
        for section in arguments.sections:
            figures += sections[section](arguments)
    show(figures, arguments.json)


def write_pictures(folder: Path, given: Path | None) -> None:
    """Write the clip that everything is measured on: numbered pictures of one size."""
    folder.mkdir()
    if given is not None:
        for index, path in enumerate(sorted(given.glob("*.jpg"))[:FRAMES]):
            shutil.copyfile(path, folder / f"{frame_name(index)}.jpg")
        return
    random = np.random.default_rng(0)
    texture = random.integers(0, 256, (68, 120, 3), np.uint8)
    still = cv2.resize(texture, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    still = np.clip(still + random.normal(0, 2, still.shape), 0, 255).astype(np.uint8)
    for index in range(FRAMES):
        moved = np.roll(still, (2 * index, 5 * index), axis=(0, 1))
        (folder / f"{frame_name(index)}.jpg").write_bytes(encode_jpeg(moved))


def person(index: int, width: int, height: int) -> Mask:
    """A body that wanders, with a rim as uneven as a painted one."""
    y, x = np.mgrid[:height, :width]
    edge = width / 8 + 6 * np.sin(y / 11 + index)
    return np.asarray((np.abs(x - width / 2 - index) < edge) & (y > height / 4), bool)


def megabytes(*folders: Path) -> float:
    """The size of all files below some folders."""
    return sum(p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file()) / 1e6


# Convert


def convert_figures(arguments: argparse.Namespace) -> list[Figure]:
    """The 480p trees of a dataset, against a plain loop and against what the codec allows."""
    dataset, plain = arguments.folder / "set", arguments.folder / "plain"
    clip = picture_tree(dataset, FULL) / "clip"
    clip.parent.mkdir(parents=True)
    shutil.copytree(arguments.pictures, clip)
    pictures = sorted(clip.iterdir())
    height, width = read_image(pictures[0]).shape[:2]
    masks = mask_tree(dataset, FULL) / "clip"
    masks.mkdir(parents=True)
    for index in range(0, len(pictures), KEY_FRAME_STRIDE):
        data = encode_mask(person(index, width, height))
        (masks / f"{frame_name(index)}.png").write_bytes(data)
    size = size_480p(width, height)
    data = [np.frombuffer(path.read_bytes(), np.uint8) for path in pictures]
    median = in_turns(
        arguments.rounds,
        ours=lambda: resize_dataset(dataset),
        plain=lambda: plain_conversion(clip, masks, plain, size),
        codec=lambda: [*call_all(partial(codec, each, size) for each in data)],
    )
    same_pixels(dataset, plain)
    amount = megabytes(clip, masks)
    section = f"convert {width}x{height}, {THREADS} cores"
    return [
        Figure(section, "mvps resize", amount / median["ours"], "MB/s"),
        Figure(section, "plain loop", amount / median["plain"], "MB/s"),
        Figure(section, "over the plain loop", median["plain"] / median["ours"], "", 1.7, True),
        Figure(section, "pictures in memory, no disk", amount / median["codec"], "MB/s"),
        Figure(section, "time over those", median["ours"] / median["codec"], "", 1.3),
    ]


def plain_conversion(pictures: Path, masks: Path, target: Path, size: tuple[int, int]) -> None:
    """What anybody would write: read, resize, write, one after the other."""
    for source, way in ((pictures, cv2.INTER_AREA), (masks, cv2.INTER_NEAREST)):
        folder = target / source.parts[-3]
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.iterdir()):
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            image = cv2.resize(image, size, interpolation=way)
            cv2.imwrite(str(folder / path.name), image)
    os.sync()


def codec(data: np.ndarray, size: tuple[int, int]) -> None:
    """Decode, resize and encode, and nothing else."""
    encode_jpeg(resize_image(cv2.imdecode(data, cv2.IMREAD_COLOR), size))


def same_pixels(dataset: Path, plain: Path) -> None:
    """Check that the plain loop makes the same pictures."""
    ours, theirs = (
        read_image(folder / "00007.jpg")
        for folder in (picture_tree(dataset, SMALL) / "clip", plain / "JPEGImages")
    )
    if (ours != theirs).any():
        raise RuntimeError("the plain loop gives other pictures at 480p")


# Export


def export_figures(arguments: argparse.Namespace) -> list[Figure]:
    """A whole export against a plain loop; and a second one against the first."""
    workspace = made_workspace(arguments.folder / "workspace", arguments.pictures)
    (clip,) = workspace.clips()
    target, plain = arguments.folder / "export", arguments.folder / "plain-export"
    frames = workspace.frames(clip).folder
    masks = arguments.folder / "masks" / "x" / "y"
    masks.mkdir(parents=True)
    for frame, revision in workspace.current(clip).items():
        shutil.copyfile(workspace.mask_path(revision), masks / f"{frame_name(frame)}.png")
    size = size_480p(clip.width, clip.height)

    def first() -> None:
        shutil.rmtree(target, ignore_errors=True)
        export_mvps(workspace, target)

    def second() -> None:
        if export_mvps(workspace, target).written:
            raise RuntimeError("the second export wrote something")

    def loop() -> None:
        shutil.rmtree(plain, ignore_errors=True)
        shutil.copytree(frames, plain / "full" / "pictures")
        shutil.copytree(masks, plain / "full" / "masks")
        plain_conversion(frames, masks, plain / "480p", size)

    median = in_turns(arguments.rounds, first=first, second=second, plain=loop)
    workspace.close()
    amount = megabytes(frames, masks)
    section = f"export {clip.width}x{clip.height}, {THREADS} cores"
    return [
        Figure(section, "mvps export", amount / median["first"], "MB/s"),
        Figure(section, "plain loop", amount / median["plain"], "MB/s"),
        Figure(section, "over the plain loop", median["plain"] / median["first"], "", 1.7, True),
        Figure(section, "second export, of the same", 1000 * median["second"], "ms"),
        Figure(section, "second over first", median["second"] / median["first"], "", 0.1),
    ]


def made_workspace(
    root: Path, pictures: Path, frames: int | None = None, stride: int = KEY_FRAME_STRIDE
) -> Workspace:
    """Make a workspace with one clip, whose pictures repeat up to `frames`, and accepted masks."""
    paths = sorted(pictures.glob("*.jpg"))
    frames = frames or len(paths)
    height, width = read_image(paths[0]).shape[:2]
    workspace = Workspace(root)
    clip = Clip(
        name="clip",
        scenario=Scenario.NEWS,
        frame_count=frames,
        fps=Fraction(30),
        width=width,
        height=height,
        source="clip.mp4",
        sha256=f"{frames:064}",
        stride=stride,
    )
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        for index in range(frames):
            path = folder / "frames" / f"{frame_name(index)}.jpg"
            shutil.copyfile(paths[index % len(paths)], path)
        workspace.add_clip(clip, folder)
    for index in clip.key_frames:
        mask = person(index % 100, width, height)
        workspace.record(clip, index, mask, Draft("bench", Provenance.ACCEPTED))
    return workspace


# Memory

# Not ru_maxrss, which also counts what this process had when it started that one.
PEAK = 'print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])'
EXPORT = f"""
import sys
from pathlib import Path
from labeler.publish.export import export_mvps
from labeler.workspace.workspace import Workspace
export_mvps(Workspace(Path(sys.argv[1])), Path(sys.argv[2]))
{PEAK}
"""
RESIZE = f"""
import sys
from pathlib import Path
from labeler.publish.resize import resize_dataset
resize_dataset(Path(sys.argv[2]))
{PEAK}
"""
VALIDATE = f"""
import sys
from pathlib import Path
from labeler.publish.validate import validate
assert validate(Path(sys.argv[2])) == []
{PEAK}
"""


def memory_figures(arguments: argparse.Namespace) -> list[Figure]:
    """Peak memory of each step with 100 frames and with 5,000.

    The frames are small, to save time: what a frame leaves in memory does not depend on its size.
    Few have masks, since recording a mask waits until it is on disk.
    """
    small = arguments.folder / "small"
    small.mkdir()
    for index, path in enumerate(sorted(arguments.pictures.iterdir())[:10]):
        image = cv2.resize(read_image(path), (648, 486), interpolation=cv2.INTER_AREA)
        (small / f"{frame_name(index)}.jpg").write_bytes(encode_jpeg(image))
    steps = {
        "mvps export": EXPORT,
        "second mvps export": EXPORT,
        "mvps resize": RESIZE,
        "mvps validate": VALIDATE,
    }
    peaks: dict[str, list[float]] = {name: [] for name in steps}
    for frames in (100, 5000):
        root, target = arguments.folder / f"memory-{frames}", arguments.folder / f"set-{frames}"
        made_workspace(root, small, frames, stride=25).close()
        for name, program in steps.items():
            peaks[name].append(peak(program, root, target))
    figures = []
    for name, (few, many) in peaks.items():
        figures += [
            Figure("memory", f"{name}, 100 frames", few, "MiB"),
            Figure("memory", f"{name}, 5,000 over 100", many / few, "", 1.2),
        ]
    return figures


def peak(program: str, *arguments: Path) -> float:
    """Return the peak memory of a program in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
    )
    return int(done.stdout) / 1024


if __name__ == "__main__":
    main()
