"""Whether two pictures show the same moment, whatever their size, name or encoding."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.clip import Image, read_image
from labeler.files import write_atomically
from labeler.threads import call_all

SIDE = 16
"""The side of the thumbnails that are compared, in pixels."""

ALIKE = 0.95
"""Two thumbnails show the same moment if their correlation is at least this.

In the DAVIS clips, a frame keeps .956 or more when it is made half as large, saved at JPEG quality
60, brightened, squashed or cropped by 5 %; the most similar frames of two different clips have
.876.
"""

Thumbnails = NDArray[np.float32]
"""Thumbnails, N x 256, each with mean 0 and norm 1."""


@dataclass(frozen=True)
class Likeness:
    """A picture that shows the same moment as a frame of a clip."""

    picture: Path
    clip: str
    frame: int


def thumbnails_of(pictures: Iterable[Path]) -> Thumbnails:
    """Compute the thumbnails of pictures, in order: N x 256 float32.

    Raises:
        LabelerError: one of them is missing or damaged.
    """
    found = list(call_all(partial(_thumbnail, path) for path in pictures))
    return np.stack(found) if found else np.zeros((0, SIDE * SIDE), np.float32)


def thumbnail_of(image: Image) -> NDArray[np.float32]:
    """Compute the thumbnail of a picture, H x W x 3 uint8 BGR: 256 float32."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return np.asarray(small.ravel() / max(float(np.linalg.norm(small)), 1e-6), np.float32)


def write_thumbnails(path: Path, looks: Thumbnails) -> None:
    """Write thumbnails to a file, whole or not at all, in half precision."""
    data = io.BytesIO()
    np.save(data, looks.astype(np.float16))
    write_atomically(path, data.getvalue())


def read_thumbnails(path: Path) -> Thumbnails:
    """Read thumbnails that `write_thumbnails` wrote: N x 256 float32."""
    looks = np.asarray(np.load(path), np.float32)
    return np.asarray(looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-6))


def alike(pictures: Iterable[Path], clips: Mapping[str, Thumbnails]) -> list[Likeness]:
    """Find the pictures, in order, that show the same moment as a frame of one of the clips.

    Args:
        pictures: the pictures.
        clips: the thumbnails of all frames of each clip, by its name.

    Raises:
        LabelerError: a picture is missing or damaged.
    """
    paths = list(pictures)
    if not clips:
        return []
    looks = thumbnails_of(paths)
    best = {name: looks @ frames.T for name, frames in clips.items()}
    found = []
    for position, path in enumerate(paths):
        name = max(best, key=lambda clip: best[clip][position].max())
        if best[name][position].max() >= ALIKE:
            found.append(Likeness(path, name, int(best[name][position].argmax())))
    return found


def _thumbnail(path: Path) -> NDArray[np.float32]:
    return thumbnail_of(read_image(path))
