"""EG1800 and Supervisely Person, on small made files."""

import base64
import json
import zlib

import cv2
import numpy as np
import pytest

from labeler.errors import LabelerError
from model.data.layouts import portraits_from
from model.data.portraits import stills_from_eg1800, stills_from_supervisely
from tests.model.made_sources import squares, write_png


def made_eg1800(folder, names=("00001", "00002")):
    image, people = squares((80, 60), {1: (20, 10, 60, 60)})
    for name in (*names, "00009"):
        write_png(folder / "Labels" / f"{name}.png", people)
    for name in names:
        write_png(folder / "Images" / f"{name}.png", image)
    lines = "".join(f"{name}.png\n" for name in names)
    (folder / "eg1800_train.txt").write_text(lines)
    return folder


def test_eg1800_is_read_by_its_list(tmp_path):
    folder = made_eg1800(tmp_path)
    stills = stills_from_eg1800(folder)
    assert [still.name for still in stills] == ["00001", "00002"]
    assert stills[0].read()[1].sum() == 40 * 50
    assert portraits_from(folder).stills == stills


def test_eg1800_without_what_it_lists_is_refused(tmp_path):
    folder = made_eg1800(tmp_path)
    (folder / "Images" / "00002.png").unlink()
    with pytest.raises(LabelerError, match=r"00002\.png is missing"):
        stills_from_eg1800(folder)
    with pytest.raises(LabelerError, match=r"eg1800_test\.txt is missing"):
        stills_from_eg1800(folder, "test")


def test_portraits_of_eg1800_without_a_person_are_left_out(tmp_path):
    folder = made_eg1800(tmp_path, ("00001", "00002", "00003"))
    write_png(folder / "Labels" / "00001.png", np.zeros((60, 80), np.uint8))
    write_png(folder / "Labels" / "00003.png", np.ones((60, 80), np.uint8))
    assert [still.name for still in stills_from_eg1800(folder)] == ["00002"]


def bitmap(height, width, origin, title="person_bmp"):
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 3] = 255
    packed = zlib.compress(cv2.imencode(".png", pixels)[1].tobytes())
    data = {"origin": list(origin), "data": base64.b64encode(packed).decode()}
    return {"classTitle": title, "bitmap": data, "points": {"exterior": [], "interior": []}}


def polygon(exterior, interior=(), title="person_poly"):
    points = {"exterior": exterior, "interior": list(interior)}
    return {"classTitle": title, "bitmap": None, "points": points}


def made_supervisely(folder, name, objects, tags=(), size=(80, 60), older=False):
    write_png(folder / "img" / f"{name}.png", squares((80, 60), {})[0])
    path = folder / "ann" / (f"{name}.json" if older else f"{name}.png.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    size = {"width": size[0], "height": size[1]}
    path.write_text(json.dumps({"size": size, "tags": list(tags), "objects": objects}))


def test_bitmaps_and_polygons_are_drawn_each_as_one_person(tmp_path):
    ring = [[10, 10], [40, 10], [40, 50], [10, 50]]
    hole = [[20, 20], [30, 20], [30, 30], [20, 30]]
    objects = [polygon(ring, [hole]), bitmap(12, 15, (60, 5))]
    objects.append(bitmap(30, 30, (50, 30), title="neutral"))
    made_supervisely(tmp_path / "ds1", "a", objects)
    [still] = stills_from_supervisely(tmp_path)
    assert still.name == "ds1/a"
    people = still.read()[1]
    assert people[15, 15] == 1
    assert people[25, 25] == 0, "the hole"
    assert (people[5:17, 60:75] == 2).all()
    assert np.count_nonzero(people == 2) == 12 * 15
    assert not people[35:, 50:].any(), "neutral is nobody"
    assert portraits_from(tmp_path).stills == (still,)


def test_a_bitmap_over_the_edge_is_cut_off(tmp_path):
    made_supervisely(tmp_path / "ds1", "a", [bitmap(12, 15, (75, 55))], older=True)
    people = stills_from_supervisely(tmp_path)[0].read()[1]
    assert people.sum() == 5 * 5


def test_pictures_with_people_left_out_can_be_left_out(tmp_path):
    made_supervisely(tmp_path / "ds1", "a", [])
    made_supervisely(tmp_path / "ds2", "a", [], tags=[{"name": "not-marked-people"}])
    made_supervisely(tmp_path / "ds2", "b", [], tags=["not-marked-people"])
    assert len(stills_from_supervisely(tmp_path)) == 3
    assert [s.name for s in stills_from_supervisely(tmp_path, unmarked=False)] == ["ds1/a"]


def test_missing_and_mismatched_annotations_are_named(tmp_path):
    for name in ("a", "b", "c", "d"):
        made_supervisely(tmp_path / "ds1", name, [], size=(8, 6) if name == "c" else (80, 60))
    (tmp_path / "ds1" / "ann" / "a.png.json").unlink()
    (tmp_path / "ds1" / "img" / "b.png").unlink()
    (tmp_path / "ds1" / "ann" / "d.png.json").write_text("{")
    with pytest.raises(LabelerError) as raised:
        stills_from_supervisely(tmp_path)
    message = str(raised.value)
    assert "a.png.json is missing" in message
    assert "b.png.json has no picture" in message
    assert "c.png is 80x60 but its mask 8x6" in message
    assert "d.png.json is not readable JSON" in message


def test_an_object_that_cannot_be_drawn_is_named(tmp_path):
    made_supervisely(tmp_path / "ds1", "a", [{"bitmap": {"origin": [0, 0], "data": "!"}}])
    [still] = stills_from_supervisely(tmp_path)
    with pytest.raises(LabelerError, match=r"a\.png\.json has an object that cannot be drawn"):
        still.read()


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(LabelerError, match="holds no pictures in ds1/img"):
        stills_from_supervisely(tmp_path)
