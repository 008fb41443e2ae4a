"""What is found in a dataset in the layout of YouTube-VOS."""

import json
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labeler.clip import frame_name
from labeler.errors import LabelerError
from labeler.found import MASKS, PICTURES, FoundClip, FoundDataset, FoundMask, frames_in, rows_of
from labeler.layout import Layout, youtube_whole_clips
from labeler.mvps import clip_folders, read_objects

Objects = Mapping[int, Collection[str]]
"""The objects of a clip that are portraits, by number: the frames that meta.json has them in."""


def find_youtube_vos(folder: Path, categories: Collection[str]) -> FoundDataset:
    """List a dataset in the layout of YouTube-VOS: one split, or a folder of splits.

    The portrait is the union of the objects of the given categories, as `meta.json` has them;
    without a `meta.json`, of all objects. Clips without such an object are left out. The masks of
    its validation split show an object in its first frame only: where one is missing that
    meta.json has in the frame, the mask is not whole.

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
        notes.append(f"Left out without a {kinds} (see --category): {others} of the clips.")
    if not clips and not others:
        raise LabelerError(f"{folder} has no clips in JPEGImages with masks in Annotations.")
    return FoundDataset(folder, Layout.YOUTUBE_VOS, clips, rows_of(folder), tuple(notes))


def splits(folder: Path) -> list[Path]:
    """The folder itself if it is a split, else those in it that are."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        split
        for split in (folder, *inside)
        if clip_folders(split / "JPEGImages") and clip_folders(split / "Annotations")
    ]


def _objects(path: Path, categories: Collection[str]) -> dict[str, Objects] | None:
    """The portraits among each clip's objects; None where there is no meta.json."""
    if not path.is_file():
        return None
    try:
        videos: dict[str, Any] = json.loads(path.read_bytes())["videos"]
        return {
            str(name): {
                int(number): frozenset(map(str, each["frames"]))
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


def _list(split: Path, name: str, objects: Objects | None) -> FoundClip:
    whole = youtube_whole_clips(split) / name
    masks = frames_in(split / "Annotations" / name, MASKS)
    return FoundClip(
        frames_in(whole if whole.is_dir() else split / "JPEGImages" / name, PICTURES),
        {number: partial(_read, path, number, objects) for number, path in masks.items()},
    )


def _read(path: Path, number: int, objects: Objects | None) -> FoundMask:
    values = read_objects(path)
    if objects is None:
        return FoundMask(np.not_equal(values, 0))
    present = set(np.unique(values).tolist())
    absent = [
        str(each)
        for each, frames in objects.items()
        if frame_name(number) in frames and each not in present
    ]
    missing = f"object {', '.join(absent)} of meta.json" if absent else ""
    return FoundMask(np.isin(values, list(objects)), missing=missing)
