"""What comes to a person by itself: the masks of the stream, and work that no webhook told of."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from unittest import mock

import httpx
import numpy as np
import pytest

from backend.cli.stack import running
from backend.settings import Settings
from backend.store.facts import STUDIO, Facts
from backend.studio.annotation import from_result, to_result
from backend.studio.projects import Role
from labeler.review.priority import next_frames
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


def test_the_stream_opens_what_comes_next_with_its_newest_mask(person: Annotator) -> None:
    """The page asks for the next task as soon as Label Studio has stored a submission."""
    clip = person.workspace.clip("walk")
    for frame in (0, 30):  # each is the nearest to some frames: the copies are made anew
        person.submit("walk", frame, square(frame + 7, SIZE))
        opened = person.next_task()
        told = opened["data"]
        assert told["frame"] not in (0, frame)
        [shown] = opened["predictions"]
        person.wait_until_quiet()
        newest = person.workspace.current(clip)[told["frame"]]
        mask = from_result(shown["result"], *person.sizes["walk"]).mask
        assert np.array_equal(mask, person.workspace.read(newest))
        assert newest.created < datetime.now(UTC)
    following = [each.frame for each in next_frames(person.workspace)]
    listed = {task.data["frame"]: task.data for task in person.studio.tasks(person.project)}
    assert {frame for frame, data in listed.items() if data["turn"] == "next"} == set(following)
    assert following == sorted(following, key=lambda frame: -listed[frame]["priority"])
    waiting = [data for data in listed.values() if data["turn"] == "later"]
    assert all(data["priority"] < listed[following[-1]]["priority"] for data in waiting)


def test_a_submission_counts_even_if_the_mask_that_it_began_with_has_changed(
    person: Annotator,
) -> None:
    """Label Studio refuses (HTTP 400) a submission whose prediction exists no more."""
    opened = person.next_task()
    frame, shown = opened["data"]["frame"], opened["predictions"][0]["id"]
    rows = {n: number for (_, n), number in person.tasks.items() if n != frame}
    before = {each.id for each in person.predictions("walk", frame)}
    assert shown in before
    other = next(
        n
        for n in rows
        if not person.workspace.current(person.workspace.clip("walk"))[n].provenance.human
    )
    person.submit("walk", other, square(40, SIZE))
    person.wait_until_quiet()
    masks = [from_result(each.result, *SIZE).mask for each in person.predictions("walk", frame)]
    newest = person.workspace.current(person.workspace.clip("walk"))[frame]
    assert all(np.array_equal(mask, person.workspace.read(newest)) for mask in masks)
    answer = httpx.post(
        f"{person.stack.studio.url}/api/tasks/{opened['id']}/annotations",
        params={"project": person.project},
        json={
            "result": to_result(square(3, SIZE), "mine"),
            "parent_prediction": shown,
            "lead_time": 4.0,
        },
        headers={"Authorization": f"Token {person.stack.studio.login.token}"},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    person.wait_until_quiet()
    now = person.workspace.current(person.workspace.clip("walk"))[frame]
    assert np.array_equal(person.workspace.read(now), square(3, SIZE))
    person.until(lambda: len(person.predictions("walk", frame)) == 1, "one prediction is left")


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
    current = person.workspace.current(person.workspace.clip("walk")).values()
    masked = {each.frame for each in current if each.provenance.human}
    checker.until(
        lambda: checker.look_again() or {frame for _, frame in checker.tasks} == masked, "tasks"
    )
    checker.until(lambda: checker.predictions("walk", 30), "a mask", 60)

    def masks() -> list[object]:
        return list(checker.next_task()["predictions"])

    assert len(checker.until(masks, "the stream shows the mask", 30)) == 1
    checker.api.projects.update(checker.project, model_version="")  # somebody changes the setting
    checker.until(masks, "the worker sets it again", 60)
    checker.studio.close()
