"""Random datasets of each layout: what the plan holds is what came in, and nothing else.

`--hypothesis-profile thorough` tries 10,000 of each.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from labeler.collect.import_plan import ImportPlan, plan_import
from labeler.images.palette import davis_palette
from labeler.layouts.coco.regions import encode
from labeler.layouts.reading import find_dataset
from labeler.mask import Mask
from labeler.text.naming import check_clip_name

WIDTH, HEIGHT = 9, 7
PICTURE = Pillow.new("RGB", (WIDTH, HEIGHT), (90, 120, 40))

NAMES = st.text(
    st.characters(
        codec="utf-8", exclude_characters="/\\\0", exclude_categories=("Cc", "Cs", "Zl", "Zp")
    )
    | st.sampled_from("张李三四Иванéаяñ한글あ 0._-"),
    min_size=1,
    max_size=12,
).filter(lambda name: name[0] not in ". " and name.strip() == name and len(name.encode()) < 90)


@dataclass(frozen=True)
class RandomClip:
    """A clip: the numbers of its pictures, and its object numbers by picture; 255 is void."""

    name: str
    numbers: range
    objects: dict[int, np.ndarray]
    width: int
    prefix: str
    suffix: str
    palette: str

    def expected(self) -> dict[int, Mask]:
        """Its masks by the index of their frames."""
        values = self.objects.values()
        numbered = any(((v > 0) & (v < 255)).any() for v in values)
        return {
            self.numbers.index(number): (value > 0) & ((value < 255) | (not numbered))
            for number, value in self.objects.items()
        }


@st.composite
def clips(draw: st.DrawFn) -> list[RandomClip]:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.casefold))
    return [draw(_clip(name)) for name in names]


@st.composite
def _clip(draw: st.DrawFn, name: str) -> RandomClip:
    start, step = draw(st.sampled_from([0, 0, 1, 7, 99998])), draw(st.sampled_from([1, 1, 5]))
    numbers = range(start, start + step * draw(st.integers(1, 4)), step)
    masked = draw(st.lists(st.sampled_from(numbers), min_size=1, unique=True))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    kinds = draw(st.sampled_from([(0, 1), (0, 1, 2), (0, 255), (0, 1, 2, 255), (0,)]))
    objects = {n: random.choice(kinds, (HEIGHT, WIDTH)).astype(np.uint8) for n in masked}
    return RandomClip(
        name,
        numbers,
        objects,
        draw(st.sampled_from([5, 6, 8, 1])),
        draw(st.sampled_from(["", "", "frame_", "图"])),
        draw(st.sampled_from([".png", ".PNG"])),
        draw(st.sampled_from(["davis", "grey", "unfilled", "turned"])),
    )


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def write_trees(pictures: Path, masks: Path, clip: RandomClip) -> None:
    for each in (pictures / clip.name, masks / clip.name):
        each.mkdir(parents=True)
    for number in clip.numbers:
        stem = f"{clip.prefix}{number:0{clip.width}d}"
        PICTURE.save(pictures / clip.name / f"{stem}.jpg")
        if number in clip.objects:
            write_mask(masks / clip.name / f"{stem}{clip.suffix}", clip.objects[number], clip)


def write_mask(path: Path, values: np.ndarray, clip: RandomClip) -> None:
    """Write object numbers with one of the palettes that tools write."""
    colours = {
        "davis": davis_palette(),
        "grey": tuple(n // 3 for n in range(768)),
        "unfilled": (0, 0, 0, 128, 0, 0) + (0,) * 762,
        "turned": (9, 9, 9, *(n // 3 for n in range(3, 765)), 0, 0, 0),
    }[clip.palette]
    if clip.palette == "turned":  # black is not index 0 but the last one; 255 goes to another
        values = np.where(values == 0, 255, np.where(values == 255, 254, values)).astype(np.uint8)
    picture = Pillow.frombytes("P", (WIDTH, HEIGHT), values.tobytes())
    picture.putpalette(colours)
    picture.save(path, format="PNG")


def hold(plan: ImportPlan, made: list[RandomClip]) -> None:
    """Hold a plan against what was written."""
    assert not plan.left_out
    assert len({clip.name.casefold() for clip in plan.clips}) == len(made)
    found = {clip.title.rpartition("/")[2]: clip for clip in plan.clips}
    assert found.keys() == {clip.name for clip in made}
    for clip in made:
        planned = found[clip.name]
        assert check_clip_name(planned.name) == planned.name
        assert list(planned.places) == list(clip.numbers)
        expected = clip.expected()
        assert [planned.places[number] for number in planned.found.masks] == sorted(expected)
        for number, read in planned.found.masks.items():
            np.testing.assert_array_equal(read().mask, expected[planned.places[number]])


@settings(deadline=None)
@given(made=clips(), davis=st.booleans())
def test_trees_of_numbered_masks(made: list[RandomClip], davis: bool) -> None:
    made = [clip for clip in made if clip.palette != "turned" or not _void(clip)]
    if not made:
        return
    with folder() as place:
        below = "480p" if davis else ""
        for clip in made:
            write_trees(place / "JPEGImages" / below, place / "Annotations" / below, clip)
        hold(plan_import(find_dataset(place)), made)


def _void(clip: RandomClip) -> bool:
    return any((value == 255).any() for value in clip.objects.values())


@settings(deadline=None)
@given(
    made=clips(),
    text=st.booleans(),
    backslash=st.booleans(),
    twice=st.booleans(),
    shuffle=st.randoms(use_true_random=False),
)
def test_videos_of_coco(
    made: list[RandomClip], text: bool, backslash: bool, twice: bool, shuffle: object
) -> None:
    images, annotations, videos = [], [], []
    with folder() as place:
        for video, clip in enumerate(made, start=1):
            videos.append({"id": video, "name": clip.name})
            (place / "images" / clip.name).mkdir(parents=True)
            for number in clip.numbers:
                file = f"{clip.name}/{clip.prefix}{number}.jpg"
                PICTURE.save(place / "images" / file)
                about = {
                    "id": len(images),
                    "file_name": file.replace("/", "\\") if backslash else file,
                    "width": WIDTH,
                    "height": HEIGHT,
                    "video_id": str(video) if text else video,
                    "frame_id": number,
                }
                images.append(about)
                mask = clip.objects.get(number, np.zeros((HEIGHT, WIDTH), np.uint8)) > 0
                region = {"category_id": 3, "iscrowd": 0, "image_id": about["id"]}
                if mask.any():
                    annotations.append(
                        region | {"segmentation": encode(np.asarray(mask))["segmentation"]}
                    )
                if twice:
                    again = about | {"id": 1000 + len(images)}
                    images.append(again)
                    if mask.any():
                        annotations.append(annotations[-1] | {"image_id": again["id"]})
        if text:
            annotations = [each | {"image_id": str(each["image_id"])} for each in annotations]
        shuffle.shuffle(images)  # type: ignore[attr-defined]
        shuffle.shuffle(annotations)  # type: ignore[attr-defined]
        content = {"images": images, "annotations": annotations, "videos": videos}
        content["categories"] = [{"id": 3, "name": "Person"}]
        (place / "annotations").mkdir()
        path = place / "annotations" / "instances_train.json"
        path.write_text(json.dumps(content))
        if not annotations:
            assert not plan_import(find_dataset(place)).clips
            return
        shown = [c for c in made if any((v > 0).any() for v in c.objects.values())]
        plan = plan_import(find_dataset(place))
        assert {each.name.rpartition("/")[2] for each in plan.left_out} == {
            clip.name for clip in made if clip not in shown
        }
        assert not plan.lost
        for clip in shown:
            planned = next(p for p in plan.clips if p.title == f"train/{clip.name}")
            assert list(planned.places) == list(clip.numbers)
            for number, read in planned.found.masks.items():
                value = clip.objects.get(number, np.zeros((HEIGHT, WIDTH), np.uint8))
                np.testing.assert_array_equal(read().mask, value > 0)


@settings(deadline=None)
@given(
    names=st.lists(NAMES, min_size=1, max_size=6, unique_by=str.casefold),
    gone=st.sets(st.integers(0, 5)),
)
def test_pictures_with_masks_come_in_or_are_named(names: list[str], gone: set[int]) -> None:
    with folder() as place:
        for tree in ("images", "masks"):
            (place / tree).mkdir()
        for number, name in enumerate(names):
            PICTURE.save(place / "images" / f"{name}.jpg")
            Pillow.new("L", (WIDTH, HEIGHT), 255).save(place / "masks" / f"{name}.png")
            if number in gone:
                (place / "images" / f"{name}.jpg").unlink()
        plan = plan_import(find_dataset(place))
        assert {clip.title for clip in plan.clips} == {
            name for number, name in enumerate(names) if number not in gone
        }
        assert {each.name for each in plan.lost} == {
            name for number, name in enumerate(names) if number in gone
        }
        shutil.rmtree(place / "images")
        (place / "images").mkdir()
        assert not plan_import(find_dataset(place)).clips
