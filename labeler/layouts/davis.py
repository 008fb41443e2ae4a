"""Reads and writes datasets in the layout of DAVIS; reads the layout of MVPS, too."""

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from labeler.errors import LabelerError
from labeler.files import replacing
from labeler.layouts.foreign import (
    ForeignClip,
    ForeignDataset,
    ForeignMask,
    list_of,
    names_of,
    rows_of,
)
from labeler.layouts.frame_files import MASKS, PICTURES, frames_in
from labeler.layouts.layout import Layout, davis_whole_clips
from labeler.layouts.mvps import FULL, Dataset, clip_folders, mask_tree, picture_tree
from labeler.layouts.objects import ObjectMasks
from labeler.layouts.writing import Progress, clips_by_split, copies, files, work
from labeler.mask import encode_published_mask


def find_davis(folder: Path, layout: Layout, resolution: str | None = None) -> ForeignDataset:
    """List a dataset in the layout of MVPS or of DAVIS; every object of a mask is a portrait.

    Args:
        folder: the dataset.
        layout: MVPS or DAVIS; MVPS describes its clips in clips.csv.
        resolution: the resolution to read; the largest if None.

    Raises:
        LabelerError: there is no such resolution, or clips.csv is damaged, or MVPS has none.
    """
    rows = rows_of(folder)
    if layout is Layout.MVPS and not rows:
        raise LabelerError(
            f"{folder} has no clips.csv of the MVPS layout; read it with --format davis."
        )
    resolution = _chosen(folder, resolution)
    pictures, masks = picture_tree(folder, resolution), mask_tree(folder, resolution)
    titles = sorted({*rows, *clip_folders(pictures), *clip_folders(masks)})
    names = names_of(titles)
    dataset = Dataset(folder, (resolution,), ())
    listed = _lists(dataset)
    return ForeignDataset(
        folder,
        layout,
        {
            name: partial(_list, folder, resolution, title)
            for name, title in zip(names, titles, strict=True)
        },
        rows,
        titles=dict(zip(names, titles, strict=True)),
        lists={name: listed.get(title, "") for name, title in zip(names, titles, strict=True)},
    )


def _lists(dataset: Dataset) -> dict[str, str]:
    """Return our list, "train" or "test", of each clip that is in just one of them."""
    found: dict[str, set[str]] = {}
    for name, clips in dataset.splits.items():
        if ours := list_of(name.rpartition("/")[2]):
            for clip in clips:
                found.setdefault(clip, set()).add(ours)
    return {clip: ours.pop() for clip, ours in found.items() if len(ours) == 1}


def resolutions(folder: Path) -> list[str]:
    """List the resolutions with both pictures and masks, the largest first."""
    trees = folder / "JPEGImages"
    found = [
        tree.name
        for tree in (trees.iterdir() if trees.is_dir() else ())
        if clip_folders(tree) and clip_folders(mask_tree(folder, tree.name))
    ]
    return sorted(found, key=_height, reverse=True)


def _height(resolution: str) -> float:
    """Estimate the height of a picture: 480 for 480p, infinity for Full-Resolution."""
    number = re.match(r"\d+", resolution)
    return float("inf") if resolution == FULL else int(number.group()) if number else 0


def _chosen(folder: Path, resolution: str | None) -> str:
    known = resolutions(folder)
    if not known:
        raise LabelerError(
            f"{folder} has no clips in JPEGImages/{FULL} or JPEGImages/480p with masks in "
            "Annotations; give the folder that holds JPEGImages."
        )
    if resolution is not None and resolution not in known:
        raise LabelerError(f"{folder} has no {resolution}, only {' and '.join(known)}.")
    return resolution or known[0]


def _list(folder: Path, resolution: str, title: str) -> ForeignClip:
    whole = davis_whole_clips(folder, resolution) / title
    pictures = whole if whole.is_dir() else picture_tree(folder, resolution) / title
    masks = ObjectMasks(frames_in(mask_tree(folder, resolution) / title, MASKS))
    return ForeignClip(
        frames_in(pictures, PICTURES),
        {number: partial(_read, masks, number) for number in masks.files},
    )


def _read(masks: ObjectMasks, number: int) -> ForeignMask:
    objects, void = masks.read(number)
    return ForeignMask(objects > 0, void=bool(void.any()))


NAMES = frozenset({"JPEGImages", "JPEGImages_all_frames", "Annotations", "ImageSets", "clips.csv"})
"""Everything `to_davis` writes into its folder."""


def to_davis(dataset: Dataset, target: Path, progress: Progress | None = None) -> None:
    """Write a finished MVPS dataset in the layout of DAVIS 2017, and of 2016 with it.

    Its tools (davis2017-evaluation) expect a mask for each picture. So `JPEGImages` holds the
    pictures that have one, under their own numbers, and `JPEGImages_all_frames` holds all pictures
    of the clips that also have others. Masks are palette PNGs of 0 and 1, because 255, which 2016
    used, is void to those tools. The test clips are the list `val`.

    Args:
        dataset: a finished MVPS dataset.
        target: the folder to write, which is replaced as a whole; see `refuse_foreign`.
        progress: called with (files written, files to write).

    Raises:
        LabelerError: the dataset is not finished or damaged, or nothing can be written.
    """
    lists = clips_by_split(dataset)
    with replacing(target) as folder:
        work(_jobs(dataset, folder), progress)
        for year in ("2016", "2017"):
            (folder / "ImageSets" / year).mkdir(parents=True)
            for name, clips in lists.items():
                path = folder / "ImageSets" / year / f"{name}.txt"
                path.write_text("".join(f"{clip}\n" for clip in clips))
        shutil.copyfile(dataset.folder / "clips.csv", folder / "clips.csv")


def _jobs(dataset: Dataset, folder: Path) -> Iterator[Callable[[], object]]:
    for resolution in dataset.resolutions:
        for clip in (row.name for row in dataset.clips):
            pictures, masked = files(dataset, clip, resolution)
            yield from copies(masked, picture_tree(folder, resolution) / clip)
            if len(masked) < len(pictures):
                yield from copies(pictures, davis_whole_clips(folder, resolution) / clip)
            masks = mask_tree(folder, resolution) / clip
            masks.mkdir(parents=True)
            for index, picture in masked.items():
                path = masks / f"{picture.stem}.png"
                yield partial(_write_mask, dataset, clip, index, resolution, path)


def _write_mask(dataset: Dataset, clip: str, index: int, resolution: str, path: Path) -> None:
    path.write_bytes(encode_published_mask(dataset.mask(clip, index, resolution)))
