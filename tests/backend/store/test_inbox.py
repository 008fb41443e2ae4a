import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from backend.store import tables
from backend.store.inbox import EventState, Inbox
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace
from tests.backend.webhooks import deletion, minute, submission, update
from tests.workspaces import square

WALK = ("walk", 5)


def told(inbox):
    return [(event.action, event.annotation, event.version) for event in inbox.pending()]


def test_what_is_told_is_kept_whole_in_its_order(inbox):
    payload = submission(square(1), at=1, clip="walk", frame=10)
    assert inbox.put(payload) == 1
    assert inbox.put(update(square(2), at=2)) == 1
    assert inbox.put(deletion(7, 8)) == 2
    first, second, *deleted = inbox.pending()
    assert first.body == {"annotation": payload["annotation"], "data": payload["task"]["data"]}
    assert (first.project, first.annotation, first.clip, first.frame) == (1, 7, "walk", 10)
    assert (first.state, first.version) == (EventState.PENDING, "2025-06-01T12:01:00+00:00")
    assert second.action == "ANNOTATION_UPDATED"
    assert [(event.annotation, event.body) for event in deleted] == [(7, {}), (8, {})]
    assert (deleted[0].clip, deleted[0].frame) == ("", -1)


def test_a_state_of_an_annotation_is_kept_once_however_it_is_told(inbox):
    assert inbox.put(submission(square(1), at=1)) == 1
    assert inbox.put(submission(square(1), at=1)) == 0
    assert inbox.put(update(square(1), at=1)) == 0
    for same in ("2025-06-01T12:01:00+00:00", "2025-06-01T14:01:00+02:00", "2025-06-01T12:01:00"):
        assert inbox.put(submission(square(1), updated_at=same)) == 0
    payload = submission(square(1), at=1)
    assert inbox.put_annotation("ANNOTATION_UPDATED", payload["annotation"], {}) == 0
    assert inbox.put(submission(square(1), at=1, annotation=8)) == 1
    assert inbox.put(submission(square(1), at=1, project=2)) == 1
    assert inbox.put(submission(square(1), at=2)) == 1
    assert len(told(inbox)) == 4


def test_it_is_still_there_after_a_restart(inbox, workspace):
    inbox.put(submission(square(1)))
    (before,) = inbox.pending()
    again = Workspace(workspace.root)
    assert list(Inbox(again.database).pending()) == [before]
    again.close()


def test_what_comes_while_events_are_taken_up_is_taken_up_too(inbox):
    inbox.put(submission(square(1), annotation=1))
    inbox.put(submission(square(1), annotation=2))
    seen = []
    for event in inbox.pending():
        seen.append(event.annotation)
        if event.annotation < 3:
            inbox.put(submission(square(1), annotation=event.annotation + 2))
    assert seen == [1, 2, 3, 4]
    assert len(told(inbox)) == 4  # nobody settled them


def test_only_what_is_done_with_loses_its_body(inbox):
    for number, state in enumerate(EventState):
        assert inbox.counted().get(state) is None
        inbox.put(submission(square(1), annotation=number))
        *_, event = inbox.pending()
        inbox.settle(event, state, f"it is {state}", 0.5)
        kept = inbox.get(event.id)
        assert (kept.state, kept.note, kept.clip, kept.frame) == (state, f"it is {state}", *WALK)
        assert (kept.body == event.body) == (state is not EventState.DONE)
        assert inbox.listed(state) == [kept]
    assert [event.state for event in inbox.pending()] == ["pending", "confirmed"]
    assert len(inbox.listed(*EventState)) == len(EventState)
    assert [event.annotation for event in inbox.listed(*EventState, limit=2)] == [4, 5]
    assert inbox.counted() == dict.fromkeys(EventState, 1)
    with pytest.raises(LabelerError, match="no event 99"):
        inbox.get(99)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"action": "PROJECT_UPDATED", "project": {"id": 1}},
        {"action": "TASKS_CREATED", "tasks": [{"id": 1}]},
        {"action": "ANNOTATION_DELETED", "annotation": {"id": 1}},
        {"action": None},
        {"action": ["ANNOTATION_CREATED"]},
        {"action": {}},
    ],
)
def test_what_has_nothing_to_do_with_annotations_is_let_pass(inbox, payload):
    assert inbox.put(payload) == 0
    assert told(inbox) == []


def without(payload, *path):
    parent = payload
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    return payload


@pytest.mark.parametrize(
    "payload",
    [
        without(submission(None), "annotation"),
        without(submission(None), "task"),
        without(submission(None), "task", "data"),
        without(submission(None), "annotation", "id"),
        without(submission(None), "annotation", "project"),
        without(submission(None), "annotation", "updated_at"),
        submission(None, id="7"),
        submission(None, id=-1),
        submission(None, id=True),
        submission(None, id=1 << 64),
        submission(None, id=7.0),
        submission(None, updated_at="yesterday"),
        submission(None, updated_at=1748779200),
        submission(None, updated_at="0001-01-01T00:00:00+23:59"),
        submission(None) | {"annotation": [1]},
        deletion(7) | {"project": 1},
        without(deletion(7), "annotations"),
        deletion(7) | {"annotations": {"id": 7}},
        deletion(7) | {"annotations": [7]},
        deletion(7) | {"annotations": [{"number": 7}]},
    ],
)
def test_what_label_studio_never_sends_is_refused_and_not_kept(inbox, payload):
    with pytest.raises(LabelerError, match="as Label Studio does"):
        inbox.put(payload)
    assert told(inbox) == []


def test_the_same_news_from_many_threads_are_kept_once(inbox):
    news = [submission(square(1), annotation=number % 3, at=number // 3) for number in range(9)]
    with ThreadPoolExecutor(6) as pool:
        new = list(pool.map(inbox.put, news * 3))
    assert sum(new) == len(told(inbox)) == 9
    assert sorted(told(inbox)) == [
        ("ANNOTATION_CREATED", number, minute(at).replace("Z", "+00:00"))
        for number in range(3)
        for at in range(3)
    ]


def test_a_body_that_is_damaged_on_disk_stops_no_other(inbox, workspace):
    for number in range(4):
        inbox.put(submission(square(1), annotation=number))
    deep = b'{"annotation": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    with workspace.database.writing() as connection:
        for number, body in ((1, b""), (2, b"no zlib"), (3, zlib.compress(deep))):
            connection.execute(
                sa.update(tables.events)
                .where(tables.events.c.annotation == number)
                .values(body=body)
            )
    assert [(event.annotation, bool(event.body)) for event in inbox.pending()] == [
        (0, True),
        (1, False),
        (2, False),
        (3, False),
    ]
