"""Reads and writes datasets in the layout of COCO."""

import importlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeler.clip import frame_name
from labeler.errors import LabelerError
from labeler.files import replacing
from labeler.layouts.clips_table import ClipRow
from labeler.layouts.foreign import (
    ForeignClip,
    ForeignDataset,
    ForeignMask,
    rows_of,
)
from labeler.layouts.frame_files import PICTURES, frames_in
from labeler.layouts.layout import Layout
from labeler.layouts.mvps import Dataset
from labeler.layouts.writing import Progress, clips_by_split, copies, files, work
from labeler.mask import Mask
from labeler.naming import distinct_names

Size = tuple[int, int]
"""Height and width, in pixels."""


def decode_runs(counts: bytes) -> NDArray[np.int64]:
    """Decode COCO's compressed run lengths: outside, inside, outside, ..., down the columns.

    As in `rleFrString` of pycocotools' maskApi.c, a byte has six bits: five bits of the number, the
    lowest ones first, and one bit that says whether the number goes on. From the fourth run on, the
    number is the difference from the run two before. (pycocotools' `decode` warns under numpy 2.)

    >>> decode_runs(b"55o0").tolist()
    [5, 5, 31]
    """
    runs: list[int] = []
    number = bits = 0
    for byte in counts:
        digit = byte - 48
        number |= (digit & 31) << bits
        bits += 5
        if not digit & 32:
            if digit & 16:
                number -= 1 << bits
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = bits = 0
    return np.array(runs, np.int64)


def region(
    segmentation: Sequence[Sequence[float]] | Mapping[str, Any], size: Size
) -> dict[str, Any]:
    """Convert an annotation's polygons or run lengths to pycocotools' compressed run lengths.

    Raises:
        LabelerError: pycocotools is not installed.
        ValueError, KeyError, TypeError, IndexError: the annotation is something else.
    """
    coco = module("mask")
    height, width = size
    given: Any = segmentation
    if isinstance(given, Mapping):
        made = (
            coco.frPyObjects(given, height, width) if isinstance(given["counts"], list) else given
        )
    else:
        made = coco.merge(coco.frPyObjects(given, height, width))
    counts = made["counts"]
    counts = counts.encode() if isinstance(counts, str) else bytes(counts)
    return {"size": list(made["size"]), "counts": counts}


def union(regions: Sequence[dict[str, Any]], size: Size) -> Mask:
    """Make the mask, H x W bool, of all pixels that are in at least one of the regions.

    Raises:
        LabelerError: a region has another size, or does not fill the picture.
    """
    mask = np.zeros(size[0] * size[1], bool)
    for each in regions:
        runs = decode_runs(each["counts"])
        if tuple(each["size"]) != size or runs.sum() != mask.size or (runs < 0).any():
            raise LabelerError("its run lengths do not fill the picture; write the file again.")
        mask |= np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(mask.reshape(size, order="F"))


def encode(mask: Mask) -> dict[str, Any]:
    """Encode a mask, H x W bool, as the `segmentation`, `area` and `bbox` of a JSON file."""
    coco = module("mask")
    made = coco.encode(np.asfortranarray(mask.view(np.uint8)))
    return {
        "segmentation": {"size": list(mask.shape), "counts": made["counts"].decode("ascii")},
        "area": int(mask.sum()),
        "bbox": coco.toBbox(made).tolist(),
    }


def module(name: str) -> Any:
    """Import a module of pycocotools only when it is used: other training does not need it."""
    try:
        return importlib.import_module(f"pycocotools.{name}")
    except ImportError:
        raise LabelerError(
            "The layout of COCO needs pycocotools; run `pip install pycocotools`."
        ) from None


@dataclass(frozen=True)
class _Listed:
    """A picture that the JSON names: its file, (height, width), order in its video, people."""

    path: Path
    size: tuple[int, int]
    order: tuple[float, str]
    people: Sequence[Mapping[str, Any]]


@dataclass
class _Group:
    """The pictures of one clip; `video` says whether the JSON itself makes them a clip."""

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
) -> ForeignDataset:
    """List a dataset in the layout of COCO; the portrait is the union of the persons' regions.

    Pictures of one `video_id` are a clip. If no other clip has pictures in their folder, the other
    pictures of the folder belong to the clip, too, as frames without a mask. Every other picture is
    a clip of one frame, unless folders are clips. Clips without a person are left out.

    Args:
        folder: the folder that holds the JSON or `annotations` with the JSON; or the JSON itself.
        categories: the categories whose regions are portraits.
        folders_are_clips: a folder named in `file_name` is a clip.
        crowds: take a region marked `iscrowd` for a person, because some tools mark every brush
            mask so. Otherwise a mask with such a region is left out, because the people of a crowd
            are not outlined.

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
        notes.append(f"Clips left out, because they show no {kinds} (see --category): {others}.")
    return ForeignDataset(root, Layout.COCO, clips, rows_of(root), tuple(notes))


def instance_files(folder: Path) -> list[Path]:
    """List a dataset's files of COCO instances: those named so, else those with such content."""
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
    """Put each picture that a file of instances lists into its group."""
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
            f"{path} is no file of COCO instances ({error!r}); give a file with images, "
            "annotations and categories, such as instances_train.json."
        ) from None


def _find(name: Path, path: Path, root: Path) -> Path:
    """Find a picture that a file of instances lists; the path may be of a missing file."""
    split = path.stem.removeprefix("instances_")
    places = [root / "images", root / split, root / "images" / split, root, root.parent]
    return next((p / name for p in places if (p / name).is_file()), places[0] / name)


def _named(groups: Mapping[str, _Group]) -> dict[str, _Group]:
    """Name each group by its title; no two get one name."""
    titles = sorted(groups)
    return dict(zip(distinct_names(titles), map(groups.__getitem__, titles), strict=True))


def _list(group: _Group, alone: bool, crowds: bool) -> ForeignClip:
    """List a clip; `alone` says whether no other clip has pictures in its folder."""
    listed = sorted(group.pictures, key=lambda each: each.order)
    pictures = {number: each.path for number, each in enumerate(listed)}
    if group.video and alone and len(group.homes) == 1:
        [home] = group.homes
        with suppress(LabelerError):  # files not named like frames keep the order of the list
            pictures = frames_in(home, PICTURES)
    numbers = {path: number for number, path in pictures.items()}
    masks: dict[int, Callable[[], ForeignMask]] = {}
    for each in listed:
        if each.path not in numbers:
            raise LabelerError(f"{each.path} is missing; bring it back from a copy.")
        masks[numbers[each.path]] = partial(_read, each, crowds)
    return ForeignClip(pictures, dict(sorted(masks.items())))


def _read(listed: _Listed, crowds: bool) -> ForeignMask:
    outlined = [each for each in listed.people if each.get("segmentation")]
    missing = "an outline of each person" if len(outlined) < len(listed.people) else ""
    if not crowds and any(each.get("iscrowd") for each in listed.people):
        missing = "an outline of each person in a crowd (see --crowds)"
    try:
        regions = [region(each["segmentation"], listed.size) for each in outlined]
        return ForeignMask(union(regions, listed.size), missing=missing)
    except Exception as error:  # pycocotools raises bare exceptions
        raise LabelerError(f"A region of {listed.path} cannot be read: {error}.") from None


NAMES = frozenset({"images", "annotations", "clips.csv"})
"""Everything `to_coco` writes into its folder."""

LICENCE: dict[str, Any] = {"id": 1, "name": "not stated: see source in clips.csv", "url": ""}
PERSON: dict[str, Any] = {"id": 1, "name": "person", "supercategory": "person"}

_Regions = dict[int, dict[str, Any]]
"""For each frame, the mask as `encode` returns it."""


def to_coco(dataset: Dataset, target: Path, progress: Progress | None = None) -> None:
    """Write the largest pictures of a finished MVPS dataset in the layout of COCO.

    `annotations/instances_train.json` and `instances_val.json` list the pictures that have a mask,
    `<clip>/00000.jpg` below `images`. Each has one region in compressed run lengths, of all its
    people together, because MVPS does not separate people; or no region, if nobody is masked. A
    picture without a mask is copied but not listed, because a listed picture without a region says
    that nobody is in it. Each listed picture has the `video_id` of its clip in `videos`, and its
    `frame_id` in that clip.

    Args:
        dataset: a finished MVPS dataset.
        target: the folder to write, which is replaced as a whole; see `refuse_foreign`.
        progress: called with (files written, files to write).

    Raises:
        LabelerError: the dataset is not finished or damaged, pycocotools is not installed, or
            nothing can be written.
    """
    lists = clips_by_split(dataset)
    rows = {row.name: row for row in dataset.clips}
    regions: dict[str, _Regions] = {clip: {} for clip in rows}
    with replacing(target) as folder:
        work(_jobs(dataset, folder / "images", regions), progress)
        (folder / "annotations").mkdir()
        for name, clips in lists.items():
            content = _instances([rows[clip] for clip in clips], regions)
            path = folder / "annotations" / f"instances_{name}.json"
            with path.open("w", encoding="ascii") as file:
                json.dump(content, file)
        shutil.copyfile(dataset.folder / "clips.csv", folder / "clips.csv")


def _jobs(
    dataset: Dataset, folder: Path, regions: dict[str, _Regions]
) -> Iterator[Callable[[], object]]:
    [resolution, *_] = dataset.resolutions
    for clip in regions:
        pictures, masked = files(dataset, clip, resolution)
        yield from copies(pictures, folder / clip)
        for number in masked:
            yield partial(_encode, dataset, clip, number, regions[clip])


def _encode(dataset: Dataset, clip: str, number: int, regions: _Regions) -> None:
    regions[number] = encode(dataset.mask(clip, number))


def _instances(rows: Sequence[ClipRow], regions: dict[str, _Regions]) -> dict[str, Any]:
    """The content of one JSON; its numbers begin at 1, in order of clip and frame."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    videos = []
    for video, row in enumerate(rows, start=1):
        size = {"width": row.width, "height": row.height}
        videos.append({"id": video, "name": row.name, "length": row.frames} | size)
        for frame, region in sorted(regions[row.name].items()):
            image = {"id": len(images) + 1, "file_name": f"{row.name}/{frame_name(frame)}.jpg"}
            place = {"license": LICENCE["id"], "video_id": video, "frame_id": frame}
            images.append(image | size | place)
            if region["area"]:
                about = {"id": len(annotations) + 1, "image_id": image["id"]}
                annotations.append(about | {"category_id": PERSON["id"], "iscrowd": 0} | region)
    return {
        "info": {"description": "Portraits in video: one region a frame, of all people in it"},
        "licenses": [LICENCE],
        "categories": [PERSON],
        "videos": videos,
        "images": images,
        "annotations": annotations,
    }
