"""What comes to a person by itself: the masks of the stream, and work that no webhook told of."""

import os
from collections.abc import Iterator
from unittest import mock

import httpx
import pytest

from backend.cli.stack import running
from backend.settings import Settings
from backend.store.facts import STUDIO, Facts
from backend.studio.projects import Role
from labeler.workspace.workspace import Workspace
from tests.studio.annotator import Annotator
from tests.studio.conftest import SIZE
from tests.workspaces import make_clip, square


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Annotator]:
    """Somebody whose worker looks for missed submissions every two seconds."""
    workspace = Workspace(tmp_path_factory.mktemp("stream") / "workspace")
    make_clip(workspace, "walk", 31, SIZE)
    with mock.patch.dict(os.environ, {"MVPS_FETCH_SECONDS": "2"}):
        settings = Settings(workspace=workspace.root)
        with running(settings, ["--model", "copy"], print) as stack:
            made = Annotator(stack, workspace)
            made.until(lambda: len(workspace.current(workspace.clip("walk"))) == 7, "masks", 120)
            yield made
            made.studio.close()
    workspace.close()


def test_submissions_without_a_webhook_are_fetched_again_and_again(person: Annotator) -> None:
    clip = person.workspace.clip("walk")
    for webhook in person.api.webhooks.list(project=str(person.project)):
        person.api.webhooks.update(webhook.id, url=webhook.url, is_active=False)
    for frame in (0, 30):
        person.submit("walk", frame, square(frame, SIZE))
        person.until(lambda at=frame: person.workspace.current(clip)[at].provenance.human, "it", 60)
    told = Facts(person.workspace.database).get(STUDIO)
    assert told is not None
    assert told[0] == ""


def test_the_check_projects_stream_shows_the_mask(person: Annotator) -> None:
    checker = Annotator(person.stack, person.workspace, Role.CHECK)
    checker.until(lambda: checker.look_again() or len(checker.tasks) == 2, "tasks to check", 60)
    checker.until(lambda: checker.predictions("walk", 30), "a mask", 60)

    def next_task() -> list[object]:
        """What `Label All Tasks` asks for."""
        answer = httpx.post(
            f"{person.stack.studio.url}/api/dm/actions",
            params={"id": "next_task", "project": checker.project},
            json={"project": str(checker.project)},
            headers={"Authorization": f"Token {person.stack.studio.login.token}"},
            timeout=60,
        )
        return list(answer.raise_for_status().json()["predictions"])

    assert len(checker.until(next_task, "the stream shows the mask", 30)) == 1
    checker.api.projects.update(checker.project, model_version="")  # somebody changes the setting
    checker.until(next_task, "the worker sets it again", 60)
    checker.studio.close()
