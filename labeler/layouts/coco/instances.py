"""Files of COCO instances: which pictures they list, and who is outlined in each picture."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labeler.errors import LabelerError
from labeler.layouts.coco.regions import RegionError, Size, region
from labeler.layouts.foreign import LeftOut, has_category

LONGEST_SIDE = 65_535
"""The longest side of a JPEG file, in pixels."""


@dataclass(frozen=True)
class Listed:
    """A picture that a file of instances lists.

    Attributes:
        file_name: its file, as the JSON names it.
        size: (height, width), in pixels.
        people: the annotations of the wanted categories.
        video: the name of its video; "" if it belongs to none.
        frame: its number in the video; None if the JSON does not say it.
        missing: which people may not be outlined, "" if all are.
        split: the list of the dataset that it is in, such as "train"; "" if none.
        panoptic: the PNG whose segments the people are, as the JSON names it; "" if there is none.
    """

    file_name: str
    size: Size
    people: tuple[Mapping[str, Any], ...] = ()
    video: str = ""
    frame: float | None = None
    missing: str = ""
    split: str = ""
    panoptic: str = ""

    def regions(self) -> tuple[bytes | None, ...]:
        """Convert each person's region to compressed run lengths, None where there is none.

        Raises:
            LabelerError: a region cannot be used.
        """
        try:
            return tuple(region(each.get("segmentation"), self.size) for each in self.people)
        except RegionError as error:
            raise LabelerError(
                f"A region of {self.file_name} cannot be used: {error}; draw it again."
            ) from None

    @property
    def crowded(self) -> bool:
        """Whether a region is marked `iscrowd`: the people in it are not outlined one by one."""
        return any(each.get("iscrowd") for each in self.people)


@dataclass(frozen=True)
class Instances:
    """What a file of instances holds: its pictures, what cannot be used, and all its categories."""

    path: Path
    pictures: tuple[Listed, ...]
    left_out: tuple[LeftOut, ...]
    categories: tuple[str, ...]


def read_instances(path: Path, categories: Collection[str], split: str = "") -> Instances:
    """Read a file of COCO instances; a damaged entry costs its own picture only.

    Ids are numbers or text: 7, 7.0 and "7" are one id. Categories are compared in any case.

    Args:
        path: the JSON.
        categories: the categories whose regions are portraits.
        split: the list of the dataset that its pictures are in.

    Raises:
        LabelerError: it is no such file.
    """
    content = _content(path)
    reader = _Reader(path, content, categories, split)
    pictures = tuple(reader.pictures())
    reader.look_for_lost_people()
    return Instances(path, pictures, tuple(reader.left_out), tuple(reader.names.values()))


def is_instances(path: Path) -> bool:
    """Tell whether a JSON has the parts of a file of instances."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def _content(path: Path) -> dict[str, list[Any]]:
    wanted = "give a file with images, annotations and categories, such as instances_train.json."
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise LabelerError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise LabelerError(f"{path} is no readable JSON; {wanted}") from None
    for name in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise LabelerError(
                f"{path} is no file of COCO instances, as it has no list {name!r}; {wanted}"
            )
    return dict(content)


@dataclass
class _Reader:
    """Resolves the ids of one file; collects what cannot be resolved in `left_out`."""

    path: Path
    content: Mapping[str, list[Any]]
    wanted: Collection[str]
    split: str
    left_out: list[LeftOut] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    _people: dict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    _panoptic: dict[str, str] = field(default_factory=dict)
    _doubtful: dict[str, str] = field(default_factory=dict)
    _listed: Counter[str] = field(default_factory=Counter)

    def pictures(self) -> Iterator[Listed]:
        """Yield the pictures that can be used."""
        self._read_categories()
        self._read_annotations()
        videos = self._videos()
        images = [each for each in self.content["images"] if isinstance(each, Mapping)]
        for _ in range(len(self.content["images"]) - len(images)):
            self._leave_out(self.path.name, "it lists pictures that are no JSON objects")
        self._listed.update(_key(each.get("id")) for each in images)
        for image in images:
            name = image.get("file_name")
            if not isinstance(name, str) or not name.strip() or "\0" in name:
                self._leave_out(f"id {image.get('id')!r}", f"{self.path} gives it no file_name")
                continue
            try:
                yield self._picture(name, image, videos)
            except ValueError as error:
                self._leave_out(name, str(error))

    def look_for_lost_people(self) -> None:
        """Leave out by name the people in pictures that the file does not list."""
        counts = Counter({key: len(people) for key, people in self._people.items()})
        counts.update(dict.fromkeys(self._doubtful, 1))
        for key in [key for key in counts if key not in self._listed]:
            count = f"{counts[key]} annotation{'s' if counts[key] > 1 else ''}"
            self._leave_out(
                f"image_id {key}", f"{self.path} has {count} of it, but lists no such picture"
            )

    def _read_categories(self) -> None:
        for each in self.content["categories"]:
            if not isinstance(each, Mapping) or not isinstance(each.get("name"), str):
                raise LabelerError(f"{self.path} has a category without a name; complete it.")
            key, name = _key(each.get("id")), each["name"]
            if self.names.setdefault(key, name) != name:
                raise LabelerError(
                    f"{self.path} has two categories of one id, {self.names[key]!r} and {name!r}; "
                    "give each its own."
                )

    def _read_annotations(self) -> None:
        wanted = {key for key, name in self.names.items() if has_category([name], self.wanted)}
        for each in self.content["annotations"]:
            if not isinstance(each, Mapping):
                self._leave_out(self.path.name, "it has annotations that are no JSON objects")
                continue
            image = _key(each.get("image_id"))
            segments = each.get("segments_info")
            if isinstance(segments, list):  # a panoptic file: one PNG of all segments a picture
                self._panoptic[image] = str(each.get("file_name"))
            for one in segments if isinstance(segments, list) else [each]:
                kind = _key(one.get("category_id")) if isinstance(one, Mapping) else "?"
                if kind not in self.names:
                    self._doubtful[image] = f"the category {kind}, which the file does not list"
                elif kind in wanted:
                    self._people[image].append(one)

    def _videos(self) -> dict[str, str]:
        given = self.content.get("videos", [])
        return {
            _key(each.get("id")): str(each.get("name", each.get("file_name", "")))
            for each in (given if isinstance(given, list) else [])
            if isinstance(each, Mapping)
        }

    def _picture(self, name: str, image: Mapping[str, Any], videos: Mapping[str, str]) -> Listed:
        key = _key(image.get("id"))
        if self._listed[key] > 1:
            raise ValueError(
                f"{self.path} has {self._listed[key]} pictures with the id {key}, so whose people "
                "are whose is unknown; number them again"
            )
        size = (_side(image, "height"), _side(image, "width"))
        video = image.get("video_id")
        frame = image.get("frame_id", image.get("frame_index"))
        if frame is not None and _number(frame) is None:
            raise ValueError(f"{self.path} gives it the frame number {frame!r}")
        return Listed(
            file_name=name,
            size=size,
            people=tuple(self._people.get(key, ())),
            video="" if video is None else videos.get(_key(video)) or f"video-{_key(video)}",
            frame=_number(frame),
            missing=self._doubtful.get(key, ""),
            split=self.split,
            panoptic=self._panoptic.get(key, ""),
        )

    def _leave_out(self, name: str, reason: str) -> None:
        self.left_out.append(LeftOut(name, reason))


def _key(value: Any) -> str:
    """Return an id as text, the same for 7, 7.0 and "7"."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    digits = text.removeprefix("-")
    return str(int(text)) if digits.isascii() and digits.isdecimal() and len(text) < 40 else text


def _number(value: Any) -> float | None:
    """Return a finite number of reasonable size; None for anything else."""
    if isinstance(value, int | float) and abs(value) < 1e15:
        return float(value)
    return None


def _side(image: Mapping[str, Any], name: str) -> int:
    side = _number(image.get(name))
    if side is None or not 1 <= side <= LONGEST_SIDE or side != int(side):
        raise ValueError(f"its {name} in the JSON is {image.get(name)!r}")
    return int(side)
