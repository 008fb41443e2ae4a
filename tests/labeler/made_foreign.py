"""Small datasets of other people, made for a test file by file."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeler.clip import frame_name
from tests.labeler.made_datasets import made_picture, write_indexed, write_picture

SIZE = (40, 24)
"""Width and height."""

Objects = NDArray[np.uint8]


def objects(*numbers: int) -> Objects:
    """A mask, H x W, with a column of each number, from the left; 0 fills the rest."""
    made = np.zeros(SIZE[::-1], np.uint8)
    for place, number in enumerate(numbers):
        made[:, 2 * place : 2 * place + 2] = number
    return made


def made_davis(
    folder: Path,
    clips: Mapping[str, Mapping[int, Objects]],
    pictures: Collection[int] = range(6),
    resolution: str = "480p",
) -> Path:
    """Clips of these pictures, in DAVIS's layout, with these masks by frame."""
    for name, masks in clips.items():
        for number in pictures:
            path = folder / "JPEGImages" / resolution / name / f"{frame_name(number)}.jpg"
            write_picture(path, made_picture(name, number, SIZE))
        for number, mask in masks.items():
            write_indexed(
                folder / "Annotations" / resolution / name / f"{frame_name(number)}.png", mask
            )
    return folder


def made_youtube(
    split: Path,
    clips: Mapping[str, Mapping[int, Objects]],
    meta: Mapping[str, Mapping[int, tuple[str, Collection[int]]]],
    pictures: Collection[int],
) -> Path:
    """A split in YouTube-VOS's layout; `meta` has for each object its category and frames."""
    for name, masks in clips.items():
        for number in pictures:
            path = split / "JPEGImages" / name / f"{frame_name(number)}.jpg"
            write_picture(path, made_picture(name, number, SIZE))
        for number, mask in masks.items():
            write_indexed(split / "Annotations" / name / f"{frame_name(number)}.png", mask)
    videos = {
        name: {
            "objects": {
                str(number): {"category": category, "frames": [frame_name(f) for f in frames]}
                for number, (category, frames) in about.items()
            }
        }
        for name, about in meta.items()
    }
    (split / "meta.json").write_text(json.dumps({"videos": videos}))
    return split


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    """A rectangle as COCO's polygon."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def made_coco(
    folder: Path,
    pictures: Mapping[str, Collection[tuple[str, Any, int]]],
    videos: Mapping[str, str] = {},
    name: str = "train",
) -> Path:
    """Pictures by file name with their regions (category, segmentation, iscrowd).

    `videos` has the video of a picture, by its file name.
    """
    kinds = ["dog", "person"]
    names = sorted(set(videos.values()))
    images, annotations = [], []
    for file, regions in pictures.items():
        write_picture(folder / "images" / file, made_picture(file, 0, SIZE))
        about = {"id": 10 + len(images), "file_name": file, "width": SIZE[0], "height": SIZE[1]}
        if file in videos:
            about["video_id"] = names.index(videos[file])
        images.append(about)
        for kind, segmentation, crowd in regions:
            annotations.append(
                {"id": len(annotations), "image_id": about["id"], "category_id": kinds.index(kind)}
                | {"segmentation": segmentation, "iscrowd": crowd}
            )
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": n, "name": kind} for n, kind in enumerate(kinds)],
        "videos": [{"id": n, "name": video} for n, video in enumerate(names)],
    }
    path = folder / "annotations" / f"instances_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return folder
