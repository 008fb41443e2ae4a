"""Reads folders of pictures and of masks with the same names: PP-HumanSeg, CVAT, EG1800, ..."""

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from labeler.errors import LabelerError
from labeler.images.opening import opened
from labeler.layouts.foreign import (
    ForeignDataset,
    ForeignMask,
    LeftOut,
    has_category,
    no_category,
)
from labeler.layouts.layout import Layout
from labeler.layouts.objects import ObjectMasks
from labeler.layouts.others.stills import MaskedPicture, dataset_of, pictures_below

PAIRED_FOLDERS = (
    ("images", "masks"),
    ("images", "annotations"),
    ("images", "labels"),
    ("JPEGImages", "SegmentationClass"),
    ("JPEGImages", "Annotations"),
    ("Images", "Labels"),
)
"""The names of the folders with pictures and with masks."""

LABELS = "labelmap.txt"
"""CVAT's list of labels, `person:128,0,0::` a line, beside masks that show them by colour."""

Colour = tuple[int, int, int]


def paired_folders(folder: Path) -> list[tuple[Path, Path]]:
    """List the pairs of folders with pictures and masks: in the folder, or in those in it."""
    found = []
    for part in (folder, *(sorted(folder.iterdir()) if folder.is_dir() else ())):
        for pictures, masks in PAIRED_FOLDERS:
            pair = part / pictures, part / masks
            if all(each.is_dir() for each in pair) and _has_masks(pair[1]):
                found.append(pair)
                break
    return found


def find_pairs(folder: Path, categories: Collection[str]) -> ForeignDataset:
    """List pictures with masks; every object of a mask is a portrait.

    With CVAT's `labelmap.txt`, the portrait is what has the colours of the categories. The lists
    `train.txt`, `val.txt` and `test.txt` say what the pictures are for.

    Raises:
        LabelerError: there are no such folders, or labelmap.txt has none of the categories.
    """
    colours = _colours(folder / LABELS, categories)
    lists = _lists(folder)
    found: list[MaskedPicture] = []
    left_out: list[LeftOut] = []
    for pictures, masks in paired_folders(folder):
        images, labels = pictures_below(pictures), pictures_below(masks)
        part = pictures.parent.name if pictures.parent != folder else ""
        for key in sorted(images.keys() | labels.keys()):
            title = f"{part}/{key}" if part else key
            reason = _why_not(images.get(key, []), labels.get(key, []))
            if reason is not None:
                left_out.append(LeftOut(title, reason, lost=key in labels))
                continue
            read = partial(_read, labels[key][0], colours)
            split = part or lists.get(Path(key).name, "")
            found.append(MaskedPicture(title, images[key][0], read, split))
    if not found and not left_out:
        known = ", or ".join(" and ".join(pair) for pair in PAIRED_FOLDERS)
        raise LabelerError(f"{folder} holds no pictures with masks; give one with {known}.")
    notes = [] if colours else [f"{folder} names no categories: every object counts as a person."]
    return dataset_of(folder, Layout.PAIRS, found, left_out, notes)


def _has_masks(folder: Path) -> bool:
    return any(path.suffix.lower() == ".png" for path in folder.rglob("*"))


def _why_not(images: Collection[Path], labels: Collection[Path]) -> str | None:
    if not images:
        return "its mask has no picture"
    if not labels:
        return "it has no mask"
    if len(images) > 1 or len(labels) > 1:
        files = [*images] if len(images) > 1 else [*labels]
        return f"{files[0].name} and {files[1].name} have one name; rename one"
    return None


def _read(path: Path, colours: Collection[Colour], size: tuple[int, int]) -> ForeignMask:
    if not colours:
        objects, void = ObjectMasks({0: path}).read(0)
        return ForeignMask(objects > 0, void=bool(void.any()))
    with opened(path, "mask", "export it again") as picture:
        if picture.size != size:
            raise LabelerError(
                f"{path} is {picture.width}x{picture.height}, but its picture {size[0]}x"
                f"{size[1]}; a mask has the size of its picture."
            )
        pixels = np.asarray(picture.convert("RGB"))
    mask = np.zeros(pixels.shape[:2], bool)
    for colour in colours:
        mask |= (pixels == colour).all(axis=2)
    return ForeignMask(mask)


def _colours(path: Path, categories: Collection[str]) -> tuple[Colour, ...]:
    """Read the colours of the wanted labels from CVAT's labelmap.txt; none if there is none.

    Raises:
        LabelerError: the file is damaged, or has none of the categories.
    """
    if not path.is_file():
        return ()
    known: dict[str, Colour] = {}
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, *rest = line.split(":")
        try:
            red, green, blue = (int(number) for number in rest[0].split(","))
        except (IndexError, ValueError):
            raise LabelerError(
                f"{path} has the line {line!r}, which is not like person:128,0,0::; correct it."
            ) from None
        known[name] = (red, green, blue)
    if not has_category(known, categories):
        raise no_category(path, categories, known)
    return tuple(colour for name, colour in known.items() if has_category([name], categories))


def _lists(folder: Path) -> Mapping[str, str]:
    """Read which list each picture is in, by its name without the suffix."""
    found: dict[str, str] = {}
    for place in (folder, folder / "ImageSets" / "Segmentation"):
        for path in sorted(place.glob("*.txt")):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if path.name != LABELS and line.split():
                    found.setdefault(Path(line.split()[0]).stem, path.stem)
    return found
