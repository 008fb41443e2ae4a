"""Layouts of other tools that are read only, made file by file as those tools write them."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from labeler.collect.import_plan import plan_import
from labeler.errors import LabelerError
from labeler.layouts.brush import encode_brush
from labeler.layouts.layout import Layout
from labeler.layouts.reading import find_dataset
from labeler.mask import Mask
from labeler.workspace.workspace import Workspace
from tests.labeler.importing import masks, take
from tests.labeler.made_datasets import made_picture, write_indexed, write_picture
from tests.labeler.made_foreign import SIZE, box, made_coco, made_youtube, objects
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


def imported(workspace: Workspace, folder: Path, layout: Layout, **how: object) -> dict[str, Mask]:
    assert find_dataset(folder, **how).layout is layout  # type: ignore[arg-type]
    take(workspace, folder, **how)
    return {clip.name: masks(workspace, clip.name)[0] for clip in workspace.clips()}


# Pictures and masks in two folders


def test_pp_humanseg(workspace: Workspace, tmp_path: Path) -> None:
    for name, split in (("a", "train"), ("b", "val")):
        picture(tmp_path / "images" / f"{name}.jpg")
        write_png(tmp_path / "annotations" / f"{name}.png", PERSON.astype(np.uint8))
        (tmp_path / f"{split}.txt").write_text(f"images/{name}.jpg annotations/{name}.png\n")
    picture(tmp_path / "images" / "bare.jpg")
    write_png(tmp_path / "annotations" / "lone.png", PERSON.astype(np.uint8))
    found = imported(workspace, tmp_path, Layout.PAIRS)
    assert sorted(found) == ["a", "b"]
    for mask in found.values():
        np.testing.assert_array_equal(mask, PERSON)
    assert {clip.name: clip.split for clip in workspace.clips()} == {"a": "train", "b": "test"}
    assert {(x.name, x.reason, x.lost) for x in plan_import(find_dataset(tmp_path)).left_out} == {
        ("bare", "it has no mask", False),
        ("lone", "its mask has no picture", True),
    }


def test_masks_of_cvat_are_read_by_the_colour_of_the_label(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nperson:51,221,255::\ndog:9,9,9::\n"
    )
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "default.txt").write_text("a\n")
    picture(tmp_path / "JPEGImages" / "a.jpg")
    colours = np.zeros((*PERSON.shape, 3), np.uint8)
    colours[PERSON] = (51, 221, 255)
    colours[:2] = (9, 9, 9)
    write_png(tmp_path / "SegmentationClass" / "a.png", colours)
    write_png(tmp_path / "SegmentationObject" / "a.png", colours)
    np.testing.assert_array_equal(imported(workspace, tmp_path, Layout.PAIRS)["a"], PERSON)
    with pytest.raises(LabelerError, match="no category 'cat'; it has: background, dog, person"):
        find_dataset(tmp_path, categories=["cat"])


def test_masks_of_one_name_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    picture(tmp_path / "images" / "a.jpeg")
    write_png(tmp_path / "masks" / "a.png", PERSON.astype(np.uint8))
    [refused] = plan_import(find_dataset(tmp_path)).lost
    assert "a.jpeg and a.jpg have one name" in refused.reason


# Supervisely


def test_supervisely(workspace: Workspace, tmp_path: Path) -> None:
    corners = [[10, 4], [21, 4], [21, 19], [10, 19]]
    folder = supervisely(
        tmp_path,
        {
            "bitmap": {"objects": [bitmap(PERSON[4:20, 10:22], 10, 4)]},
            "polygon": {"objects": [polygon(corners), polygon([[0, 0]], title="dog")]},
            "dog": {"objects": [polygon(corners, title="dog")]},
            "tagged": {"objects": [polygon(corners)], "tags": [{"name": "not-marked-people"}]},
            "bad": {"objects": [polygon([[float("nan"), 1e300], [3, 3], [9, 9]])]},
        },
    )
    found = imported(workspace, folder, Layout.SUPERVISELY)
    assert sorted(found) == ["bitmap", "polygon"]
    for mask in found.values():
        np.testing.assert_array_equal(mask, PERSON)
    taken = take(workspace, folder)
    assert "a polygon with the coordinate nan" in taken["bad"].fault
    assert "people who are not marked" in taken["tagged"].remarks[0]


# Label Studio


def test_label_studio(workspace: Workspace, tmp_path: Path) -> None:
    brush = region("brushlabels", {"format": "rle", "rle": encode_brush(PERSON)})
    clear = np.zeros((*PERSON.shape, 4), np.uint8)
    clear[PERSON, 3] = 255
    url = "data:image/png;base64," + base64.b64encode(png(clear)).decode()
    corners = np.array([[10, 4], [22, 4], [22, 20], [10, 20]]) * 100 / np.array(SIZE)
    outline = region("polygonlabels", {"points": corners.tolist()})
    rectangle = region("rectanglelabels", {"x": 0, "y": 0, "width": 9, "height": 9})
    folder = label_studio(
        tmp_path,
        {
            "brush.jpg": [[brush]],
            "bitmask.jpg": [[region("bitmasklabels", {"imageDataURL": url})]],
            "polygon.jpg": [[outline]],
            "twice.jpg": [[brush], [outline]],
            "nobody.jpg": [],
            "box.jpg": [[rectangle]],
            "dog.jpg": [[brush | {"value": brush["value"] | {"brushlabels": ["dog"]}}]],
        },
    )
    found = imported(workspace, folder, Layout.LABEL_STUDIO, categories=["portrait"])
    assert sorted(found) == ["bitmask", "brush", "polygon"]
    for mask in found.values():
        np.testing.assert_array_equal(mask, PERSON)
    dataset = find_dataset(folder, categories=["portrait"])
    assert {(each.name, each.lost) for each in dataset.left_out} == {
        ("twice", True),
        ("nobody", False),
        ("dog", False),
    }
    assert (
        "without an outline" in take(workspace, folder, categories=["portrait"])["box"].remarks[0]
    )
    assert find_dataset(folder).clips.keys() == dataset.clips.keys()
    with pytest.raises(LabelerError, match="no category 'cat'; it has: Portrait, dog"):
        find_dataset(folder, categories=["cat"])


# COCO as others write it


def test_folders_of_roboflow(workspace: Workspace, tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        made = made_coco(tmp_path / "made" / split, {"a.jpg": [("person", box(0, 0, 10, 24), 0)]})
        (tmp_path / "set" / split).mkdir(parents=True)
        (made / "annotations" / "instances_train.json").rename(
            tmp_path / "set" / split / "_annotations.coco.json"
        )
        picture(tmp_path / "set" / split / "a.jpg")
        write_picture(tmp_path / "set" / split / "a.jpg", made_picture(split, 0, SIZE))
    assert len(imported(workspace, tmp_path / "set", Layout.COCO)) == 3
    assert {clip.name: clip.split for clip in workspace.clips()} == {
        "test_a": "test",
        "train_a": "train",
        "valid_a": "test",
    }


def test_panoptic_coco(workspace: Workspace, tmp_path: Path) -> None:
    picture(tmp_path / "val2017" / "a.jpg")
    picture(tmp_path / "val2017" / "b.jpg")
    colours = np.zeros((*PERSON.shape, 3), np.uint8)
    colours[PERSON] = (7, 1, 0)  # 7 + 256
    colours[:2] = (9, 0, 0)
    size = {"width": SIZE[0], "height": SIZE[1]}
    images, annotations = [], []
    for number, name in enumerate("ab"):
        write_png(tmp_path / "annotations" / "panoptic_val2017" / f"{name}.png", colours)
        images.append({"id": number, "file_name": f"{name}.jpg"} | size)
        segments = [
            {"id": 263, "category_id": 1, "iscrowd": 0},
            {"id": 9, "category_id": 2, "iscrowd": 0},
        ]
        if name == "b":
            segments.append({"id": 4, "category_id": 1, "iscrowd": 0})
        annotations.append(
            {"image_id": number, "file_name": f"{name}.png", "segments_info": segments}
        )
    categories = [
        {"id": 1, "name": "person", "isthing": 1},
        {"id": 2, "name": "sky", "isthing": 0},
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "annotations" / "panoptic_val2017.json").write_text(json.dumps(content))
    found = imported(workspace, tmp_path, Layout.COCO)
    assert list(found) == ["a"]
    np.testing.assert_array_equal(found["a"], PERSON)
    assert workspace.clip("a").split == "test"


def test_meta_json_without_categories_as_mose_has_it(workspace: Workspace, tmp_path: Path) -> None:
    made_youtube(tmp_path, {"a": {0: objects(1, 2)}}, {}, range(2))
    meta = {"videos": {"a": {"objects": {"1": {"frame_range": {"start": "0", "end": "1"}}}}}}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    assert "has no categories: every object counts" in find_dataset(tmp_path).notes[0]
    np.testing.assert_array_equal(
        imported(workspace, tmp_path, Layout.YOUTUBE_VOS)["a"], objects(1, 2) > 0
    )


def test_a_damaged_entry_of_meta_json_costs_its_clip_alone(tmp_path: Path) -> None:
    clips = {name: {0: objects(1)} for name in "abc"}
    made_youtube(tmp_path, clips, {name: {1: ("person", [0])} for name in "abc"}, range(2))
    content = json.loads((tmp_path / "meta.json").read_text())
    content["videos"]["b"] = {"objects": [1, 2]}
    del content["videos"]["c"]
    (tmp_path / "meta.json").write_text(json.dumps(content))
    found = plan_import(find_dataset(tmp_path))
    assert [clip.name for clip in found.clips] == ["a"]
    assert [(x.name.split("/")[1], x.lost) for x in found.left_out] == [("b", True), ("c", True)]


def test_masks_beside_their_pictures_with_the_colours_of_nobody(tmp_path: Path) -> None:
    write_indexed(tmp_path / "masks" / "a.png", objects(1))
    picture(tmp_path / "images" / "a.jpg")
    [clip] = plan_import(find_dataset(tmp_path)).clips
    assert clip.found.masks[0]().mask.sum() == objects(1).sum()
