"""Reads datasets in the layout of COCO: which of their pictures are clips, under which names."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labeler.errors import LabelerError
from labeler.layouts.coco.files import PictureFinder, instance_files
from labeler.layouts.coco.instances import Instances, Listed, read_instances
from labeler.layouts.coco.panoptic import read_segments
from labeler.layouts.coco.regions import RegionError, union
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
from labeler.layouts.frame_files import PICTURES, frames_in, natural_order
from labeler.layouts.layout import Layout
from labeler.layouts.mvps import picture_size


@dataclass(frozen=True)
class _Picture:
    """A picture that a JSON lists, its file, and the finder of the JSON's other files."""

    listed: Listed
    path: Path
    finder: PictureFinder


@dataclass
class _Group:
    """The pictures of one clip; `video` says whether the JSON itself makes them a clip."""

    title: str
    video: bool
    pictures: list[_Picture] = field(default_factory=list)

    @property
    def homes(self) -> set[Path]:
        """The folders its pictures are in."""
        return {each.path.parent for each in self.pictures}


def find_coco(
    folder: Path,
    categories: Collection[str],
    *,
    folders_are_clips: bool = False,
    crowds: bool = False,
) -> ForeignDataset:
    """List a dataset in the layout of COCO; the portrait is the union of the persons' regions.

    Pictures of one `video_id` are a clip. If no other clip has pictures in their folder, the other
    pictures of the folder belong to the clip, too, as frames without a mask. Every other picture is
    a clip of one frame, unless folders are clips. A picture that is listed twice comes in once if
    both listings say the same, else not at all.

    Args:
        folder: the folder that holds the JSON, or `annotations` with the JSON, or `train`, `valid`,
            ... with a JSON each; or the JSON itself.
        categories: the categories whose regions are portraits.
        folders_are_clips: a folder named in `file_name` is a clip.
        crowds: take a region marked `iscrowd` for a person, because some tools mark every brush
            mask so. Otherwise a mask with such a region is left out, because the people of a crowd
            are not outlined.

    Raises:
        LabelerError: there is no file of COCO instances, one is damaged, or no file has any of the
            categories.
    """
    root = folder if folder.is_dir() else folder.parent
    left_out: list[LeftOut] = []
    found: list[_Picture] = []
    files = instance_files(folder)
    known: list[Instances] = []
    for path in files:
        finder = PictureFinder(path, folder)
        known.append(read_instances(path, categories, finder.split))
        left_out += known[-1].left_out
        found += _located(known[-1].pictures, finder, left_out)
    if not found and not left_out:
        raise LabelerError(
            f"{folder} has no pictures in annotations/instances_*.json, nor in another file of "
            "COCO instances; give the folder that holds annotations."
        )
    there = {name for each in known for name in each.categories}
    if not has_category(there, categories):
        raise no_category(folder, categories, there)
    groups = _grouped(_once(found, left_out), root, folders_are_clips)
    homes = Counter(home for group in groups for home in group.homes)
    kinds = " or ".join(sorted(categories))
    shown = []
    for group in groups:
        if any(each.listed.people or each.listed.missing for each in group.pictures):
            shown.append(group)
        else:
            left_out.append(LeftOut(group.title, f"it shows no {kinds} (see --category)", False))
    names = names_of([group.title for group in shown])
    return ForeignDataset(
        root,
        Layout.COCO,
        {
            name: partial(_list, group, all(homes[home] == 1 for home in group.homes), crowds)
            for name, group in zip(names, shown, strict=True)
        },
        rows_of(root),
        left_out=tuple(left_out),
        titles={name: group.title for name, group in zip(names, shown, strict=True)},
        lists={
            name: list_of(group.pictures[0].listed.split)
            for name, group in zip(names, shown, strict=True)
        },
    )


def _located(
    pictures: Sequence[Listed], finder: PictureFinder, left_out: list[LeftOut]
) -> list[_Picture]:
    """Find the file of each picture."""
    found = []
    for each in pictures:
        try:
            found.append(_Picture(each, finder.find(each.file_name), finder))
        except ValueError as error:
            left_out.append(LeftOut(each.file_name, str(error)))
    return found


def _once(pictures: Sequence[_Picture], left_out: list[LeftOut]) -> list[_Picture]:
    """Keep one listing of each picture; a picture with listings that differ is left out."""
    listings: dict[Path, list[_Picture]] = defaultdict(list)
    for each in pictures:
        listings[each.path].append(each)
    kept = []
    for path, alike in listings.items():
        first, *others = alike
        if all(_says(each.listed) == _says(first.listed) for each in others):
            kept.append(first)
            continue
        files = " and ".join(sorted({each.finder.json.name for each in alike}))
        left_out.append(
            LeftOut(
                path.name,
                f"{files} list it {len(alike)} times, with other people or another size; keep one",
            )
        )
        if first.listed.video:  # its place in the video stays
            kept.append(replace(first, listed=replace(first.listed, people=(), missing=files)))
    return kept


def _says(listed: Listed) -> tuple[Any, ...]:
    """What a listing says of its picture, whatever ids it gives to it."""
    people = sorted(repr((each.get("segmentation"), each.get("iscrowd"))) for each in listed.people)
    return (listed.size, people, listed.video, listed.frame, listed.missing)


def _grouped(pictures: Sequence[_Picture], root: Path, folders_are_clips: bool) -> list[_Group]:
    """Put pictures of one video of one file together, or those of one folder, in order of title."""
    groups: dict[tuple[Path, str], _Group] = {}
    for each in pictures:
        video, home = each.listed.video, each.path.parent
        where = home.relative_to(root).as_posix() if home.is_relative_to(root) else home.name
        together = True
        if video:
            key, title = (each.finder.json, video), f"{each.finder.split}/{video}"
        elif folders_are_clips and "/" in each.listed.file_name.replace("\\", "/"):
            key, title = (home, ""), where
        else:
            key, title, together = (each.path, ""), f"{where}/{each.path.stem}", False
        groups.setdefault(key, _Group(title, together)).pictures.append(each)
    return sorted(groups.values(), key=lambda group: (group.title, str(group.pictures[0].path)))


def _list(group: _Group, alone: bool, crowds: bool) -> ForeignClip:
    """List a clip; `alone` says whether no other clip has pictures in its folder."""
    pictures = _numbered(group)
    if group.video and alone and len(group.homes) == 1:
        [home] = group.homes
        with suppress(LabelerError):  # files not named like frames keep the order of the list
            pictures = frames_in(home, PICTURES)
    numbers = {path: number for number, path in pictures.items()}
    masks: dict[int, Callable[[], ForeignMask]] = {}
    for each in group.pictures:
        if each.path not in numbers or not os.path.isfile(each.path):
            raise LabelerError(f"{each.path} is missing; bring it back from a copy.")
        masks[numbers[each.path]] = partial(_read, each, crowds)
    return ForeignClip(pictures, dict(sorted(masks.items())))


def _numbered(group: _Group) -> Mapping[int, Path]:
    """Number the pictures of a clip by their frame numbers, else in the order of their names."""
    frames = [each.listed.frame for each in group.pictures if each.listed.frame is not None]
    if len(frames) == len(group.pictures):
        if twice := [frame for frame, times in Counter(frames).items() if times > 1]:
            raise LabelerError(
                f"{group.title} has two pictures with the frame number {twice[0]:g}; number its "
                "frames again."
            )
        by_frame = sorted(zip(frames, (each.path for each in group.pictures), strict=True))
        if all(frame == int(frame) >= 0 for frame in frames):
            return {int(frame): path for frame, path in by_frame}
        return {number: path for number, (_, path) in enumerate(by_frame)}
    ordered = sorted(group.pictures, key=lambda each: natural_order(each.path.as_posix()))
    return {number: each.path for number, each in enumerate(ordered)}


def _read(picture: _Picture, crowds: bool) -> ForeignMask:
    listed = picture.listed
    width, height = picture_size(picture.path)
    if (height, width) != listed.size:
        raise LabelerError(
            f"{picture.path} is {width}x{height}, but {picture.finder.json.name} says "
            f"{listed.size[1]}x{listed.size[0]}; annotate the picture as it is."
        )
    if listed.panoptic:
        return read_segments(listed, picture.finder.json)
    regions = listed.regions()
    missing = "an outline of each person" if None in regions else ""
    if listed.crowded and not crowds:
        missing = "an outline of each person in a crowd (see --crowds)"
    try:
        mask = union([each for each in regions if each is not None], listed.size)
    except RegionError as error:
        raise LabelerError(f"A region of {picture.path} cannot be used: {error}.") from None
    return ForeignMask(np.asarray(mask), missing=listed.missing or missing)
