"""Train and test clips: deterministic, disjoint, whole."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeler.errors import LabelerError
from labeler.split import Split, split_clips, write_split

NAMES = st.sets(st.from_regex(r"[a-z][a-z0-9-]{0,7}", fullmatch=True), min_size=1, max_size=40)
SHARES = st.floats(0, 1)


@given(NAMES, SHARES, st.integers())
def test_every_clip_is_in_exactly_one_list_and_one_is_left_to_train_on(
    names: set[str], share: float, seed: int
) -> None:
    split = split_clips(names, share, seed)
    assert sorted(split.train + split.test) == sorted(names)
    assert split.train
    assert len(split.test) == min(int(share * len(names) + 0.5), len(names) - 1)


@given(NAMES, SHARES, st.integers(), st.randoms())
def test_the_order_of_the_input_and_repeated_names_do_not_matter(
    names: set[str], share: float, seed: int, random: Random
) -> None:
    shuffled = [*names, *names]
    random.shuffle(shuffled)
    assert split_clips(shuffled, share, seed) == split_clips(sorted(names), share, seed)


@given(NAMES, SHARES, st.integers())
def test_a_new_clip_moves_at_most_one_other_across(
    names: set[str], share: float, seed: int
) -> None:
    before = split_clips(names, share, seed)
    after = split_clips({*names, "A-new-one"}, share, seed)
    moved = (set(before.test) ^ set(after.test)) - {"A-new-one"}
    assert len(moved) <= 1


def test_the_seed_chooses_the_split() -> None:
    names = [f"clip-{n}" for n in range(20)]
    splits = {split_clips(names, seed=seed) for seed in range(10)}
    assert len(splits) == 10
    assert all(len(split.test) == 8 for split in splits)


def test_the_split_of_one_seed_never_changes() -> None:
    # Published numbers depend on it: a change here is a change of everybody's test set.
    assert split_clips(["a", "b", "c", "d", "e"]) == Split(("b", "c", "e"), ("a", "d"))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(LabelerError, match="test share"):
        split_clips(["a"], share)


def test_no_clips_are_refused() -> None:
    with pytest.raises(LabelerError, match="no clips to split"):
        split_clips([])


def test_the_lists_hold_one_name_a_line(tmp_path: Path) -> None:
    write_split(tmp_path, Split(("a", "b"), ()))
    assert (tmp_path / "ImageSets" / "train.txt").read_text() == "a\nb\n"
    assert (tmp_path / "ImageSets" / "test.txt").read_text() == ""
