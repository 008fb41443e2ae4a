"""Reads Supervisely's projects: `<dataset>/img` with pictures, `<dataset>/ann` with a JSON each."""

import base64
import io
import json
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labeler.errors import LabelerError
from labeler.layouts.foreign import ForeignDataset, ForeignMask, LeftOut, has_category, no_category
from labeler.layouts.frame_files import PICTURES
from labeler.layouts.layout import Layout
from labeler.layouts.others.stills import MaskedPicture, dataset_of
from labeler.mask import Mask

LONGEST_SIDE = 65_535


class TooLargeError(ValueError):
    """A bitmap that is larger than its picture."""


def supervisely_pictures(folder: Path) -> list[Path]:
    """List the pictures of all datasets of a project."""
    found = [path for path in folder.glob("*/img/*") if path.suffix.lower() in PICTURES]
    return sorted(path for path in found if (path.parent.parent / "ann").is_dir())


def find_supervisely(folder: Path, categories: Collection[str]) -> ForeignDataset:
    """List the pictures of a project; the portrait is the union of the categories' objects.

    The classes `person_bmp` and `person_poly` are persons, too, as Supervisely Person names them.

    Raises:
        LabelerError: there are no pictures, or no object is of one of the categories.
    """
    found: list[MaskedPicture] = []
    left_out: list[LeftOut] = []
    there: set[str] = set()
    for path in supervisely_pictures(folder):
        title = f"{path.parent.parent.name}/{path.stem}"
        try:
            content = read_annotation(annotation_of(path))
        except LabelerError as error:
            left_out.append(LeftOut(title, str(error).removesuffix(".")))
            continue
        objects = _objects(content)
        kinds = [str(each.get("classTitle")) for each in objects or ()]
        there.update(map(_plain, kinds))
        if has_category([_plain(kind) for kind in kinds], categories):
            read = partial(_read, path, content, categories)
            found.append(MaskedPicture(title, path, read))
        elif objects is None:
            left_out.append(LeftOut(title, f"{annotation_of(path)} has no list of objects"))
        else:
            reason = f"it shows no {' or '.join(sorted(categories))} (see --category)"
            left_out.append(LeftOut(title, reason, lost=False))
    pictures = {annotation_of(path) for path in supervisely_pictures(folder)}
    lone = sorted(set(folder.glob("*/ann/*.json")) - pictures)
    left_out += [LeftOut(f"{p.parent.parent.name}/{p.name}", "it has no picture") for p in lone]
    if not found and not left_out:
        raise LabelerError(f"{folder} holds no pictures in <dataset>/img; give another folder.")
    if there and not has_category(there, categories):
        raise no_category(folder, categories, there)
    return dataset_of(folder, Layout.SUPERVISELY, found, left_out)


def annotation_of(image: Path) -> Path:
    """Return the annotation of a picture: `ann/a.png.json`, or `ann/a.json` in older exports."""
    folder = image.parent.parent / "ann"
    older = folder / f"{image.stem}.json"
    return older if older.is_file() else folder / f"{image.name}.json"


def read_annotation(path: Path) -> Mapping[str, Any]:
    """Read an annotation, whose content is not checked.

    Raises:
        LabelerError: the file is missing or has no JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise LabelerError(f"{path} is missing.") from None
    except (OSError, ValueError, RecursionError):
        raise LabelerError(f"{path} is not readable JSON.") from None
    if not isinstance(content, dict):
        raise LabelerError(f"{path} is not an annotation of Supervisely.")
    return content


def size_of(annotation: Mapping[str, Any]) -> tuple[int, int]:
    """Return the width and height that an annotation states.

    Raises:
        ValueError: it states none.
    """
    size = annotation.get("size")
    sides = [size.get(name) for name in ("width", "height")] if isinstance(size, dict) else []
    whole = [side for side in sides if isinstance(side, int) and 0 < side <= LONGEST_SIDE]
    if len(whole) < 2:
        raise ValueError(f"it states the size {size!r}")
    return whole[0], whole[1]


def draw_objects(annotation: Mapping[str, Any], wanted: Callable[[str], bool]) -> NDArray[np.uint8]:
    """Draw the objects of an annotation, H x W uint8: n for the n-th of the wanted classes.

    A later object is in front of an earlier one.

    Raises:
        ValueError: an object cannot be drawn; the message is a clause that says why.
    """
    width, height = size_of(annotation)
    people = np.zeros((height, width), np.uint8)
    objects = _objects(annotation)
    if objects is None:
        raise ValueError("it has no list of objects")
    persons = [each for each in objects if wanted(str(each.get("classTitle")))]
    for number, person in enumerate(persons, start=1):
        _draw(people, person, min(number, 255))
    return people


def _objects(annotation: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Return the objects of an annotation; None if it has no list of them."""
    objects = annotation.get("objects")
    if isinstance(objects, list) and all(isinstance(each, Mapping) for each in objects):
        return objects
    return None


def _plain(kind: str) -> str:
    return kind.removesuffix("_bmp").removesuffix("_poly")


def _read(
    path: Path, content: Mapping[str, Any], categories: Collection[str], size: tuple[int, int]
) -> ForeignMask:
    def wanted(kind: str) -> bool:
        return has_category([_plain(kind)], categories)

    try:
        if size_of(content) != size:
            raise ValueError(f"its size is not that of {path.name}, {size[0]}x{size[1]}")
        people = draw_objects(content, wanted)
    except ValueError as error:
        raise LabelerError(
            f"{annotation_of(path)} cannot be used: {error}; export it again."
        ) from None
    persons = [each for each in _objects(content) or () if wanted(str(each.get("classTitle")))]
    missing = ""
    if any(not each.get("bitmap") and not each.get("points") for each in persons):
        missing = "an outline of each person"
    if "not-marked-people" in json.dumps(content.get("tags")):
        missing = "people who are not marked (by its tag)"
    return ForeignMask(people > 0, missing=missing)


def _draw(people: NDArray[np.uint8], person: Mapping[str, Any], number: int) -> None:
    bitmap, points = person.get("bitmap"), person.get("points")
    if isinstance(bitmap, Mapping):
        _draw_bitmap(people, bitmap, number)
    elif isinstance(points, Mapping) and points.get("exterior"):
        exterior, interior = points["exterior"], points.get("interior") or []
        if not isinstance(interior, list):
            raise ValueError("it has holes that are no list")
        shape = np.zeros_like(people)
        cv2.fillPoly(shape, [_outline(exterior, people.shape)], 1)
        for hole in interior:
            cv2.fillPoly(shape, [_outline(hole, people.shape)], 0)
        people[shape > 0] = number


def _draw_bitmap(people: NDArray[np.uint8], bitmap: Mapping[str, Any], number: int) -> None:
    inside = _decoded(bitmap.get("data"), people.size)
    origin = bitmap.get("origin")
    if not isinstance(origin, list) or [type(each) for each in origin] != [int, int]:
        raise ValueError(f"it has a bitmap with the origin {origin!r}")
    left, top = origin
    height, width = inside.shape
    part = people[max(0, top) : top + height, max(0, left) : left + width]
    if left < 0 or top < 0 or not part.size:
        raise ValueError(f"it has a bitmap at {left}, {top}, out of the picture")
    part[inside[: part.shape[0], : part.shape[1]]] = number


def _decoded(data: Any, most: int) -> Mask:
    """Decode a bitmap: base64 of a compressed PNG, which is at most as large as its picture."""
    try:
        decompressor = zlib.decompressobj()
        packed = decompressor.decompress(base64.b64decode(data), 8 * most + 65536)
        if decompressor.unconsumed_tail:
            raise TooLargeError("it has a bitmap that is larger than the picture")
        with Pillow.open(io.BytesIO(packed), formats=("PNG",)) as picture:
            if picture.width * picture.height > most:
                raise TooLargeError("it has a bitmap that is larger than the picture")
            alpha = "A" in picture.getbands()
            pixels = np.asarray(picture.getchannel("A") if alpha else picture.convert("L"))
    except TooLargeError:
        raise
    except Exception:  # Pillow raises errors of many kinds on damaged data
        raise ValueError("it has a bitmap that cannot be decoded") from None
    return np.asarray(pixels > 0)


def _outline(points: Any, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Check the points of an outline, and round them to pixels."""
    longest = max(shape)
    for point in points if isinstance(points, list) and points else [None]:
        if not isinstance(point, list) or len(point) != 2:
            raise ValueError("it has a polygon that is no list of points")
        for value in point:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not -longest <= value <= 2 * longest:
                raise ValueError(f"it has a polygon with the coordinate {str(value)[:40]}")
    return np.rint(np.array(points, np.float64).reshape(-1, 2)).astype(np.int32)
