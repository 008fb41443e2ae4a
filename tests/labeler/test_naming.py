"""Titles in any script become names that are safe, readable, and each its own."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeler.errors import LabelerError
from labeler.text.naming import check_clip_name, clip_name, distinct_names, readable, title_of


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-x", ".x", "x" * 101, "a\n", "é"])
def test_unsafe_clip_names_are_refused(name):
    with pytest.raises(LabelerError, match="cannot name a clip"):
        check_clip_name(name)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("张三", "ZhangSan"),
        ("李四", "LiSi"),
        ("Иван", "Ivan"),
        ("café", "cafe"),
        ("cafe\u0301", "cafe"),  # the same, as macOS writes it
        ("ünder way", "under_way"),
        ("한국어 1", "HanGugEo_1"),
        ("עברית", "vryt"),
        ("...", "clip"),
        ("-", "clip"),
        ("\u202eabc\x07", "abc"),
        ("IMG_0001", "IMG_0001"),
        ("a.b-c_d", "a.b-c_d"),
    ],
)
def test_a_name_can_be_read(title, name):
    assert check_clip_name(clip_name(title)) == name


def test_a_file_name_that_is_no_utf_8_gives_text_that_can_be_stored():
    title = title_of(Path(os.fsdecode(b"b\xfccher.mp4")))
    assert title == "bücher"
    assert title_of(Path("张三.tar.mp4")) == "张三.tar"
    as_ascii = "张三.mp4".encode().decode("ascii", "surrogateescape")  # in the locale C
    assert title_of(Path(as_ascii)) == "张三"
    assert readable("a\ud800") == "a?"


@settings(max_examples=200, deadline=None)
@given(
    titles=st.lists(st.text(st.sampled_from("aAbB_2é张章И/ .-\udcfc"), max_size=6), max_size=12),
    taken=st.lists(st.sampled_from(["a", "A_2", "ZhangSan", "clip"]), unique=True),
)
def test_every_title_gets_a_safe_name_of_its_own(titles, taken):
    names = distinct_names(titles, taken)
    assert len(names) == len(titles)
    assert [check_clip_name(name) for name in names] == names
    folded = [name.lower() for name in names]
    assert len(set(folded)) == len(folded)
    assert not set(folded) & {name.lower() for name in taken}


def test_long_titles_stay_apart():
    names = distinct_names(["x" * 300, "x" * 301, f"{'y' * 200}/a", f"{'z' * 200}/a"])
    assert len(set(names)) == 4
    assert all(check_clip_name(name) for name in names)


def test_a_name_of_its_own_is_kept_whatever_the_others_are_called():
    assert distinct_names(["b", "b", "b_2"]) == ["b", "b_3", "b_2"]
    assert distinct_names(["x/a.b", "x/c"]) == ["a.b", "c"]
