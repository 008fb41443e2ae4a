"""What an import does not take in: what is there already, what is damaged, what is interrupted."""

import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from labeler.clip import Scenario
from labeler.collect.import_dataset import Wanted, import_dataset
from labeler.collect.import_files import take_pictures
from labeler.errors import LabelerError
from labeler.layouts.foreign import ForeignClip
from labeler.layouts.reading import find_dataset
from labeler.revision import Draft
from labeler.threads import THREADS
from labeler.workspace.integrity import faults, open_workspace
from labeler.workspace.workspace import Workspace
from tests.labeler.importing import NEWS, ONE, columns, masks, take
from tests.labeler.killed import killed_before
from tests.labeler.made_datasets import made_dataset, write_indexed, write_picture
from tests.labeler.made_foreign import SIZE, made_davis, objects
from tests.workspaces import file_bytes


def test_running_it_twice_changes_nothing_and_a_known_clip_is_known_by_its_pictures(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = made_davis(tmp_path / "set", {"a": {0: ONE}, "b": {0: ONE}})
    take(workspace, folder)
    before = file_bytes(workspace.root / "clips")
    (folder / "JPEGImages" / "480p" / "a").rename(folder / "JPEGImages" / "480p" / "c")
    (folder / "Annotations" / "480p" / "a").rename(folder / "Annotations" / "480p" / "c")
    taken = take(workspace, folder)
    assert {name: (each.new, each.fault) for name, each in taken.items()} == dict.fromkeys(
        "bc", (False, "")
    )
    assert taken["c"].remarks == ("it is in as clip 'a'",)
    assert file_bytes(workspace.root / "clips") == before


def test_a_persons_later_work_is_left_alone_and_what_is_new_is_told(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = made_davis(tmp_path / "set", {"a": {0: ONE, 1: ONE}})
    take(workspace, folder)
    clip = workspace.clip("a")
    workspace.record(clip, 0, columns(0, 1), Draft("ann"))
    before = file_bytes(workspace.root / "clips")
    write_indexed(folder / "Annotations" / "480p" / "a" / "00001.png", objects(1, 1))
    write_indexed(folder / "Annotations" / "480p" / "a" / "00002.png", objects(1, 1))
    assert take(workspace, folder)["a"].remarks == (
        "2 masks not imported, because the clip is in already; record one with `mvps correct`: "
        "frames 1, 2",
    )
    assert file_bytes(workspace.root / "clips") == before
    np.testing.assert_array_equal(masks(workspace, "a")[0], columns(0, 1))


def test_another_clip_of_a_name_that_is_taken_comes_in_under_a_prefix(
    workspace: Workspace, tmp_path: Path
) -> None:
    take(workspace, made_davis(tmp_path / "one", {"a": {0: ONE}}))
    two = made_davis(tmp_path / "two", {"a": {0: ONE}}, range(3))
    assert "already another clip 'a'" in take(workspace, two)["a"].fault
    assert "--prefix" in take(workspace, two)["a"].fault
    assert take(workspace, two, Wanted(Scenario.NEWS, prefix="two-"))["a"].new
    assert [clip.name for clip in workspace.clips()] == ["a", "two-a"]
    assert take(workspace, two)["a"].remarks == ("it is in as clip 'two-a'",)


def cut_picture(clip: Path) -> None:
    data = (clip / "00003.jpg").read_bytes()
    (clip / "00003.jpg").write_bytes(data[:-40])


def turn_picture(clip: Path) -> None:
    tags = Pillow.Exif()
    tags[0x0112] = 6
    Pillow.fromarray(np.zeros((*SIZE[::-1], 3), np.uint8)).save(clip / "00003.jpg", exif=tags)


def resize_picture(clip: Path) -> None:
    write_picture(clip / "00003.jpg", np.zeros((9, 9, 3), np.uint8))


def cut_mask(masks: Path) -> None:
    (masks / "00005.png").write_bytes((masks / "00005.png").read_bytes()[:-30])


def resize_mask(masks: Path) -> None:
    write_indexed(masks / "00005.png", np.ones((9, 9), np.uint8))


def soften_mask(masks: Path) -> None:
    soft = np.tile(np.arange(SIZE[0], dtype=np.uint8), (SIZE[1], 1))
    Pillow.fromarray(soft).save(masks / "00005.png")


@pytest.mark.parametrize(
    ("tree", "damage", "said"),
    [
        ("JPEGImages", cut_picture, r"00003\.jpg is not a readable picture \(it is damaged, cut"),
        ("JPEGImages", turn_picture, r"00003\.jpg has an EXIF tag that turns it"),
        ("JPEGImages", resize_picture, r"00003\.jpg is 9x9, but the clip's first picture is 40x24"),
        ("JPEGImages", lambda c: (c / "00003.jpg").unlink(), "00002 and then 00004, but no 00003"),
        ("JPEGImages", lambda c: (c / "00005.jpg").unlink(), "mask of frame 00005"),
        ("JPEGImages", lambda c: (c / "x.jpg").write_bytes(b""), r"x\.jpg is not named like a"),
        ("JPEGImages", lambda c: (c / "00003.png").write_bytes(b""), r"00003\.png and 00003\.jpg"),
        ("JPEGImages", shutil.rmtree, "has no pictures"),
        ("Annotations", cut_mask, r"00005\.png is not a readable mask"),
        ("Annotations", resize_mask, r"The mask of .*00005\.jpg is 9x9, but .* are 40x24"),
        ("Annotations", soften_mask, r"00005\.png has 40 values where a mask has two"),
        ("Annotations", lambda m: (m / "5.png").write_bytes(b""), "are one frame; move one"),
    ],
)
def test_a_damaged_file_costs_its_clip_alone(
    workspace: Workspace, tmp_path: Path, tree: str, damage: object, said: str
) -> None:
    clips = {name: {0: ONE, 5: ONE} for name in ("a", "bad", "c")}
    folder = made_davis(tmp_path / "set", clips)
    assert callable(damage)
    damage(folder / tree / "480p" / "bad")
    taken = take(workspace, folder)
    assert [name for name, each in taken.items() if each.fault] == ["bad"]
    with pytest.raises(LabelerError, match=said):
        raise LabelerError(taken["bad"].fault)
    assert [clip.name for clip in workspace.clips()] == ["a", "c"]
    assert list(workspace.pending.iterdir()) == []
    shutil.rmtree(folder / tree / "480p" / "bad", ignore_errors=True)
    made_davis(folder, {"bad": clips["bad"]})
    assert take(workspace, folder)["bad"].new
    assert faults(workspace, deep=True) == []


def test_fewer_files_than_clips_csv_says_are_a_fault(workspace: Workspace, tmp_path: Path) -> None:
    folder = made_dataset(tmp_path / "set")
    (folder / "Annotations" / "Full-Resolution" / "hike" / "00005.png").unlink()
    taken = take(workspace, folder, Wanted())
    assert "hike has 12 pictures and 3 masks, but 12 and 2 are there" in taken["hike"].fault
    assert taken["lucia"].new


def test_a_clip_without_masks_and_unknown_names_are_told(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = made_davis(tmp_path / "set", {"a": {}, "b": {0: ONE}})
    taken = take(workspace, folder)["a"]
    assert (taken.clip, taken.fault) == (None, "")
    assert "it has no mask" in taken.remarks[0]
    with pytest.raises(LabelerError, match=r"no clip 'x' in .*known: a, b"):
        list(import_dataset(workspace, find_dataset(folder), ["x"], NEWS))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", "", "is no dataset: looked for JPEGImages/480p"),
        ("instances.json", "{}", "is no file of COCO instances"),
        (
            "annotations/instances_val.json",
            '{"images": [], "annotations": [], "categories": []}',
            "has no pictures in",
        ),
        ("train/meta.json", "[]", "is no meta.json of YouTube-VOS"),
    ],
)
def test_what_is_no_dataset_is_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    if name.startswith("train"):
        for tree in ("JPEGImages", "Annotations"):
            (tmp_path / "train" / tree / "a").mkdir(parents=True)
    with pytest.raises(LabelerError, match=said):
        find_dataset(tmp_path)


@pytest.mark.slow
def test_an_import_killed_at_any_line_is_whole_or_not_there_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sync", lambda: None)  # no matter for who is killed; slow
    folder = made_davis(tmp_path / "set", {"a": {0: ONE, 1: objects(1, 1)}}, range(2))
    code = (Workspace.record.__code__.co_filename, import_dataset.__code__.co_filename)
    root = tmp_path / "workspace"
    survived, line, notices = False, 0, set()
    while not survived:
        line += 1
        shutil.rmtree(root, ignore_errors=True)
        child = os.fork()
        if child == 0:
            killed_before(line, lambda: take(Workspace(root), folder), code)
        survived = not os.WIFSIGNALED(os.waitpid(child, 0)[1])
        workspace, told = open_workspace(root)
        notices |= {notice[:7] for notice in told}
        assert list(workspace.pending.iterdir()) == []
        assert faults(workspace, deep=True) == []
        assert [list(masks(workspace, clip.name)) for clip in workspace.clips()] in ([], [[0, 1]])
        there = bool(workspace.clips())
        taken = take(workspace, folder)["a"]
        assert (taken.new, taken.fault, taken.remarks) == (not there, "", ())
        assert len(workspace.revisions(workspace.clip("a"))) == 2
        workspace.close()
    assert notices == {"Removed", "Took in"}
    assert line > 60


def test_a_full_disk_ends_the_import_and_says_what_is_in(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_davis(tmp_path / "set", {"a": {0: ONE}, "b": {0: ONE}})
    copy = shutil.copyfile

    def full(source: Path, target: Path) -> object:
        if "b" in source.parts:
            raise OSError(28, "No space left on device")
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(LabelerError, match=r"No space left.*b is not in, and what is named"):
        take(workspace, folder)
    assert [clip.name for clip in workspace.clips()] == ["a"]
    assert json.loads((workspace.clip_folder("a") / "clip.json").read_text())["name"] == "a"


def test_many_clips_come_in_at_once_and_a_bad_one_costs_only_itself(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where two clips have the same pictures, and for an error that nobody has foreseen."""
    names = [f"clip-{place:02d}" for place in range(24)]
    folder = made_davis(tmp_path / "set", {name: {0: ONE, 5: ONE} for name in names})
    pictures = folder / "JPEGImages" / "480p"
    for twin in ("clip-04", "clip-05", "clip-06"):
        shutil.copytree(pictures / "clip-03", pictures / twin, dirs_exist_ok=True)
    torn = pictures / "clip-10" / "00002.jpg"
    torn.write_bytes(torn.read_bytes()[:200])
    at_once: set[int] = set()

    def watched(found: ForeignClip, target: Path) -> tuple[int, int]:
        at_once.add(threading.get_ident())
        if "clip-11" in str(found.pictures[0]):
            raise ZeroDivisionError
        return take_pictures(found, target)

    monkeypatch.setattr("labeler.collect.import_dataset.take_pictures", watched)
    taken = take(workspace, folder)
    assert list(taken) == names
    assert {name for name in names if taken[name].fault} == {"clip-10", "clip-11"}
    assert "not foreseen (ZeroDivisionError)" in taken["clip-11"].fault
    twins = [taken[name] for name in ("clip-03", "clip-04", "clip-05", "clip-06")]
    assert sum(each.new for each in twins) == 1
    assert len({each.clip for each in twins}) == 1
    assert len(workspace.clips()) == 24 - 2 - 3
    assert faults(workspace, deep=True) == []
    assert len(at_once) > 1 or THREADS == 1
    monkeypatch.undo()
    again = take(workspace, folder)
    assert [name for name in names if again[name].new] == ["clip-11"]
