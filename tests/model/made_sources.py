"""Small pictures and clips to make training samples of, whose labels can be told from pixels.

People are squares of a pure colour on grey: whoever is red is person 1, whoever is blue person 2.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.clip import Image, frame_name
from model.data.folders import backgrounds_from, clips_from, stills_from
from model.data.sources import People, Sources
from tests.labeler.made_datasets import write_indexed, write_mask

COLOURS = {1: (0, 0, 255), 2: (255, 0, 0)}


def squares(
    size: tuple[int, int], boxes: dict[int, tuple[int, int, int, int]]
) -> tuple[Image, People]:
    """A picture of width x height with a square for each person, and who is where."""
    image = np.full((size[1], size[0], 3), 120, np.uint8)
    people = np.zeros((size[1], size[0]), np.uint8)
    for number, (left, top, right, bottom) in boxes.items():
        image[top:bottom, left:right] = COLOURS[number]
        people[top:bottom, left:right] = number
    return image, people


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def write_sharp_jpeg(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, 100),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    path.write_bytes(cv2.imencode(".jpg", image, settings)[1].tobytes())


def made_stills(folder: Path, count: int = 6) -> Path:
    for n in range(count):
        boxes = {1: (20 + n, 30, 60 + n, 80), 2: (100, 20 + n, 140, 90 + n)}
        image, people = squares((160, 120), boxes if n % 2 else {1: boxes[1]})
        write_png(folder / "images" / f"still{n}.png", image)
        write_indexed(folder / "masks" / f"still{n}.png", people)
    return folder


def made_takes(folder: Path, names: tuple[str, ...], frames: int = 21, step: int = 4) -> Path:
    """Clips with a mask for every fifth frame and pictures of these alone; all go to the right."""
    for name in names:
        for n in range(0, frames, 5):
            image, people = squares((160, 90), {1: (20 + step * n, 20, 60 + step * n, 70)})
            tail = Path("480p", name, frame_name(n))
            write_sharp_jpeg(folder / "JPEGImages" / tail.with_suffix(".jpg"), image)
            write_mask(folder / "Annotations" / tail.with_suffix(".png"), people > 0)
    return folder


def made_backgrounds(folder: Path, count: int = 3) -> Path:
    for n in range(count):
        write_png(folder / f"empty{n}.png", np.full((100, 150, 3), 60 + 20 * n, np.uint8))
    return folder


def made_sources(folder: Path) -> Sources:
    return Sources(
        clips=clips_from(made_takes(folder / "clips", ("walk", "tennis"))),
        stills=stills_from(made_stills(folder / "stills")),
        objects=clips_from(made_takes(folder / "objects", ("bear",))),
        backgrounds=backgrounds_from(made_backgrounds(folder / "backgrounds")),
    )
