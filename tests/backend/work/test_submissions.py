"""From what Label Studio tells to the mask that counts."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from backend.store import tables
from backend.store.inbox import EventState
from backend.studio.annotation import NOBODY, PRESENCE, to_result
from backend.work.submissions import Submissions
from labeler.mask import mask_digest
from labeler.revision import Provenance
from labeler.workspace.integrity import faults, open_workspace
from tests.backend.webhooks import NOON, deletion, region, submission, update
from tests.workspaces import SIZE, make_clip, square

ROOT = Path(__file__).parents[3]
EMPTY = np.zeros(SIZE, bool)


@pytest.fixture
def clip(workspace):
    return make_clip(workspace)


@pytest.fixture
def tell(inbox, submissions):
    """Label Studio tells something, and it is taken up."""

    def told(*payloads):
        for payload in payloads:
            inbox.put(payload)
        return submissions.take_all()

    return told


def predict(workspace, clip, mask, frame=5):
    return workspace.record_prediction(
        clip, frame, mask, model_version="m", references="r", uncertainty=0.5
    )


def states(inbox):
    return [event.state for event in inbox.listed(*EventState)]


def qualities(workspace):
    with workspace.database.reading() as connection:
        rows = connection.execute(sa.select(tables.events.c.prelabel_iou))
        return list(rows.scalars())


def test_what_is_submitted_becomes_the_mask_that_counts(workspace, clip, inbox, tell):
    predict(workspace, clip, square(0))
    assert tell(submission(square(2), at=3)) == {"walk"}
    revision = workspace.current(clip)[5]
    assert np.array_equal(workspace.read(revision), square(2))
    assert (revision.author, revision.annotation) == ("user 3", "uuid-7")
    assert (revision.provenance, revision.number) == (Provenance.CORRECTED, 2)
    assert revision.created == NOON + timedelta(minutes=3)
    assert states(inbox) == [EventState.DONE]
    both = np.count_nonzero(square(0) & square(2)) / np.count_nonzero(square(0) | square(2))
    assert qualities(workspace) == [pytest.approx(both)]
    assert tell() == set()


def test_how_long_a_task_was_open_is_kept_with_the_revision(workspace, clip, tell):
    tell(submission(square(2), lead_time=12.5))
    assert workspace.current(clip)[5].lead_time == 12.5
    tell(update(square(3), at=1, lead_time=20.0))
    assert workspace.current(clip)[5].lead_time == 20.0
    tell(update(square(4), at=2, lead_time="a while"))  # costs nobody a mask
    assert workspace.current(clip)[5].lead_time is None
    assert np.array_equal(workspace.read(workspace.current(clip)[5]), square(4))


def test_the_author_is_who_updated_it_last(workspace, clip, tell):
    tell(submission(square(1), completed_by={"id": 12, "email": "ann@example.org"}))
    assert workspace.current(clip)[5].author == "user 12"
    tell(update(square(2), at=1, completed_by=12, updated_by=14))
    assert workspace.current(clip)[5].author == "user 14"
    tell(update(square(3), at=2, completed_by=None))
    assert workspace.current(clip)[5].author == "user 0"


def test_a_prediction_submitted_as_it_was_is_confirmed(workspace, clip, tell):
    predict(workspace, clip, square(1))
    tell(submission(square(1)))
    assert workspace.current(clip)[5].provenance is Provenance.CONFIRMED
    tell(update(square(2), at=1))
    assert workspace.current(clip)[5].provenance is Provenance.CORRECTED
    assert qualities(workspace) == [1.0, pytest.approx(0.935, abs=0.01)]


def test_a_damaged_prediction_does_not_cost_the_persons_mask(workspace, clip, inbox, tell):
    workspace.mask_path(predict(workspace, clip, square(0))).unlink()
    tell(submission(square(2)))
    assert workspace.current(clip)[5].digest == mask_digest(square(2))
    assert states(inbox) == [EventState.DONE]
    assert qualities(workspace) == [None]


def test_taking_an_event_up_twice_records_it_once(workspace, clip, inbox, submissions):
    inbox.put(submission(square(1)))
    (event,) = inbox.pending()
    assert submissions.take(event) == {"walk"}
    before = workspace.revisions(clip)
    assert submissions.take(event) == {"walk"}
    assert workspace.revisions(clip) == before
    assert len(before) == 1


def test_the_update_before_the_creation(workspace, clip, tell):
    tell(update(square(2), at=2), submission(square(1), at=1))
    assert workspace.current(clip)[5].digest == mask_digest(square(2))
    assert [each.digest for each in workspace.revisions(clip)] == [
        mask_digest(square(2)),
        mask_digest(square(1)),
    ]


def test_the_deletion_before_the_creation(workspace, clip, inbox, tell):
    assert tell(deletion(7)) == set()
    tell(submission(square(1)), update(square(2), at=1))
    assert workspace.current(clip) == {}
    assert [each.withdrawn for each in workspace.revisions(clip)] == [True, True]
    assert states(inbox) == [EventState.DONE] * 3


def test_an_update_that_comes_after_the_deletion_does_not_count(workspace, clip, tell):
    tell(submission(square(1)))
    assert tell(deletion(7)) == {"walk"}
    assert workspace.current(clip) == {}
    tell(update(square(2), at=1))
    assert workspace.current(clip) == {}
    assert len(workspace.revisions(clip)) == 2


def test_it_does_not_help_a_deleted_annotation_that_clocks_differ(workspace, clip, tell):
    next_year = 60 * 24 * 365 * 100
    tell(submission(square(1)), deletion(7), update(square(2), at=next_year))
    assert workspace.current(clip) == {}


def test_deleting_lets_what_others_submitted_count_again(workspace, clip, tell):
    tell(
        submission(square(1), annotation=1, at=1),
        submission(square(2), annotation=2, at=2),
        update(square(3), annotation=2, at=3),
        submission(square(4), annotation=3, frame=10),
    )
    tell(deletion(2))
    assert workspace.current(clip)[5].digest == mask_digest(square(1))
    assert workspace.current(clip)[10].digest == mask_digest(square(4))
    tell(deletion(1, 3))
    assert workspace.current(clip) == {}
    assert len(workspace.revisions(clip)) == 4


def test_a_deletion_of_what_nobody_knows_is_done_with(workspace, clip, inbox, tell):
    assert tell(deletion(55)) == set()
    assert states(inbox) == [EventState.DONE]


def test_numbers_begin_again_with_a_new_label_studio(workspace, clip, tell):
    later = 60 * 24 * 365 * 100  # after the deletion was heard of, which is now
    tell(submission(square(1), unique_id="old"), deletion(7))
    tell(submission(square(2), unique_id="new", at=1))
    assert workspace.current(clip)[5].annotation == "new"
    tell(deletion(7))
    assert workspace.current(clip) == {}
    # without names, time must do
    tell(submission(square(3), annotation=8, unique_id=None), deletion(8))
    assert workspace.current(clip) == {}
    tell(submission(square(4), annotation=8, unique_id=None, at=later))
    assert workspace.current(clip)[5].annotation == "1/8"


def test_a_new_label_studio_without_the_deletion_leaves_the_old_mask_be(workspace, clip, tell):
    tell(submission(square(1), unique_id="old"))
    tell(submission(square(2), unique_id="new", frame=10, at=1))
    assert tell(deletion(7)) == {"walk"}
    assert list(workspace.current(clip)) == [5]


def test_what_was_skipped_is_no_mask(workspace, clip, inbox, tell):
    assert tell(submission(square(1), was_cancelled=True)) == set()
    assert workspace.revisions(clip) == []
    (event,) = inbox.listed(EventState.DONE)
    assert "skipped" in event.note
    assert tell(update(square(1), at=1)) == {"walk"}  # and then done after all
    assert 5 in workspace.current(clip)


def test_foreign_regions_are_left_out_and_said(workspace, clip, inbox, tell):
    other = region(np.ones(SIZE, bool), value={"brushlabels": ["Dog"]})
    tell(submission(None, result=[region(square(1)), region(square(20)), other]))
    assert workspace.current(clip)[5].digest == mask_digest(square(1) | square(20))
    (event,) = inbox.listed(EventState.DONE)
    assert event.note == "1 regions without the portrait left out"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (submission(square(1), clip="run"), "no clip 'run'"),
        (submission(square(1), clip="../walk"), "no clip '../walk'"),
        (submission(square(1), clip=None), "no clip ''"),
        (submission(square(1), clip="\ud800"), "no clip"),
        (submission(square(1), frame=3), "no key frame"),
        (submission(square(1), frame=20), "no key frame"),
        (submission(square(1), frame=-5), "no key frame"),
        (submission(square(1), frame="5"), "no key frame"),
        (submission(square(1), frame=False), "no key frame"),
        (submission(square(1), frame=10**40), "no key frame"),
        (submission(square(1)[1:]), "but the frame is 128x96"),
        (submission(None, result=[region(square(1), original_width="\ud800")]), "but the frame"),
        (submission(None, result=[region(square(1), image_rotation=180)]), "rotated"),
        (submission(None, result=[region(square(1), value={"rle": [1, 2, 3]})]), "unreadable"),
        (submission(None, result=None), "not a list"),
        (submission(None, result={"0": region(square(1))}), "not a list"),
    ],
)
def test_what_is_no_mask_is_refused_kept_and_stops_nothing(
    workspace, clip, inbox, tell, payload, said
):
    assert tell(payload, submission(square(9), annotation=8)) == {"walk"}
    (event,) = inbox.listed(EventState.REFUSED)
    assert said in event.note
    assert "Error" not in event.note
    assert event.body["annotation"] == payload["annotation"]
    assert [each.annotation for each in workspace.revisions(clip)] == ["uuid-8"]
    assert tell() == set()


def test_a_name_that_cannot_be_written_is_replaced(workspace, clip, tell):
    for number, name in enumerate(["\ud800", "\0", "", 5, None, "a\nb"]):
        tell(submission(square(number), annotation=number, at=number, unique_id=name))
        assert workspace.current(clip)[5].annotation == f"1/{number}"


def test_a_full_disk_costs_nothing_but_time(workspace, clip, inbox, tell):
    in_the_way = workspace.clip_folder("walk") / "masks"
    in_the_way.write_text("")  # so that no folder can be made there
    assert tell(submission(square(1)), submission(square(2), annotation=8, at=1)) == set()
    assert states(inbox) == [EventState.PENDING] * 2
    assert workspace.revisions(clip) == []
    in_the_way.unlink()
    assert tell() == {"walk"}
    assert states(inbox) == [EventState.DONE] * 2
    again, _ = open_workspace(workspace.root)  # what the failures left is not taken in twice
    assert len(again.revisions(clip)) == 2
    assert again.current(clip)[5].digest == mask_digest(square(2))
    assert list(again.pending.iterdir()) == []
    assert faults(again, deep=True) == []
    again.close()


def test_nobody_where_somebody_was_must_be_said_twice(workspace, clip, inbox, tell):
    predict(workspace, clip, square(1))
    assert tell(submission(EMPTY)) == set()
    assert len(workspace.revisions(clip)) == 1
    (asking,) = inbox.listed(EventState.ASKING)
    assert "is empty" in asking.note
    assert asking.body["annotation"]["result"] == []
    assert tell() == set()

    inbox.settle(asking, EventState.CONFIRMED, asking.note)
    assert tell() == {"walk"}
    assert (workspace.current(clip)[5].area, workspace.current(clip)[5].author) == (0, "user 3")
    assert states(inbox) == [EventState.DONE]


def test_what_is_dismissed_is_kept_and_never_counts(workspace, clip, inbox, tell):
    tell(submission(square(1)), update(EMPTY, at=1))
    (asking,) = inbox.listed(EventState.ASKING)
    inbox.settle(asking, EventState.DISMISSED, asking.note)
    assert tell() == set()
    assert workspace.current(clip)[5].digest == mask_digest(square(1))
    assert inbox.listed(EventState.DISMISSED)[0].body == asking.body


def test_nobody_where_nobody_was_needs_no_word(workspace, clip, inbox, tell):
    tell(submission(EMPTY))
    predict(workspace, clip, EMPTY, frame=10)
    tell(submission(EMPTY, annotation=8, frame=10))
    assert [each.area for each in workspace.current(clip).values()] == [0, 0]
    assert workspace.current(clip)[10].provenance is Provenance.CONFIRMED
    assert states(inbox) == [EventState.DONE] * 2


def test_an_empty_mask_that_is_confirmed_late_does_not_replace_a_newer_one(
    workspace, clip, inbox, tell
):
    tell(submission(square(1)), update(EMPTY, at=1))
    (asking,) = inbox.listed(EventState.ASKING)
    tell(update(square(2), at=2))
    assert not inbox.listed(EventState.ASKING)  # nobody has to answer it any more
    (overtaken,) = inbox.listed(EventState.DISMISSED)
    assert overtaken.body == asking.body
    inbox.settle(asking, EventState.CONFIRMED)  # by a page that was open meanwhile
    tell()
    assert workspace.current(clip)[5].digest == mask_digest(square(2))
    assert len(workspace.revisions(clip)) == 3


def test_an_empty_mask_that_a_newer_state_replaced_asks_nobody(workspace, clip, inbox, tell):
    tell(update(square(2), at=2), submission(EMPTY, at=1))
    assert workspace.current(clip)[5].digest == mask_digest(square(2))
    assert states(inbox) == [EventState.DONE] * 2


def test_an_empty_mask_that_was_deleted_asks_nobody(workspace, clip, inbox, tell):
    predict(workspace, clip, square(1))
    tell(deletion(7), submission(EMPTY))
    assert states(inbox) == [EventState.DONE] * 2
    assert not workspace.current(clip)[5].provenance.human


def test_what_is_damaged_in_the_inbox_is_refused(workspace, clip, inbox, tell):
    inbox.put(submission(square(1)))
    with workspace.database.writing() as connection:
        connection.execute(sa.update(tables.events).values(body=b"damaged"))
    tell(submission(square(2), annotation=8))
    assert states(inbox) == [EventState.REFUSED, EventState.DONE]
    assert "submit it again" in inbox.listed(EventState.REFUSED)[0].note


def test_an_error_that_nobody_foresaw_is_kept_and_stops_nothing(workspace, clip, inbox):
    inbox.put(submission(square(1)))
    inbox.put(submission(square(2), annotation=8, frame=10, completed_by=4))
    authors = {4: "dan"}
    Submissions(workspace, inbox, authors.__getitem__).take_all()
    assert list(workspace.current(clip)) == [10]
    assert [event.note for event in inbox.listed(EventState.REFUSED)] == ["KeyError: 3"]


def nobody():
    value = {"choices": [NOBODY]}
    return {"from_name": PRESENCE, "to_name": "image", "type": "choices", "value": value}


def test_who_says_in_the_task_that_nobody_is_there_is_not_asked(workspace, clip, inbox, tell):
    predict(workspace, clip, square(5))
    shown = workspace.read(workspace.current(clip)[5])
    tell(submission(None, result=[*to_result(shown, "r"), nobody()]))
    assert workspace.current(clip)[5].provenance is Provenance.CORRECTED
    assert not workspace.current(clip)[5].area
    assert not inbox.listed(EventState.ASKING, EventState.REFUSED)


def test_nobody_and_a_painted_mask_contradict_each_other(workspace, clip, inbox, tell):
    predict(workspace, clip, square(5))
    tell(submission(None, result=[*to_result(square(15), "r"), nobody()]))
    [refused] = inbox.listed(EventState.REFUSED)
    assert "take one of the two away" in refused.note
    assert not workspace.current(clip)[5].provenance.human
