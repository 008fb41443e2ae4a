"""Reads and writes datasets in the layout of YouTube-VOS."""

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labeler.clip import frame_name
from labeler.errors import LabelerError
from labeler.files import replacing
from labeler.layouts.foreign import (
    ForeignClip,
    ForeignDataset,
    ForeignMask,
    rows_of,
)
from labeler.layouts.frame_files import MASKS, PICTURES, frames_in
from labeler.layouts.layout import Layout, youtube_whole_clips
from labeler.layouts.mvps import Dataset, clip_folders
from labeler.layouts.objects import ObjectMasks
from labeler.layouts.writing import Progress, clips_by_split, copies, files, work
from labeler.mask import encode_published_mask

Objects = Mapping[int, Collection[int]]
"""The portraits of a clip, by object number: the frames in which meta.json lists each of them."""


def find_youtube_vos(folder: Path, categories: Collection[str]) -> ForeignDataset:
    """List a dataset in the layout of YouTube-VOS: one split, or a folder of splits.

    The portrait is the union of the objects of the given categories, as `meta.json` has them;
    without a `meta.json`, of all objects. Clips without such an object are left out. The masks of
    its validation split show each object in its first frame only. A mask that lacks an object which
    meta.json lists in its frame is marked with `missing`.

    Raises:
        LabelerError: there are no clips, or a clips.csv or meta.json is damaged.
    """
    clips, notes, others = {}, [], 0
    for split in splits(folder):
        objects = _objects(split / "meta.json", categories)
        if objects is None:
            notes.append(f"{split} has no meta.json: every object counts as a person.")
        for name in clip_folders(split / "JPEGImages"):
            if objects is not None and not objects.get(name):
                others += 1
            elif name in clips:
                raise LabelerError(f"{name} is in two splits of {folder}; import one at a time.")
            else:
                clips[name] = partial(
                    _list, split, name, None if objects is None else objects[name]
                )
    if others:
        kinds = " or ".join(sorted(categories))
        notes.append(f"Clips left out, because they show no {kinds} (see --category): {others}.")
    if not clips and not others:
        raise LabelerError(f"{folder} has no clips in JPEGImages with masks in Annotations.")
    return ForeignDataset(folder, Layout.YOUTUBE_VOS, clips, rows_of(folder), tuple(notes))


def splits(folder: Path) -> list[Path]:
    """List the folder itself if it is a split, else the splits in it."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        split
        for split in (folder, *inside)
        if clip_folders(split / "JPEGImages") and clip_folders(split / "Annotations")
    ]


def _objects(path: Path, categories: Collection[str]) -> dict[str, Objects] | None:
    """Read the portraits among each clip's objects; return None if there is no meta.json."""
    if not path.is_file():
        return None
    try:
        videos: dict[str, Any] = json.loads(path.read_bytes())["videos"]
        return {
            str(name): {
                int(number): frozenset(map(int, each["frames"]))
                for number, each in video["objects"].items()
                if each["category"] in categories
            }
            for name, video in videos.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelerError(
            f"{path} is no meta.json of YouTube-VOS ({error!r}); bring it back from a copy, or "
            "move it away to take every object for a person."
        ) from None


def _list(split: Path, name: str, objects: Objects | None) -> ForeignClip:
    whole = youtube_whole_clips(split) / name
    masks = ObjectMasks(frames_in(split / "Annotations" / name, MASKS))
    return ForeignClip(
        frames_in(whole if whole.is_dir() else split / "JPEGImages" / name, PICTURES),
        {number: partial(_read, masks, number, objects) for number in masks.files},
    )


def _read(masks: ObjectMasks, number: int, objects: Objects | None) -> ForeignMask:
    values, void = masks.read(number)
    if objects is None:
        return ForeignMask(values > 0, void=bool(void.any()))
    present = set(np.unique(values).tolist())
    absent = [
        str(each) for each, frames in objects.items() if number in frames and each not in present
    ]
    missing = f"object {', '.join(absent)} of meta.json" if absent else ""
    return ForeignMask(np.isin(values, list(objects)), void=bool(void.any()), missing=missing)


FOLDERS = {"train": "train", "val": "valid"}
NAMES = frozenset(
    {*FOLDERS.values(), *(f"{name}_all_frames" for name in FOLDERS.values()), "clips.csv"}
)
"""Everything `to_youtube_vos` writes into its folder."""

_Frames = dict[str, list[str]]
"""For each clip, the frames that show somebody."""


def to_youtube_vos(dataset: Dataset, target: Path, progress: Progress | None = None) -> None:
    """Write the largest pictures of a finished MVPS dataset in the layout of YouTube-VOS.

    All people in a clip are its object 1, of the category person. `train` and `valid` hold the
    pictures that have a mask; `train_all_frames` and `valid_all_frames` hold all pictures of the
    clips that also have others. Unlike in YouTube-VOS itself, `valid` has every mask, not only the
    first one.

    Args:
        dataset: a finished MVPS dataset.
        target: the folder to write, which is replaced as a whole; see `refuse_foreign`.
        progress: called with (files written, files to write).

    Raises:
        LabelerError: the dataset is not finished or damaged, or nothing can be written.
    """
    lists = clips_by_split(dataset)
    with replacing(target) as folder:
        shown: dict[str, _Frames] = {name: {} for name in lists}
        work(_jobs(dataset, folder, lists, shown), progress)
        for name, frames in shown.items():
            videos = {
                clip: {"objects": {"1": {"category": "person", "frames": sorted(numbers)}}}
                for clip, numbers in sorted(frames.items())
            }
            path = folder / FOLDERS[name] / "meta.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"videos": videos}, indent=1) + "\n")
        shutil.copyfile(dataset.folder / "clips.csv", folder / "clips.csv")


def _jobs(
    dataset: Dataset,
    folder: Path,
    lists: dict[str, tuple[str, ...]],
    shown: dict[str, _Frames],
) -> Iterator[Callable[[], object]]:
    [resolution, *_] = dataset.resolutions
    for name, clips in lists.items():
        split = folder / FOLDERS[name]
        for tree in ("JPEGImages", "Annotations"):
            (split / tree).mkdir(parents=True)
        for clip in clips:
            pictures, masked = files(dataset, clip, resolution)
            yield from copies(masked, split / "JPEGImages" / clip)
            if len(masked) < len(pictures):
                yield from copies(pictures, youtube_whole_clips(split) / clip)
            masks = split / "Annotations" / clip
            masks.mkdir()
            frames = shown[name][clip] = []
            for number in masked:
                yield partial(_write_mask, dataset, clip, number, masks, frames)


def _write_mask(dataset: Dataset, clip: str, number: int, folder: Path, frames: list[str]) -> None:
    mask = dataset.mask(clip, number)
    (folder / f"{frame_name(number)}.png").write_bytes(encode_published_mask(mask))
    if mask.any():
        frames.append(frame_name(number))  # from several threads at once, so in any order
