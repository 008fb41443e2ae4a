"""Reads and writes datasets in the layout of YouTube-VOS."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labeler.errors import LabelerError
from labeler.files import replacing
from labeler.layouts.foreign import (
    ForeignClip,
    ForeignDataset,
    ForeignMask,
    LeftOut,
    has_category,
    list_of,
    names_of,
    no_category,
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
    found: list[tuple[Path, str, Objects | None]] = []
    notes: list[str] = []
    left_out: list[LeftOut] = []
    there: set[str] = set()
    for split in splits(folder):
        meta = _read_meta(split / "meta.json", categories)
        if meta is None:
            notes.append(f"{split} has no meta.json: every object counts as a person.")
        elif not meta.categories:
            notes.append(f"{split}/meta.json has no categories: every object counts as a person.")
            meta = None
        for name in clip_folders(split / "JPEGImages"):
            reason = "" if meta is None else meta.reason_against(name)
            if reason:
                by_choice = meta is not None and name in meta.objects
                left_out.append(LeftOut(f"{split.name}/{name}", reason, lost=not by_choice))
            else:
                found.append((split, name, None if meta is None else meta.objects[name]))
        there |= meta.categories if meta else set()
    if there and not found and not has_category(there, categories):
        raise no_category(folder, categories, there)
    if not found and not left_out:
        raise LabelerError(f"{folder} has no clips in JPEGImages with masks in Annotations.")
    titles = [f"{split.name}/{name}" for split, name, _ in found]
    names = names_of(titles)
    return ForeignDataset(
        folder,
        Layout.YOUTUBE_VOS,
        {name: partial(_list, *each) for name, each in zip(names, found, strict=True)},
        rows_of(folder),
        tuple(notes),
        tuple(left_out),
        dict(zip(names, _shortest(titles), strict=True)),
        {name: list_of(split.name) for name, (split, *_) in zip(names, found, strict=True)},
    )


def _shortest(titles: Sequence[str]) -> list[str]:
    """Leave out the split before a clip's name where no other split has a clip of that name."""
    short = [title.rpartition("/")[2] for title in titles]
    times = Counter(short)
    return [a if times[a] == 1 else title for a, title in zip(short, titles, strict=True)]


def splits(folder: Path) -> list[Path]:
    """List the folder itself if it is a split, else the splits in it."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        split
        for split in (folder, *inside)
        if clip_folders(split / "JPEGImages") and clip_folders(split / "Annotations")
    ]


@dataclass(frozen=True)
class _Meta:
    """What a meta.json says: the portraits of each clip, damaged clips, and all categories."""

    path: Path
    objects: Mapping[str, Objects]
    damaged: Collection[str]
    categories: set[str]
    wanted: str

    def reason_against(self, name: str) -> str:
        """Say why a clip is left out; "" if it is not."""
        if name in self.damaged:
            return f"its entry in {self.path} is damaged"
        if name not in self.objects:
            return f"{self.path} does not name it"
        return "" if self.objects[name] else f"it shows no {self.wanted} (see --category)"


def _read_meta(path: Path, categories: Collection[str]) -> _Meta | None:
    """Read the portraits among each clip's objects; return None if there is no meta.json."""
    if not path.is_file():
        return None
    try:
        videos: dict[str, Any] = json.loads(path.read_bytes())["videos"]
        entries = list(videos.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise LabelerError(
            f"{path} is no meta.json of YouTube-VOS, with videos and their objects; bring it back "
            "from a copy, or move it away to take every object for a person."
        ) from None
    objects: dict[str, Objects] = {}
    damaged, there = set(), set()
    for name, video in entries:
        try:
            objects[name] = {
                int(number): frozenset(map(int, each.get("frames", ())))
                for number, each in video["objects"].items()
                if has_category([str(each.get("category", ""))], categories)
            }
            there |= {str(o["category"]) for o in video["objects"].values() if "category" in o}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            damaged.add(name)
            objects.pop(name, None)
    return _Meta(path, objects, damaged, there, " or ".join(sorted(categories)))


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
            for index, picture in masked.items():
                path = masks / f"{picture.stem}.png"
                yield partial(_write_mask, dataset, clip, index, path, frames)


def _write_mask(dataset: Dataset, clip: str, index: int, path: Path, frames: list[str]) -> None:
    mask = dataset.mask(clip, index)
    path.write_bytes(encode_published_mask(mask))
    if mask.any():
        frames.append(path.stem)  # from several threads at once, so in any order
