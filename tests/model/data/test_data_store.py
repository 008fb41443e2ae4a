"""Pictures kept small in memory."""

import numpy as np
import pytest

from labeler.errors import LabelerError
from model.data.folders import stills_from
from model.data.store import Store, facts_of, shrink
from tests.model.made_sources import made_stills, squares, write_png


def test_pictures_are_the_same_whether_they_are_kept_or_not(tmp_path):
    stills = stills_from(made_stills(tmp_path))
    kept, partly, read_again = (Store(stills, 90, memory) for memory in (1 << 20, 6000, 0))
    assert read_again.nbytes == 0
    assert 0 < partly.nbytes <= 6000 < kept.nbytes
    for position in range(len(stills)):
        image, people = kept[position]
        assert image.shape == (90, 120, 3)
        for other in (partly, read_again):
            assert (other[position][0] == image).all()
            assert (other[position][1] == people).all()
            assert other.facts == kept.facts


def test_progress_is_told(tmp_path):
    told = []
    Store(stills_from(made_stills(tmp_path)), 90, progress=lambda *at: told.append(at))
    assert told == [(n, 6) for n in range(1, 7)]


def test_small_pictures_stay_as_they_are(tmp_path):
    stills = stills_from(made_stills(tmp_path))
    image, people = Store(stills, 500)[1]
    assert image.shape == (120, 160, 3)
    assert (people == stills[1].read()[1]).all()


def test_people_are_shrunk_each_by_himself():
    image, people = squares((160, 120), {1: (20, 30, 60, 80), 2: (60, 30, 100, 80)})
    small, labels = shrink(image, people, 60)
    assert small.shape == (60, 80, 3)
    assert (labels == people[::2, ::2]).all()
    full = np.full((120, 160), 7, np.uint8)
    assert (shrink(image, full, 60)[1] == 7).all()


def test_facts_say_who_can_be_cut_out():
    boxes = {1: (20, 30, 60, 80), 2: (100, 60, 140, 120)}
    whole, grounded = facts_of(squares((160, 120), boxes)[1]).people
    assert whole.box == (20, 30, 60, 80)
    assert (whole.whole, whole.grounded) == (True, False)
    assert (grounded.whole, grounded.grounded) == (True, True)
    cut, small = facts_of(squares((160, 120), {1: (0, 30, 60, 80), 2: (90, 9, 99, 19)})[1]).people
    assert not cut.whole
    assert not small.whole
    two = squares((160, 120), {1: (20, 30, 60, 80)})[1]
    two[30:80, 80:120] = 1
    assert not facts_of(two).people[0].whole, "two people by one number"
    assert facts_of(np.zeros((60, 80), np.uint8)).people == ()


def test_damage_is_found_at_once(tmp_path):
    folder = made_stills(tmp_path)
    path = folder / "images" / "still2.png"
    stills = stills_from(folder)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(LabelerError, match=r"still2\.png is not a readable picture"):
        Store(stills, 90)
    write_png(path, np.zeros((120, 160, 3), np.uint8))
    grey = np.linspace(0, 255, 160 * 120, dtype=np.uint8).reshape(120, 160)
    write_png(folder / "masks" / "still2.png", grey)
    with pytest.raises(LabelerError, match="where a mask has two"):
        Store(stills, 90)
