"""Every rule: a dataset with one mask that breaks only it has just that finding."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from labeler.inspect.finding import FindingKind
from labeler.inspect.quality import MaskedClip, find_suspicious, masks_of
from labeler.layouts.mvps import open_dataset
from labeler.mask import Mask, read_mask
from tests.labeler.made_datasets import write_mask, write_picture
from tests.labeler.made_portraits import (
    SIZE,
    mask_path,
    person,
    picture_path,
    room,
    walk,
    where,
)
from tests.workspaces import file_bytes

WIDTH, HEIGHT = SIZE
FRAME = 15
"""The one that is damaged, unless more are."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "set"
    walk(folder, "hike")
    walk(folder, "lucia")
    return folder


def change(dataset: Path, edit: Callable[[Mask], object], frame: int = FRAME) -> None:
    path = mask_path(dataset, "lucia", frame)
    mask = read_mask(path)
    edited = edit(mask)
    write_mask(path, edited if isinstance(edited, np.ndarray) else mask)


def paint(value: bool, rows: slice, columns: slice) -> Callable[[Mask], None]:
    def edit(mask: Mask) -> None:
        mask[rows, columns] = value

    return edit


def unreadable_mask(dataset: Path) -> None:
    mask_path(dataset, "lucia", FRAME).write_bytes(b"no mask")


def unreadable_picture(dataset: Path) -> None:
    path = picture_path(dataset, "lucia", FRAME)
    path.write_bytes(path.read_bytes()[:40])


def missing_picture(dataset: Path) -> None:
    picture_path(dataset, "lucia", 30).unlink()


def other_size(dataset: Path) -> None:
    change(dataset, lambda mask: np.ascontiguousarray(mask[1:]))


def empty_mask(dataset: Path) -> None:
    change(dataset, np.zeros_like)


def empty_row(dataset: Path) -> None:
    for frame in (10, 15, 20):
        change(dataset, np.zeros_like, frame)


def specks_far_away(dataset: Path) -> None:
    change(dataset, paint(True, slice(20, 22), slice(300, 303)))
    change(dataset, paint(True, slice(60, 61), slice(320, 322)))


def pinhole(dataset: Path) -> None:
    x = where(FRAME)
    change(dataset, paint(False, slice(180, 183), slice(x, x + 4)))


def gap_below(dataset: Path) -> None:
    change(dataset, paint(False, slice(HEIGHT - 2, HEIGHT), slice(None)))


def gap_at_the_side(dataset: Path) -> None:
    """The person stands at the right border in all frames, and one mask stops a pixel short."""
    for frame in range(0, 31, 5):
        mask = person(WIDTH - 10 + frame // 5)
        write_mask(mask_path(dataset, "lucia", frame), mask)
    change(dataset, paint(False, slice(None), slice(WIDTH - 1, WIDTH)))


def strip_above(dataset: Path) -> None:
    change(dataset, paint(True, slice(0, 1), slice(100, 200)))


def strip_at_the_side(dataset: Path) -> None:
    change(dataset, paint(True, slice(40, 100), slice(WIDTH - 2, WIDTH)))


def inverted(dataset: Path) -> None:
    """The clip has one mask only: beside true ones an inverted mask flickers, too."""
    for frame in range(0, 31, 5):
        if frame != FRAME:
            mask_path(dataset, "lucia", frame).unlink()
    change(dataset, np.logical_not)


def grows(dataset: Path) -> None:
    """From frame 15 on the mask is that of somebody twice as large."""
    for frame in range(FRAME, 31, 5):
        write_mask(mask_path(dataset, "lucia", frame), larger(person(where(frame))))


def larger(mask: Mask) -> Mask:
    x = np.flatnonzero(mask.any(axis=0)).mean()
    matrix = np.array([[1.5, 0, -0.5 * x], [0, 1.5, -0.5 * HEIGHT]])
    return np.not_equal(cv2.warpAffine(mask.view(np.uint8), matrix, SIZE), 0)


def somewhere_else(dataset: Path) -> None:
    """From frame 15 on the mask is of somebody who stands beside."""
    for frame in range(FRAME, 31, 5):
        write_mask(mask_path(dataset, "lucia", frame), person(where(frame) + 150))


def flickers(dataset: Path) -> None:
    """The upper half is missing in one mask."""
    change(dataset, paint(False, slice(0, 160), slice(None)))


def flickers_elsewhere(dataset: Path) -> None:
    change(dataset, lambda mask: person(where(FRAME) + 150))


def stands_still(dataset: Path) -> None:
    """Frames 10 to 20 show one picture, in noise that no eye sees."""
    picture, rng = room(person(where(10))), np.random.default_rng(3)
    for frame in (10, 15, 20):
        noise = rng.integers(-3, 4, picture.shape)
        noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
        write_picture(picture_path(dataset, "lucia", frame), noisy)


CASES = [
    (unreadable_mask, FindingKind.UNREADABLE, FRAME, "is not a readable mask"),
    (unreadable_picture, FindingKind.UNREADABLE, FRAME, "00015.jpg is not a readable picture"),
    (missing_picture, FindingKind.UNREADABLE, 30, "00030.jpg is missing"),
    (other_size, FindingKind.SIZE, FRAME, "The mask is 360x239 and its picture 360x240."),
    (empty_mask, FindingKind.EMPTY, FRAME, "Nobody is masked."),
    (empty_row, FindingKind.EMPTY, 10, "Nobody is masked in 3 key frames, 00010 to 00020."),
    (
        specks_far_away,
        FindingKind.SPECKS,
        FRAME,
        "2 specks of 8 pixels, the largest at x 301, y 21.",
    ),
    (pinhole, FindingKind.HOLES, FRAME, "A hole of 12 pixels is at x 98, y 181."),
    (gap_below, FindingKind.BORDER_GAP, FRAME, "just short of the bottom border, x 68 to 124."),
    (
        gap_at_the_side,
        FindingKind.BORDER_GAP,
        FRAME,
        "just short of the right border, y 91 to 239.",
    ),
    (strip_above, FindingKind.BORDER_STRIP, FRAME, "lies along the top border, x 100 to 199."),
    (strip_at_the_side, FindingKind.BORDER_STRIP, FRAME, "along the right border, y 40 to 99."),
    (inverted, FindingKind.BORDER_AROUND, FRAME, "It covers 95 % of the frame's border."),
    (grows, FindingKind.AREA, FRAME, "times the area of the mask before."),
    (
        somewhere_else,
        FindingKind.PLACE,
        FRAME,
        "Its centre has moved by 35 % of the frame's diagonal.",
    ),
    (flickers, FindingKind.FLICKER, FRAME, "or more from the masks before and after"),
    (flickers_elsewhere, FindingKind.FLICKER, FRAME, "It differs by"),
    (stands_still, FindingKind.STILL, 10, "hardly changes in 3 key frames, 00010 to 00020."),
]


@pytest.mark.parametrize(
    ("damage", "rule", "frame", "said"),
    CASES,
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_is_found_and_nothing_else(
    tmp_path: Path,
    clean: Path,
    damage: Callable[[Path], None],
    rule: FindingKind,
    frame: int,
    said: str,
) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(clean, dataset)
    damage(dataset)
    findings = find_suspicious(masks_of(open_dataset(dataset)))
    assert [(each.rule, each.clip, each.frame) for each in findings] == [(rule, "lucia", frame)], (
        findings
    )
    assert said in findings[0].message
    assert findings[0].message.endswith(".")
    assert findings[0].path.name.startswith(f"{frame:05d}.")
    assert findings[0].path.is_relative_to(dataset)
    assert findings[0].rule.advice.endswith(".")


def test_every_rule_is_tested_above() -> None:
    assert {case[1] for case in CASES} == set(FindingKind)


def test_a_clean_dataset_has_no_finding_and_stays_as_it_is(clean: Path) -> None:
    before = file_bytes(clean)
    seen: list[tuple[int, int]] = []
    assert find_suspicious(masks_of(open_dataset(clean)), lambda *step: seen.append(step)) == []
    assert seen == [(n, 14) for n in range(1, 15)]
    assert file_bytes(clean) == before


def test_several_findings_come_by_clip_and_frame(tmp_path: Path, clean: Path) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(clean, dataset)
    change(dataset, np.zeros_like, 30)
    for frame in (0, 20):
        strip = paint(True, slice(0, 1), slice(100, 200))
        change(dataset, strip, frame)
    shutil.copytree(mask_path(dataset, "lucia", 0).parent, tmp_path / "masks")
    for frame in range(0, 31, 5):
        shutil.copy(tmp_path / "masks" / f"{frame:05d}.png", mask_path(dataset, "hike", frame))
    findings = find_suspicious(masks_of(open_dataset(dataset)))
    wanted = [
        (FindingKind.BORDER_STRIP, 0),
        (FindingKind.BORDER_STRIP, 20),
        (FindingKind.EMPTY, 30),
    ]
    assert [(each.clip, each.rule, each.frame) for each in findings] == [
        (clip, *each) for clip in ("hike", "lucia") for each in wanted
    ]


def test_a_mask_on_each_frame_is_compared_with_the_next_and_a_picture_with_the_fifth(
    tmp_path: Path,
) -> None:
    """DAVIS masks each frame: within a thirtieth of a second no picture changes much."""
    walk(tmp_path / "set", "walk", frames=31, stride=1)
    assert find_suspicious(masks_of(open_dataset(tmp_path / "set"))) == []
    write_mask(mask_path(tmp_path / "set", "walk", 7), person(where(7) + 150))
    (finding,) = find_suspicious(masks_of(open_dataset(tmp_path / "set")))
    assert (finding.rule, finding.frame) == (FindingKind.FLICKER, 7)


def test_masks_far_apart_in_time_are_not_compared(tmp_path: Path, clean: Path) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(clean, dataset)
    somewhere_else(dataset)
    (clip,) = [each for each in masks_of(open_dataset(dataset)) if each.name == "lucia"]
    apart = MaskedClip("apart", [file for file in clip.masks if file.frame % 10 == 0])
    assert [each.frame for each in find_suspicious([clip, apart])] == [FRAME]


def test_true_masks_are_left_alone_but_for_few(shared_data: Path) -> None:
    """What lively clips of real people show; docs/results.md has the table."""
    clips = masks_of(open_dataset(shared_data / "video"))
    key_frames = [
        MaskedClip(clip.name, [file for file in clip.masks if file.frame % 5 == 0])
        for clip in clips
    ]
    found = Counter(each.rule for each in find_suspicious(key_frames))
    assert set(found) <= {FindingKind.SPECKS, FindingKind.HOLES}
    assert found.total() <= 0.04 * sum(len(clip.masks) for clip in key_frames)
