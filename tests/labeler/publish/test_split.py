"""Train and test clips: deterministic, disjoint, whole; never moved, never of one source."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeler.clip import Scenario
from labeler.errors import LabelerError
from labeler.layouts.clips_table import ClipRow
from labeler.publish.lists import split_dataset
from labeler.publish.split import (
    Split,
    parted_sources,
    read_split,
    source_groups,
    split_clips,
    write_split,
)
from labeler.publish.validate import validate
from tests.labeler.made_datasets import made_dataset, write_whole_manifest
from tests.workspaces import file_bytes

ROOT = Path(__file__).resolve().parents[3]
NAMES = st.sets(st.from_regex(r"[a-z][a-z0-9-]{0,7}", fullmatch=True), min_size=1, max_size=40)
SHARES = st.floats(0, 1)


def row(name: str, source: str = "", sha256: str = "", scenario: Scenario | None = None) -> ClipRow:
    return ClipRow(name, scenario, 10, 2, None, 64, 48, source, sha256)


def alone(names: Iterable[str]) -> list[ClipRow]:
    """Clips that each have a source of their own."""
    return [row(name, f"{name}.mp4") for name in names]


SIGNS = st.sampled_from(["", "", "", "a", "b", "c"])
ROWS = st.lists(
    st.builds(row, st.from_regex(r"[a-z]{1,3}", fullmatch=True), SIGNS, SIGNS,
              st.sampled_from([*Scenario][:3])),
    min_size=1, max_size=30, unique_by=lambda row: row.name,
)  # fmt: skip


@given(NAMES, SHARES, st.integers())
def test_every_clip_is_in_exactly_one_list_and_one_is_left_to_train_on(
    names: set[str], share: float, seed: int
) -> None:
    split = split_clips(alone(names), share, seed)
    assert sorted(split.train + split.test) == sorted(names)
    assert split.train
    assert len(split.test) == min(int(share * len(names) + 0.5), len(names) - 1)


@given(ROWS, SHARES, st.integers(), st.booleans(), st.randoms())
def test_the_order_of_the_input_and_repeated_clips_do_not_matter(
    rows: list[ClipRow], share: float, seed: int, stratified: bool, random: Random
) -> None:
    shuffled = [*rows, *rows]
    random.shuffle(shuffled)
    expected = split_clips(rows, share, seed, stratified=stratified)
    assert split_clips(shuffled, share, seed, stratified=stratified) == expected


@given(ROWS, SHARES, st.integers(), st.booleans())
def test_clips_of_one_source_video_are_never_parted(
    rows: list[ClipRow], share: float, seed: int, stratified: bool
) -> None:
    split = split_clips(rows, share, seed, stratified=stratified)
    assert sorted(split.train + split.test) == sorted(row.name for row in rows)
    assert split.train
    assert parted_sources(rows, split) == []
    for one in rows:
        for other in rows:
            if (one.source and one.source == other.source) or (
                one.sha256 and one.sha256 == other.sha256
            ):
                assert (one.name in split.test) == (other.name in split.test)


@given(ROWS, SHARES, SHARES, st.integers(), st.booleans(), st.data())
def test_a_listed_clip_is_never_moved(
    rows: list[ClipRow],
    share: float,
    other: float,
    seed: int,
    stratified: bool,
    data: st.DataObject,
) -> None:
    some = data.draw(st.lists(st.sampled_from(rows), min_size=1, unique=True))
    before = split_clips(some, other, 0)
    after = split_clips(rows, share, seed, stratified=stratified, keep=before)
    assert set(before.train) <= set(after.train)
    assert set(before.test) <= set(after.test)
    assert sorted(after.train + after.test) == sorted(row.name for row in rows)
    again = split_clips(rows, other, seed + 1, stratified=not stratified, keep=after)
    assert again == after
    for group in parted_sources(rows, after):  # a new clip has joined two groups into one
        assert not set(before.train).isdisjoint(group)
        assert not set(before.test).isdisjoint(group)


@given(NAMES, SHARES, st.integers())
def test_a_new_clip_moves_at_most_one_other_across(
    names: set[str], share: float, seed: int
) -> None:
    before = split_clips(alone(names), share, seed)
    after = split_clips(alone({*names, "A-new-one"}), share, seed)
    moved = (set(before.test) ^ set(after.test)) - {"A-new-one"}
    assert len(moved) <= 1


def test_the_seed_chooses_the_split() -> None:
    clips = alone(f"clip-{n}" for n in range(20))
    splits = {split_clips(clips, seed=seed) for seed in range(10)}
    assert len(splits) == 10
    assert all(len(split.test) == 8 for split in splits)


def test_the_split_of_one_seed_never_changes() -> None:
    # Published numbers depend on it: a change here is a change of everybody's test set.
    assert split_clips(alone("abcde")) == Split(("b", "c", "e"), ("a", "d"))
    shots = [row(name, "talk.mp4") for name in ("a", "c")]
    assert split_clips([*shots, *alone("bde")]) == Split(("a", "c", "e"), ("b", "d"))


def test_as_many_clips_as_in_the_paper() -> None:
    split = split_clips(alone(f"clip-{n}" for n in range(101)))
    assert (len(split.train), len(split.test)) == (61, 40)


def test_sources_are_told_by_digest_or_by_name_and_through_each_other() -> None:
    rows = [row("a", "x", "1"), row("b", "y", "1"), row("c", "y", "2"), row("d", "", ""), row("e")]
    assert source_groups(rows) == [("a", "b", "c"), ("d",), ("e",)]


@given(st.lists(st.integers(1, 12), min_size=2, max_size=7), SHARES, st.integers())
def test_each_scenario_has_its_share(sizes: list[int], share: float, seed: int) -> None:
    scenarios = [*Scenario][: len(sizes)]
    rows = [
        row(f"{scenario}-{n}", scenario=scenario)
        for scenario, size in zip(scenarios, sizes, strict=True)
        for n in range(size)
    ]
    split = split_clips(rows, share, seed, stratified=True)
    total = sum(sizes)
    assert len(split.test) == min(int(share * total + 0.5), total - 1)
    tested = Counter(name.rsplit("-", 1)[0] for name in split.test)
    for scenario, size in zip(scenarios, sizes, strict=True):
        # One clip is always left to train on, so all of them can be one too few.
        assert abs(tested[scenario] - share * size) < 1 or len(split.train) == 1


def test_an_extended_split_makes_up_for_what_is_there() -> None:
    before = Split(("a", "b", "c", "d", "e", "f"), ())
    after = split_clips(alone("abcdefghij"), keep=before)
    assert after.test == ("g", "h", "i", "j")
    joined = [*alone("ab"), row("c", "a.mp4"), row("d", "b.mp4")]
    assert split_clips(joined, keep=Split(("a",), ("b",))) == Split(("a", "c"), ("b", "d"))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(LabelerError, match="test share"):
        split_clips(alone("a"), share)


def test_no_clips_are_refused() -> None:
    with pytest.raises(LabelerError, match="no clips to split"):
        split_clips([])


def test_the_lists_hold_one_name_a_line_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("b\n")
    write_split(tmp_path, Split(("a", "b"), ()))
    assert file_bytes(tmp_path) == {
        "ImageSets/2017/val.txt": b"b\n",
        "ImageSets/train.txt": b"a\nb\n",
        "ImageSets/test.txt": b"",
    }
    assert read_split(tmp_path) == Split(("a", "b"), ())
    assert read_split(tmp_path / "ImageSets") is None


def test_a_dataset_is_split_counted_and_stays_valid(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "set")
    write_whole_manifest(dataset)
    report = split_dataset(dataset)
    assert (report.added, report.gone) == ((), ())
    assert report.lines()[1].split() == ["train", "1", "12", "3"]
    assert report.lines()[3].split() == ["all", "2", "24", "6"]
    before = file_bytes(dataset)
    drawn = {split_dataset(dataset, seed=seed, anew=True).split for seed in range(8)}
    assert drawn == {Split(("hike",), ("lucia",)), Split(("lucia",), ("hike",))}
    split_dataset(dataset, test_share=0, anew=True)
    assert file_bytes(dataset) != before
    assert validate(dataset) == []
    (dataset / "ImageSets" / "train.txt").write_text("hike\nswing\n")
    report = split_dataset(dataset, test_share=0.5)
    assert report.split == Split(("hike",), ("lucia",))
    assert (report.added, report.gone) == (("lucia",), ("swing",))
    assert validate(dataset) == []
    assert file_bytes(dataset) == before


def test_a_clip_in_both_lists_is_for_a_person_to_decide(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "set")
    write_split(dataset, Split(("hike", "lucia"), ("lucia",)))
    before = file_bytes(dataset)
    with pytest.raises(LabelerError, match=r"lucia both in train\.txt and in test\.txt"):
        split_dataset(dataset)
    assert file_bytes(dataset) == before
    split_dataset(dataset, anew=True)
    assert validate(dataset) == []


def test_the_script_does_the_same(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "set")
    script = [sys.executable, str(ROOT / "scripts" / "split_train_test.py"), str(dataset)]
    run = {"cwd": ROOT, "env": {"PYTHONPATH": str(ROOT)}, "text": True, "capture_output": True}
    done = subprocess.run([*script, "--anew", "--seed", "1", "--json"], **run)
    expected = split_dataset(dataset, seed=1, anew=True)
    assert json.loads(done.stdout) == json.loads(json.dumps(expected.to_json()))
    done = subprocess.run([*script, "--test-share", "2"], **run)
    assert (done.returncode, "not within 0 and 1" in done.stderr) == (1, True)


def test_a_full_disk_is_said_in_a_sentence_and_the_lists_stay(tmp_path, monkeypatch):
    write_split(tmp_path, Split(("a",), ("b",)))
    (tmp_path / "ImageSets" / "2017").mkdir()
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("a\n")

    def full(source, target, **_how):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(LabelerError) as caught:
        write_split(tmp_path, Split(("b",), ("a",)))
    assert str(caught.value) == (
        f"{tmp_path / 'ImageSets'} could not be written (No space left on device); what was there "
        "before is unchanged. Make room, and run the same command again."
    )
    assert read_split(tmp_path) == Split(("a",), ("b",))
