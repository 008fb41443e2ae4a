"""Readers of folders: clips in the MVPS layout or DAVIS's, pictures with masks, backgrounds.

A reader checks every pair before it returns, by file names and headers alone. So a training stops
at its start, and not in the middle, if a file is missing or does not fit.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from labeler.errors import LabelerError
from labeler.layouts.clips_table import ClipRow
from labeler.layouts.frame_files import PICTURES, natural_order
from labeler.layouts.mvps import (
    SMALL,
    Dataset,
    mask_tree,
    open_dataset,
    picture_tree,
)
from labeler.layouts.objects import ObjectMasks
from labeler.layouts.others.pairs import PAIRED_FOLDERS
from model.data.sources import People, Still, Take, faults_of, picture_fault, refuse_faults


@dataclass(frozen=True)
class LabelFile:
    """A mask file: a palette PNG that numbers people, or a PNG with two values."""

    path: Path

    def read(self) -> People:
        """Read the mask, in which 255 is background where people are numbered (`ObjectMasks`)."""
        return ObjectMasks({0: self.path}).read(0)[0]


@dataclass(frozen=True)
class DatasetMask:
    """A frame's mask in an MVPS or DAVIS dataset; its void pixels count as background."""

    dataset: Dataset
    clip: str
    index: int
    resolution: str

    def read(self) -> People:
        """Read the mask, 1 where any object is."""
        return self.dataset.mask(self.clip, self.index, self.resolution).astype(np.uint8)


def clips_from(
    folder: Path,
    chosen: Collection[str] | None = None,
    excluded: Collection[str] = (),
    resolution: str | None = None,
) -> tuple[Take, ...]:
    """List the clips of a dataset in the MVPS layout or in DAVIS's own, with their masked frames.

    Only the masked frames need their pictures to be there.

    Args:
        folder: the dataset.
        chosen: names of clips; if not given, those of the list "train" in ImageSets, or all clips
            where there is no such list.
        excluded: names of clips to leave out; they must be in the dataset, so that a misspelt
            name is refused and not silently ignored.
        resolution: which pictures to use; if not given, 480p where it exists.

    Raises:
        LabelerError: the folder is no dataset, a clip is not in it, or a clip has no masks or
            masks that do not fit its pictures.
    """
    dataset = open_dataset(folder)
    if resolution is None:
        resolution = SMALL if SMALL in dataset.resolutions else dataset.resolutions[0]
    if chosen is None and any(name.split("/")[-1] == "train" for name in dataset.splits):
        chosen = dataset.split("train")
    names = [row.name for row in dataset.clips] if chosen is None else list(dict.fromkeys(chosen))
    aside = {dataset.clip(name) for name in excluded}
    rows = [row for row in map(dataset.clip, names) if row not in aside]
    takes = [_take(dataset, row, resolution) for row in rows]
    faults = [
        f"{mask_tree(folder, resolution) / row.name} has {len(take.frames)} masks"
        + (f" and not {row.annotated} as clips.csv says" if take.frames else "")
        for row, take in zip(rows, takes, strict=True)
        if not take.frames or len(take.frames) < row.annotated
    ]
    pairs = (
        (still.image, path)
        for take in takes
        for still, path in zip(
            take.stills, dataset.masks(take.name, resolution).values(), strict=True
        )
    )
    refuse_faults(folder, [*faults, *faults_of(partial(picture_fault, *pair) for pair in pairs)])
    return tuple(takes)


def unlabelled_from(folder: Path) -> tuple[Take, ...]:
    """List clips without masks: the folders in `folder` that hold pictures, one for each clip.

    In the MVPS and DAVIS layouts these are in `JPEGImages/480p`. The frames are in the order of
    the numbers in their names; masks that may be there are not read.

    Raises:
        LabelerError: there is no such folder, or a picture is unreadable.
    """
    trees = [folder / "JPEGImages" / SMALL, folder / "JPEGImages", folder]
    tree = next(each for each in trees if each.is_dir() or each == folder)
    clips = sorted(path for path in tree.iterdir() if path.is_dir()) if tree.is_dir() else []
    found = [(clip.name, pictures) for clip in clips if (pictures := _in_order(clip))]
    if not found:
        raise LabelerError(f"{tree} holds no folders with pictures; give one with one for a clip.")
    refuse_faults(folder, faults_of(partial(picture_fault, p) for _, each in found for p in each))
    return tuple(
        Take(
            name,
            tuple(range(len(pictures))),
            tuple(Still(f"{name}/{path.stem}", path) for path in pictures),
            len(pictures),
        )
        for name, pictures in found
    )


def stills_from(folder: Path, names: Iterable[str] | None = None) -> tuple[Still, ...]:
    """List the pictures of a folder with their masks, PNG files of the same stem.

    Pictures and masks are in `images` and `masks`, in `JPEGImages` and `Annotations`, or in
    `Images` and `Labels`.

    Args:
        folder: the folder that holds both folders.
        names: stems of the pictures to take. If not given, all pictures are taken, and a mask
            without a picture is a fault, too.

    Raises:
        LabelerError: there are no such folders, or pictures and masks do not fit.
    """
    for pictures, masks in PAIRED_FOLDERS:
        if (folder / pictures).is_dir() and (folder / masks).is_dir():
            break
    else:
        known = ", or ".join(" and ".join(pair) for pair in PAIRED_FOLDERS)
        raise LabelerError(f"{folder} holds no pictures with masks; give one with {known}.")
    images: dict[str, Path] = {}
    faults = []
    for path in _pictures(folder / pictures):
        if path.stem in images:
            faults.append(f"{path} and {images[path.stem].name} share one mask")
        images[path.stem] = path
    labels = {
        path.stem: path for path in _pictures(folder / masks) if path.suffix.lower() == ".png"
    }
    wanted = sorted(images.keys() | labels.keys()) if names is None else list(dict.fromkeys(names))
    usual = next(iter(images.values())).suffix if images else ".jpg"
    found, checks = [], []
    for name in wanted:
        image = images.get(name, folder / pictures / f"{name}{usual}")
        mask = labels.get(name, folder / masks / f"{name}.png")
        found.append(Still(name, image, LabelFile(mask)))
        checks.append(partial(picture_fault, image, mask))
    refuse_faults(folder, [*faults, *faults_of(checks)])
    if not found:
        raise LabelerError(f"{folder / pictures} holds no pictures; give a folder that does.")
    return tuple(found)


def backgrounds_from(folder: Path) -> tuple[Still, ...]:
    """List the pictures of a folder of backgrounds, which show no people.

    Raises:
        LabelerError: the folder holds no pictures, or one is unreadable.
    """
    found = tuple(Still(path.stem, path) for path in _pictures(folder))
    refuse_faults(folder, faults_of([partial(picture_fault, still.image) for still in found]))
    if not found:
        raise LabelerError(f"{folder} holds no pictures (JPEG or PNG); give a folder that does.")
    return found


def _in_order(folder: Path) -> list[Path]:
    return sorted(_pictures(folder), key=lambda path: natural_order(path.stem))


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES and p.name[0] != ".")


def _take(dataset: Dataset, row: ClipRow, resolution: str) -> Take:
    pictures = dataset.pictures(row.name, resolution)
    masks = dataset.masks(row.name, resolution)
    missing = picture_tree(dataset.folder, resolution) / row.name
    stills = tuple(
        Still(
            f"{row.name}/{(name := dataset.frame_name(row.name, frame, resolution))}",
            pictures.get(frame, missing / f"{name}.jpg"),
            DatasetMask(dataset, row.name, frame, resolution),
        )
        for frame in masks
    )
    # A clip may have only the pictures of its masked frames.
    length = max(row.frames, 1 + max(pictures, default=0))
    return Take(row.name, tuple(masks), stills, length, pictures)
