"""Make the folders that `pdnet-lite` was trained on and judged by, as links into the shared data.

    python scripts/portraits_data.py DATA OUT

DATA holds `portraits/`, `video/`, `images/` and `objects/`. Which of the teacher's masks are good
was decided by eye, clip by clip, on contact sheets; `portraits_kept.csv` beside this script says
so. At least one whole source of each scenario is kept out of training. OUT gets `teacher`,
`cutouts`, `video`, `images`, `negatives` and `unlabelled` (every third frame of the clips that are
not kept out) to train on, and `judge_clips`, `judge_video` and `judge_images` to judge by. A
judged clip begins with its first good mask, so that it can be given, and has four copies of each
frame after it, since the teacher's frames are key frames.
"""

import argparse
import csv
import os
from fractions import Fraction
from pathlib import Path

from labeler.clip import encode_jpeg, frame_name
from labeler.collect.video import sample_frames

NEGATIVES = (
    *("bear", "blackswan", "camel", "cows", "dog", "elephant", "flamingo", "goat", "libby"),
    *("mallard-fly", "mallard-water", "rhino", "soccerball", "car-turn", "boat"),
)
"""Clips of objects in which nobody is: their frames are backgrounds."""

EVERY = Fraction(1000)
"""Frames a second: more than any clip has, so that none is left out."""

HELD_OUT = ("tennis", "dance-jump")
PICTURES, MASKS = "JPEGImages/480p", "Annotations/480p"


def main() -> None:
    """Make the links."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    data, out = arguments.data.resolve(), arguments.out
    teacher = data / "portraits" / "teacher"
    with (Path(__file__).with_name("portraits_kept.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        kept = [int(frame) for frame in row["kept_frames"].split()]
        if kept and row["use"] == "train":
            for frame in kept:
                link_pair(teacher, out / "teacher", row["clip"], frame, frame)
        elif kept:
            judged(teacher, out / "judge_clips", row["clip"], kept, int(row["frames"]))
    for root in (data / "portraits" / "true", out / "teacher"):
        cut_outs(root, out / "cutouts")
    for row in rows:
        if row["use"] == "train":
            decode(data / "portraits" / "clips" / f"{row['clip']}.mp4", out / "unlabelled")
    for clip in sorted(path.name for path in (data / "video" / PICTURES).iterdir()):
        folder = out / ("judge_video" if clip in HELD_OUT else "video")
        for tree in (PICTURES, MASKS):
            link(data / "video" / tree / clip, folder / tree / clip)
    stills(data / "images", out)
    for clip in NEGATIVES:
        frames = sorted((data / "objects" / PICTURES / clip).iterdir())
        for frame in (frames[0], frames[len(frames) // 2], frames[-1]):
            link(frame, out / "negatives" / f"{clip}-{frame.name}")


def judged(teacher: Path, folder: Path, clip: str, kept: list[int], frames: int) -> None:
    """Link a clip to judge by: the teacher's frames are its key frames."""
    for number in range(kept[0], frames):
        key_frame = 5 * (number - kept[0])
        if number in kept:
            link_pair(teacher, folder, clip, number, key_frame)
        else:
            link_picture(teacher, folder, clip, number, key_frame)
        for between in range(1, 5) if number < frames - 1 else ():
            link_picture(teacher, folder, clip, number, key_frame + between)


def cut_outs(root: Path, folder: Path) -> None:
    """Link three frames of each clip, as pictures by themselves."""
    for masks in sorted((root / MASKS).iterdir()):
        if masks.name == "schoolgirls":  # a crowd
            continue
        stems = sorted(path.stem for path in masks.iterdir())
        for stem in sorted({stems[0], stems[len(stems) // 2], stems[-1]}):
            picture = root / PICTURES / masks.name / f"{stem}.jpg"
            link(picture, folder / "images" / f"{masks.name}-{stem}.jpg")
            link(masks / f"{stem}.png", folder / "masks" / f"{masks.name}-{stem}.png")


def decode(clip: Path, folder: Path) -> None:
    """Write every third frame of a clip as a picture; a clip that is there already stays."""
    target = folder / clip.stem
    if target.is_dir():
        return
    target.mkdir(parents=True)
    for number, frame in enumerate(sample_frames(clip, EVERY)):
        if number % 3 == 0:
            (target / f"{frame_name(number)}.jpg").write_bytes(encode_jpeg(frame.image, 95))


def stills(images: Path, out: Path) -> None:
    """Link the pictures, every tenth of them to judge by."""
    pictures = images / ("JPEGImages" if (images / "JPEGImages").is_dir() else "images")
    masks = images / ("Annotations" if pictures.name == "JPEGImages" else "masks")
    for number, picture in enumerate(sorted(pictures.iterdir()), start=1):
        folder = out / ("images" if number % 10 else "judge_images")
        link(picture, folder / pictures.name / picture.name)
        link(masks / f"{picture.stem}.png", folder / masks.name / f"{picture.stem}.png")


def link_pair(root: Path, folder: Path, clip: str, number: int, frame: int) -> None:
    """Link a picture and its mask under another number."""
    link_picture(root, folder, clip, number, frame)
    link(root / MASKS / clip / f"{number:05d}.png", folder / MASKS / clip / f"{frame:05d}.png")


def link_picture(root: Path, folder: Path, clip: str, number: int, frame: int) -> None:
    """Link a picture under another number."""
    picture = root / PICTURES / clip / f"{number:05d}.jpg"
    link(picture, folder / PICTURES / clip / f"{frame:05d}.jpg")


def link(source: Path, target: Path) -> None:
    """Make a link to a file's own place; what is there already stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_symlink():
        os.symlink(source.resolve(), target)


if __name__ == "__main__":
    main()
