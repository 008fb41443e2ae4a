"""The plan of an import: everything that comes in, and everything that does not, by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from labeler.collect.import_plan import ImportPlan, plan_import
from labeler.errors import LabelerError
from labeler.layouts.reading import find_dataset
from labeler.workspace.workspace import Workspace
from tests.labeler.importing import ONE, masks, take
from tests.labeler.made_datasets import made_picture, write_picture
from tests.labeler.made_foreign import SIZE, box, made_coco, made_davis, made_youtube, objects

LEFT = ("person", box(0, 0, 10, 24), 0)
RIGHT = ("person", box(20, 0, 30, 24), 0)


def plan(folder: Path, **how: object) -> ImportPlan:
    return plan_import(find_dataset(folder, **how))  # type: ignore[arg-type]


def rewritten(folder: Path, change: Callable[[dict], object], name: str = "train") -> Path:
    """Change the JSON of a made COCO dataset."""
    path = folder / "annotations" / f"instances_{name}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return folder


# Names, and what is told apart


def test_pictures_of_one_name_in_two_lists_are_two_clips(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    for name, region in (("train", LEFT), ("val", RIGHT)):
        made_coco(folder / name, {"0001.jpg": [region]}, name=name)
        shutil.move(folder / name / "images", folder / "images" / name)
        (folder / "annotations").mkdir(exist_ok=True)
        annotations = folder / name / "annotations" / f"instances_{name}.json"
        shutil.move(annotations, folder / "annotations" / annotations.name)
        write_picture(folder / "images" / name / "0001.jpg", made_picture(name, 1, SIZE))
    found = plan(folder)
    assert {clip.name: clip.split for clip in found.clips} == {
        "images_train_0001": "train",
        "images_val_0001": "test",
    }
    take(workspace, folder)
    assert masks(workspace, "images_train_0001")[0][:, 5].all()
    assert masks(workspace, "images_val_0001")[0][:, 25].all()
    assert {clip.name: clip.split for clip in workspace.clips()} == {
        "images_train_0001": "train",
        "images_val_0001": "test",
    }


def test_names_of_any_script_are_told_apart_and_kept(workspace: Workspace, tmp_path: Path) -> None:
    names = ["张三", "李四", "Иван", "café", "a.jpg", "a.jpeg", "a b", "a_b", "A_B"]
    pictures = {name if "." in name else f"{name}.jpg": [LEFT] for name in names}
    folder = made_coco(tmp_path / "set", pictures)
    taken = take(workspace, folder)
    assert len(taken) == len(workspace.clips()) == len(names)
    assert {"ZhangSan", "LiSi", "Ivan", "cafe"} <= {clip.name for clip in workspace.clips()}
    assert workspace.clip("ZhangSan").source == "set/images/张三"
    davis = made_davis(tmp_path / "davis", {"张三": {0: ONE}, "李四": {0: ONE}})
    assert [(clip.name, clip.title) for clip in plan(davis).clips] == [
        ("LiSi", "李四"),
        ("ZhangSan", "张三"),
    ]


def test_a_picture_that_is_listed_twice_comes_in_once_or_is_refused(tmp_path: Path) -> None:
    folder = made_coco(tmp_path / "set", {"a.jpg": [LEFT], "b.jpg": [LEFT], "c.jpg": [LEFT]})

    def twice(content: dict) -> None:
        for number, other in ((0, LEFT), (1, RIGHT)):
            again = content["images"][number] | {"id": 90 + number}
            content["images"].append(again)
            content["annotations"].append(
                content["annotations"][number]
                | {"id": 90 + number, "image_id": 90 + number, "segmentation": other[1]}
            )

    found = plan(rewritten(folder, twice))
    assert [clip.name for clip in found.clips] == ["a", "c"]
    [refused] = found.lost
    assert refused.name == "b.jpg"
    assert "list it 2 times, with other people" in refused.reason


def test_clips_of_one_name_in_two_splits_are_two_clips_of_two_sources(
    workspace: Workspace, tmp_path: Path
) -> None:
    for split, number in (("train", 1), ("valid", 2)):
        people = {"walk": {number: ("person", [0])}}
        made_youtube(tmp_path / split, {"walk": {0: objects(number)}}, people, range(number))
    found = plan(tmp_path)
    assert [(clip.name, clip.title, clip.split) for clip in found.clips] == [
        ("train_walk", "train/walk", "train"),
        ("valid_walk", "valid/walk", "test"),
    ]
    take(workspace, tmp_path)
    assert len({clip.source for clip in workspace.clips()}) == 2
    dataset = find_dataset(tmp_path)
    assert [clip.name for clip in plan_import(dataset, ["valid/walk"]).clips] == ["valid_walk"]
    with pytest.raises(LabelerError, match="There is no clip 'walk'"):
        plan_import(dataset, ["walk"])


# Ids and paths


@pytest.mark.parametrize("text", [str, lambda n: f" {n} ", float])
def test_ids_are_numbers_or_text(tmp_path: Path, text: Callable[[int], object]) -> None:
    folder = made_coco(tmp_path / "set", {"a.jpg": [LEFT], "b.jpg": [RIGHT]})

    def change(content: dict) -> None:
        for each in content["annotations"]:
            each["image_id"] = text(each["image_id"])
            each["category_id"] = text(each["category_id"])

    found = plan(rewritten(folder, change))
    assert [clip.name for clip in found.clips] == ["a", "b"]
    assert not found.left_out


def test_people_of_pictures_that_are_not_listed_are_named(tmp_path: Path) -> None:
    folder = made_coco(tmp_path / "set", {"a.jpg": [LEFT], "b.jpg": [RIGHT]})
    found = plan(rewritten(folder, lambda c: c["images"].pop()))
    assert [clip.name for clip in found.clips] == ["a"]
    assert "1 annotation of it, but lists no such picture" in found.lost[0].reason


def test_a_region_of_an_unknown_category_leaves_its_mask_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = made_coco(tmp_path / "set", {"a.jpg": [LEFT, RIGHT], "b.jpg": [LEFT]})
    rewritten(folder, lambda c: c["annotations"][1].update(category_id=77))
    taken = take(workspace, folder)
    assert "without the category 77" in taken["a"].remarks[0]
    assert [clip.name for clip in workspace.clips()] == ["b"]


@pytest.mark.parametrize(
    "name", ["../outside.jpg", "/etc/outside.jpg", "C:\\a.jpg", "images/../../outside.jpg"]
)
def test_no_name_leads_out_of_the_dataset(tmp_path: Path, name: str) -> None:
    folder = made_coco(tmp_path / "set", {"a.jpg": [LEFT], "b.jpg": [LEFT]})
    write_picture(tmp_path / "outside.jpg", made_picture("x", 0, SIZE))
    found = plan(rewritten(folder, lambda c: c["images"][0].update(file_name=name)))
    assert [clip.name for clip in found.clips] == ["b"]
    assert [each.name for each in found.lost] == [name]
    assert "out of the dataset's folder" in found.lost[0].reason


@pytest.mark.parametrize("written", ["images\\a.jpg", "A.JPG", "./a.jpg", "images/a.JPG"])
def test_a_picture_is_found_however_its_name_is_written(
    workspace: Workspace, tmp_path: Path, written: str
) -> None:
    folder = made_coco(tmp_path / "set", {"a.jpg": [LEFT]})
    rewritten(folder, lambda c: c["images"][0].update(file_name=written))
    assert take(workspace, folder)["a"].masks == 1


def test_a_category_in_any_case_and_one_that_is_not_there(tmp_path: Path) -> None:
    folder = made_coco(tmp_path / "set", {"a.jpg": [LEFT]})
    assert len(plan(folder, categories=["Person"]).clips) == 1
    with pytest.raises(LabelerError, match=r"no category 'human'; it has: dog, person"):
        plan(folder, categories=["human"])
    youtube = made_youtube(
        tmp_path / "yt", {"a": {0: ONE}}, {"a": {1: ("person", [0])}}, pictures=range(2)
    )
    assert len(plan(youtube, categories=["Person"]).clips) == 1
    with pytest.raises(LabelerError, match=r"no category 'human'; it has: person"):
        plan(youtube, categories=["human"])


# One rule, every reader


def as_davis(folder: Path, clips: dict, pictures: range) -> Path:
    return made_davis(folder, clips, pictures)


def as_youtube(folder: Path, clips: dict, pictures: range) -> Path:
    made_youtube(folder, clips, {}, pictures)
    (folder / "meta.json").unlink()
    return folder


def as_youtube_with_meta(folder: Path, clips: dict, pictures: range) -> Path:
    people = dict.fromkeys(range(1, 9), ("person", ()))
    return made_youtube(folder, clips, dict.fromkeys(clips, people), pictures)


READERS = {"davis": as_davis, "youtube": as_youtube, "youtube with meta": as_youtube_with_meta}


@pytest.fixture(params=READERS, ids=list(READERS))
def made(request: pytest.FixtureRequest) -> Callable[..., Path]:
    return READERS[request.param]


def test_void_is_background_where_objects_are_numbered(
    workspace: Workspace, tmp_path: Path, made: Callable[..., Path]
) -> None:
    clips = {"a": {0: objects(1, 2, 255), 1: objects(0, 0, 255)}}
    taken = take(workspace, made(tmp_path / "set", clips, range(2)))["a"]
    found = masks(workspace, "a")
    np.testing.assert_array_equal(found[0], objects(1, 2) > 0)
    assert not found[1].any()
    assert "undecided (void) pixels" in taken.remarks[0]


def test_suffixes_are_read_in_any_case(
    workspace: Workspace, tmp_path: Path, made: Callable[..., Path]
) -> None:
    folder = made(tmp_path / "set", {"a": {0: ONE, 1: ONE}}, range(2))
    for path in [*folder.rglob("*.png"), *folder.rglob("*.jpg")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    assert take(workspace, folder)["a"].masks == 2


def test_a_palette_is_read_by_its_colours_or_refused(
    workspace: Workspace, tmp_path: Path, made: Callable[..., Path]
) -> None:
    folder = made(tmp_path / "set", {"good": {0: ONE}, "unclear": {0: ONE}}, range(2))
    for path in folder.rglob("*.png"):
        picture = Pillow.frombytes("P", SIZE, (ONE == 0).astype(np.uint8).tobytes())
        black = (0, 0, 0) if "good" in path.parts else (0, 9, 9)
        picture.putpalette((255, 0, 0, *black))
        picture.save(path)
    taken = take(workspace, folder)
    np.testing.assert_array_equal(masks(workspace, "good")[0], ONE > 0)
    assert "does not tell which colour is the background" in taken["unclear"].fault


def test_numbers_of_any_width_and_start_are_read_in_order(
    workspace: Workspace, tmp_path: Path, made: Callable[..., Path]
) -> None:
    folder = made(tmp_path / "set", {"a": {8: ONE, 9: ONE, 10: ONE}}, range(8, 12))
    for path in [*folder.rglob("*.png"), *folder.rglob("*.jpg")]:
        path.rename(path.with_stem(f"frame_{int(path.stem)}"))
    taken = take(workspace, folder)["a"]
    assert (taken.fault, taken.masks) == ("", 3)
    assert taken.remarks == (
        "its frames 8 to 11 have the numbers 0 to 3 here, and their own in exports",
    )
    assert list(masks(workspace, "a")) == [0, 1, 2]


@pytest.mark.parametrize("missing", ["picture", "picture of a mask"])
def test_a_gap_costs_its_clip_and_no_other(
    workspace: Workspace, tmp_path: Path, made: Callable[..., Path], missing: str
) -> None:
    clips = {"a": {0: ONE, 3: ONE}, "b": {0: ONE, 3: ONE}}
    folder = made(tmp_path / "set", clips, range(4))
    number = {"picture": 1, "picture of a mask": 3}[missing]
    for path in folder.rglob(f"a/{number:05d}.jpg"):
        path.unlink()
    taken = take(workspace, folder)
    assert taken["a"].fault
    assert taken["b"].new
    found = plan(folder)
    assert [clip.name for clip in found.clips] == ["b"]
    assert [each.name for each in found.lost] == ["a"]


# What a plan says


def test_a_plan_names_all_that_comes_in_and_all_that_does_not(tmp_path: Path) -> None:
    folder = made_coco(
        tmp_path / "set",
        {"a.jpg": [LEFT], "b.jpg": [("dog", box(0, 0, 9, 9), 0)], "c.jpg": [LEFT]},
    )
    (folder / "images" / "c.jpg").unlink()
    found = plan(folder)
    *lines, total = found.lines()
    assert lines[0].startswith("a (images/a): 1 frame, 1 mask, list train, from ")
    assert "left out: images/b: it shows no person (see --category)" in lines
    assert any(line.startswith("left out: c: ") and "c.jpg is missing" in line for line in lines)
    assert (
        "1 clip with 1 frame and 1 mask; already there: 0; left out: 2, of these 1 damaged" in total
    )
    told = json.loads(json.dumps(found.to_json()))
    assert [clip["clip"] for clip in told["comes_in"]] == ["a"]
    assert told["comes_in"][0]["pictures"] == [str(folder / "images" / "a.jpg")]
    assert {each["clip"]: each["lost"] for each in told["left_out"]} == {
        "images/b": False,
        "c": True,
    }
