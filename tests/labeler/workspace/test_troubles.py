"""What goes wrong with one item stops no other, and is told until that item succeeds."""

import sqlite3

import pytest

from labeler.errors import AlreadyInError, LabelerError
from labeler.mask import encode_mask
from labeler.workspace import integrity, tables
from labeler.workspace.integrity import MENDING, open_workspace
from labeler.workspace.tables import DatabaseAwayError
from labeler.workspace.troubles import Troubles
from labeler.workspace.workspace import Workspace
from tests.labeler.test_text import note_of
from tests.workspaces import make_clip, square


@pytest.fixture
def troubles(workspace):
    return Troubles(workspace.database)


def test_a_failure_is_kept_with_reason_and_cure_until_it_is_solved(troubles):
    for reason in ("the first reason", "another reason"):
        with troubles.apart("fetch", "task 7", "look at it"):
            raise LabelerError(reason)
    with troubles.apart("fetch", "task 8"):
        pass
    [told] = troubles.listed()
    assert (told.work, told.item) == ("fetch", "task 7")
    assert told.sentence == "task 7: another reason; look at it"
    with troubles.apart("publish", "task 7"):
        pass
    assert troubles.listed() == [told]
    with troubles.apart("fetch", "task 7"):
        pass
    assert troubles.listed() == []


def test_what_concerns_all_items_is_raised(troubles):
    with pytest.raises(DatabaseAwayError), troubles.apart("fetch", "task 7"):
        raise DatabaseAwayError("x")
    with pytest.raises(AlreadyInError), troubles.apart("fetch", "7", passing=(AlreadyInError,)):
        raise AlreadyInError("x")
    assert troubles.listed() == []


def test_odd_text_in_an_error_is_no_second_error(troubles):
    with troubles.apart("fetch", "task \udcff"):
        raise LabelerError("reason \ud800\x00")
    [told] = troubles.listed()
    assert told.sentence.isprintable()
    troubles.solved("fetch", "task \udcff")
    assert troubles.listed() == []


def test_one_item_that_cannot_be_mended_stops_no_command_and_no_other_item(workspace, monkeypatch):
    clip = make_clip(workspace)
    masks = [workspace.pending / f"{number}.png" for number in range(3)]
    for path, author in zip(masks, ("ann", "bad", "cid"), strict=True):
        path.write_bytes(encode_mask(square(3), note_of(author, "")))
    insert = Workspace.adopt_mask

    def fails_for_one(self, file, news):
        if news.author == "bad":
            raise sqlite3.DataError("unforeseen")
        return insert(self, file, news)

    monkeypatch.setattr(Workspace, "adopt_mask", fails_for_one)
    again, notices = open_workspace(workspace.root)
    assert {each.author for each in again.revisions(clip)} == {"ann", "cid"}
    assert [path.exists() for path in masks] == [False, True, False]
    [told] = Troubles(again.database).listed(MENDING)
    assert told.item == str(masks[1])
    assert told.sentence in notices
    assert integrity.MOVE in told.cure
    again.close()
    monkeypatch.setattr(Workspace, "adopt_mask", insert)
    again, _ = open_workspace(workspace.root)
    assert {each.author for each in again.revisions(clip)} == {"ann", "bad", "cid"}
    assert Troubles(again.database).listed() == []
    again.close()


def test_a_trouble_ends_when_its_file_is_moved_away(workspace):
    stray = workspace.root / "clips" / "holiday"
    stray.mkdir()
    open_workspace(workspace.root)[0].close()
    assert [each.item for each in Troubles(workspace.database).listed()] == [str(stray)]
    stray.rename(workspace.root / "holiday")
    open_workspace(workspace.root)[0].close()
    assert Troubles(workspace.database).listed() == []


def test_a_locked_database_is_told_in_one_sentence(workspace, monkeypatch):
    make_clip(workspace)
    impatient = tables.Database(f"sqlite:///{workspace.root / 'mvps.db'}", patience=0.1)
    other = sqlite3.connect(workspace.root / "mvps.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseAwayError, match="held by another program"), impatient.writing():
        pass
    other.execute("ROLLBACK")
    other.close()
    with impatient.writing():
        pass
    impatient.close()


def test_a_full_disk_is_told_as_it_is(workspace):
    """SQLite may not grow: what it answers then is what it answers on a full disk."""
    small = tables.Database(f"sqlite:///{workspace.root / 'mvps.db'}")
    troubles = Troubles(small)
    with small.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    def fill() -> None:
        for number in range(60):
            troubles.tell("fetch", f"task {number}", "reason " * 200)

    with pytest.raises(DatabaseAwayError, match="the disk is full; free some space"):
        fill()
    small.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "names no database"),
        ("postgresql+asyncpg://h/x", r"mvps-labeler\[postgres\]"),
    ],
)
def test_a_wrong_address_of_a_database_is_one_sentence(tmp_path, url, said):
    with pytest.raises(LabelerError, match=said):
        Workspace(tmp_path, url)
