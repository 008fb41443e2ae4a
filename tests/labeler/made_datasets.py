"""Small datasets, made for a test file by file and not by an export."""

from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labeler.clip import Image, Scenario, frame_name
from labeler.layouts.clips_table import ClipRow, format_clips
from labeler.mask import Mask, encode_mask
from labeler.publish.manifest import files, write_manifest
from labeler.publish.resize import size_480p


def made_picture(name: str, index: int, size: tuple[int, int]) -> Image:
    """A smooth picture, H x W x 3, another one for each clip and frame."""
    random = np.random.default_rng([*name.encode(), index])
    coarse = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def made_mask(index: int, size: tuple[int, int]) -> Mask:
    """A disk that wanders with the frame's index, H x W bool."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    centre = width * (0.3 + 0.02 * index)
    return np.asarray((x - centre) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2)


def write_picture(path: Path, picture: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())


def write_mask(path: Path, mask: Mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_mask(mask))


def write_indexed(path: Path, values: NDArray[np.uint8]) -> None:
    """Write a palette PNG with the colours of no matter what."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Pillow.fromarray(values).convert("L")
    indexed = Pillow.frombytes("P", picture.size, picture.tobytes())
    indexed.putpalette([n // 3 for n in range(768)])
    indexed.save(path)


def made_dataset(folder: Path, frames: int = 12, size: tuple[int, int] = (648, 486)) -> Path:
    """A dataset of two clips, hike and lucia, without a fault."""
    rows = []
    for name in ("hike", "lucia"):
        for resolution, shape in (("Full-Resolution", size), ("480p", size_480p(*size))):
            for index in range(frames):
                path = folder / "JPEGImages" / resolution / name / f"{frame_name(index)}.jpg"
                write_picture(path, made_picture(name, index, shape))
                if index % 5 == 0:
                    path = folder / "Annotations" / resolution / name / f"{frame_name(index)}.png"
                    write_mask(path, made_mask(index, shape))
        masks = len(range(0, frames, 5))
        source = (f"{name}.mp4", sha256(name.encode()).hexdigest())
        rows.append(
            ClipRow(name, Scenario.NEWS, frames, masks, Fraction(25), *size, *source, "CC BY 4.0")
        )
    (folder / "ImageSets").mkdir()
    (folder / "ImageSets" / "train.txt").write_text("hike\n")
    (folder / "ImageSets" / "test.txt").write_text("lucia\n")
    (folder / "clips.csv").write_text(format_clips(rows))
    return folder


def write_whole_manifest(dataset: Path) -> None:
    """A manifest of just what is there."""
    names = [name for name in files(dataset, [""]) if name != "SHA256SUMS"]
    digests = {name: sha256((dataset / name).read_bytes()).hexdigest() for name in names}
    write_manifest(dataset, digests)
