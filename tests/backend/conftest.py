"""A workspace with all that the plugin stands on."""

import pytest

from backend.facts import Facts
from backend.inbox import Inbox
from backend.jobs import JobQueue
from backend.plugin import Service
from backend.submissions import Submissions
from labeler.workspace import Workspace


@pytest.fixture
def service(workspace: Workspace) -> Service:
    database = workspace.database
    return Service(workspace, Inbox(database), JobQueue(workspace.root), Facts(database))


@pytest.fixture
def inbox(service: Service) -> Inbox:
    return service.inbox


@pytest.fixture
def submissions(service: Service) -> Submissions:
    return Submissions(service.workspace, service.inbox, "user {}".format)
