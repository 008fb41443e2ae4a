"""What is found in a dataset in the layout of COCO."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from labeler.clip import clip_name_from
from labeler.coco import region, union
from labeler.errors import LabelerError
from labeler.found import PICTURES, FoundClip, FoundDataset, FoundMask, frames_in, rows_of
from labeler.layout import Layout


@dataclass(frozen=True)
class _Listed:
    """A picture that the JSON names: its file, (height, width), order in its video, people."""

    path: Path
    size: tuple[int, int]
    order: tuple[float, str]
    people: Sequence[Mapping[str, Any]]


@dataclass
class _Group:
    """The pictures of one clip; `video` is whether the JSON says that they are one."""

    video: bool
    pictures: list[_Listed] = field(default_factory=list)

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
) -> FoundDataset:
    """List a dataset in the layout of COCO; the portrait is the union of the persons' regions.

    Pictures of one `video_id` are a clip; with them go the other pictures in their folder, if
    that is theirs alone, as frames without a mask. Every other picture is a clip of one frame,
    unless folders are clips. Pictures of no clip with a person in it are left out.

    Args:
        folder: the one that holds the JSON, or its folder `annotations`; or the JSON itself.
        categories: of the regions that are portraits.
        folders_are_clips: a folder named in `file_name` is a clip.
        crowds: take a region marked `iscrowd` for a person, as some tools mark every brush mask;
            if not, a mask with one is not whole, for nobody in a crowd is outlined.

    Raises:
        LabelerError: there is no file of COCO instances, or one is damaged.
    """
    root = folder if folder.is_dir() else folder.parent
    groups: dict[str, _Group] = {}
    for path in instance_files(folder):
        _gather(groups, path, root, categories, folders_are_clips)
    if not groups:
        raise LabelerError(
            f"{folder} has no pictures in annotations/instances_*.json, nor in another file of "
            "COCO instances; give the folder that holds annotations."
        )
    homes = Counter(home for group in groups.values() for home in group.homes)
    clips = {
        name: partial(_list, group, all(homes[home] == 1 for home in group.homes), crowds)
        for name, group in _named(groups).items()
        if any(each.people for each in group.pictures)
    }
    notes = []
    if others := len(groups) - len(clips):
        kinds = " or ".join(sorted(categories))
        notes.append(f"Left out without a {kinds} (see --category): {others} of the clips.")
    return FoundDataset(root, Layout.COCO, clips, rows_of(root), tuple(notes))


def instance_files(folder: Path) -> list[Path]:
    """The files of COCO instances of a dataset: those named so, else any that look like it."""
    if folder.is_file():
        return [folder]
    known = [*sorted(folder.glob("*.json")), *sorted(folder.glob("annotations/*.json"))]
    named = [path for path in known if path.name.startswith("instances")]
    return named or [path for path in known if _looks_like_instances(path)]


def _looks_like_instances(path: Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def _gather(
    groups: dict[str, _Group],
    path: Path,
    root: Path,
    categories: Collection[str],
    folders_are_clips: bool,
) -> None:
    """Put each picture that a file of instances names into its group."""
    try:
        content = json.loads(path.read_bytes())
        wanted = {each["id"] for each in content["categories"] if each["name"] in categories}
        people = defaultdict(list)
        for each in content["annotations"]:
            if each["category_id"] in wanted:
                people[each["image_id"]].append(each)
        videos = {each["id"]: str(each["name"]) for each in content.get("videos", ())}
        for image in content["images"]:
            name = Path(str(image["file_name"]))
            video = image.get("video_id")
            if video is not None:
                title = videos.get(video, f"video-{video}")
            elif folders_are_clips and name.parent.name:
                title = name.parent.as_posix()
            else:
                title = name.with_suffix("").as_posix()
            together = video is not None or title == name.parent.as_posix()
            listed = _Listed(
                path=_find(name, path, root),
                size=(int(image["height"]), int(image["width"])),
                order=(float(image.get("frame_id", image.get("frame_index", 0))), str(name)),
                people=people[image["id"]],
            )
            groups.setdefault(title, _Group(together)).pictures.append(listed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelerError(
            f"{path} is no file of COCO instances ({error!r}); give instances_train.json, say, "
            "with images, annotations and categories."
        ) from None


def _find(name: Path, path: Path, root: Path) -> Path:
    """Where a picture is that a file of instances names; it may be missing."""
    split = path.stem.removeprefix("instances_")
    places = [root / "images", root / split, root / "images" / split, root, root.parent]
    return next((p / name for p in places if (p / name).is_file()), places[0] / name)


def _named(groups: Mapping[str, _Group]) -> dict[str, _Group]:
    """The groups by the last part of their title, or by the whole of it where that is taken."""
    short = {title: _safe(title.rsplit("/", 1)[-1]) for title in groups}
    times = Counter(short.values())
    return {
        short[title] if times[short[title]] == 1 else _safe(title): group
        for title, group in sorted(groups.items())
    }


def _safe(title: str) -> str:
    return clip_name_from(Path(f"{title.replace('/', '_')}.jpg"))


def _list(group: _Group, alone: bool, crowds: bool) -> FoundClip:
    """List a clip; `alone` is whether no other clip has pictures in its folder."""
    listed = sorted(group.pictures, key=lambda each: each.order)
    pictures = {number: each.path for number, each in enumerate(listed)}
    if group.video and alone and len(group.homes) == 1:
        [home] = group.homes
        with suppress(LabelerError):  # files that are not named like frames are in order as listed
            pictures = frames_in(home, PICTURES)
    numbers = {path: number for number, path in pictures.items()}
    masks: dict[int, Callable[[], FoundMask]] = {}
    for each in listed:
        if each.path not in numbers:
            raise LabelerError(f"{each.path} is missing; bring it back from a copy.")
        masks[numbers[each.path]] = partial(_read, each, crowds)
    return FoundClip(pictures, dict(sorted(masks.items())))


def _read(listed: _Listed, crowds: bool) -> FoundMask:
    outlined = [each for each in listed.people if each.get("segmentation")]
    missing = "an outline of each person" if len(outlined) < len(listed.people) else ""
    if not crowds and any(each.get("iscrowd") for each in listed.people):
        missing = "an outline of each person in a crowd (see --crowds)"
    try:
        regions = [region(each["segmentation"], listed.size) for each in outlined]
        return FoundMask(union(regions, listed.size), missing=missing)
    except Exception as error:  # pycocotools raises bare ones
        raise LabelerError(f"A region of {listed.path} cannot be read: {error}.") from None
