"""MSCOCO, on a small made file."""

import json

import numpy as np
import pytest

from labeler.errors import LabelerError
from model.data.coco import stills_from_coco
from model.data.layouts import portraits_from
from tests.model.made_sources import write_png

pytest.importorskip("pycocotools")
SIZE = (200, 100)


def box(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def run_lengths(left, top, right, bottom):
    """COCO's uncompressed run lengths, down the columns."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[top:bottom, left:right] = 1
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    runs = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return {"size": list(SIZE[::-1]), "counts": runs}


def made_coco(folder, regions, missing=()):
    """A picture for each list of regions: (category, iscrowd, segmentation)."""
    images, annotations = [], []
    for n, listed in enumerate(regions, start=1):
        images.append({"id": n, "file_name": f"{n:03d}.png", "width": SIZE[0], "height": SIZE[1]})
        if n not in missing:
            write_png(folder / "train2017" / f"{n:03d}.png", np.zeros((*SIZE[::-1], 3), np.uint8))
        for category, crowd, segmentation in listed:
            number = len(annotations) + 1
            annotations.append(
                {"id": number, "image_id": n, "category_id": category, "iscrowd": crowd}
                | {"segmentation": segmentation, "area": 1, "bbox": [0, 0, 1, 1]}
            )
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    path = folder / "annotations" / "instances_train2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))
    return folder / "train2017", path


def test_pictures_are_taken_by_what_their_people_cover(tmp_path, capsys):
    large, small, other = box(0, 0, 100, 60), box(110, 0, 130, 10), box(120, 20, 190, 90)
    files = made_coco(
        tmp_path,
        [
            [(1, 0, large), (1, 0, small), (2, 0, other)],  # 6,200 pixels of people
            [(1, 0, small), (2, 0, large)],  # 200
            [(1, 0, box(0, 0, 50, 60)), (1, 0, box(60, 0, 110, 60))],  # twice 3,000
            [(1, 0, box(0, 0, 50, 60)), (1, 0, box(0, 0, 50, 60))],  # the same 3,000 twice
            [(1, 0, large), (1, 1, run_lengths(150, 50, 190, 90))],  # a crowd
            [(2, 0, large)],
        ],
    )
    stills = stills_from_coco(*files)
    assert [still.name for still in stills] == ["001", "003"]
    assert capsys.readouterr().out == ""
    people = stills[0].read()[1]
    assert people.shape == (100, 200)
    assert (people[:60, :100] == 1).all()
    assert (people[:10, 110:130] == 2).all(), "the small person is in the labels too"
    assert not people[20:90, 120:190].any(), "the dog is not"
    assert {int(n) for n in np.unique(stills[1].read()[1])} == {0, 1, 2}
    assert portraits_from(tmp_path).stills == stills


def test_run_lengths_are_read_as_polygons_are(tmp_path):
    files = made_coco(tmp_path, [[(1, 0, run_lengths(10, 20, 110, 90))]])
    [still] = stills_from_coco(*files)
    people = still.read()[1]
    assert (people[20:90, 10:110] == 1).all()
    assert people.sum() == 7000


def test_the_smaller_of_two_overlapping_people_is_in_front(tmp_path):
    regions = [(1, 0, box(40, 20, 60, 40)), (1, 0, box(0, 0, 100, 60))]
    [still] = stills_from_coco(*made_coco(tmp_path, [regions]))
    people = still.read()[1]
    assert people[30, 50] == 1
    assert people[5, 5] == 2


def test_missing_and_wrong_pictures_are_named(tmp_path):
    large = [(1, 0, box(0, 0, 100, 60))]
    files = made_coco(tmp_path, [large, large], missing=[1])
    write_png(files[0] / "002.png", np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(LabelerError) as raised:
        stills_from_coco(*files)
    assert "001.png is missing" in str(raised.value)
    assert "002.png is 20x10 but its mask 200x100" in str(raised.value)


@pytest.mark.parametrize("content", ["", "[]", '{"images": []}'])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "instances.json"
    path.write_text(content)
    with pytest.raises(LabelerError, match=r"is no readable JSON|is no file of COCO instances"):
        stills_from_coco(tmp_path, path)


def test_no_pictures_of_people_is_an_error(tmp_path):
    with pytest.raises(LabelerError, match="no picture with 5000 pixels of people"):
        stills_from_coco(*made_coco(tmp_path, [[(2, 0, box(0, 0, 100, 60))]]))


def test_numbers_are_checked_before_they_are_drawn(tmp_path):
    large = (1, 0, box(0, 0, 100, 60))
    line = (1, 0, [[0, 0, 90, 60]])
    files = made_coco(tmp_path / "line", [[large], [large, line]])
    assert [still.name for still in stills_from_coco(*files)] == ["001"]
    for wrong in (float("nan"), 1e9, -1e300, "7", None):
        files = made_coco(tmp_path / "wrong", [[large], [(1, 0, [[0, 0, 90, 0, wrong, 60]])]])
        with pytest.raises(LabelerError, match=r"A region of 002\.png cannot be used"):
            stills_from_coco(*files)


def test_no_picture_out_of_the_folder_is_read(tmp_path):
    files = made_coco(tmp_path, [[(1, 0, box(0, 0, 100, 60))]])
    content = files[1].read_text().replace("001.png", "../../001.png")
    files[1].write_text(content)
    with pytest.raises(LabelerError, match=r"\.\./\.\./001\.png leads out of"):
        stills_from_coco(*files)
