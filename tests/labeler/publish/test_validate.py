"""Every rule: a dataset that breaks only it has just that fault; a clean one has none."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from labeler.errors import LabelerError
from labeler.publish.clip_faults import FaultKind
from labeler.publish.manifest import read_manifest
from labeler.publish.validate import validate
from tests.labeler.made_datasets import (
    made_dataset,
    made_mask,
    made_picture,
    write_indexed,
    write_mask,
    write_picture,
    write_whole_manifest,
)
from tests.workspaces import file_bytes

FULL_SIZE, SMALL_SIZE = (648, 486), (640, 480)
FULL_PICTURE = "JPEGImages/Full-Resolution/lucia/{:05d}.jpg"
SMALL_PICTURE = "JPEGImages/480p/lucia/{:05d}.jpg"
FULL_MASK = "Annotations/Full-Resolution/lucia/{:05d}.png"
SMALL_MASK = "Annotations/480p/lucia/{:05d}.png"
TREES = (
    "JPEGImages/Full-Resolution",
    "JPEGImages/480p",
    "Annotations/Full-Resolution",
    "Annotations/480p",
)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = made_dataset(tmp_path_factory.mktemp("clean") / "set")
    write_whole_manifest(dataset)
    return dataset


def edit_table(dataset: Path, old: str, new: str) -> None:
    path = dataset / "clips.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def both(dataset: Path, full: str, small: str, index: int) -> list[Path]:
    return [dataset / full.format(index), dataset / small.format(index)]


def missing_frame(dataset: Path) -> None:
    for path in both(dataset, FULL_PICTURE, SMALL_PICTURE, 7):
        path.unlink()


def missing_last_frame(dataset: Path) -> None:
    for path in both(dataset, FULL_PICTURE, SMALL_PICTURE, 11):
        path.unlink()


def extra_frame(dataset: Path) -> None:
    write_picture(dataset / FULL_PICTURE.format(12), made_picture("lucia", 12, FULL_SIZE))
    write_picture(dataset / SMALL_PICTURE.format(12), made_picture("lucia", 12, SMALL_SIZE))


def stray_file(dataset: Path) -> None:
    path = dataset / FULL_PICTURE.format(3)
    shutil.copy(path, path.with_name("3.jpg"))


def mask_without_picture(dataset: Path) -> None:
    write_mask(dataset / FULL_MASK.format(15), made_mask(15, FULL_SIZE))
    write_mask(dataset / SMALL_MASK.format(15), made_mask(15, SMALL_SIZE))
    edit_table(dataset, "lucia,news,12,3", "lucia,news,12,4")


def missing_mask(dataset: Path) -> None:
    for path in both(dataset, FULL_MASK, SMALL_MASK, 5):
        path.unlink()


def off_the_stride(dataset: Path) -> None:
    for path in both(dataset, FULL_MASK, SMALL_MASK, 5):
        path.rename(path.with_name("00006.png"))


def table_without_a_clip(dataset: Path) -> None:
    text = (dataset / "clips.csv").read_text()
    (dataset / "clips.csv").write_text(text[: text.index("lucia")])


def table_with_a_clip_too_many(dataset: Path) -> None:
    for tree in TREES:
        shutil.rmtree(dataset / tree / "lucia")
    (dataset / "ImageSets" / "test.txt").write_text("")


def table_counts_masks_wrongly(dataset: Path) -> None:
    edit_table(dataset, "lucia,news,12,3", "lucia,news,12,2")


def table_has_another_size(dataset: Path) -> None:
    text = (dataset / "clips.csv").read_text()
    head, lucia = text.split("\nlucia")
    (dataset / "clips.csv").write_text(head + "\nlucia" + lucia.replace("648,486", "486,648"))


def table_is_damaged(dataset: Path) -> None:
    edit_table(dataset, "lucia,news,12", "lucia,news,twelve")


def odd_picture(dataset: Path) -> None:
    write_picture(dataset / FULL_PICTURE.format(0), made_picture("lucia", 0, (486, 648)))


def odd_mask(dataset: Path) -> None:
    write_mask(dataset / FULL_MASK.format(5), made_mask(5, (647, 486)))


def odd_small_picture(dataset: Path) -> None:
    write_picture(dataset / SMALL_PICTURE.format(4), made_picture("lucia", 4, (638, 480)))


def odd_small_mask(dataset: Path) -> None:
    write_mask(dataset / SMALL_MASK.format(10), made_mask(10, (640, 478)))


def mask_of_255(dataset: Path) -> None:
    write_indexed(dataset / FULL_MASK.format(0), made_mask(0, FULL_SIZE).astype(np.uint8) * 255)


def mask_of_three_values(dataset: Path) -> None:
    values = made_mask(0, SMALL_SIZE).astype(np.uint8)
    values[:5, :5] = 2
    write_indexed(dataset / SMALL_MASK.format(0), values)


def grey_mask(dataset: Path) -> None:
    Pillow.fromarray(made_mask(0, FULL_SIZE).astype("u1")).save(dataset / FULL_MASK.format(0))


def truncated_mask(dataset: Path) -> None:
    path = dataset / FULL_MASK.format(0)
    path.write_bytes(path.read_bytes()[:-200])


def unreadable_picture(dataset: Path) -> None:
    (dataset / FULL_PICTURE.format(2)).write_bytes(b"")


def unreadable_small_picture(dataset: Path) -> None:
    (dataset / SMALL_PICTURE.format(2)).write_bytes(b"GIF89a?")


def picture_only_at_full_resolution(dataset: Path) -> None:
    (dataset / SMALL_PICTURE.format(11)).unlink()


def mask_only_at_480p(dataset: Path) -> None:
    (dataset / FULL_MASK.format(10)).unlink()
    edit_table(dataset, "lucia,news,12,3", "lucia,news,12,2")


def clip_in_both_lists(dataset: Path) -> None:
    (dataset / "ImageSets" / "train.txt").write_text("hike\nlucia\n")


def clip_twice_in_a_list(dataset: Path) -> None:
    (dataset / "ImageSets" / "test.txt").write_text("lucia\nlucia\n")


def listed_clip_not_there(dataset: Path) -> None:
    (dataset / "ImageSets" / "train.txt").write_text("hike\nswing\n")


def clip_in_no_list(dataset: Path) -> None:
    (dataset / "ImageSets" / "test.txt").write_text("")


def source_in_both_lists(dataset: Path) -> None:
    text = (dataset / "clips.csv").read_text()
    (dataset / "clips.csv").write_text(text.replace("lucia.mp4", "hike.mp4"))


def digest_in_both_lists(dataset: Path) -> None:
    text = (dataset / "clips.csv").read_text()
    digests = [line.split(",")[8] for line in text.splitlines()[1:]]
    (dataset / "clips.csv").write_text(text.replace(digests[0], digests[1]))


def changed_picture(dataset: Path) -> None:
    path = dataset / FULL_PICTURE.format(3)
    path.write_bytes(path.read_bytes() + b"\0")


def changed_masks(dataset: Path) -> None:
    for index in (0, 10):
        write_mask(dataset / SMALL_MASK.format(index), made_mask(index + 1, SMALL_SIZE))


def changed_lists(dataset: Path) -> None:
    (dataset / "ImageSets" / "train.txt").write_text("lucia\n")
    (dataset / "ImageSets" / "test.txt").write_text("hike\n")


def list_not_in_the_manifest(dataset: Path) -> None:
    (dataset / "ImageSets" / "val.txt").write_text("hike\n")


def listed_file_missing(dataset: Path) -> None:
    (dataset / "LICENSE").write_text("CC BY 4.0")
    write_whole_manifest(dataset)
    (dataset / "LICENSE").unlink()


def manifest_of_something_else(dataset: Path) -> None:
    with (dataset / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  ../secret\n")


def manifest_cut_short(dataset: Path) -> None:
    path = dataset / "SHA256SUMS"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:9], lines[9][:40]]))


def no_list(dataset: Path) -> None:
    (dataset / "ImageSets" / "test.txt").unlink()


def no_table(dataset: Path) -> None:
    (dataset / "clips.csv").unlink()


def no_small_masks(dataset: Path) -> None:
    shutil.rmtree(dataset / "Annotations" / "480p")


@pytest.mark.parametrize(
    ("damage", "rule", "said"),
    [
        (missing_frame, FaultKind.MISSING_FRAME, "lucia should have 12 pictures; missing: 00007."),
        (missing_last_frame, FaultKind.MISSING_FRAME, "missing: 00011."),
        (extra_frame, FaultKind.EXTRA_FRAME, "lucia has 12 pictures; also there: 00012."),
        (stray_file, FaultKind.STRAY_FILE, "3.jpg is not named like a frame"),
        (mask_without_picture, FaultKind.MASK_WITHOUT_PICTURE, "without a picture: 00015."),
        (missing_mask, FaultKind.MISSING_MASK, "3 masks and has 2; frames without one: 00005."),
        (off_the_stride, FaultKind.STRIDE, "between key frames (every 5th): 00006."),
        (table_without_a_clip, FaultKind.CLIPS_TABLE, "does not name lucia"),
        (table_with_a_clip_too_many, FaultKind.CLIPS_TABLE, "clips.csv names lucia"),
        (table_counts_masks_wrongly, FaultKind.CLIPS_TABLE, "2 masks; 3 are there"),
        (table_has_another_size, FaultKind.CLIPS_TABLE, "486x648, its pictures are 648x486"),
        (table_is_damaged, FaultKind.CLIPS_TABLE, "cannot be used, after 1 good ones"),
        (
            odd_picture,
            FaultKind.SIZE,
            "486x648, not the clip's other pictures, 648x486.",
        ),
        (odd_mask, FaultKind.SIZE, "00005.png is 647x486, not 648x486"),
        (odd_small_picture, FaultKind.SIZE_480P, "00004.jpg is 638x480, not 640x480"),
        (odd_small_mask, FaultKind.SIZE_480P, "00010.png is 640x478, not 640x480"),
        (mask_of_255, FaultKind.MASK_VALUES, "has the value 255"),
        (mask_of_three_values, FaultKind.MASK_VALUES, "has the value 2"),
        (grey_mask, FaultKind.MASK_VALUES, "no palette PNG"),
        (truncated_mask, FaultKind.UNREADABLE, "not a readable mask"),
        (unreadable_picture, FaultKind.UNREADABLE, "00002.jpg is not a readable picture"),
        (unreadable_small_picture, FaultKind.UNREADABLE, "00002.jpg is not a readable picture"),
        (picture_only_at_full_resolution, FaultKind.RESOLUTIONS_DIFFER, "resolution has: 00011."),
        (mask_only_at_480p, FaultKind.RESOLUTIONS_DIFFER, "resolution has: 00010."),
        (clip_in_both_lists, FaultKind.SPLIT_TWICE, "listed 2 times, in train.txt and test.txt"),
        (clip_twice_in_a_list, FaultKind.SPLIT_TWICE, "listed 2 times, in test.txt"),
        (listed_clip_not_there, FaultKind.SPLIT_UNKNOWN, "train.txt lists swing"),
        (clip_in_no_list, FaultKind.SPLIT_MISSING, "lucia is in no list"),
        (source_in_both_lists, FaultKind.SPLIT_SOURCE, "hike, lucia are of one source video"),
        (digest_in_both_lists, FaultKind.SPLIT_SOURCE, "hike, lucia are of one source video"),
        (
            changed_picture,
            FaultKind.MANIFEST_CHANGED,
            "00003.jpg has other bytes than listed",
        ),
        (changed_masks, FaultKind.MANIFEST_CHANGED, "00000.png (and 1 more in "),
        (changed_lists, FaultKind.MANIFEST_CHANGED, "test.txt (and 1 more in "),
        (list_not_in_the_manifest, FaultKind.MANIFEST_EXTRA, "val.txt is there, but not listed in"),
        (listed_file_missing, FaultKind.MANIFEST_MISSING, "LICENSE is missing, but listed in"),
        (manifest_of_something_else, FaultKind.MANIFEST, "Line 64 of"),
        (manifest_cut_short, FaultKind.MANIFEST, "is not the SHA-256 of a file in"),
        (no_list, FaultKind.LAYOUT, "test.txt is missing"),
        (no_table, FaultKind.LAYOUT, "clips.csv is missing or does not begin with clip,scenario"),
        (no_small_masks, FaultKind.LAYOUT, "Annotations/480p is missing"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_fault_is_found_and_nothing_else(
    tmp_path: Path, clean: Path, damage: Callable[[Path], None], rule: FaultKind, said: str
) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(clean, dataset)
    damage(dataset)
    if not rule.startswith("manifest"):
        write_whole_manifest(dataset)
    faults = validate(dataset)
    assert [fault.rule for fault in faults] == [rule], faults
    assert said in faults[0].message
    assert faults[0].message.endswith(".")
    assert faults[0].path.is_relative_to(dataset)


def test_every_rule_is_tested_above() -> None:
    marks = test_each_fault_is_found_and_nothing_else.pytestmark  # type: ignore[attr-defined]
    assert {case[1] for case in marks[0].args[1]} == set(FaultKind)


def test_a_clean_dataset_has_no_fault_and_stays_as_it_is(clean: Path) -> None:
    before = file_bytes(clean)
    assert validate(clean) == []
    assert file_bytes(clean) == before


def test_a_key_frame_may_lack_its_mask_where_clips_csv_says_so(tmp_path: Path, clean: Path) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(clean, dataset)
    missing_mask(dataset)
    table_counts_masks_wrongly(dataset)
    write_whole_manifest(dataset)
    assert validate(dataset) == []


def test_a_dataset_needs_no_manifest_and_may_have_a_readme(tmp_path: Path, clean: Path) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(clean, dataset)
    (dataset / "README.md").write_text("What this is.")
    assert validate(dataset) == []
    (dataset / "SHA256SUMS").unlink()
    assert validate(dataset) == []


def test_what_sha256sum_writes_is_a_manifest_and_ours_satisfies_it(
    tmp_path: Path, clean: Path
) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(clean, dataset)
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=dataset, check=True)
    ours = read_manifest(dataset)
    (dataset / "SHA256SUMS").unlink()
    command = "find . -type f -exec sha256sum {} + > ../sums && mv ../sums SHA256SUMS"
    subprocess.run(["sh", "-c", command], cwd=dataset, check=True)
    assert read_manifest(dataset) == ours
    assert validate(dataset) == []
    changed_picture(dataset)
    assert subprocess.run(check, cwd=dataset, capture_output=True).returncode == 1


def test_hidden_files_are_nobodys_fault(tmp_path: Path, clean: Path) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(clean, dataset)
    for folder in (dataset, *(dataset / tree for tree in TREES), *dataset.glob("*/*/lucia")):
        (folder / ".DS_Store").touch()
    assert validate(dataset) == []


def test_another_stride(tmp_path: Path, clean: Path) -> None:
    assert {fault.rule for fault in validate(clean, stride=10)} == {FaultKind.STRIDE}


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelerError, match="nowhere is no folder"):
        validate(tmp_path / "nowhere")


def test_a_davis_folder_is_named_for_what_it_lacks(shared_data: Path) -> None:
    rules = {fault.rule for fault in validate(shared_data / "video")}
    assert FaultKind.LAYOUT in rules
