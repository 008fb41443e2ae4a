"""Reading datasets: MVPS, DAVIS as it is, and folders that are neither."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from labeler.clip import Scenario
from labeler.errors import LabelerError
from labeler.layouts.clips_table import ClipRow, format_clips, has_clips_table, read_clips
from labeler.layouts.mvps import open_dataset
from tests.labeler.made_datasets import (
    made_dataset,
    made_mask,
    write_indexed,
    write_picture,
)

ROOT = Path(__file__).resolve().parents[3]


def made_davis(folder: Path, **masks: np.ndarray) -> Path:
    """One clip "a" with a 480p picture for each given mask, in DAVIS's layout."""
    for index, values in enumerate(masks.values()):
        height, width = values.shape
        picture = np.zeros((height, width, 3), np.uint8)
        write_picture(folder / "JPEGImages" / "480p" / "a" / f"{index:05d}.jpg", picture)
        write_indexed(folder / "Annotations" / "480p" / "a" / f"{index:05d}.png", values)
    return folder


def values(*row: int) -> np.ndarray:
    return np.array([row, row], np.uint8)


def test_a_dataset_is_read_as_it_was_written(tmp_path: Path) -> None:
    dataset = open_dataset(made_dataset(tmp_path / "set"))
    assert dataset.resolutions == ("Full-Resolution", "480p")
    assert [clip.name for clip in dataset.clips] == ["hike", "lucia"]
    clip = dataset.clip("lucia")
    assert (clip.scenario, clip.fps, clip.frames, clip.annotated) == (
        Scenario.NEWS,
        Fraction(25),
        12,
        3,
    )
    for resolution, size in (("Full-Resolution", (648, 486)), ("480p", (640, 480)), (None, None)):
        size = size or (648, 486)
        frames = dataset.frames("lucia", resolution)
        assert len(frames) == 12
        assert frames[11].shape == (size[1], size[0], 3)
        assert dataset.annotated("lucia", resolution) == [0, 5, 10]
        for index in (0, 5, 10):
            mask = dataset.mask("lucia", index, resolution)
            np.testing.assert_array_equal(mask, made_mask(index, size))
            assert not dataset.void("lucia", index, resolution).any()
    assert dataset.frames("lucia").key != dataset.frames("lucia", "480p").key
    assert dataset.splits == {"train": ("hike",), "test": ("lucia",)}
    assert dataset.split("test") == ("lucia",)


def test_without_clips_csv_the_folders_are_counted(tmp_path: Path) -> None:
    folder = made_dataset(tmp_path / "set")
    (folder / "clips.csv").unlink()
    assert open_dataset(folder).clips == (
        ClipRow("hike", None, 12, 3, None, 648, 486),
        ClipRow("lucia", None, 12, 3, None, 648, 486),
    )


def test_clips_csv_keeps_every_value(tmp_path: Path) -> None:
    rows = (
        ClipRow("a", Scenario.LECTURE, 7, 2, Fraction(30000, 1001), 1080, 1920, 'a, "b"; c.mp4'),
        ClipRow("b", Scenario.ONLINE_SHOPPING, 1, 0, Fraction(25), 2, 4, "ü.mp4", "ab" * 32),
    )
    path = tmp_path / "clips.csv"
    path.write_text(format_clips(reversed(rows)), encoding="utf-8", newline="")
    assert read_clips(path) == rows
    path.write_text(format_clips(rows), encoding="utf-8-sig", newline="")  # a spreadsheet was here
    assert read_clips(path) == rows
    assert ",lecture,7,2,30000/1001,1080,1920," in path.read_text()


def test_a_clips_csv_from_before_there_was_a_licence_is_read(tmp_path: Path) -> None:
    rows = (ClipRow("hike", Scenario.NEWS, 12, 3, Fraction(24), 648, 486, "a.mp4", "0" * 64),)
    path = tmp_path / "clips.csv"
    lines = [line.rsplit(",", 3)[0] for line in format_clips(rows).splitlines()]
    path.write_text("\n".join(lines) + "\n")
    assert path.read_text().splitlines()[0].endswith("source,sha256")
    assert has_clips_table(tmp_path)
    assert read_clips(path) == rows


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lucia,", "../lucia,"),
        ("lucia,", "hike,"),
        ("news", "opera"),
        (",12,", ",twelve,"),
        (",25,", ",1/0,"),
        (",25,", ","),
    ],
)
def test_a_damaged_clips_csv_is_refused(tmp_path: Path, old: str, new: str) -> None:
    folder = made_dataset(tmp_path / "set")
    table = (folder / "clips.csv").read_text()
    head, hike, lucia = table.splitlines()
    lucia = lucia.replace(old, new, 1)
    (folder / "clips.csv").write_text("\n".join([head, hike, lucia]))
    with pytest.raises(LabelerError, match="a line that cannot be used, after 1 good ones"):
        open_dataset(folder)


def test_objects_of_davis_become_one_foreground(tmp_path: Path) -> None:
    dataset = open_dataset(made_davis(tmp_path, first=values(0, 1, 2, 7), out=values(0, 0, 0, 0)))
    assert dataset.mask("a", 0).tolist() == [[False, True, True, True]] * 2
    assert not dataset.void("a", 0).any()
    assert not dataset.mask("a", 1).any()


def test_255_beside_objects_is_void(tmp_path: Path) -> None:
    folder = made_davis(
        tmp_path, some=values(0, 255, 2, 1), none=values(0, 255, 0, 0), last=values(1, 0, 0, 0)
    )
    dataset = open_dataset(folder)
    assert dataset.mask("a", 0).tolist() == [[False, False, True, True]] * 2
    assert dataset.void("a", 0).tolist() == [[False, True, False, False]] * 2
    # Every object has left this frame: what is left of it is void still.
    assert not dataset.mask("a", 1).any()
    assert dataset.void("a", 1).tolist() == [[False, True, False, False]] * 2


def test_255_alone_in_a_clip_is_foreground(tmp_path: Path) -> None:
    dataset = open_dataset(made_davis(tmp_path, a=values(0, 255, 255), b=values(255, 0, 0)))
    assert dataset.mask("a", 0).tolist() == [[False, True, True]] * 2
    assert dataset.mask("a", 1).tolist() == [[True, False, False]] * 2
    assert not dataset.void("a", 0).any()


@pytest.mark.parametrize("mode", ["L", "1", "RGB"])
def test_grey_and_colour_masks_of_0_and_255_are_foreground(tmp_path: Path, mode: str) -> None:
    folder = made_davis(tmp_path, a=values(0, 0, 0), b=values(0, 1, 0))
    path = folder / "Annotations" / "480p" / "a" / "00000.png"
    Pillow.fromarray(values(0, 255, 255)).convert(mode).save(path)
    dataset = open_dataset(folder)
    assert dataset.mask("a", 0).tolist() == [[False, True, True]] * 2
    assert not dataset.void("a", 0).any()


def test_a_grey_mask_with_soft_edges_is_refused(tmp_path: Path) -> None:
    folder = made_davis(tmp_path, a=values(0, 0, 0))
    path = folder / "Annotations" / "480p" / "a" / "00000.png"
    Pillow.fromarray(values(0, 128, 255)).save(path)
    with pytest.raises(LabelerError, match="has 3 values"):
        open_dataset(folder).mask("a", 0)


def test_the_lists_of_davis(tmp_path: Path) -> None:
    folder = made_davis(tmp_path, a=values(0, 1, 0))
    for name, clips in (("2016/train", "a\n"), ("2016/val", "b\n"), ("2017/train", "a\n\n c \n")):
        path = folder / "ImageSets" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(clips)
    dataset = open_dataset(folder)
    assert dataset.split("train") == ("a", "c")
    assert dataset.split("2016/train") == ("a",)
    assert dataset.split("val") == ("b",)
    with pytest.raises(LabelerError, match=r"no list 'test'.*known: 2016/train, 2016/val"):
        dataset.split("test")


def test_the_real_clips_are_read_in_full(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "video")
    assert dataset.resolutions == ("480p",)
    assert len(dataset.clips) == 9
    assert dataset.splits == {}
    for clip in dataset.clips:
        assert (clip.width, clip.height) == (854, 480)
        assert clip.annotated == clip.frames == len(dataset.frames(clip.name))
        assert dataset.annotated(clip.name) == list(range(clip.frames))
        last = clip.frames - 1
        assert dataset.frames(clip.name)[last].shape == (480, 854, 3)
        mask = dataset.mask(clip.name, last)
        assert mask.shape == (480, 854)
        stored = Pillow.open(
            shared_data / "video" / "Annotations" / "480p" / clip.name / f"{last:05d}.png"
        )
        with stored:
            np.testing.assert_array_equal(mask, np.asarray(stored) > 0)
        assert not dataset.void(clip.name, last).any()


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "JPEGImages" / "480p" / "a").mkdir(parents=True)  # pictures, but no masks
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(LabelerError, match="neither an MVPS nor a DAVIS dataset") as caught:
            open_dataset(folder)
        for name in (str(folder), "JPEGImages/Full-Resolution", "Annotations/480p"):
            assert name in str(caught.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    folder = made_davis(tmp_path, a=values(0, 1), b=values(0, 1), c=values(0, 1))
    dataset = open_dataset(folder)
    with pytest.raises(LabelerError, match=r"no clip 'b'.*there are: a"):
        dataset.frames("b")
    with pytest.raises(LabelerError, match="no Full-Resolution, only 480p"):
        dataset.frames("a", "Full-Resolution")
    with pytest.raises(LabelerError, match=r"00009\.png is missing"):
        dataset.mask("a", 9)
    with pytest.raises(LabelerError, match="no list 'train'"):
        dataset.split("train")
    (folder / "JPEGImages" / "480p" / "a" / "00000.jpg").unlink()
    with pytest.raises(LabelerError, match="without a gap"):
        dataset.frames("a")


def test_the_readers_need_neither_sqlalchemy_nor_pyav() -> None:
    code = (
        "import sys, labeler.layouts.mvps, labeler.publish.validate, labeler.publish.resize\n"
        "import labeler.publish.split\n"
        "print({'sqlalchemy', 'av', 'torch', 'flask'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
