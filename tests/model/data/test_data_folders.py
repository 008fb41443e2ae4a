"""Readers of folders, and what they say of pairs that are missing or do not fit."""

import pickle

import numpy as np
import pytest

from labeler.errors import LabelerError
from model.data.folders import backgrounds_from, clips_from, stills_from, unlabelled_from
from model.data.layouts import portraits_from
from model.data.sources import Sources, Still
from tests.labeler.made_datasets import made_dataset, write_indexed
from tests.model.made_sources import (
    made_sources,
    made_stills,
    made_takes,
    squares,
    write_png,
    write_sharp_jpeg,
)


def test_a_dataset_gives_its_train_list_at_480p(tmp_path):
    [take] = clips_from(made_dataset(tmp_path))
    assert take.name == "hike"
    assert take.frames == (0, 5, 10)
    assert take.length == 12
    image, people = take.stills[1].read()
    assert image.shape == (480, 640, 3)
    assert set(np.unique(people)) == {0, 1}


def test_clips_can_be_chosen_and_left_out(tmp_path):
    folder = made_dataset(tmp_path)
    assert [t.name for t in clips_from(folder, ["lucia", "hike"])] == ["lucia", "hike"]
    assert clips_from(folder, excluded=["hike"]) == ()
    with pytest.raises(LabelerError, match="no clip 'luccia'"):
        clips_from(folder, ["luccia"])
    with pytest.raises(LabelerError, match="no clip 'hkie'"):
        clips_from(folder, excluded=["hkie"])


def test_without_lists_all_clips_are_taken_and_pictures_may_be_sparse(tmp_path):
    takes = clips_from(made_takes(tmp_path, ("bear", "bus")))
    assert [take.name for take in takes] == ["bear", "bus"]
    assert takes[0].frames == (0, 1, 2, 3, 4)  # as an import and an evaluation count them
    assert takes[0].length == 5


def test_a_missing_picture_of_a_clip_is_named(tmp_path):
    folder = made_takes(tmp_path, ("bear",))
    (folder / "JPEGImages" / "480p" / "bear" / "00010.jpg").unlink()
    with pytest.raises(LabelerError, match=r"bear/00010.jpg is missing"):
        clips_from(folder)


def test_a_missing_mask_of_a_clip_is_noticed_by_clips_csv(tmp_path):
    folder = made_dataset(tmp_path)
    (folder / "Annotations" / "480p" / "hike" / "00005.png").unlink()
    with pytest.raises(LabelerError, match=r"hike has 2 masks and not 3 as clips\.csv says"):
        clips_from(folder)


def test_a_clip_without_masks_is_named(tmp_path):
    folder = made_takes(tmp_path, ("bear", "bus"))
    for mask in (folder / "Annotations" / "480p" / "bus").iterdir():
        mask.unlink()
    with pytest.raises(LabelerError, match="bus has 0 masks"):
        clips_from(folder)


def test_a_mask_of_another_size_is_named(tmp_path):
    folder = made_takes(tmp_path, ("bear",))
    write_png(folder / "Annotations/480p/bear/00005.png", np.zeros((9, 16), np.uint8))
    with pytest.raises(LabelerError, match=r"bear/00005.jpg is 160x90 but its mask 16x9"):
        clips_from(folder)


@pytest.mark.parametrize(
    ("pictures", "masks"),
    [("images", "masks"), ("JPEGImages", "Annotations"), ("Images", "Labels")],
)
def test_pictures_and_masks_are_found_by_their_stems(tmp_path, pictures, masks):
    image, people = squares((160, 120), {1: (20, 30, 60, 80), 2: (100, 20, 140, 90)})
    write_sharp_jpeg(tmp_path / pictures / "b.jpg", image)
    write_indexed(tmp_path / masks / "b.png", people)
    write_png(tmp_path / pictures / "a.png", image)
    write_png(tmp_path / masks / "a.png", (people > 0).astype(np.uint8) * 255)
    first, second = stills_from(tmp_path)
    assert (first.name, second.name) == ("a", "b")
    assert (first.read()[1] == (people > 0)).all()
    assert (second.read()[1] == people).all()
    assert portraits_from(tmp_path).stills == (first, second)


def test_all_pairs_are_looked_at_before_anything_is_read(tmp_path):
    folder = made_stills(tmp_path)
    (folder / "masks" / "still1.png").unlink()
    (folder / "images" / "still2.png").unlink()
    write_png(folder / "images" / "still3.png", np.zeros((10, 20, 3), np.uint8))
    (folder / "images" / "still4.png").write_bytes(b"no picture")
    with pytest.raises(LabelerError) as raised:
        stills_from(folder)
    message = str(raised.value)
    assert "still1.png is missing" in message
    assert "still2.png is missing" in message
    assert "still3.png is 20x10 but its mask 160x120" in message
    assert "still4.png is not a readable picture" in message
    assert message.count("\n") == 0


def test_of_many_faults_the_first_are_named_and_the_rest_counted(tmp_path):
    folder = made_stills(tmp_path, 9)
    for mask in (folder / "masks").iterdir():
        mask.unlink()
    with pytest.raises(LabelerError, match="and 4 more"):
        stills_from(folder)


def test_two_pictures_for_one_mask_are_refused(tmp_path):
    folder = made_stills(tmp_path)
    write_sharp_jpeg(folder / "images" / "still0.jpg", squares((160, 120), {})[0])
    with pytest.raises(LabelerError, match="share one mask"):
        stills_from(folder)


def test_a_folder_of_something_else_says_what_was_looked_for(tmp_path):
    with pytest.raises(LabelerError, match="images and masks"):
        stills_from(tmp_path)
    with pytest.raises(LabelerError, match="holds no pictures"):
        backgrounds_from(tmp_path)


def test_a_mask_whose_content_does_not_fit_is_named_when_read(tmp_path):
    image, people = squares((160, 120), {})
    write_png(tmp_path / "a.png", image)

    class Wrong:
        def read(self):
            return people[:50]

    with pytest.raises(LabelerError, match=r"a.png is 160x120 but its labels are 160x50"):
        Still("a", tmp_path / "a.png", Wrong()).read()


def test_nobody_is_in_a_background(tmp_path):
    sources = made_sources(tmp_path)
    assert len(sources.backgrounds) == 3
    assert not sources.backgrounds[0].read()[1].any()


def test_clips_without_masks_are_folders_of_pictures(tmp_path):
    made = made_takes(tmp_path, ("walk", "tennis"))
    for folder in (made, made / "JPEGImages" / "480p"):
        tennis, walk = unlabelled_from(folder)
        assert (tennis.name, walk.frames, walk.length) == ("tennis", (0, 1, 2, 3, 4), 5)
        assert not walk.stills[0].read()[1].any()
    for number in (2, 10):
        write_sharp_jpeg(tmp_path / "plain" / "a" / f"{number}.jpg", squares((16, 16), {})[0])
    [take] = unlabelled_from(tmp_path / "plain")
    assert [still.name for still in take.stills] == ["a/2", "a/10"]
    with pytest.raises(LabelerError, match="Annotations/480p/walk holds no folders with pictures"):
        unlabelled_from(made / "Annotations" / "480p" / "walk")
    (made / "JPEGImages" / "480p" / "walk" / "00005.jpg").write_bytes(b"no picture")
    with pytest.raises(LabelerError, match=r"walk/00005.jpg"):
        unlabelled_from(made)


def test_validation_is_kept_out_of_training_by_one_rule(tmp_path):
    stills = tuple(Still(f"{n:02d}", tmp_path) for n in (3, *range(4, 25), 0, 1, 2))
    train, validation = (made_sources(tmp_path) + Sources(stills=stills)).split()
    assert [take.name for take in train.clips] == ["walk"]
    assert [take.name for take in validation.clips] == ["tennis"]
    assert [still.name for still in validation.stills] == ["still4", "09", "19"]
    assert len(train.stills) == 28
    assert not {still.name for still in train.stills} & {s.name for s in validation.stills}
    assert train.objects
    assert not validation.objects


def test_sources_travel_to_workers(tmp_path):
    sources = made_sources(tmp_path)
    again = pickle.loads(pickle.dumps(sources))
    assert (again.clips[0].stills[0].read()[1] == sources.clips[0].stills[0].read()[1]).all()


def test_layouts_are_told_by_what_is_in_them(tmp_path):
    assert len(portraits_from(made_takes(tmp_path / "clips", ("walk",))).clips) == 1
    assert len(portraits_from(made_stills(tmp_path / "stills")).stills) == 6
