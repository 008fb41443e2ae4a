"""A workspace with all that the plugin stands on."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.service.plugin import Service
from backend.store.facts import Facts
from backend.store.inbox import Inbox
from backend.store.jobs import JobLog, JobQueue
from backend.work.submissions import Submissions
from backend.work.worker import Worker
from labeler.clip import Clip
from labeler.revision import Draft
from labeler.workspace.workspace import Workspace
from model.segmenter import Segmenter
from tests.backend.callers import HOOK, basic, made_app, predict
from tests.workspaces import make_clip, square


@pytest.fixture
def service(workspace: Workspace) -> Service:
    database = workspace.database
    return Service(
        workspace, Inbox(database), JobQueue(workspace.root), JobLog(database), Facts(database)
    )


@pytest.fixture
def inbox(service: Service) -> Inbox:
    return service.inbox


@pytest.fixture
def submissions(service: Service) -> Submissions:
    return Submissions(service.workspace, service.inbox, "user {}".format)


@pytest.fixture
def app(service: Service) -> Flask:
    return made_app(service)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def ask(client: FlaskClient) -> Callable[..., Any]:
    """Ask as Label Studio does."""

    def asked(path: str, payload: object = None, expect: int = 200) -> Any:
        headers = HOOK if path == "/webhook" else basic()
        answer = client.post(path, json=payload, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json

    return asked


@pytest.fixture
def log(workspace: Workspace) -> JobLog:
    return JobLog(workspace.database)


@pytest.fixture
def make_worker(service: Service, submissions: Submissions) -> Callable[..., Worker]:
    """Make a worker with an engine, and with what brings masks to Label Studio."""

    def made(engine: Segmenter, find_sync: Callable[[], Any] = lambda: None) -> Worker:
        return Worker(service.workspace, lambda: engine, service.queue, submissions, find_sync)

    return made


@pytest.fixture
def half_done(workspace: Workspace) -> Clip:
    """A clip whose key frames 0 and 5 are predicted, and 15 a person's; 10 has no mask."""
    clip = make_clip(workspace)
    for frame in (0, 5):
        predict(workspace, clip, frame)
    workspace.record(clip, 15, square(15), Draft("ann"))
    return clip
