"""Writes datasets in the layout of COCO."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from labeler.files import replacing
from labeler.layouts.clips_table import ClipRow
from labeler.layouts.coco.regions import encode
from labeler.layouts.mvps import Dataset
from labeler.layouts.writing import Progress, clips_by_split, copies, files, work

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
        first = _First()
        for name, clips in lists.items():
            content = _instances([rows[clip] for clip in clips], regions, first)
            first = first.after(content)
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


@dataclass(frozen=True)
class _First:
    """The first id of each kind in a file, so that no two files of a dataset have an id in common.

    Tools that merge both files, or evaluate on one with results of the other, rely on it.
    """

    video: int = 1
    image: int = 1
    annotation: int = 1

    def after(self, content: dict[str, Any]) -> "_First":
        """Return the ids that follow those of a file."""
        return _First(
            self.video + len(content["videos"]),
            self.image + len(content["images"]),
            self.annotation + len(content["annotations"]),
        )


def _instances(
    rows: Sequence[ClipRow], regions: dict[str, _Regions], first: _First
) -> dict[str, Any]:
    """The content of one JSON; its numbers follow each other in order of clip and frame."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    videos = []
    for video, row in enumerate(rows, start=first.video):
        size = {"width": row.width, "height": row.height}
        videos.append({"id": video, "name": row.name, "length": row.frames} | size)
        for frame, region in sorted(regions[row.name].items()):
            image = {
                "id": len(images) + first.image,
                "file_name": f"{row.name}/{row.numbering.name(frame)}.jpg",
            }
            place = {
                "license": LICENCE["id"],
                "video_id": video,
                "frame_id": int(row.numbering.name(frame)),
            }
            images.append(image | size | place)
            if region["area"]:
                about = {"id": len(annotations) + first.annotation, "image_id": image["id"]}
                annotations.append(about | {"category_id": PERSON["id"], "iscrowd": 0} | region)
    return {
        "info": {"description": "Portraits in video: one region a frame, of all people in it"},
        "licenses": [LICENCE],
        "categories": [PERSON],
        "videos": videos,
        "images": images,
        "annotations": annotations,
    }
