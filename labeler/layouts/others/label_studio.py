"""Reads Label Studio's own exports (JSON): brush masks, bitmasks and polygons of pictures."""

import base64
import io
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from PIL import Image as Pillow

from labeler.errors import LabelerError
from labeler.layouts.brush import decode_brush
from labeler.layouts.coco.files import PictureFinder
from labeler.layouts.coco.regions import RegionError, region, union
from labeler.layouts.foreign import ForeignDataset, ForeignMask, LeftOut, has_category, no_category
from labeler.layouts.frame_files import PICTURES
from labeler.layouts.layout import Layout
from labeler.layouts.others.stills import MaskedPicture, dataset_of
from labeler.mask import Mask

KINDS = ("brushlabels", "bitmasklabels", "polygonlabels")
"""The kinds of regions that outline something."""

Region = Mapping[str, Any]


def label_studio_files(folder: Path) -> list[Path]:
    """List the JSON exports of Label Studio in a folder, or the file itself."""
    if folder.is_file():
        return [folder] if _tasks(folder) else []
    return [path for path in sorted(folder.glob("*.json")) if _tasks(path)]


def find_label_studio(folder: Path, categories: Collection[str]) -> ForeignDataset:
    """List the pictures of an export; the portrait is the union of the categories' regions.

    The export has no pictures: put them beside the JSON, or in `images`. A task's picture is found
    by the name of its file, also behind the eight letters that an upload puts before it.

    Args:
        folder: the folder with the JSON, or the JSON itself.
        categories: the labels of people.

    Raises:
        LabelerError: there is no export, or no region has one of the labels.
    """
    found: list[MaskedPicture] = []
    left_out: list[LeftOut] = []
    there: set[str] = set()
    for path in label_studio_files(folder):
        finder = PictureFinder(path, folder)
        for task in _tasks(path):
            if not task:
                left_out.append(LeftOut(path.name, "it has a damaged task"))
                continue
            title, picture = _picture(task, finder)
            regions, reason = _regions(task)
            labels = [label for each in regions for label in _labels(each)]
            there.update(labels)
            by_choice = False
            if picture is None:
                reason = f"its picture is not beside {path.name} nor in images; put it there"
            elif not reason and not regions:
                reason, by_choice = "it has no annotation", True
            elif not reason and not has_category(labels, categories):
                kinds = " or ".join(sorted(categories))
                reason, by_choice = f"it shows no {kinds} (see --category)", True
            if reason or picture is None:
                left_out.append(LeftOut(title, reason, lost=not by_choice))
                continue
            wanted = [each for each in regions if has_category(_labels(each), categories)]
            found.append(MaskedPicture(title, picture, partial(_read, title, wanted)))
    if not found and not left_out:
        raise LabelerError(f"{folder} has no JSON of Label Studio; export the project as JSON.")
    if there and not has_category(there, categories):
        raise no_category(folder, categories, there)
    root = folder if folder.is_dir() else folder.parent
    return dataset_of(root, Layout.LABEL_STUDIO, *_once(found, left_out))


def _tasks(path: Path) -> list[Mapping[str, Any]]:
    """Read the entries of an export, of which some may be damaged; none if it is something else."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    tasks = content if isinstance(content, list) else []
    good = [t for t in tasks if isinstance(t, Mapping) and isinstance(t.get("data"), Mapping)]
    return [each if each in good else {} for each in tasks] if good else []


def _picture(task: Mapping[str, Any], finder: PictureFinder) -> tuple[str, Path | None]:
    """Return the name of a task's picture, and its file if it is there."""
    for value in task["data"].values():
        if not isinstance(value, str):
            continue
        parts = urlsplit(value.replace("\\", "/")) if len(value) < 4096 else urlsplit("")
        named = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
        name = Path(named).name
        if Path(name).suffix.lower() not in PICTURES or "\0" in name:
            continue
        for each in (name, name.partition("-")[2]):  # an upload has eight letters and "-" before it
            try:
                if each and os.path.isfile(path := finder.find(each)):
                    return Path(each).stem, path
            except ValueError:
                continue
        return Path(name).stem, None
    return f"task {task.get('id')}", None


def _regions(task: Mapping[str, Any]) -> tuple[list[Region], str]:
    """Return the regions of a task's annotation, and why they cannot be used, or ""."""
    annotations = task.get("annotations", [])
    if not isinstance(annotations, list) or not all(isinstance(a, Mapping) for a in annotations):
        return [], "its annotations are damaged"
    counted = [each for each in annotations if not each.get("was_cancelled")]
    if len(counted) > 1:
        return [], f"it has {len(counted)} annotations; export one of each task"
    results = counted[0].get("result", []) if counted else []
    if not isinstance(results, list) or not all(isinstance(each, Mapping) for each in results):
        return [], "its annotation is damaged"
    return [each for each in results if _labels(each)], ""


def _labels(each: Region) -> list[str]:
    value = each.get("value")
    if not isinstance(value, Mapping):
        return []
    kind = str(each.get("type"))
    labels = value.get(kind) if kind.endswith("labels") else None
    return [str(label) for label in labels] if isinstance(labels, list) else []


def _once(
    found: list[MaskedPicture], left_out: list[LeftOut]
) -> tuple[list[MaskedPicture], list[LeftOut]]:
    """Leave out pictures that two tasks have."""
    times = Counter(each.path for each in found)
    twice = {path for path, count in times.items() if count > 1}
    reason = "two tasks have this picture; export one of them"
    left_out += [LeftOut(each.title, reason) for each in found if each.path in twice]
    return [each for each in found if each.path not in twice], left_out


def _read(title: str, regions: list[Region], size: tuple[int, int]) -> ForeignMask:
    width, height = size
    mask = np.zeros((height, width), bool)
    missing = ""
    for each in regions:
        if (each.get("original_width"), each.get("original_height")) != size:
            raise LabelerError(
                f"A region of {title} is for a picture of {each.get('original_width')!r}x"
                f"{each.get('original_height')!r}, but it is {width}x{height}; draw it again."
            )
        if each.get("image_rotation", 0) != 0:
            raise LabelerError(f"{title} was rotated while it was annotated; rotate it back.")
        try:
            drawn = _drawn(each, size)
        except (RegionError, ValueError) as error:
            raise LabelerError(f"A region of {title} cannot be used: {error}.") from None
        if drawn is None:
            missing = "an outline of each person"
        else:
            mask |= drawn
    return ForeignMask(mask, missing=missing)


def _drawn(each: Region, size: tuple[int, int]) -> Mask | None:
    """Draw a region; return None if it outlines nothing.

    Raises:
        LabelerError, ValueError: it cannot be drawn.
    """
    value, (width, height) = each["value"], size
    if each.get("type") == "brushlabels":
        return decode_brush(value.get("rle", ()), height, width)
    if each.get("type") == "bitmasklabels":
        return _decoded(value.get("imageDataURL"), size)
    if each.get("type") == "polygonlabels":
        counts = region(list(_in_pixels(value.get("points"), size)), (height, width))
        return None if counts is None else union([counts], (height, width))
    return None


def _in_pixels(points: Any, size: tuple[int, int]) -> Iterator[float]:
    """Convert a polygon's points, in percent of the picture, to x, y, x, y, ... in pixels."""
    for point in points if isinstance(points, list) else [None]:
        if not isinstance(point, list) or len(point) != 2:
            raise ValueError("it has a polygon that is no list of points")
        for share, side in zip(point, size, strict=True):
            if isinstance(share, bool) or not isinstance(share, int | float) or abs(share) > 1e6:
                raise ValueError(f"it has a polygon with {str(share)[:40]}")
            yield share * side / 100


def _decoded(url: Any, size: tuple[int, int]) -> Mask:
    """Decode a bitmask: a PNG in a data URL, opaque where the region is."""
    head, _, data = str(url).partition(",")
    if not head.startswith("data:image/png"):
        raise ValueError("its bitmask is no PNG")
    try:
        packed = io.BytesIO(base64.b64decode(data, validate=True))
        with Pillow.open(packed, formats=("PNG",)) as picture:
            fits = picture.size == size
            alpha = np.asarray(picture.convert("RGBA").getchannel("A")) if fits else None
    except Exception:  # Pillow raises errors of many kinds on damaged data
        raise ValueError("its bitmask cannot be decoded") from None
    if alpha is None:
        raise ValueError("its bitmask has another size than the picture")
    return np.asarray(alpha > 127)
