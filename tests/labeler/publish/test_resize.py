"""The 480p copy: sizes, interpolation, whole trees."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from labeler.clip import read_image
from labeler.errors import LabelerError
from labeler.layouts.mvps import picture_size
from labeler.mask import encode_published_mask, read_mask
from labeler.publish import resize
from labeler.publish.resize import resize_dataset, resize_image, resize_mask, size_480p
from labeler.publish.validate import validate
from labeler.threads import THREADS
from tests.labeler.kill_while_resizing import noted
from tests.labeler.made_datasets import (
    made_dataset,
    made_mask,
    write_picture,
    write_whole_manifest,
)
from tests.workspaces import file_bytes

ROOT = Path(__file__).resolve().parents[3]

SIDES = st.integers(1, 8000)


@pytest.mark.parametrize(
    ("full", "small"),
    [
        ((1920, 1080), (854, 480)),  # as DAVIS has it
        ((1080, 1920), (480, 854)),
        ((3840, 2160), (854, 480)),
        ((1280, 720), (854, 480)),
        ((1440, 1080), (640, 480)),
        ((720, 720), (480, 480)),
        ((483, 481), (482, 480)),
        ((1001, 999), (480, 480)),
        ((854, 480), (854, 480)),
        ((853, 480), (852, 480)),
        ((480, 853), (480, 852)),
        ((320, 240), (320, 240)),
        ((321, 241), (320, 240)),
        ((2000, 240), (2000, 240)),
        ((1, 1), (2, 2)),
    ],
)
def test_sizes(full: tuple[int, int], small: tuple[int, int]) -> None:
    assert size_480p(*full) == small


@given(SIDES, SIDES)
def test_sizes_are_even_never_larger_and_keep_the_aspect(width: int, height: int) -> None:
    small = size_480p(width, height)
    assert size_480p(height, width) == small[::-1]
    assert size_480p(*small) == small
    assert all(side % 2 == 0 for side in small)
    assert all(a <= max(b, 2) for a, b in zip(small, (width, height), strict=True))
    if min(width, height) > 480:
        assert min(small) == 480
        assert abs(max(small) - max(width, height) * 480 / min(width, height)) <= 1
    elif min(width, height) > 1:
        assert all(b - a <= 1 for a, b in zip(small, (width, height), strict=True))


def test_a_picture_is_averaged_over_areas() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (resize_image(stripes, (4, 4)) == 100).all()


def test_a_mask_takes_the_nearest_pixel_and_stays_centred() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    expected = np.zeros((3, 3), bool)
    expected[1, 1] = True
    np.testing.assert_array_equal(resize_mask(mask, (3, 3)), expected)
    mirrored = made_mask(0, (1081, 601))
    np.testing.assert_array_equal(
        resize_mask(mirrored[:, ::-1], (301, 201)), resize_mask(mirrored, (301, 201))[:, ::-1]
    )


@pytest.mark.parametrize("size", [(648, 486), (486, 648), (641, 485)])
def test_both_trees_are_made_anew(tmp_path: Path, size: tuple[int, int]) -> None:
    dataset = made_dataset(tmp_path / "set", frames=6, size=size)
    stale = dataset / "JPEGImages" / "480p" / "gone" / "00000.jpg"
    write_picture(stale, np.zeros((4, 4, 3), np.uint8))
    (dataset / "Annotations" / "480p" / "hike" / "00000.png").unlink()
    seen: list[tuple[int, int]] = []
    assert resize_dataset(dataset, lambda *step: seen.append(step)) == 16
    assert seen == [(n, 16) for n in range(1, 17)]
    assert not stale.exists()
    small = size_480p(*size)
    for name in ("hike", "lucia"):
        for index in range(6):
            path = Path(name) / f"{index:05d}.jpg"
            full = read_image(dataset / "JPEGImages" / "Full-Resolution" / path)
            made = dataset / "JPEGImages" / "480p" / path
            assert picture_size(made) == small
            expected = cv2.resize(full, small, interpolation=cv2.INTER_AREA).astype(int)
            assert abs(read_image(made).astype(int) - expected).mean() < 2
        for index in (0, 5):
            path = Path(name) / f"{index:05d}.png"
            full_mask = read_mask(dataset / "Annotations" / "Full-Resolution" / path)
            expected_bytes = encode_published_mask(resize_mask(full_mask, small))
            assert (dataset / "Annotations" / "480p" / path).read_bytes() == expected_bytes
    assert not list(dataset.rglob("*partial*"))


def test_pictures_of_480p_size_are_copied_byte_for_byte(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "set", frames=2, size=(64, 48))
    resize_dataset(dataset)
    full = file_bytes(dataset / "JPEGImages" / "Full-Resolution")
    assert file_bytes(dataset / "JPEGImages" / "480p") == full


def test_an_unreadable_picture_leaves_the_old_480p(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "set", frames=6)
    broken = dataset / "JPEGImages" / "Full-Resolution" / "lucia" / "00004.jpg"
    whole = broken.read_bytes()
    for data in (b"no picture", whole[: len(whole) // 2]):
        broken.write_bytes(data)
        before = seen(dataset)
        with pytest.raises(LabelerError, match=r"00004\.jpg is not a readable picture"):
            resize_dataset(dataset)
        assert seen(dataset) == before
    broken.write_bytes(whole)
    resize_dataset(dataset)
    assert file_bytes(dataset) == seen(dataset)
    assert validate(dataset) == []


def seen(dataset: Path) -> dict[str, bytes]:
    """The files of a dataset without hidden ones."""
    return {name: data for name, data in file_bytes(dataset).items() if "/." not in name}


def test_what_a_killed_run_has_made_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = made_dataset(tmp_path / "set", frames=20)
    write_whole_manifest(dataset)
    resize_dataset(dataset)
    expected, before = file_bytes(dataset), {}
    for tree in ("JPEGImages", "Annotations"):
        for path in (dataset / tree / "480p").rglob("*.*"):
            path.write_bytes(b"old")
    made: list[str] = []
    steps = []
    for step in (12, 30, 45):  # of 48; the last one is killed amid the masks
        before = seen(dataset)
        command = [sys.executable, "-m", "tests.labeler.kill_while_resizing", dataset, str(step)]
        killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert seen(dataset) == before
        made += killed.stdout.split()
        steps.append(len(made))
    assert 12 <= steps[0] < 30
    assert len(made) - len(set(made)) <= 3 * THREADS  # at most those that were in work
    partial = next((dataset / "JPEGImages").glob(".480p.partial/*/new"))
    torn = partial / "hike" / "00003.jpg"
    torn.write_bytes(torn.read_bytes()[:-9])
    (partial / "gone").mkdir()
    (partial / "gone" / "00000.jpg").write_bytes(b"of a clip that was removed")
    again = dataset / "JPEGImages" / "Full-Resolution" / "lucia" / "00001.jpg"
    again.write_bytes(again.read_bytes())  # another time, so perhaps another picture
    anew = []
    for name in ("shrunk_picture", "shrunk_mask"):
        monkeypatch.setattr(resize, name, noted(getattr(resize, name), anew))
    resize_dataset(dataset)
    assert {"JPEGImages/hike/00003.jpg", "JPEGImages/lucia/00001.jpg"} <= set(anew)
    assert len(anew) <= 2 + 3 + THREADS
    assert file_bytes(dataset) == expected
    assert validate(dataset) == []


def test_an_orientation_tag_stays_with_the_stored_pixels(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "set", frames=1)
    full = dataset / "JPEGImages" / "Full-Resolution" / "hike" / "00000.jpg"
    exif = Pillow.Exif()
    exif[274] = 6
    with Pillow.open(full) as picture:
        picture.save(full, exif=exif, quality=95)
    resize_dataset(dataset)
    small = dataset / "JPEGImages" / "480p" / "hike" / "00000.jpg"
    assert picture_size(small) == (640, 480)
    for path in (full, small):
        with Pillow.open(path) as picture:
            assert picture.getexif()[274] == 6
    # A reader that turns pictures turns both, and one that does not turns neither.
    for flag in (cv2.IMREAD_COLOR, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION):
        large = cv2.imread(str(full), flag)
        turned = cv2.resize(large, size_480p(large.shape[1], large.shape[0]))
        assert abs(cv2.imread(str(small), flag).astype(int) - turned).mean() < 3


def test_the_script_does_the_same(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "set", frames=2)
    for tree in ("JPEGImages", "Annotations"):
        shutil.rmtree(dataset / tree / "480p")
    command = [sys.executable, ROOT / "scripts" / "convert_480p.py", dataset]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"6 pictures and masks at 480p" in done.stdout
    assert validate(dataset) == []


def test_without_a_full_resolution_nothing_is_made(tmp_path: Path) -> None:
    write_picture(tmp_path / "JPEGImages" / "480p" / "a" / "00000.jpg", np.zeros((4, 4, 3), "u1"))
    before = file_bytes(tmp_path)
    with pytest.raises(LabelerError, match="Full-Resolution is missing"):
        resize_dataset(tmp_path)
    assert file_bytes(tmp_path) == before
