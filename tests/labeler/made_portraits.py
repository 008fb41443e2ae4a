"""Clips of a made person who walks through a made room, with true masks."""

from pathlib import Path

import cv2
import numpy as np

from labeler.clip import Image, frame_name
from labeler.mask import Mask
from tests.labeler.made_datasets import write_mask, write_picture

SIZE = (360, 240)
"""Width and height."""


def person(x: int, height: int = 150, size: tuple[int, int] = SIZE) -> Mask:
    """A person cut by the lower border: head, body, and an arm that leaves a gap to the body."""
    mask = np.zeros(size[::-1], np.uint8)
    top = size[1] - height
    cv2.circle(mask, (x, top + 20), 20, 1, cv2.FILLED)
    cv2.rectangle(mask, (x - 28, top + 38), (x + 28, size[1]), 1, cv2.FILLED)
    cv2.ellipse(mask, (x + 34, top + 90), (26, 40), 0, 0, 360, 1, 8)
    return np.not_equal(mask, 0)


def room(mask: Mask, seed: int = 0) -> Image:
    """A picture of somebody before a wall with a pattern."""
    height, width = mask.shape
    coarse = np.random.default_rng(seed).integers(0, 120, (8, 12, 3), np.uint8)
    picture = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    picture[mask] = (90, 140, 220)
    return picture


def where(frame: int) -> int:
    """Where the person's centre is in a frame, x in pixels."""
    return 90 + 2 * frame // 5


def walk(folder: Path, name: str, frames: int = 31, stride: int = 5) -> None:
    """Add a clip, at 480p in DAVIS's layout, to a dataset; a mask every so many frames."""
    for index in range(frames):
        mask = person(where(index))
        write_picture(picture_path(folder, name, index), room(mask))
        if index % stride == 0:
            write_mask(mask_path(folder, name, index), mask)


def picture_path(folder: Path, name: str, frame: int) -> Path:
    return folder / "JPEGImages" / "480p" / name / f"{frame_name(frame)}.jpg"


def mask_path(folder: Path, name: str, frame: int) -> Path:
    return folder / "Annotations" / "480p" / name / f"{frame_name(frame)}.png"
