"""Messages of the webhook that say something else than Label Studio: its word counts."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from backend.store import tables
from backend.store.inbox import FETCHED, EventState
from backend.studio.client import StudioAwayError, StudioDownError
from backend.work.submissions import Submissions
from backend.work.verified import AHEAD
from labeler.workspace.troubles import Troubles
from tests.backend.webhooks import NOON, deletion, submission, update
from tests.workspaces import make_clip, square


class Source:
    """A Label Studio that has some annotations."""

    def __init__(self):
        self.annotations, self.tasks, self.failing = {}, {}, {}

    def save(self, payload):
        """Keep what a message tells; return the message."""
        annotation = dict(payload["annotation"])
        del annotation["unique_id"]
        self.annotations[annotation["id"]] = annotation
        self.tasks[annotation["task"]] = payload["task"]["data"]
        return payload

    def annotation(self, number):
        if number in self.failing:
            raise self.failing[number]
        return self.annotations.get(number)

    def task_data(self, number):
        return self.tasks[number]


@pytest.fixture
def clip(workspace):
    return make_clip(workspace)


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def tell(workspace, inbox, source):
    submissions = Submissions(workspace, inbox, "user {}".format, source=source)

    def told(*payloads, age=timedelta(minutes=1)):
        for payload in payloads:
            inbox.put(payload)
        with workspace.database.writing() as connection:
            connection.execute(sa.update(tables.events).values(received=datetime.now(UTC) - age))
        return submissions.take_all()

    return told


def states(inbox):
    return [event.state for event in inbox.listed(*EventState)]


def forged(payload, **changes):
    return payload | {"annotation": payload["annotation"] | changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"updated_by": 99},
        {"updated_by": -1},
        {"updated_by": True, "completed_by": {"id": 99}},
        {"updated_at": "9999-12-31T23:59:59Z"},
        {"updated_at": "1970-01-01T00:00:00Z"},
        {"result": []},
        {"was_cancelled": True},
        {"unique_id": "uuid-of-somebody-else"},
        {"project": 2},
        {"task": 12345},
    ],
)
def test_a_forged_message_records_what_label_studio_has(
    workspace, clip, tell, source, inbox, changes
):
    real = source.save(submission(square(2), at=3, updated_by=5))
    tell(forged(real, **changes))
    [revision] = workspace.revisions(clip, 5)
    assert revision.author == "user 5"
    assert revision.created == NOON + timedelta(minutes=3)
    assert (workspace.read(revision) == square(2)).all()
    assert revision.annotation == "1/7"
    tell(real)
    assert workspace.revisions(clip, 5) == [revision]
    assert EventState.PENDING not in states(inbox)


def test_a_message_cannot_name_another_task(workspace, clip, tell, source):
    real = source.save(submission(square(2)))
    tell(real | {"task": {"id": 100, "data": {"clip": "walk", "frame": 10}}})
    assert [each.frame for each in workspace.revisions(clip)] == [5]


def test_an_annotation_that_nobody_made_is_refused_and_kept(workspace, clip, tell, inbox):
    tell(submission(square(1), annotation=7, updated_by=99))
    assert workspace.revisions(clip) == []
    [event] = inbox.listed(EventState.REFUSED)
    assert event.body["annotation"]["updated_by"] == 99
    assert "no annotation 7" in event.note


def test_a_message_that_comes_before_the_save_is_seen_waits(workspace, clip, tell, source, inbox):
    tell(submission(square(1)), age=timedelta(0))
    assert states(inbox) == [EventState.PENDING]
    source.save(submission(square(1)))
    tell(age=timedelta(0))
    assert [each.author for each in workspace.revisions(clip)] == ["user 3"]
    tell(update(square(3), at=5), age=timedelta(0))
    assert states(inbox)[-1] is EventState.PENDING
    source.save(update(square(3), at=5))
    tell(age=timedelta(0))
    assert (workspace.read(workspace.current(clip)[5]) == square(3)).all()


def test_only_what_is_gone_is_withdrawn(workspace, clip, tell, source, inbox):
    tell(source.save(submission(square(1))))
    tell(deletion(7))
    assert 5 in workspace.current(clip)
    assert states(inbox)[-1] is EventState.DISMISSED
    del source.annotations[7]
    tell(deletion(7))
    assert workspace.current(clip) == {}


def test_what_was_deleted_at_once_is_no_question(workspace, clip, tell, inbox):
    tell(submission(square(1)), deletion(7))
    assert states(inbox) == [EventState.DISMISSED, EventState.DONE]
    assert workspace.revisions(clip) == []


def test_one_annotation_that_cannot_be_served_stops_no_other(workspace, clip, tell, source, inbox):
    bad = source.save(submission(square(1), annotation=7, frame=0))
    good = source.save(submission(square(2), annotation=8, frame=5))
    good["annotation"]["task"] = source.annotations[8]["task"] = 101
    source.tasks = {100: {"clip": "walk", "frame": 0}, 101: {"clip": "walk", "frame": 5}}
    source.failing[7] = StudioAwayError("Label Studio answers HTTP 500.")
    tell(bad, good)
    assert [each.frame for each in workspace.revisions(clip)] == [5]
    [trouble] = Troubles(workspace.database).listed("take")
    assert (trouble.item, trouble.reason) == ("annotation 7", "Label Studio answers HTTP 500.")
    tell()
    assert Troubles(workspace.database).listed("take") == [trouble]
    source.failing.clear()
    tell()
    assert Troubles(workspace.database).listed() == []
    assert states(inbox) == [EventState.DONE, EventState.DONE]


def test_while_label_studio_is_down_everything_waits(workspace, clip, tell, source, inbox):
    source.failing = {number: StudioDownError("It is down.") for number in (7, 8)}
    for number in (7, 8):
        tell(submission(square(1), annotation=number))
    assert states(inbox) == [EventState.PENDING, EventState.PENDING]
    assert workspace.revisions(clip) == []


def test_a_time_in_the_future_is_the_time_of_arrival(workspace, clip, tell, source):
    """The clock of Label Studio was wrong for a while; later work must count all the same."""
    tell(source.save(submission(square(1), at=0, updated_at="9999-12-31T23:59:59Z")))
    [revision] = workspace.revisions(clip)
    assert revision.created < datetime.now(UTC) + AHEAD
    later = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    tell(source.save(submission(square(2), annotation=8, updated_at=later)), age=timedelta(0))
    assert (workspace.read(workspace.current(clip)[5]) == square(2)).all()


def test_what_was_fetched_is_not_asked_for_again(workspace, clip, inbox, tell, source):
    payload = submission(square(1))
    inbox.put_annotation(FETCHED, payload["annotation"], payload["task"]["data"])
    source.failing[7] = StudioDownError("It is down.")
    tell()
    assert [each.author for each in workspace.revisions(clip)] == ["user 3"]


def test_no_message_can_say_that_it_was_fetched(inbox):
    assert inbox.put(submission(square(1), action=FETCHED)) == 0
