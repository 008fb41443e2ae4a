"""Masks that come with annotations: late, twice, or taken back by whoever made them."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labeler.mask import mask_digest
from labeler.revision import Provenance, Revision, counting
from labeler.workspace import tables
from labeler.workspace.integrity import adopt_masks, faults, open_workspace
from labeler.workspace.workspace import Workspace
from tests.workspaces import file_bytes, make_bare_clip, make_clip, square

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def submit(workspace, clip, frame, shift, annotation="a", minute=0, **more):
    return workspace.record(
        clip,
        frame,
        square(shift),
        author=f"author of {annotation}",
        annotation=annotation,
        submitted=NOON + timedelta(minutes=minute),
        **more,
    )


def predict(workspace, clip, frame, shift):
    return workspace.record_prediction(
        clip, frame, square(shift), model_version="m", references="r", uncertainty=0.5
    )


@pytest.fixture(scope="module")
def fresh_frames(tmp_path_factory):
    """A workspace, its clip, and a frame that nobody has used before, each time it is asked."""
    workspace = Workspace(tmp_path_factory.mktemp("many") / "workspace")
    clip = make_bare_clip(workspace)
    yield ((workspace, clip, 5 * number) for number in count())
    workspace.close()


states = st.tuples(st.sampled_from("abc"), st.integers(0, 4))
"""An annotation, and the minute of one of its states."""


@settings(deadline=None, max_examples=30)
@given(
    arrivals=st.lists(states, min_size=1, max_size=5, unique=True).flatmap(
        lambda once: st.lists(st.sampled_from(once), max_size=3).flatmap(
            lambda again: st.permutations(once + again)
        )
    )
)
@example(arrivals=[("a", 0), ("b", 0)])
@example(arrivals=[("b", 0), ("a", 0)])
@example(arrivals=[("a", 3), ("b", 1), ("a", 3), ("a", 2)])
def test_what_counts_depends_on_when_it_was_submitted_not_on_when_it_came(fresh_frames, arrivals):
    workspace, clip, frame = next(fresh_frames)

    def shift(annotation, minute):
        return 5 * minute + "abc".index(annotation)

    for annotation, minute in arrivals:
        revision = submit(workspace, clip, frame, shift(annotation, minute), annotation, minute)
        assert np.array_equal(workspace.read(revision), square(shift(annotation, minute)))
    last = max(arrivals, key=lambda state: (state[1], state[0]))
    recorded = workspace.revisions(clip, frame)
    assert workspace.current(clip)[frame].digest == mask_digest(square(shift(*last)))
    assert sorted(each.digest for each in recorded) == sorted(
        mask_digest(square(shift(*state))) for state in set(arrivals)
    )


def test_a_repeated_state_is_the_revision_that_is_there(workspace):
    clip = make_clip(workspace)
    first = submit(workspace, clip, 5, 1)
    second = submit(workspace, clip, 5, 2, minute=1)
    assert submit(workspace, clip, 5, 1) == first
    assert submit(workspace, clip, 5, 9, minute=1) == second
    assert submit(workspace, clip, 5, 1, "b").number == 3  # the same mask, but somebody else's
    assert workspace.revisions(clip, 5)[:2] == [first, second]
    assert np.array_equal(workspace.read(second), square(2))
    assert list(workspace.pending.iterdir()) == []


def test_a_mask_says_in_its_file_with_which_annotation_it_came(workspace):
    clip = make_clip(workspace)
    revision = submit(workspace, clip, 5, 1, "uuid", minute=7)
    assert (revision.annotation, revision.created) == ("uuid", NOON + timedelta(minutes=7))
    note = revision.to_note()
    assert Revision.from_note(note, 1) == revision
    assert b"uuid" in workspace.mask_path(revision).read_bytes()


def test_what_is_taken_back_stays_but_counts_no_more(workspace):
    clip = make_clip(workspace)
    predicted = predict(workspace, clip, 5, 0)
    old = submit(workspace, clip, 5, 1, "old")
    newer = [submit(workspace, clip, 5, 1 + m, "new", minute=m) for m in (1, 2)]
    elsewhere = submit(workspace, clip, 10, 1, "new")
    masks = file_bytes(workspace.root / "clips")

    assert workspace.withdraw(clip, 5, "new")
    assert workspace.current(clip) == {5: old, 10: elsewhere}
    assert [each.withdrawn for each in workspace.revisions(clip, 5)] == [False, False, True, True]
    assert workspace.withdraw(clip, 5, "old")
    assert workspace.current(clip) == {5: predicted, 10: elsewhere}
    assert workspace.references(clip).corrected(5) is None
    after = file_bytes(workspace.root / "clips")
    assert {path: after[path] for path in masks} == masks
    assert {path: after[path] for path in after.keys() - masks.keys()} == {
        f"walk/masks/00005/{number}.withdrawn": b"" for number in (2, 3, 4)
    }
    assert np.array_equal(workspace.read(newer[1]), square(3))
    assert faults(workspace, deep=True) == []


def test_taking_back_twice_or_what_is_not_there_changes_nothing(workspace):
    clip = make_clip(workspace)
    human = workspace.record(clip, 5, square(1), author="ann")
    submit(workspace, clip, 10, 1)
    assert not workspace.withdraw(clip, 5, "a")
    assert not workspace.withdraw(clip, 0, "a")
    assert workspace.withdraw(clip, 10, "a")
    before = file_bytes(workspace.root / "clips"), workspace.revisions(clip)
    assert not workspace.withdraw(clip, 10, "a")
    assert (file_bytes(workspace.root / "clips"), workspace.revisions(clip)) == before
    assert workspace.current(clip) == {5: human}


def test_the_same_state_once_more_does_not_undo_the_withdrawal(workspace):
    clip = make_clip(workspace)
    submit(workspace, clip, 5, 1)
    workspace.withdraw(clip, 5, "a")
    assert submit(workspace, clip, 5, 1).withdrawn
    assert workspace.current(clip) == {}
    again = submit(workspace, clip, 5, 1, "another")  # the same pixels, but news
    assert workspace.current(clip) == {5: again}


def test_a_frame_whose_masks_were_taken_back_is_predicted_again(workspace):
    clip = make_clip(workspace)
    submit(workspace, clip, 5, 1)
    assert predict(workspace, clip, 5, 2) is None
    workspace.withdraw(clip, 5, "a")
    predicted = predict(workspace, clip, 5, 2)
    assert predicted is not None
    assert workspace.current(clip) == {5: predicted}
    back = submit(workspace, clip, 5, 3, "b")
    assert workspace.current(clip) == {5: back}


def test_a_withdrawal_survives_losing_the_database(workspace):
    clip = make_clip(workspace)
    submit(workspace, clip, 5, 1, "gone")
    submit(workspace, clip, 5, 2, "stays", minute=-1)
    submit(workspace, clip, 10, 3, "gone too")
    workspace.withdraw(clip, 5, "gone")
    workspace.withdraw(clip, 10, "gone too")
    before = workspace.revisions(clip)
    workspace.close()
    for path in workspace.root.glob("mvps.db*"):
        path.unlink()
    again, _ = open_workspace(workspace.root)
    assert again.revisions(clip) == before
    assert {frame: each.annotation for frame, each in again.current(clip).items()} == {5: "stays"}
    assert not again.withdraw(clip, 5, "gone")
    again.close()


def test_a_withdrawal_survives_losing_its_row(workspace):
    clip = make_clip(workspace)
    submit(workspace, clip, 5, 1)
    workspace.withdraw(clip, 5, "a")
    before = workspace.revisions(clip)
    with workspace.database.writing() as connection:
        connection.execute(sa.delete(tables.revisions))
    assert len(adopt_masks(workspace, clip)) == 1
    assert workspace.revisions(clip) == before
    assert workspace.current(clip) == {}


def test_a_confirmed_prediction_is_a_persons_and_less_than_a_correction(workspace):
    assert Provenance.PREDICTED < Provenance.CONFIRMED < Provenance.CORRECTED < Provenance.CHECKED
    assert Provenance.CONFIRMED.human
    clip = make_clip(workspace)
    predict(workspace, clip, 5, 1)
    confirmed = submit(workspace, clip, 5, 1, provenance=Provenance.CONFIRMED)
    assert workspace.revisions(clip, 5)[1] == confirmed
    assert workspace.references(clip).corrected(5) is not None
    assert predict(workspace, clip, 5, 2) is None
    again, _ = open_workspace(workspace.root)
    assert again.current(clip)[5].provenance is Provenance.CONFIRMED
    again.close()


def test_masks_without_an_annotation_count_beside_those_with_one():
    def revision(number, minute, annotation="", withdrawn=False):
        created = NOON + timedelta(minutes=minute)
        return Revision(
            "c",
            0,
            number,
            Provenance.CORRECTED,
            *("", "", "", None, "", 0),
            created,
            annotation,
            withdrawn,
        )

    late, early, by_hand = revision(1, 9, "a"), revision(2, 1, "b"), revision(3, 5)
    assert counting([late, early, by_hand]) == late
    assert counting([early, by_hand]) == by_hand
    assert counting([revision(1, 9, "a", withdrawn=True), early]) == early
    assert counting([revision(1, 9, "a", withdrawn=True)]) is None


OLD_TABLES = """
DROP TABLE revisions;
CREATE TABLE revisions (
    clip VARCHAR(100) NOT NULL,
    frame INTEGER NOT NULL,
    number INTEGER NOT NULL,
    provenance VARCHAR(9) NOT NULL,
    author VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    "references" VARCHAR NOT NULL,
    uncertainty FLOAT,
    digest VARCHAR(64) NOT NULL,
    area INTEGER NOT NULL,
    created DATETIME NOT NULL,
    PRIMARY KEY (clip, frame, number),
    FOREIGN KEY(clip) REFERENCES clips (name)
);
INSERT INTO revisions SELECT clip, frame, number, provenance, author, model_version, "references",
    uncertainty, digest, area, created FROM kept;
DROP TABLE kept;
"""


@pytest.fixture
def old_workspace(workspace):
    """A workspace as it was before masks came with annotations, and what was in it."""
    clip = make_clip(workspace)
    predict(workspace, clip, 5, 1)
    workspace.record(clip, 5, square(2), author="ann")
    workspace.record(clip, 10, square(3), author="bob", provenance=Provenance.ACCEPTED)
    before = workspace.revisions(clip)
    workspace.close()
    database = sqlite3.connect(workspace.root / "mvps.db")
    database.executescript("CREATE TABLE kept AS SELECT * FROM revisions;" + OLD_TABLES)
    columns = {row[1] for row in database.execute("PRAGMA table_info(revisions)")}
    assert not columns & {"annotation", "withdrawn"}
    database.close()
    return workspace.root, clip, before


def test_an_older_database_is_completed_and_keeps_its_rows(old_workspace):
    root, clip, before = old_workspace
    workspace, notices = open_workspace(root)
    assert notices == []
    assert workspace.revisions(clip) == before
    assert workspace.current(clip)[10].provenance is Provenance.ACCEPTED
    submit(workspace, clip, 5, 4, minute=10**6)
    assert workspace.withdraw(clip, 5, "a")
    assert workspace.current(clip)[5] == before[1]
    workspace.close()
    again, _ = open_workspace(root)
    assert len(again.revisions(clip)) == 4
    assert faults(again, deep=True) == []
    again.close()


def test_several_processes_may_complete_an_older_database_at_once(old_workspace):
    root, clip, before = old_workspace

    def revisions(_):
        workspace = Workspace(root)
        found = workspace.revisions(clip)
        workspace.close()
        return found

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(revisions, range(8))) == [before] * 8
