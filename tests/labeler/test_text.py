"""Text from outside, through every door of the domain to every file and back."""

import csv
import io
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labeler.clip import Clip, Scenario
from labeler.layouts.clips_table import ClipRow, format_clips, read_clips
from labeler.mask import encode_mask, read_note
from labeler.revision import Draft, Revision
from labeler.text.valid import NAME_LENGTH, from_cell, to_cell, valid_text
from labeler.workspace.integrity import open_workspace
from labeler.workspace.workspace import Workspace
from tests.workspaces import make_clip, square

SURROGATES = st.characters(categories=["Cs"])
ODD = st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Co", "Cn"])
TEXTS = st.one_of(
    st.text(st.one_of(st.characters(), SURROGATES, ODD)),
    st.sampled_from(
        [
            "b\udcfccher.mp4",
            "\ud800",
            "a\x00b",
            "\x1b]0;title\x07",
            "\u202etxt.exe",
            "ann\u200b",
            "=cmd|' /C calc'!A0",
            "+1",
            "-1",
            "@SUM(1)",
            "'=1",
            "x" * 10_000,
            "e\u0301" * 10_000,
            "<script>alert(1)</script>",
            "a,b;c\t\"d'\r\ne",
            "",
        ]
    ),
)


@given(TEXTS)
@example("\udce9")
def test_valid_text_can_be_stored_and_shown_anywhere(text):
    found = valid_text(text, 50)
    assert found.encode().decode() == found
    assert len(found) <= 50
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in found)
    assert not set(found) & set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff"
    )
    assert found.splitlines() in ([], [found])


@given(TEXTS)
def test_valid_text_is_a_fixed_point(text):
    assert valid_text(valid_text(text)) == valid_text(text)


def test_what_people_really_write_stays_as_it_is():
    for text in (
        "José Ramón",
        "张三",
        "محمد",
        "नेहा \u200d",
        "👩\u200d🚀",
        "a-b_c (1).mp4",
        "https://x.org/?a=b&c",
    ):
        assert valid_text(text) == text.strip()
    assert valid_text("Jose\u0301") == valid_text("José")


@given(TEXTS)
def test_no_cell_is_a_formula_and_each_reads_back(text):
    text = valid_text(text)
    assert not to_cell(text).startswith(("=", "+", "-", "@"))
    assert from_cell(to_cell(text)) == text


@settings(max_examples=60)
@given(TEXTS, TEXTS)
def test_the_table_of_clips_holds_any_source_and_licence(tmp_path_factory, source, licence):
    clip = Clip("walk", Scenario.NEWS, 5, Fraction(25), 4, 3, source, "0" * 64, licence=licence)
    row = ClipRow("walk", Scenario.NEWS, 5, 1, Fraction(25), 4, 3, clip.source, "0", clip.licence)
    path = tmp_path_factory.mktemp("table") / "clips.csv"
    path.write_text(format_clips([row]), encoding="utf-8", newline="")
    assert read_clips(path) == (row,)
    for cells in csv.reader(io.StringIO(path.read_text())):
        assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
    assert Clip.from_json(clip.to_json()) == clip


@settings(max_examples=60)
@given(TEXTS, TEXTS, TEXTS)
def test_a_note_in_a_mask_holds_whatever_people_say(tmp_path_factory, author, reason, annotation):
    draft = Draft(author, reason=reason, annotation=annotation)
    assert replace(draft) == draft
    assert len(draft.author) <= NAME_LENGTH
    path = tmp_path_factory.mktemp("note") / "1.png"
    path.write_bytes(encode_mask(square(1), note_of(author, reason)))
    note = read_note(path)
    assert note is not None
    found = Revision.from_note(note, 1)
    assert (found.author, found.reason) == (draft.author, draft.reason)


def note_of(author: str, reason: str) -> str:
    """The note of an earlier version, which kept text as it came."""
    import json

    return json.dumps(
        {
            "clip": "walk",
            "frame": 0,
            "provenance": "CORRECTED",
            "author": author,
            "model_version": "",
            "references": "",
            "uncertainty": None,
            "digest": "0" * 64,
            "area": 1,
            "created": "2026-01-01T00:00:00+00:00",
            "annotation": "",
            "look": "label",
            "judges": [],
            "reason": reason,
        }
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("odd") / "workspace")
    yield workspace, make_clip(workspace)
    workspace.close()


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_the_workspace_takes_any_text_and_opens_again(kept, author, reason, annotation):
    workspace, clip = kept
    draft = Draft(author, reason=reason, annotation=annotation)
    recorded = workspace.record(clip, 5, square(2), draft)
    assert recorded in workspace.revisions(clip, 5)
    again, notices = open_workspace(workspace.root)
    again.close()
    assert notices == []


def test_a_workspace_that_an_earlier_version_left_unusable_opens_again(tmp_path):
    """Its row could not be inserted, so clip and mask waited, and every start failed on them."""
    workspace = Workspace(tmp_path / "workspace")
    clip = make_clip(workspace)
    poison = clip.to_json().replace('"walk.mp4"', '"b\\udcfccher.mp4"').replace('"walk"', '"odd"')
    folder = workspace.clip_folder("odd")
    (folder / "frames").mkdir(parents=True)
    (folder / "clip.json").write_text(poison)
    waiting = workspace.pending / "0.png"
    waiting.write_bytes(encode_mask(square(0), note_of("J\udcfcrgen", "\ud800")))
    workspace.close()
    again, notices = open_workspace(workspace.root)
    assert again.clip("odd").source == "bücher.mp4"
    [revision] = again.revisions(clip)
    assert (revision.author, revision.reason) == ("Jürgen", "\ufffd")
    assert len(notices) == 2
    again.close()
