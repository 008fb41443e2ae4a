"""Damages small datasets of every layout at random, and reads them as an import does.

Whatever is damaged, a reader gives masks of the right size or says a LabelerError; it never crashes
the process, takes a gigabyte, or drops a clip without a word.
"""

import base64
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from labeler.collect.import_files import take_pictures
from labeler.collect.import_plan import plan_import
from labeler.errors import LabelerError
from labeler.layouts.brush import encode_brush
from labeler.layouts.coco.regions import encode
from labeler.layouts.mvps import picture_size
from labeler.layouts.reading import find_dataset
from tests.labeler.made_foreign import SIZE, box, made_coco, made_davis, made_youtube, objects
from tests.labeler.made_others import (
    PERSON,
    bitmap,
    label_studio,
    picture,
    png,
    polygon,
    region,
    supervisely,
    write_png,
)

MEMORY = 1 << 30
"""How many bytes more than at its start a reader may map."""

CLIPS = 3
"""The number of clips in each dataset."""

MASKS = {0: objects(1, 2), 1: objects(1, 255)}


def _youtube(folder: Path) -> None:
    people = {1: ("person", [0, 1]), 2: ("person", [0])}
    made_youtube(
        folder / "train", dict.fromkeys("abc", MASKS), dict.fromkeys("abc", people), range(2)
    )


def _youtube_without_meta(folder: Path) -> None:
    made_youtube(folder, dict.fromkeys("abc", MASKS), {}, range(2))
    (folder / "meta.json").unlink()


def _coco(folder: Path) -> None:
    runs = {"size": list(SIZE[::-1]), "counts": [300, 20, SIZE[0] * SIZE[1] - 320]}
    regions = (box(0, 0, 9, 9), encode(PERSON)["segmentation"], runs)
    people = {f"{n}.jpg": [("person", r, 0)] for n, r in zip("abc", regions, strict=True)}
    made_coco(folder, people)


def _coco_videos(folder: Path) -> None:
    names = [f"{clip}/{frame}.jpg" for clip in "abc" for frame in range(2)]
    person = [("person", box(0, 0, 9, 9), 0)]
    made_coco(folder, dict.fromkeys(names, person), {name: name[0] for name in names})


def _roboflow(folder: Path) -> None:
    for split in ("train", "valid", "test"):
        made_coco(folder / "made", {f"{split}.jpg": [("person", box(0, 0, 9, 9), 0)]})
        (folder / split).mkdir()
        annotations = folder / "made" / "annotations" / "instances_train.json"
        annotations.rename(folder / split / "_annotations.coco.json")
        (folder / "made" / "images" / f"{split}.jpg").rename(folder / split / f"{split}.jpg")
    shutil.rmtree(folder / "made")


def _panoptic(folder: Path) -> None:
    made_coco(folder, {f"{n}.jpg": [("person", box(0, 0, 9, 9), 0)] for n in "abc"})
    path = folder / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    for each in content["annotations"]:
        segment = {"id": 7, "category_id": each.pop("category_id"), "iscrowd": 0}
        each |= {"file_name": f"{each['image_id']}.png", "segments_info": [segment]}
        colours = np.zeros((*PERSON.shape, 3), np.uint8)
        colours[PERSON, 0] = 7
        write_png(folder / "annotations" / "panoptic_train" / each["file_name"], colours)
    path.unlink()
    path.with_name("panoptic_train.json").write_text(json.dumps(content))


def _supervisely(folder: Path) -> None:
    supervisely(
        folder,
        {
            "a": {"objects": [bitmap(PERSON)]},
            "b": {"objects": [polygon([[1, 1], [9, 1], [9, 9]], [[[2, 2], [3, 3], [2, 3]]])]},
            "c": {"objects": [bitmap(PERSON[4:20, 10:22], 10, 4)]},
        },
    )


def _label_studio(folder: Path) -> None:
    clear = np.zeros((*PERSON.shape, 4), np.uint8)
    clear[PERSON, 3] = 255
    url = "data:image/png;base64," + base64.b64encode(png(clear)).decode()
    brush = {"format": "rle", "rle": encode_brush(PERSON)}
    label_studio(
        folder,
        {
            "a.jpg": [[region("brushlabels", brush, "Person")]],
            "b.jpg": [[region("bitmasklabels", {"imageDataURL": url}, "Person")]],
            "c.jpg": [[region("polygonlabels", {"points": [[1, 1], [9, 1], [9, 9]]}, "Person")]],
        },
    )


def _pairs(folder: Path) -> None:
    for name in "abc":
        picture(folder / "images" / f"{name}.jpg")
        write_png(folder / "masks" / f"{name}.png", PERSON.astype(np.uint8))


def _cvat(folder: Path) -> None:
    (folder / "labelmap.txt").write_text("background:0,0,0::\nperson:9,8,7::\n")
    for name in "abc":
        picture(folder / "JPEGImages" / f"{name}.jpg")
        colours = np.where(PERSON[..., None], np.array([9, 8, 7]), 0).astype(np.uint8)
        write_png(folder / "SegmentationClass" / f"{name}.png", colours)


MAKERS: dict[str, Callable[[Path], object]] = {
    "davis": lambda folder: made_davis(folder, dict.fromkeys("abc", MASKS), range(2)),
    "youtube-vos": _youtube,
    "youtube-vos without meta.json": _youtube_without_meta,
    "coco": _coco,
    "coco of videos": _coco_videos,
    "roboflow": _roboflow,
    "panoptic": _panoptic,
    "supervisely": _supervisely,
    "label-studio": _label_studio,
    "pairs": _pairs,
    "cvat": _cvat,
}

ODD: tuple[Any, ...] = (
    *(float("nan"), float("inf"), 1e300, -1e300, 1e9, -1, 0, 2**70, 0.5),
    *("", "x", "7", "../../../x.jpg", "/etc/passwd", "\x00", "\ud800", "a" * 300),
    *(None, True, [], {}, [[]], [None], {"counts": "x"}),
)


def damage(folder: Path, source: random.Random) -> tuple[str, bool]:
    """Damage one file of a dataset at random; say how, and whether a reader can notice it.

    Nobody can notice an entry that a JSON no longer has, or a JSON that is gone.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix == ".json"]
    path = source.choice(texts if texts and source.random() < 0.7 else files)
    name = path.relative_to(folder)
    if path.suffix == ".json" and source.random() < 0.8:
        with suppress(ValueError):  # what an earlier damage left may be no JSON
            content = json.loads(path.read_bytes())
            done = "; ".join(_change(content, source) for _ in range(source.choice((1, 1, 2, 5))))
            path.write_text(json.dumps(content))
            return f"{name}: {done}", "without" not in done
    data = bytearray(path.read_bytes())
    how = source.choice(("cut", "bytes", "bytes", "empty", "gone", "other"))
    match how:
        case "cut":
            path.write_bytes(data[: source.randrange(len(data) or 1)])
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "other":
            path.write_bytes(source.choice(files).read_bytes())
        case _:
            for _ in range(source.choice((1, 4, 30)) if data else 0):
                data[source.randrange(len(data) or 1)] = source.randrange(256)
            path.write_bytes(data)
    return f"{name}: {how}", path.suffix != ".json" or how not in ("gone", "other")


def _change(content: Any, source: random.Random) -> str:
    """Replace, remove or repeat one value of a JSON."""
    places = list(_places(content))
    if not places:
        return "nothing"
    holder, key = source.choice(places)
    match source.choice(("odd", "odd", "odd", "gone", "twice")):
        case "gone":
            del holder[key]
            return f"without {key!r}"
        case "twice" if isinstance(holder, list):
            holder.append(deepcopy(holder[key]))
            return f"{key!r} twice"
        case _:
            holder[key] = deepcopy(source.choice(ODD))
            return f"{key!r} is {holder[key]!r}"


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    items: Any = ()
    if isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(items):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def read_all(folder: Path, scratch: Path, noticeable: bool) -> None:
    """Read a dataset as an import does.

    Raises:
        AssertionError: a clip is neither planned nor left out, or a mask has another size.
    """
    try:
        plan = plan_import(find_dataset(folder))
    except LabelerError:
        return
    accounted = len(plan.clips) + len(plan.left_out)
    assert not noticeable or accounted >= CLIPS, "a clip is lost without a word"
    for clip in plan.clips:
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            size = take_pictures(clip.found, scratch)
            for number, read in clip.found.masks.items():
                mask = read().mask
                assert mask.dtype == bool
                assert picture_size(clip.found.pictures[number]) == size
        except LabelerError:
            continue


def fuzz(layout: str, seconds: float, first_seed: int = 0) -> tuple[int, str]:
    """Damage and read datasets of a layout for some time, in a process of its own.

    Returns:
        How many were read, and what went wrong, "" if nothing did.
    """
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as place:
        root = Path(place)
        (root / "made").mkdir()
        MAKERS[layout](root / "made")
        child = os.fork()
        if child == 0:
            _work(root, seconds, first_seed)
        _, status = os.waitpid(child, 0)
        log = (root / "log").read_text().splitlines()
        wrong = (root / "wrong").read_text() if (root / "wrong").exists() else ""
        if os.WIFSIGNALED(status):
            wrong = f"killed by signal {os.WTERMSIG(status)}"
        return len(log), f"{layout}: {log[-1]}\n{wrong}" if wrong else ""


def _work(root: Path, seconds: float, seed: int) -> None:
    """Read damaged datasets until the time is over or something goes wrong; never return."""
    os.environ["OMP_NUM_THREADS"] = "1"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    end = time.monotonic() + seconds
    try:
        with (root / "log").open("w", buffering=1) as log:
            while time.monotonic() < end:
                source = random.Random(seed)
                shutil.rmtree(root / "damaged", ignore_errors=True)
                shutil.copytree(root / "made", root / "damaged")
                done = [damage(root / "damaged", source) for _ in range(source.choice((1, 1, 2)))]
                log.write(ascii(f"seed {seed}: {', '.join(how for how, _ in done)}") + "\n")
                # Nobody notices if both files of a picture are gone.
                gone = sum(how.endswith("gone") for how, _ in done)
                noticeable = gone < 2 and all(each for _, each in done)
                read_all(root / "damaged", root / "scratch", noticeable)
                seed += 1
    except BaseException:
        (root / "wrong").write_text(traceback.format_exc())
    finally:
        sys.stdout.flush()
        os._exit(0)
