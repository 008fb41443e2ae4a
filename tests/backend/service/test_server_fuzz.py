"""Requests that are nearly what they should be: never an error that nobody foresaw."""

import pytest
from hypothesis import example, given, settings

from backend.service.plugin import Service
from backend.store.facts import Facts
from backend.store.inbox import EventState, Inbox
from backend.store.jobs import JobLog, JobQueue
from backend.work.submissions import Submissions
from labeler.workspace.workspace import Workspace
from tests.backend.callers import HOOK, basic, made_app, predict
from tests.backend.mutants import mutants
from tests.backend.webhooks import deletion, submission, task, update
from tests.workspaces import make_clip, square


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """A service of its own, in which every key frame is predicted, so that nobody waits."""
    workspace = Workspace(tmp_path_factory.mktemp("fuzzed") / "workspace")
    clip = make_clip(workspace)
    for frame in clip.key_frames:
        predict(workspace, clip, frame)
    database = workspace.database
    service = Service(
        workspace, Inbox(database), JobQueue(workspace.root), JobLog(database), Facts(database)
    )
    yield service, made_app(service).test_client()
    workspace.close()


@settings(deadline=None, max_examples=100)
@given(
    payload=mutants(submission(square(1)))
    | mutants(update(None, result=[{"type": "brushlabels", "value": {"brushlabels": ["x"]}}]))
    | mutants(deletion(7, 8))
)
@example(payload=submission(square(1), unique_id="\ud800"))
@example(payload=submission(square(1), completed_by={"id": 10**30}))
@example(payload=submission(square(1), frame=10**30))
@example(payload=submission(square(1), updated_at="0001-01-01T00:00:00+23:59"))
@example(payload={"action": ["ANNOTATION_CREATED"]})
def test_whatever_the_webhook_says_it_is_kept_or_refused_and_stops_nothing(fuzzed, payload):
    service, client = fuzzed
    answer = client.post("/webhook", json=payload, headers=HOOK)
    assert answer.status_code in (200, 400)
    Submissions(service.workspace, service.inbox, str).take_all()
    assert service.inbox.listed(EventState.PENDING) == []
    assert client.get("/", headers=basic()).status_code == 200
    for event in service.inbox.listed(EventState.REFUSED, EventState.ASKING):
        assert "Error" not in event.note, event.note  # each with a reason that was foreseen
        service.inbox.settle(event, EventState.DISMISSED)


@settings(deadline=None, max_examples=100)
@given(payload=mutants({"tasks": [task(), task(frame=10)], "project": "1.17", "params": {}}))
def test_whatever_predictions_are_asked_for_there_is_an_answer(fuzzed, payload):
    _, client = fuzzed
    answer = client.post("/predict", json=payload, headers=basic())
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert len(answer.json["results"]) == len(payload["tasks"])
